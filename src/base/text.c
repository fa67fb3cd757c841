#include "base/text.h"
#include "base/memory.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void text_init(struct text *text, size_t maximum)
{
    *text = (struct text){.maximum = maximum < SIZE_MAX / 2 ? maximum : SIZE_MAX / 2};
}

void text_release(struct text *text)
{
    free(text->data);
    text_init(text, text->maximum);
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->data)
        text->data[0] = '\0';
}

static bool text_fail(struct text *text)
{
    text_release(text);
    text->failed = true;
    return false;
}

/* Makes room for `more` bytes and the NUL. */
static bool text_reserve(struct text *text, size_t more)
{
    if (text->failed)
        return false;
    if (more > text->maximum - text->length)
        return text_fail(text);
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < needed)
        capacity = capacity > text->maximum / 2 ? text->maximum + 1 : capacity * 2;
    text->data = memory_resize(text->data, capacity);
    text->capacity = capacity;
    return true;
}

bool text_append_bytes(struct text *text, const void *bytes, size_t length)
{
    if (!text_reserve(text, length))
        return false;
    if (length)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
    return true;
}

bool text_append(struct text *text, const char *string)
{
    return text_append_bytes(text, string, strlen(string));
}

bool text_format_va(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    bool fits = length >= 0 ? text_reserve(text, (size_t)length) : text_fail(text);
    if (fits) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    return fits;
}

bool text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    bool fits = text_format_va(text, format, arguments);
    va_end(arguments);
    return fits;
}

const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}

char *text_take(struct text *text)
{
    char *data = text->data ? text->data : memory_copy_string("");
    *text = (struct text){.maximum = text->maximum, .failed = text->failed};
    return data;
}

size_t utf8_prefix(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        if ((unsigned char)bytes[at] < 0x80) {
            at++;
            continue;
        }
        utf8proc_int32_t codepoint;
        size_t rest = length - at < 4 ? length - at : 4;
        utf8proc_ssize_t width =
            utf8proc_iterate((const utf8proc_uint8_t *)bytes + at, (utf8proc_ssize_t)rest, &codepoint);
        if (width <= 0)
            break;
        at += (size_t)width;
    }
    return at;
}
