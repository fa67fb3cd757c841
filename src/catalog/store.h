/* store.h: puts the contents of the files into the database. Private to catalog. */
#ifndef CLADE_CATALOG_STORE_H
#define CLADE_CATALOG_STORE_H

#include "base/error.h"
#include "catalog/contents.h"
#include <sqlite3.h>

/* Replaces the catalogue's part of the database; the caller holds the transaction. */
enum status store_contents(sqlite3 *database, const struct contents *contents, struct error *error);

#endif
