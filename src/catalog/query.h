/* query.h: what the queries share. Private to catalog. */
#ifndef CLADE_CATALOG_QUERY_H
#define CLADE_CATALOG_QUERY_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/database.h"
#include <stddef.h>

/* The first column of a statement's rows, from where it stands to its end; finishes it. */
enum status query_strings(struct statement *statement, struct arena *arena, const char ***strings,
                          size_t *count);

/* STATUS_USAGE with the nearest name unless `name` is in the first column of what `sql` selects. */
enum status query_require(sqlite3 *database, const char *what, const char *name, const char *sql,
                          struct error *error);

#endif
