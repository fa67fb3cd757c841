/* watch.h: connections that must come forward in time. A client that sends a byte a second is never idle, so
 * that the library's own time limit does not end it. */
#ifndef CLADE_SERVER_WATCH_H
#define CLADE_SERVER_WATCH_H

#include "base/error.h"

/* A connection, from when it is opened until it is closed. */
struct watched;
struct watch;

/* A thread shuts connections down that have been in one state for longer than it allows. When there are more
 * than `crowd`, the one that has waited longest for a request is shut down at once. */
struct watch_limits {
    unsigned crowd, request_seconds, answer_seconds;
};
enum status watch_start(struct watch_limits limits, struct watch **watch, struct error *error);
void watch_stop(struct watch *watch); /* NULL is fine */

struct watched *watch_open(struct watch *watch, int socket); /* it waits for a request */
void watch_answering(struct watch *watch, struct watched *connection);
void watch_waiting(struct watch *watch, struct watched *connection);
void watch_close(struct watch *watch, struct watched *connection); /* before its socket is */

#endif
