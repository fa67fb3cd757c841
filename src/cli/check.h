/* check.h: the results of `clade check`, and how they print. */
#ifndef CLADE_CLI_CHECK_H
#define CLADE_CLI_CHECK_H

#include "block/check.h"
#include "block/reference.h"
#include "cli/cli.h"

/* A property of a variant's block or of one of its kernels alone, or a case of a reference set. */
struct check_row {
    const char *variant;  /* NULL if no entry has the case's set */
    const char *kernel;   /* NULL: the whole block */
    const char *property; /* NULL: a case */
    const char *name;     /* of a case: "gla/a" */
    const char *directory;
    enum check_outcome outcome;
    const char *detail;
    struct reference_error *errors; /* of a case */
    size_t error_count;
};

struct check_report {
    struct check_row *rows;
    size_t count;
    size_t outcomes[CHECK_SKIPPED + 1]; /* how many passed, failed, were skipped */
    size_t not_runnable;                /* variants passed over, where all are checked */
    bool brief;                         /* print failures only */
    struct arena *arena;
};

void check_report_add(struct check_report *report, struct check_row row);
enum status check_report_json(const struct check_report *report, struct error *error);
void check_report_text(const struct check_report *report);

#endif
