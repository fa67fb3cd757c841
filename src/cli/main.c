/* main.c: the program `clade`: parses, runs one command, reports. */
#include "cli/cli.h"
#include "cli/output.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was printed must have arrived: a full disk is a failure, not a short answer. */
static enum status finish_output(enum status status, struct error *error)
{
    if (status == STATUS_USAGE || status == STATUS_OUTSIDE)
        return status;
    bool failed = ferror(stdout);
    errno = 0;
    if (fflush(stdout) != 0 || failed)
        return error_set(error, STATUS_OUTSIDE, "cannot write to standard output: %s",
                         errno ? strerror(errno) : "write error");
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    if (line->no_color)
        output_refuse_colour();
    if (line->version)
        return command_find("version")->run(line, error);
    if (line->command && !line->help)
        return line->command->run(line, error);
    if (line->command)
        help_command(line->command);
    else
        help_overview();
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct command_line line = {.arena = ARENA_INIT};
    struct error error = ERROR_INIT;
    output_init();
    enum status status = argc > 1 ? command_parse(&line, argc - 1, argv + 1, &error) : STATUS_OK;
    if (!status)
        status = run(&line, &error);
    status = finish_output(status, &error);
    if (error.status != STATUS_OK) {
        print_styled(stderr, STYLE_BAD, "clade:");
        fputc(' ', stderr);
        print_clean(stderr, error.message);
        fputc('\n', stderr);
    }
    catalog_close(line.catalog);
    arena_release(&line.arena);
    return (int)status;
}
