/* server.h: the resources over HTTP, on 127.0.0.1 only, for reading only.
 *
 * A client may be slow, broken or hostile, and a page of another site may try to have a browser ask in its
 * name: connections, their memory and their time are bounded, requests that name another host are refused,
 * and no answer may be read, framed or run by another site. */
#ifndef CLADE_SERVER_SERVER_H
#define CLADE_SERVER_SERVER_H

#include "base/error.h"
#include "server/resources.h"

/* Zero-initialised limits stand for the usual ones. */
struct server_limits {
    unsigned connections;     /* at once; those that wait longest make room (256) */
    unsigned request_seconds; /* for the head of a request to arrive (10) */
    unsigned answer_seconds;  /* for its answer to be taken (60) */
};

struct server;

/* Listens and answers, in threads of its own, until it is stopped; the resources belong to it until then.
 * Port 0: any that is free. STATUS_OUTSIDE if the port is taken. */
enum status server_start(struct resources *resources, int port, struct server_limits limits,
                         struct server **server, struct error *error);
int server_port(const struct server *server);
void server_stop(struct server *server); /* closes all connections */

#endif
