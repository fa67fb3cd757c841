/* fixture.h: a copy of the small catalogue in tests/data/catalog in a folder of its own, to be opened and
 * broken. */
#ifndef CLADE_TEST_FIXTURE_H
#define CLADE_TEST_FIXTURE_H

#include "catalog/catalog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char *folder;    /* temporary, removed with all that is in it */
    char *catalogue; /* folder/catalog */
    char *database;  /* folder/clade.db, which does not exist yet */
    struct arena arena;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* The kernels of the small catalogue. `attention` is in state "none" of "decay" unless its option `decay`
 * says more. */
extern const struct catalog_kernel fixture_kernels[];
extern const size_t fixture_kernel_count;

struct catalog_options fixture_options(const struct fixture *fixture);
struct catalog *fixture_open(struct fixture *fixture);
/* Opening must fail with this status and this message, after the catalogue's folder where the message has it.
 */
void fixture_refused(struct fixture *fixture, enum status status, const char *message);

void fixture_write(struct fixture *fixture, const char *name, const char *text);
/* Replaces the first occurrence of `from` in a file of the catalogue. */
void fixture_edit(struct fixture *fixture, const char *name, const char *from, const char *to);
void fixture_remove(struct fixture *fixture, const char *name);

/* The first column of the first row of a query, which must exist. */
int64_t fixture_integer(sqlite3 *database, const char *sql);
const char *fixture_text(struct fixture *fixture, sqlite3 *database, const char *sql);
/* All that the catalogue's tables hold, as one text. */
const char *fixture_dump(struct fixture *fixture, sqlite3 *database);

#endif
