/* serve.c: `clade serve`. */
#include "cli/cli.h"
#include "cli/output.h"
#include "server/server.h"
#include <signal.h>
#include <stdio.h>

enum { PORT = 8323 };

/* Signals wait to be asked for, in all threads: start with this. */
static sigset_t block_endings(void)
{
    sigset_t endings;
    sigemptyset(&endings);
    sigaddset(&endings, SIGINT);
    sigaddset(&endings, SIGTERM);
    sigaddset(&endings, SIGHUP);
    sigprocmask(SIG_BLOCK, &endings, NULL);
    signal(SIGPIPE, SIG_IGN);
    return endings;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct resources *resources;
    struct server *server;
    sigset_t endings = block_endings();
    int ending;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = resources_open(catalog, NULL, &resources, error);
    if (status)
        return status;
    status = server_start(resources, (int)command_integer(line, "port", PORT), (struct server_limits){0},
                          &server, error);
    if (!status) {
        printf("http://127.0.0.1:%d/\n", server_port(server));
        fflush(stdout);
        if (output_terminal())
            print_styled(stderr, STYLE_DIM, "the catalogue is at this address until you press Ctrl-C\n");
        sigwait(&endings, &ending);
        server_stop(server);
    }
    resources_close(resources);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "show the catalogue in a browser",
    .about =
        "Answers on this machine, and to this machine only, with a page that shows the family tree, a card "
        "of each "
        "variant, variants side by side and what was measured of them; and with the same as JSON, below "
        "/api/: "
        "list.json, families.json, characters.json, kernels.json, runs.json, tree/METHOD.json and .svg, "
        "kernels/NAME.json, and for a KEY variants/KEY.json, lineage/KEY.json, why/KEY.json, "
        "diff/KEY/KEY.json. "
        "They hold what the commands print with --json. Prints the address, and ends when it is interrupted.",
    .options = OPTION_TABLE({.name = "port",
                             .type = VALUE_INTEGER,
                             .value = "N",
                             .minimum = 0,
                             .maximum = 65535,
                             .help = "where it listens; 0: where there is room (8323)"}),
    .examples = EXAMPLES({"clade serve", "the page, at http://127.0.0.1:8323/"},
                         {"clade serve --port 0", "for a program, which reads the address"}),
    .run = run,
};
