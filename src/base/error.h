/* error.h: how a failure travels from where it happens to the line that the user reads.
 *
 * A function that can fail returns `enum status` (STATUS_OK is 0) and takes `struct error *` as its last
 * parameter, which it fills on failure and leaves alone otherwise. The statuses are the program's exit
 * codes. */
#ifndef CLADE_BASE_ERROR_H
#define CLADE_BASE_ERROR_H

#include <stdarg.h>

enum status {
    STATUS_OK = 0,      /* done */
    STATUS_NO = 1,      /* the answer is "no": a check failed, nothing was found */
    STATUS_USAGE = 2,   /* wrong usage: an unknown name, an option out of range, a wrong shape */
    STATUS_OUTSIDE = 3, /* a failure outside: file, network, database, memory */
};

struct error {
    enum status status; /* STATUS_OK while nothing has failed */
    char message[1024]; /* one line, lower case, no full stop, subject in quotes; longer text is cut */
};

#define ERROR_INIT    \
    {                 \
        STATUS_OK, "" \
    }

/* Sets status and message and returns the status, so that a failure is `return error_set(error, ...)`. */
enum status error_set(struct error *error, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum status error_set_va(struct error *error, enum status status, const char *format, va_list arguments);

/* Puts "what: " before the message of an error that is already set; returns its status. */
enum status error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A fault of our own, never of the input: prints file and line and aborts. */
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void bug_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
