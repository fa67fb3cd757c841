/* text.h: a growable string with a mandatory maximum. Appending past the maximum empties it, frees its memory
 * and marks it failed, so that a runaway input cannot fill the machine and a failed append cannot leak. */
#ifndef CLADE_BASE_TEXT_H
#define CLADE_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data;      /* NUL-terminated; NULL while empty and never appended to */
    size_t length;   /* bytes before the NUL */
    size_t capacity; /* bytes allocated */
    size_t maximum;  /* most bytes it may hold */
    bool failed;     /* an append went past the maximum: the content is gone */
};

void text_init(struct text *text, size_t maximum);
void text_release(struct text *text);
void text_clear(struct text *text); /* empties it and keeps the memory; also lifts `failed` */

/* Each returns false, and leaves the text failed and empty, when the maximum would be passed. */
bool text_append(struct text *text, const char *string);
bool text_append_bytes(struct text *text, const void *bytes, size_t length);
bool text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool text_format_va(struct text *text, const char *format, va_list arguments);

const char *text_string(const struct text *text); /* never NULL; valid until the next change */
char *text_take(struct text *text);               /* gives the string away (free() it) and empties the text */

/* The number of leading bytes that are whole, valid UTF-8 characters: `length` if all of them are. */
size_t utf8_prefix(const char *bytes, size_t length);

#endif
