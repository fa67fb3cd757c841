#include "scholar/lock.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file may have been removed, by the holder before us, between our opening and our locking it. */
static bool is_still_there(int descriptor, const char *path)
{
    struct stat held, named;
    return fstat(descriptor, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

static enum status taken(int descriptor, const char *database, struct error *error)
{
    char holder[32] = "";
    ssize_t length = read(descriptor, holder, sizeof holder - 1);
    long process = length > 0 ? strtol(holder, NULL, 10) : 0;
    if (process > 0)
        return error_set(error, STATUS_OUTSIDE, "another fetch (process %ld) is under way on '%s'", process,
                         database);
    return error_set(error, STATUS_OUTSIDE, "another fetch is under way on '%s'", database);
}

/* Beside the database itself, by whatever link it is named. */
static char *lock_path(const char *database)
{
    char *resolved = realpath(database, NULL);
    const char *base = resolved ? resolved : database;
    size_t size = strlen(base) + sizeof "-fetch";
    char *path = memory_allocate(size);
    snprintf(path, size, "%s-fetch", base);
    free(resolved);
    return path;
}

enum status fetch_lock_take(const char *database, struct fetch_lock *lock, struct error *error)
{
    *lock = (struct fetch_lock){.descriptor = -1};
    if (strcmp(database, ":memory:") == 0)
        return STATUS_OK;
    char *path = lock_path(database);
    enum status status = STATUS_OK;
    while (lock->descriptor < 0 && !status) {
        int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor < 0)
            status = error_set(error, STATUS_OUTSIDE, "cannot create '%s': %s", path, strerror(errno));
        else if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
            status = errno == EWOULDBLOCK
                         ? taken(descriptor, database, error)
                         : error_set(error, STATUS_OUTSIDE, "cannot lock '%s': %s", path, strerror(errno));
        else if (is_still_there(descriptor, path))
            lock->descriptor = descriptor;
        if (descriptor >= 0 && lock->descriptor < 0)
            close(descriptor);
    }
    if (status) {
        free(path);
        return status;
    }
    lock->path = path;
    /* for the message above alone: a full disk takes nothing from the lock */
    if (ftruncate(lock->descriptor, 0) == 0)
        dprintf(lock->descriptor, "%ld\n", (long)getpid());
    return STATUS_OK;
}

void fetch_lock_release(struct fetch_lock *lock)
{
    if (lock->descriptor >= 0) {
        unlink(lock->path);
        close(lock->descriptor);
    }
    free(lock->path);
    *lock = (struct fetch_lock){.descriptor = -1};
}
