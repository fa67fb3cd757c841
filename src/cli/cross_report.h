/* cross_report.h: what `clade cross` prints. */
#ifndef CLADE_CLI_CROSS_REPORT_H
#define CLADE_CLI_CROSS_REPORT_H

#include "bench/crossing.h"
#include "bench/session.h"

/* Two variants in one mode and scope. */
struct cross_answer {
    enum bench_mode mode;
    enum bench_scope scope;
    struct crossing crossing;
    bool refused; /* no length was taken: see crossing.refusal */
};

struct cross_report {
    const char *first, *second; /* keys */
    const struct cross_answer *answers;
    size_t count;
    /* All measurements: by mode, scope and length, the first variant before the second. */
    const struct session *session;
};

void cross_report_text(const struct cross_report *report);
enum status cross_report_json(const struct cross_report *report, struct error *error);

#endif
