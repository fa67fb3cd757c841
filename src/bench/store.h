/* store.h: measurements kept in the catalogue's database (tables benchmark_run and benchmark_result). */
#ifndef CLADE_BENCH_STORE_H
#define CLADE_BENCH_STORE_H

#include "bench/session.h"
#include <sqlite3.h>

/* Writes the run and all its results in one transaction. `machine`, `build` and `options` are JSON objects. STATUS_OUTSIDE, and
 * nothing written, if the database refuses. */
enum status store_session(sqlite3 *database, const struct session *session, const char *machine,
                          const char *build, const char *options, struct error *error);

#endif
