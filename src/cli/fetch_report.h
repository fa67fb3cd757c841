/* fetch_report.h: how `clade fetch` tells what it did. */
#ifndef CLADE_CLI_FETCH_REPORT_H
#define CLADE_CLI_FETCH_REPORT_H

#include "cli/cli.h"
#include "scholar/changes.h"
#include "scholar/fetch.h"

struct fetch_outcome {
    struct fetch_report report;
    struct citation_changes changes;
    size_t link_count; /* citations in all, afterwards */
    struct finding *findings;
    size_t finding_count;
};

enum status fetch_print_json(const struct fetch_outcome *outcome, struct error *error);
/* At most a few of each list unless `all`. */
void fetch_print_text(const struct fetch_outcome *outcome, bool all, struct arena *arena);

/* What would be asked. */
enum status fetch_print_plan(const struct planned_request *requests, size_t count, double interval, bool json,
                             struct arena *arena, struct error *error);

/* "5 min 12 s" */
const char *duration_text(double seconds, struct arena *arena);

#endif
