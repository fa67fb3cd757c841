/* json-scan.h: the strict half of json_parse(), private to base. */
#ifndef CLADE_BASE_JSON_SCAN_H
#define CLADE_BASE_JSON_SCAN_H

#include "base/error.h"
#include <stddef.h>

/* A pass over a document that checks the grammar of RFC 8259 and what json.h promises, without building
 * anything. `keys` receives the place of each object key in document order, so that duplicates, which show
 * only after the keys are decoded, can be reported with line and column. */
struct json_scan {
    const char *name; /* opens every message */
    size_t line;      /* of the data's first byte in its file, from 1 */
    const char *data;
    size_t length;
    size_t at;
    int depth;
    size_t *keys; /* free() it, also after a failure */
    size_t key_count, key_capacity;
    struct error *error;
};

enum status json_scan_document(struct json_scan *scan);
/* STATUS_OUTSIDE with "name:line:column: " before the message; columns count characters from 1. */
enum status json_scan_error(const struct json_scan *scan, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
