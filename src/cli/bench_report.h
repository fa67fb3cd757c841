/* bench_report.h: what `clade bench` prints. */
#ifndef CLADE_CLI_BENCH_REPORT_H
#define CLADE_CLI_BENCH_REPORT_H

#include "bench/session.h"

void bench_report_table(const struct session *session);
enum status bench_report_json(const struct session *session, struct error *error);
enum status bench_report_csv(const struct session *session, struct error *error);
/* Time against length, a curve for each variant, mode and scope. */
enum status bench_report_plot(const struct session *session, const char *path, struct error *error);

#endif
