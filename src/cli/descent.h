/* descent.h: what the commands about descent share: the network and how its nodes, edges and paths are
 * written. */
#ifndef CLADE_CLI_DESCENT_H
#define CLADE_CLI_DESCENT_H

#include "base/fields.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/table.h"
#include "lineage/documents.h"
#include "lineage/network.h"
#include "lineage/queries.h"

/* Opens the catalogue and reads the network from it, into the command's arena. */
enum status command_network(struct command_line *line, struct network *network, struct error *error);
/* The nodes that the operands name, in their order. */
enum status command_nodes(struct command_line *line, const struct network *network, size_t **nodes,
                          struct error *error);

/* "a > b > c" */
const char *keys_text(const struct network *network, const size_t *nodes, size_t count, const char *separator,
                      struct arena *arena);

#endif
