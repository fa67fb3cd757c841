/* compose.h: variants of the catalogue as compositions that can be built. */
#ifndef CLADE_CLI_COMPOSE_H
#define CLADE_CLI_COMPOSE_H

#include "block/composition.h"
#include "cli/cli.h"

/* The variant's composition. STATUS_USAGE for an unknown key (with the nearest), STATUS_NO if it has none or
 * a kernel of it is not written yet. Release it after STATUS_OK. */
enum status command_composition(struct command_line *line, const char *key, struct composition *composition,
                                struct error *error);
/* The same of one that takes sequences; STATUS_NO for a task or an objective alone. */
enum status command_block(struct command_line *line, const char *key, struct composition *composition,
                          struct error *error);
/* Applies each "NAME=VALUE" of the repeated option --set (see composition_set); settings that no kernel here
 * has are counted in unused[i] (one entry a setting), so that the caller can refuse those that fit no
 * variant. */
enum status command_settings(struct command_line *line, struct composition *composition, int *unused,
                             struct error *error);

#endif
