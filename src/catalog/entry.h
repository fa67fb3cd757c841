/* entry.h: reads one file of catalog/variants. Private to catalog. */
#ifndef CLADE_CATALOG_ENTRY_H
#define CLADE_CATALOG_ENTRY_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/variant.h"
#include <stddef.h>

enum {
    ENTRY_LARGEST = 1 << 20 /* bytes of a file */
};

/* Reads the text of an entry and checks every rule that one file can break by itself; the key must be the
 * stem of `file`. Errors are STATUS_OUTSIDE with file, JSON path and what was expected. Whether the names in
 * it exist is not known here. */
enum status entry_parse(const char *file, const char *data, size_t length, struct arena *arena,
                        struct variant *variant, struct error *error);

#endif
