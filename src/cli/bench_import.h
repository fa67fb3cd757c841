/* bench_import.h: `clade bench --import`. */
#ifndef CLADE_CLI_BENCH_IMPORT_H
#define CLADE_CLI_BENCH_IMPORT_H

#include "cli/cli.h"

/* Merges the runs of the files named by --import and the operands into the database, all or none, and says
 * how many were new. */
enum status bench_import(struct command_line *line, struct error *error);

#endif
