/* lines.h: runs as JSON Lines, for measurements that many machines share out among them.
 *
 * A run is one line {"clade": "run", "format": 1, "run": UUID, "started_at", "machine", "build", "threads",
 * "precision", "roofline": {"gflops", "gbytes_per_s"}, "options", "results": N}, and then N lines, one a
 * result, with the fields of struct record_result. Files of runs can be put one behind the other. */
#ifndef CLADE_BENCH_LINES_H
#define CLADE_BENCH_LINES_H

#include "base/error.h"
#include "base/text.h"
#include "bench/record.h"

void lines_write(const struct record *record, struct text *text);

/* All runs of a file of `length` bytes; what they hold is the arena's. STATUS_OUTSIDE with "NAME:LINE: ..."
 * if it is none of ours, of a newer format, cut short, or has a value out of its range. */
enum status lines_read(const char *name, const char *data, size_t length, struct arena *arena,
                       struct record **records, size_t *count, struct error *error);

#endif
