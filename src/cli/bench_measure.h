/* bench_measure.h: the cases of a plan, measured. */
#ifndef CLADE_CLI_BENCH_MEASURE_H
#define CLADE_CLI_BENCH_MEASURE_H

#include "cli/bench_plan.h"

/* Measures what the plan's part has of the variants that are not dropped; `timed` has the plan's keys in its
 * order. Cases that compare share their rounds. All of the part does, if the machine's memory holds it; else
 * it is measured in groups. A variant that does not take a setting is left out with a line, unless it is the
 * only one. Close the session whatever comes back. */
enum status bench_measure(const struct plan *plan, const struct timed *timed, struct session *session,
                          struct error *error);

#endif
