/* json.h: strict JSON over cJSON.
 *
 * cJSON is lenient: it accepts duplicate keys, bytes after the document, leading zeros, numbers past the
 * range, integers past 2^53 (whose digits it loses), NUL escapes, invalid UTF-8 and raw control characters.
 * json_parse() refuses all of these. Readers go through `struct json_at`, a value with its path
 * ("composition.mixer.heads"), so that every message says file and place. */
#ifndef CLADE_BASE_JSON_H
#define CLADE_BASE_JSON_H

#include "base/error.h"
#include "base/text.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parses a whole document of at most `length` bytes; cJSON_Delete() the result. `name` (a file name) opens
 * every message: "gla.json:3:14: duplicate key 'key'". Nesting is limited to 64. Errors are
 * STATUS_OUTSIDE. */
enum status json_parse(const char *name, const char *data, size_t length, cJSON **document,
                       struct error *error);
/* One line of a file of JSON Lines: messages name the file's line `line`, from 1. */
enum status json_parse_line(const char *name, size_t line, const char *data, size_t length, cJSON **document,
                            struct error *error);
enum status json_parse_file(const char *path, size_t maximum, cJSON **document, struct error *error);

/* A value and where it stands. The path lives in the struct: no allocation, long paths are cut. */
struct json_at {
    const cJSON *value; /* NULL if the member is absent */
    const char *file;
    char path[256];
};

struct json_at json_root(const cJSON *document, const char *file);
struct json_at json_member(const struct json_at *object, const char *name);
struct json_at json_element(const struct json_at *array, int index);
bool json_absent(const struct json_at *at); /* missing or null */

/* Typed readers: STATUS_OUTSIDE with "FILE: PATH: expected a string, found a number" when the type is wrong
 * or the value is absent. The string belongs to the document. */
enum status json_string(const struct json_at *at, const char **value, struct error *error);
enum status json_integer(const struct json_at *at, int64_t minimum, int64_t maximum, int64_t *value,
                         struct error *error);
enum status json_real(const struct json_at *at, double *value, struct error *error);
enum status json_flag(const struct json_at *at, bool *value, struct error *error);
enum status json_object(const struct json_at *at, struct error *error);
enum status json_array(const struct json_at *at, int *count, struct error *error);
/* Every member's name must be one of `names`; the message gives the nearest. */
enum status json_only(const struct json_at *object, const char *const *names, size_t count,
                      struct error *error);
/* STATUS_OUTSIDE with the value's file and path before the message. */
enum status json_error(const struct json_at *at, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writing: cJSON trees built by the caller, printed with two-space indent and a newline at the end.
 * Non-finite numbers become null. Numbers that are whole print without a fraction, others with the fewest
 * digits that read back the same. */
enum status json_print(const cJSON *document, struct text *text, struct error *error);
/* The same on one line without a newline: for JSON Lines and for columns of the database. */
enum status json_print_line(const cJSON *document, struct text *text, struct error *error);
cJSON *json_number_or_null(double value);

#endif
