/* explain.h: what a variant or a kernel is and what can be set on it, for `clade help`. */
#ifndef CLADE_CLI_EXPLAIN_H
#define CLADE_CLI_EXPLAIN_H

#include "cli/cli.h"

/* STATUS_USAGE with the nearest name if `subject` is neither a variant nor a kernel. */
enum status explain(struct command_line *line, const char *subject, struct error *error);

#endif
