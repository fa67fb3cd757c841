/* lint.h: hygiene of the catalogue: what is legal but wrong or wanting. What is illegal is refused when it
 * is loaded. */
#ifndef CLADE_CATALOG_LINT_H
#define CLADE_CATALOG_LINT_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include <stddef.h>

enum lint_severity {
    LINT_ERROR,   /* cannot be right */
    LINT_WARNING, /* a person should look */
    LINT_NOTE,    /* work that is left */
};

struct lint_finding {
    enum lint_severity severity;
    const char *variant; /* NULL: it is about no entry */
    const char *rule;    /* short name of the rule: "younger-parent" */
    const char *message; /* "parent 'gla' (2023-12-11) is younger than it (2023-07-17)" */
};

/* Findings in the order of the rules, then of the keys. */
enum status catalog_lint(struct catalog *catalog, struct arena *arena, struct lint_finding **findings,
                         size_t *count, struct error *error);

#endif
