/* store.h: runs kept in the catalogue's database (tables benchmark_run, benchmark_result and task_result). */
#ifndef CLADE_BENCH_STORE_H
#define CLADE_BENCH_STORE_H

#include "base/error.h"
#include "bench/record.h"
#include <sqlite3.h>

/* Writes the runs with their results in one transaction, but those that the database has already, as their
 * names say; *known is their number. STATUS_OUTSIDE, and nothing written, if the database refuses. */
enum status store_records(sqlite3 *database, const struct record *records, size_t count, size_t *known,
                          struct error *error);

#endif
