#include "base/json.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ONE_LINE = -1 /* in place of an indentation */
};

cJSON *json_number_or_null(double value)
{
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

static void print_number(double value, struct text *text)
{
    if (!isfinite(value)) {
        text_append(text, "null");
    } else if (value == floor(value) && fabs(value) <= 0x1p53) {
        text_format(text, "%.0f", value);
    } else {
        char digits[32];
        /* 15 always survive the way through text in normal numbers, and %g drops the zeros at their end */
        for (int precision = isnormal(value) ? 15 : 1; precision <= 17; precision++) {
            snprintf(digits, sizeof digits, "%.*g", precision, value);
            if (strtod(digits, NULL) == value)
                break;
        }
        text_append(text, digits);
        if (!strpbrk(digits, ".e")) /* a whole number past 2^53, which json_parse() takes only so */
            text_append(text, ".0");
    }
}

static void print_escaped(unsigned char byte, struct text *text)
{
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (byte == '"' || byte == '\\')
        text_format(text, "\\%c", byte);
    else if (short_form[byte])
        text_format(text, "\\%c", short_form[byte]);
    else
        text_format(text, "\\u%04x", byte);
}

/* Bytes that are not UTF-8 (a file's name, say) become U+FFFD: what is printed is always valid JSON. */
static void print_string(const char *string, struct text *text)
{
    size_t length = strlen(string);
    text_append(text, "\"");
    for (size_t at = 0; at < length;) {
        size_t end = at + utf8_prefix(string + at, length - at);
        while (at < end) {
            size_t plain = at;
            while (plain < end && (unsigned char)string[plain] >= 0x20 && string[plain] != '"' &&
                   string[plain] != '\\')
                plain++;
            text_append_bytes(text, string + at, plain - at);
            at = plain;
            if (at < end)
                print_escaped((unsigned char)string[at++], text);
        }
        if (at < length) {
            text_append(text, "\xef\xbf\xbd");
            at++;
        }
    }
    text_append(text, "\"");
}

static void print_break(int indent, struct text *text)
{
    if (indent != ONE_LINE)
        text_format(text, "\n%*s", indent * 2, "");
}

static void print_value(const cJSON *value, int indent, struct text *text)
{
    bool object = cJSON_IsObject(value);
    if (cJSON_IsString(value)) {
        print_string(value->valuestring, text);
    } else if (cJSON_IsNumber(value)) {
        print_number(value->valuedouble, text);
    } else if (cJSON_IsBool(value)) {
        text_append(text, cJSON_IsTrue(value) ? "true" : "false");
    } else if (!object && !cJSON_IsArray(value)) {
        text_append(text, "null");
    } else {
        int inside = indent == ONE_LINE ? ONE_LINE : indent + 1;
        text_append(text, object ? "{" : "[");
        for (const cJSON *child = value->child; child; child = child->next) {
            print_break(inside, text);
            if (object) {
                print_string(child->string, text);
                text_append(text, ": ");
            }
            print_value(child, inside, text);
            if (child->next)
                text_append(text, indent == ONE_LINE ? ", " : ",");
        }
        if (value->child)
            print_break(indent, text);
        text_append(text, object ? "}" : "]");
    }
}

static enum status print_checked(const cJSON *document, int indent, struct text *text, struct error *error)
{
    print_value(document, indent, text);
    if (indent != ONE_LINE)
        text_append(text, "\n");
    if (text->failed)
        return error_set(error, STATUS_OUTSIDE, "document is larger than %zu bytes", text->maximum);
    return STATUS_OK;
}

enum status json_print(const cJSON *document, struct text *text, struct error *error)
{
    return print_checked(document, 0, text, error);
}

enum status json_print_line(const cJSON *document, struct text *text, struct error *error)
{
    return print_checked(document, ONE_LINE, text, error);
}
