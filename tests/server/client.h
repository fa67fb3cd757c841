/* client.h: a server of the small catalogue, and a client that sends whatever bytes it is told to. */
#ifndef CLADE_TEST_SERVER_CLIENT_H
#define CLADE_TEST_SERVER_CLIENT_H

#include "fixture.h"
#include "server/server.h"

struct service {
    struct fixture *fixture;
    struct catalog *catalog;
    struct resources *resources;
    struct server *server;
    int port;
};

void service_start(struct service *service, void **state, struct server_limits limits);
void service_stop(struct service *service);

/* A connection; it is refused to wait longer than some seconds for anything. */
int client_connect(const struct service *service);
/* Sends all that the other side takes; false if it has closed. */
bool client_send(int socket, const void *bytes, size_t length);
/* All until the server closes, or until `seconds` without a byte have passed; the text is the arena's. */
const char *client_receive(const struct service *service, int socket, double seconds, size_t *length);
/* Whether the server closes within so many seconds, whatever it sends. */
bool client_sees_end(int socket, double seconds);

/* One request and its whole answer. `request` is the head without its last empty line and without Host, which
 * is added, as is "Connection: close". */
const char *client_ask(const struct service *service, const char *request);
/* The same for "GET target HTTP/1.1". */
const char *client_get(const struct service *service, const char *target);
int answer_code(const char *answer);         /* 200; 0 if it is no answer */
const char *answer_body(const char *answer); /* behind the head */

double seconds_now(void);

#endif
