/* server.h: a server of the Academic Graph API over loopback, in a process of its own, that serves a
 * catalogue's graph and fails as it is told.
 *
 * A scenario is text in blocks. A block starts with "on PATTERN", a glob over "METHOD path?query" of a
 * request, and says how those are answered that no earlier block takes:
 *
 *     times N          only the first N of them; the rest fall through to later blocks and then to the graph
 *     status N         200 if not said
 *     header TEXT      one more line of the head; {port} is the server's port
 *     body TEXT        to the end of the line
 *     file NAME        the body is a file of tests/data/scholar
 *     fill N           the body is N spaces
 *     bomb N           the body is N bytes of nothing, compressed
 *     claim N          bytes of body that the head promises, whatever comes
 *     cut N            the connection is closed after N bytes of head and body
 *     delay SECONDS    before the answer
 *
 * "#" starts a comment. */
#ifndef CLADE_TEST_SCHOLAR_SERVER_H
#define CLADE_TEST_SCHOLAR_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A paper that the server knows, and its references. */
struct graph_paper {
    char id[41];
    const char *key, *title, *author, *arxiv, *doi, *acl;
    int year;
    size_t *references; /* indices of papers */
    unsigned *intents;  /* of enum citation_intent */
    size_t reference_count;
};
struct graph {
    struct graph_paper *papers;
    size_t count;
};

/* The papers and links of the catalogue whose database (made for it) is at `path`. Papers without a Semantic
 * Scholar id get one. */
void graph_read(const char *path, struct graph *graph);
void graph_free(struct graph *graph);
/* What the server says of a link beside its intents: made up, but always the same. */
int graph_contexts(size_t citing, size_t cited);
bool graph_influential(size_t citing, size_t cited);

struct server {
    pid_t process;
    int port;
    char endpoint[64]; /* "http://127.0.0.1:PORT/graph/v1" */
    char log[64];      /* a file: "SECONDS METHOD TARGET KEY STATUS" a request, KEY "-" if none was sent */
};

/* `graph` may be NULL; `page` is the most references in one answer. */
void server_start(struct server *server, const char *scenario, const struct graph *graph, size_t page);
void server_stop(struct server *server);

struct logged_request {
    double time;
    char method[8], target[4096], key[128];
    int status;
};
/* Reads the log; free() it. */
struct logged_request *server_log(const struct server *server, size_t *count);
/* How many requests match a glob over "METHOD target". */
size_t server_count(const struct server *server, const char *pattern);

#endif
