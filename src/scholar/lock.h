/* lock.h: one fetch at a time on a database. */
#ifndef CLADE_SCHOLAR_LOCK_H
#define CLADE_SCHOLAR_LOCK_H

#include "base/error.h"

/* Held by the process until it is released, and by no process that has ended, however it did. */
struct fetch_lock {
    int descriptor; /* -1: not held */
    char *path;
};

/* STATUS_OUTSIDE "another fetch (process 4711) is under way ..." if it is taken. A database in memory needs
 * none. */
enum status fetch_lock_take(const char *database, struct fetch_lock *lock, struct error *error);
void fetch_lock_release(struct fetch_lock *lock);

#endif
