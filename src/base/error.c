#include "base/error.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages quote input. Control characters would break the one line or drive the terminal; broken UTF-8 would
 * make a JSON report invalid. */
static void make_printable(char *message)
{
    size_t length = strlen(message);
    for (size_t at = 0; at < length;) {
        size_t good = utf8_prefix(message + at, length - at);
        for (size_t end = at + good; at < end; at++)
            if ((unsigned char)message[at] < 0x20 || message[at] == 0x7f)
                message[at] = ' ';
        if (at < length)
            message[at++] = '?';
    }
}

static void finish(struct error *error, char *message, int wanted)
{
    size_t length = strlen(message);
    if (wanted >= (int)sizeof error->message)
        message[utf8_prefix(message, length)] = '\0'; /* a character may have been cut in two */
    make_printable(message);
    memcpy(error->message, message, sizeof error->message);
}

enum status error_set_va(struct error *error, enum status status, const char *format, va_list arguments)
{
    char message[sizeof error->message] = ""; /* the arguments may point into the old message */
    int wanted = vsnprintf(message, sizeof message, format, arguments);
    error->status = status;
    finish(error, message, wanted);
    return status;
}

enum status error_set(struct error *error, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_va(error, status, format, arguments);
    va_end(arguments);
    return status;
}

enum status error_prefix(struct error *error, const char *format, ...)
{
    char prefix[sizeof error->message] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);

    struct error old = *error;
    return error_set(error, old.status, "%s: %s", prefix, old.message);
}

void bug_at(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "clade: bug at %s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
