#include "server/watch.h"
#include "base/memory.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct watched {
    int socket;
    bool answering, shut;
    struct timespec since; /* when it came into its state */
    struct watched *before, *after;
};

struct watch {
    struct watch_limits limits;
    pthread_t thread;
    pthread_mutex_t mutex; /* of all that follows and of all connections */
    pthread_cond_t stopped;
    bool stop;
    struct watched *first, *last; /* the one that came into its state first is the first */
    unsigned count;
};

static struct timespec now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time;
}

static void put_last(struct watch *watch, struct watched *connection)
{
    connection->since = now();
    connection->before = watch->last;
    connection->after = NULL;
    *(watch->last ? &watch->last->after : &watch->first) = connection;
    watch->last = connection;
}

static void take_out(struct watch *watch, struct watched *connection)
{
    *(connection->before ? &connection->before->after : &watch->first) = connection->after;
    *(connection->after ? &connection->after->before : &watch->last) = connection->before;
}

/* The library sees the end of the stream and closes the socket. */
static void shut(struct watched *connection)
{
    connection->shut = true;
    shutdown(connection->socket, SHUT_RDWR);
}

static void shut_late(struct watch *watch)
{
    struct timespec time = now();
    for (struct watched *each = watch->first; each; each = each->after) {
        double seconds =
            (double)(time.tv_sec - each->since.tv_sec) + 1e-9 * (double)(time.tv_nsec - each->since.tv_nsec);
        if (!each->shut &&
            seconds > (each->answering ? watch->limits.answer_seconds : watch->limits.request_seconds))
            shut(each);
    }
}

static void shut_first_waiting(struct watch *watch)
{
    for (struct watched *each = watch->first; each; each = each->after)
        if (!each->shut && !each->answering) {
            shut(each);
            return;
        }
}

static void *work(void *argument)
{
    struct watch *watch = argument;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stop) {
        struct timespec next = now();
        next.tv_sec++;
        shut_late(watch);
        pthread_cond_timedwait(&watch->stopped, &watch->mutex, &next);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

enum status watch_start(struct watch_limits limits, struct watch **watch, struct error *error)
{
    struct watch *started = memory_allocate_zero(1, sizeof *started);
    pthread_condattr_t attributes;
    started->limits = limits;
    pthread_mutex_init(&started->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&started->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    int failed = pthread_create(&started->thread, NULL, work, started);
    if (failed) {
        free(started);
        return error_set(error, STATUS_OUTSIDE, "cannot start a thread: %s", strerror(failed));
    }
    *watch = started;
    return STATUS_OK;
}

void watch_stop(struct watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stop = true;
    pthread_cond_signal(&watch->stopped);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->mutex);
    pthread_cond_destroy(&watch->stopped);
    free(watch);
}

struct watched *watch_open(struct watch *watch, int socket)
{
    struct watched *connection = memory_allocate_zero(1, sizeof *connection);
    connection->socket = socket;
    pthread_mutex_lock(&watch->mutex);
    put_last(watch, connection);
    if (++watch->count > watch->limits.crowd)
        shut_first_waiting(watch);
    pthread_mutex_unlock(&watch->mutex);
    return connection;
}

static void change(struct watch *watch, struct watched *connection, bool answering)
{
    pthread_mutex_lock(&watch->mutex);
    take_out(watch, connection);
    connection->answering = answering;
    put_last(watch, connection);
    pthread_mutex_unlock(&watch->mutex);
}

void watch_answering(struct watch *watch, struct watched *connection)
{
    change(watch, connection, true);
}

void watch_waiting(struct watch *watch, struct watched *connection)
{
    change(watch, connection, false);
}

void watch_close(struct watch *watch, struct watched *connection)
{
    pthread_mutex_lock(&watch->mutex);
    take_out(watch, connection);
    watch->count--;
    pthread_mutex_unlock(&watch->mutex);
    free(connection);
}
