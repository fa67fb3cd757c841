#include "scholar/mend.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum {
    ESCAPE = 6,       /* characters of \uXXXX */
    SAFE_DIGITS = 15, /* any whole number of so many is a double */
};

/* The code unit of a \uXXXX at `at`, or -1 if there is none. */
static int code_unit(const char *at, const char *end)
{
    int unit = 0;
    if (end - at < ESCAPE || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE; i++) {
        int digit = tolower((unsigned char)at[i]);
        if (!isxdigit(digit))
            return -1;
        unit = unit * 16 + (isdigit(digit) ? digit - '0' : digit - 'a' + 10);
    }
    return unit;
}

/* Copies the escape at `at`, a backslash; returns its length. */
static size_t mend_escape(const char *at, const char *end, struct text *mended)
{
    int unit = code_unit(at, end);
    size_t length = unit >= 0 ? ESCAPE : end - at < 2 ? 1 : 2;
    bool high = unit >= 0xd800 && unit < 0xdc00, low = unit >= 0xdc00 && unit < 0xe000;
    if (high) {
        int second = code_unit(at + ESCAPE, end);
        high = second < 0xdc00 || second >= 0xe000;
        length += high ? 0 : ESCAPE;
    }
    if (unit == 0 || high || low)
        text_append(mended, "\\ufffd");
    else
        text_append_bytes(mended, at, length);
    return length;
}

/* Copies the string at `at`, a quotation mark; returns its length. */
static size_t mend_string(const char *at, const char *end, struct text *mended)
{
    const char *from = at++;
    for (const char *plain = from; at < end; plain = at) {
        while (at < end && *at != '"' && *at != '\\')
            at++;
        bool last = at < end && *at == '"';
        at += last;
        text_append_bytes(mended, plain, (size_t)(at - plain));
        if (last)
            return (size_t)(at - from);
        if (at < end)
            at += mend_escape(at, end, mended);
    }
    if (at - from == 1) /* the mark stands at the very end */
        text_append(mended, "\"");
    return (size_t)(at - from);
}

/* Copies the number at `at`; returns its length. */
static size_t mend_number(const char *at, const char *end, struct text *mended)
{
    size_t length = 0, digits = 0, sign = *at == '-';
    while (at + length < end && strchr("+-.0123456789eE", at[length]) && at[length])
        length++;
    while (digits + sign < length && isdigit((unsigned char)at[sign + digits]))
        digits++;
    bool large = digits > SAFE_DIGITS && sign + digits == length && at[sign] != '0';
    text_append(mended, large ? "\"" : "");
    text_append_bytes(mended, at, length);
    text_append(mended, large ? "\"" : "");
    return length;
}

void json_mend(const char *json, size_t length, struct text *mended)
{
    const char *at = json, *end = json + length;
    while (at < end && !mended->failed) {
        const char *from = at;
        while (at < end && *at != '"' && *at != '-' && !isdigit((unsigned char)*at))
            at++;
        text_append_bytes(mended, from, (size_t)(at - from));
        if (at < end)
            at += *at == '"' ? mend_string(at, end, mended) : mend_number(at, end, mended);
    }
}
