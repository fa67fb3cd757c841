#include "base/json-scan.h"
#include "base/memory.h"
#include "base/text.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEEPEST = 64,
    LONGEST_NUMBER = 63, /* what cJSON reads of one */
};

enum status json_scan_error(const struct json_scan *scan, size_t at, const char *format, ...)
{
    size_t line = scan->line, column = 1;
    for (size_t i = 0; i < at && i < scan->length; i++) {
        if (scan->data[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)scan->data[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    va_list arguments;
    va_start(arguments, format);
    error_set_va(scan->error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    return error_prefix(scan->error, "%s:%zu:%zu", scan->name, line, column);
}

/* The next byte, or -1 at the end. */
static int peek(const struct json_scan *scan)
{
    return scan->at < scan->length ? (unsigned char)scan->data[scan->at] : -1;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static enum status unexpected(const struct json_scan *scan, const char *wanted)
{
    int byte = peek(scan);
    if (byte < 0)
        return json_scan_error(scan, scan->at, "expected %s, found the end", wanted);
    if (byte > 0x20 && byte < 0x7f)
        return json_scan_error(scan, scan->at, "expected %s, found '%c'", wanted, byte);
    return json_scan_error(scan, scan->at, "expected %s, found byte 0x%02x", wanted, byte);
}

static void skip_space(struct json_scan *scan)
{
    for (int byte; (byte = peek(scan)) == ' ' || byte == '\t' || byte == '\n' || byte == '\r';)
        scan->at++;
}

static size_t skip_digits(struct json_scan *scan)
{
    size_t start = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at - start;
}

/* Whole numbers are held as double: past 2^53 they would lose digits unseen. */
static enum status check_range(const struct json_scan *scan, size_t start, bool whole)
{
    static const char largest[] = "9007199254740992";
    size_t length = scan->at - start;
    if (length > LONGEST_NUMBER)
        return json_scan_error(scan, start, "number longer than %d characters", LONGEST_NUMBER);
    char text[LONGEST_NUMBER + 1];
    memcpy(text, scan->data + start, length);
    text[length] = '\0';
    if (!isfinite(strtod(text, NULL)))
        return json_scan_error(scan, start, "number '%s' is out of range", text);
    const char *digits = text + (text[0] == '-');
    size_t count = strlen(digits);
    if (whole && (count > sizeof largest - 1 || (count == sizeof largest - 1 && strcmp(digits, largest) > 0)))
        return json_scan_error(scan, start, "whole number '%s' is past 2^53", text);
    return STATUS_OK;
}

static enum status scan_number(struct json_scan *scan)
{
    size_t start = scan->at;
    bool whole = true;
    if (peek(scan) == '-')
        scan->at++;
    if (peek(scan) == '0') {
        scan->at++;
        if (is_digit(peek(scan)))
            return json_scan_error(scan, start, "number with a leading zero");
    } else if (!skip_digits(scan)) {
        return unexpected(scan, "a digit");
    }
    if (peek(scan) == '.') {
        whole = false;
        scan->at++;
        if (!skip_digits(scan))
            return unexpected(scan, "a digit");
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        whole = false;
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        if (!skip_digits(scan))
            return unexpected(scan, "a digit");
    }
    return check_range(scan, start, whole);
}

/* Reads the four digits after \u, the scan standing on the first. */
static enum status scan_hex(struct json_scan *scan, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(scan), digit;
        if (is_digit(byte))
            digit = byte - '0';
        else if ((byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F'))
            digit = (byte | 0x20) - 'a' + 10;
        else
            return unexpected(scan, "a hexadecimal digit");
        *unit = *unit * 16 + (unsigned)digit;
        scan->at++;
    }
    return STATUS_OK;
}

/* A \u escape, the scan standing behind the "\u": no NUL, and surrogates only in pairs. */
static enum status scan_unicode(struct json_scan *scan)
{
    size_t start = scan->at - 2;
    unsigned unit;
    enum status status = scan_hex(scan, &unit);
    if (status)
        return status;
    if (unit == 0)
        return json_scan_error(scan, start, "escaped NUL in a string");
    if (unit < 0xd800 || unit > 0xdfff)
        return STATUS_OK;
    unsigned second = 0;
    if (unit < 0xdc00 && scan->length - scan->at >= 6 && memcmp(scan->data + scan->at, "\\u", 2) == 0) {
        scan->at += 2;
        status = scan_hex(scan, &second);
        if (status)
            return status;
    }
    if (second < 0xdc00 || second > 0xdfff)
        return json_scan_error(scan, start, "lone surrogate in a string");
    return STATUS_OK;
}

static enum status scan_string(struct json_scan *scan)
{
    if (peek(scan) != '"')
        return unexpected(scan, "a string");
    size_t start = scan->at++;
    for (;;) {
        int byte = peek(scan);
        if (byte < 0)
            return json_scan_error(scan, start, "string without an end");
        if (byte < 0x20)
            return json_scan_error(scan, scan->at, "control character 0x%02x in a string", byte);
        scan->at++;
        if (byte == '"')
            return STATUS_OK;
        if (byte != '\\')
            continue;
        int escape = peek(scan);
        if (escape < 0 || !memchr("\"\\/bfnrtu", escape, 9))
            return unexpected(scan, "an escape");
        scan->at++;
        enum status status = escape == 'u' ? scan_unicode(scan) : STATUS_OK;
        if (status)
            return status;
    }
}

static enum status scan_value(struct json_scan *scan);

static enum status scan_key(struct json_scan *scan)
{
    if (scan->key_count == scan->key_capacity) {
        scan->key_capacity = scan->key_capacity ? scan->key_capacity * 2 : 64;
        scan->keys = memory_resize(scan->keys, size_multiply(scan->key_capacity, sizeof *scan->keys));
    }
    scan->keys[scan->key_count++] = scan->at;
    enum status status = scan_string(scan);
    if (status)
        return status;
    skip_space(scan);
    if (peek(scan) != ':')
        return unexpected(scan, "':'");
    scan->at++;
    return STATUS_OK;
}

/* An object or array, the scan standing on its bracket. */
static enum status scan_members(struct json_scan *scan, bool object)
{
    const char *next = object ? "',' or '}'" : "',' or ']'";
    int end = object ? '}' : ']';
    if (++scan->depth > DEEPEST)
        return json_scan_error(scan, scan->at, "nesting deeper than %d", DEEPEST);
    scan->at++;
    skip_space(scan);
    bool more = peek(scan) != end;
    while (more) {
        skip_space(scan);
        enum status status = object ? scan_key(scan) : STATUS_OK;
        if (!status)
            status = scan_value(scan);
        if (status)
            return status;
        more = peek(scan) == ',';
        if (more)
            scan->at++;
        else if (peek(scan) != end)
            return unexpected(scan, next);
    }
    scan->at++;
    scan->depth--;
    return STATUS_OK;
}

static enum status scan_word(struct json_scan *scan, const char *word)
{
    size_t length = strlen(word);
    if (scan->length - scan->at < length || memcmp(scan->data + scan->at, word, length) != 0)
        return unexpected(scan, "a value");
    scan->at += length;
    return STATUS_OK;
}

static enum status scan_value(struct json_scan *scan)
{
    skip_space(scan);
    enum status status;
    int byte = peek(scan);
    if (byte == '{' || byte == '[')
        status = scan_members(scan, byte == '{');
    else if (byte == '"')
        status = scan_string(scan);
    else if (byte == '-' || is_digit(byte))
        status = scan_number(scan);
    else
        status = scan_word(scan, byte == 't' ? "true" : byte == 'f' ? "false" : "null");
    skip_space(scan);
    return status;
}

enum status json_scan_document(struct json_scan *scan)
{
    size_t valid = utf8_prefix(scan->data, scan->length);
    if (valid < scan->length)
        return json_scan_error(scan, valid, "invalid UTF-8");
    enum status status = scan_value(scan);
    if (!status && scan->at < scan->length)
        status = unexpected(scan, "the end");
    return status;
}
