/* fields.h: members of the JSON documents that commands print and the server answers. */
#ifndef CLADE_BASE_FIELDS_H
#define CLADE_BASE_FIELDS_H

#include "base/memory.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

void json_set_text(cJSON *object, const char *name, const char *text); /* null for NULL */
void json_set_number(cJSON *object, const char *name, double value);   /* null if it is not finite */
void json_set_flag(cJSON *object, const char *name, bool value);
void json_set_texts(cJSON *object, const char *name, const char *const *texts, size_t count);
void json_set_year(cJSON *object, int year); /* "year": null for 0 */

/* A value as a person writes it: strings bare, all else as JSON on one line. NULL for NULL. */
const char *json_value_text(const cJSON *value, struct arena *arena);

#endif
