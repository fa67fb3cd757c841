/* reader.h: reading of fields with an error that sticks: after the first failure every call does nothing, so
 * that a reader of a whole object is a plain list of fields and looks at the error once. Private to catalog.
 */
#ifndef CLADE_CATALOG_READER_H
#define CLADE_CATALOG_READER_H

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "catalog/rules.h"
#include <stdbool.h>
#include <stddef.h>

struct reader {
    struct arena *arena; /* where what is read goes */
    struct error *error; /* STATUS_OK until something fails */
};

bool reader_failed(const struct reader *reader);

void reader_only(struct reader *reader, const struct json_at *object, const struct words *fields);
/* The next five return NULL for null, for an absent field and after a failure. Strings are not empty. */
const char *reader_string(struct reader *reader, const struct json_at *object, const char *field);
const char *reader_form(struct reader *reader, const struct json_at *object, const char *field,
                        enum form form);
const char *reader_word(struct reader *reader, const struct json_at *object, const char *field,
                        const struct words *words);
const char *reader_json(struct reader *reader, const struct json_at *object,
                        const char *field);                          /* of an object */
const char *reader_print(struct reader *reader, const cJSON *value); /* any value, as JSON on one line */
/* As reader_string() and reader_form(), but the field must be there. */
const char *reader_required(struct reader *reader, const struct json_at *object, const char *field);
const char *reader_required_form(struct reader *reader, const struct json_at *object, const char *field,
                                 enum form form);
int reader_integer(struct reader *reader, const struct json_at *object, const char *field, int minimum,
                   int maximum); /* 0 if null or absent */
bool reader_flag(struct reader *reader, const struct json_at *object,
                 const char *field); /* false if absent */
/* The array in a field and its length; an absent one is empty. */
struct json_at reader_array(struct reader *reader, const struct json_at *object, const char *field,
                            int *count);
/* An array of distinct strings, each of a form; FORM_COUNT for any. */
const char **reader_strings(struct reader *reader, const struct json_at *object, const char *field,
                            enum form form, size_t *count);

#endif
