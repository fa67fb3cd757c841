/* Runs a command beside the server of server.h:
 *
 *   scholar-server DATABASE PAGE SCENARIO COMMAND [ARGUMENT...]
 *
 * DATABASE is one that clade has made, whose catalogue is served with at most PAGE references an answer.
 * "\\n" in SCENARIO ends a line. In the command's environment $endpoint is the server's URL, $port its port
 * and $log its log; an argument "@ENDPOINT@" becomes the URL. Ends with the command's status. */
#include "server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void break_lines(char *text)
{
    for (char *at; (at = strstr(text, "\\n"));) {
        *at = '\n';
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
    }
}

int main(int argc, char **argv)
{
    struct graph graph;
    struct server server;
    char port[16];
    if (argc < 5) {
        fprintf(stderr, "usage: %s DATABASE PAGE SCENARIO COMMAND [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    graph_read(argv[1], &graph);
    break_lines(argv[3]);
    server_start(&server, argv[3], &graph, (size_t)atol(argv[2]));
    snprintf(port, sizeof port, "%d", server.port);
    setenv("endpoint", server.endpoint, 1);
    setenv("port", port, 1);
    setenv("log", server.log, 1);
    for (int i = 4; i < argc; i++)
        if (strcmp(argv[i], "@ENDPOINT@") == 0)
            argv[i] = server.endpoint;
    pid_t command = fork();
    if (command == 0) {
        execvp(argv[4], argv + 4);
        perror(argv[4]);
        _exit(127);
    }
    int status = 0;
    waitpid(command, &status, 0);
    server_stop(&server);
    graph_free(&graph);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
