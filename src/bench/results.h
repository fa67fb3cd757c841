/* results.h: what was measured, as the database keeps it. */
#ifndef CLADE_BENCH_RESULTS_H
#define CLADE_BENCH_RESULTS_H

#include "base/error.h"
#include <cjson/cJSON.h>
#include <sqlite3.h>

/* The newest result of each variant in each setting, or of one variant if `variant` is not NULL: {"runs":
 * [{"run", "started_at", "machine", "build", "threads", "precision", "roofline": {"gflops",
 * "gbytes_per_s"}}],
 *  "results": [{"run", "variant", ...}]}
 * with the fields that `clade bench --json` has; "run" is a UUID. The caller deletes the document. */
enum status results_json(sqlite3 *database, const char *variant, cJSON **document, struct error *error);

#endif
