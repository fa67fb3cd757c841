/* One fetch at a time on a database, whichever way the one before ended. */
#include "fixture.h"
#include "scholar/lock.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that takes the lock, says so, and keeps it until it is killed. */
static pid_t hold(const char *database)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t process = fork();
    if (process == 0) {
        struct fetch_lock lock;
        struct error error = ERROR_INIT;
        if (fetch_lock_take(database, &lock, &error) != STATUS_OK || write(ready[1], "!", 1) != 1)
            _exit(1);
        pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return process;
}

static void the_second_is_told_who_is_first(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    char message[256];
    pid_t process = hold(fixture->database);
    assert_int_equal(fetch_lock_take(fixture->database, &lock, &error), STATUS_OUTSIDE);
    assert_int_equal(lock.descriptor, -1);
    snprintf(message, sizeof message, "another fetch (process %ld) is under way on '%s'", (long)process,
             fixture->database);
    assert_string_equal(error.message, message);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

static void a_fetch_that_was_killed_holds_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    pid_t process = hold(fixture->database);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    assert_int_equal(fetch_lock_take(fixture->database, &lock, &error), STATUS_OK);
    fetch_lock_release(&lock);
}

static void a_lock_that_is_released_leaves_no_file(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fetch_lock_take(fixture->database, &lock, &error), STATUS_OK);
        assert_int_equal(access(lock.path, F_OK), 0);
        char path[256];
        snprintf(path, sizeof path, "%s", lock.path);
        fetch_lock_release(&lock);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void a_link_to_the_database_is_the_database(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    const char *link = arena_format(&fixture->arena, "%s/link.db", fixture->folder);
    assert_int_equal(symlink(fixture->database, link), 0);
    pid_t process = hold(fixture->database);
    assert_int_equal(fetch_lock_take(link, &lock, &error), STATUS_OUTSIDE);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

static void memory_needs_no_lock(void **state)
{
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    assert_int_equal(fetch_lock_take(":memory:", &lock, &error), STATUS_OK);
    fetch_lock_release(&lock);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct fetch_lock lock;
    struct error error = ERROR_INIT;
    assert_int_equal(fetch_lock_take("/nowhere/at/all/clade.db", &lock, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message,
                        "cannot create '/nowhere/at/all/clade.db-fetch': No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_second_is_told_who_is_first),
        WITH_FIXTURE(a_fetch_that_was_killed_holds_nothing),
        WITH_FIXTURE(a_lock_that_is_released_leaves_no_file),
        WITH_FIXTURE(a_link_to_the_database_is_the_database),
        WITH_FIXTURE(memory_needs_no_lock),
        WITH_FIXTURE(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
