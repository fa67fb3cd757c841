/* commands.c: the list of commands, in the order of the help and the manual. */
#include "base/suggest.h"
#include "cli/cli.h"
#include <string.h>

/* Each is in the file of its name. */
extern const struct command command_bench, command_bib, command_check, command_compare, command_complete,
    command_cross, command_diff, command_fetch, command_help, command_lineage, command_lint, command_list,
    command_mrca, command_origin, command_run, command_serve, command_show, command_site, command_sweep,
    command_task, command_tree, command_version, command_why;

#define GROUP(...) ((const struct command *const[]){__VA_ARGS__, NULL})

const struct command_group command_groups[] = {
    {"look up", GROUP(&command_list, &command_show, &command_bib)},
    {"descent", GROUP(&command_lineage, &command_diff, &command_mrca, &command_origin, &command_why,
                      &command_tree, &command_compare)},
    {"run and measure",
     GROUP(&command_run, &command_check, &command_bench, &command_cross, &command_sweep, &command_task)},
    {"in a browser", GROUP(&command_serve, &command_site)},
    {"keep the catalogue", GROUP(&command_fetch, &command_lint)},
    {"about the program", GROUP(&command_help, &command_version, &command_complete)},
    {NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++)
            if (strcmp((*command)->name, name) == 0)
                return *command;
    return NULL;
}

enum status command_require(const char *name, const struct command **command, struct error *error)
{
    const char *names[64];
    size_t count = 0;
    *command = command_find(name);
    if (*command)
        return STATUS_OK;
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *each = group->commands; *each; each++)
            if ((*each)->summary && count < sizeof names / sizeof *names)
                names[count++] = (*each)->name;
    if (suggest_name(name, names, count))
        return suggest_error(error, "command", name, names, count);
    return error_set(error, STATUS_USAGE, "unknown command '%.100s': see 'clade help'", name);
}
