/* pictures.h: small pictures for tests. */
#ifndef CLADE_TEST_RENDER_PICTURES_H
#define CLADE_TEST_RENDER_PICTURES_H

#include "render/picture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

extern struct arena arena; /* of the test that runs; emptied after it */

int arena_teardown(void **state);
#define WITH_ARENA(test) cmocka_unit_test_teardown(test, arena_teardown)

/* A timeline with labels that break careless writers, donors, a year without a parent in it, a node without a
 * year; arranged. */
struct picture odd_picture(void);
/* Of `nodes` nodes over twenty years with a primary parent each and `donors` other edges, by chance. */
struct picture random_picture(uint64_t seed, size_t nodes, size_t donors);

/* What a function prints on a stream. */
char *captured(void (*print)(const void *what, FILE *stream), const void *what, size_t *length);

#endif
