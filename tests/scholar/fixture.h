/* fixture.h: a small catalogue and its database in a folder of their own, a server beside it, and a clock
 * that waits in no time. */
#ifndef CLADE_TEST_SCHOLAR_FIXTURE_H
#define CLADE_TEST_SCHOLAR_FIXTURE_H

#include "catalog/catalog.h"
#include "scholar/client.h"
#include "scholar/fetch.h"
#include "server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char folder[64]; /* temporary, removed with all that is in it */
    char *catalogue, *database;
    struct catalog *catalog;
    struct arena arena;
    struct graph graph; /* of the small catalogue */
    struct server server;
    double skipped; /* seconds that the clock was put forward by waiting */
    struct scholar_clock clock;
    volatile sig_atomic_t stop;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* Starts the server, or another in its place, with a scenario (server.h). */
void fixture_serve(struct fixture *fixture, const char *scenario);
/* Opens the catalogue again, as another process would. */
void fixture_reopen(struct fixture *fixture);
/* Replaces the first occurrence of `from` in a file of the catalogue. */
void fixture_edit(struct fixture *fixture, const char *name, const char *from, const char *to);

/* Options with the server's endpoint and the fixture's clock and stop flag. */
struct fetch_options fixture_options(struct fixture *fixture);
/* A fetch that must end with STATUS_OK. */
struct fetch_report fixture_fetch(struct fixture *fixture, const struct fetch_options *options);
/* One that must not; returns the message. */
const char *fixture_fetch_fails(struct fixture *fixture, const struct fetch_options *options,
                                struct fetch_report *report);

int64_t fixture_integer(struct fixture *fixture, const char *sql);
const char *fixture_text(struct fixture *fixture, const char *sql); /* rows as lines, columns joined by '|' */
void fixture_run(struct fixture *fixture, const char *sql);

/* A file of tests/data/scholar, in the arena. */
const char *fixture_data(struct fixture *fixture, const char *name, size_t *length);

#endif
