/* cases.h: small networks written as text. */
#ifndef CLADE_TEST_LINEAGE_CASES_H
#define CLADE_TEST_LINEAGE_CASES_H

#include "lineage/network.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Of the test that runs; emptied after it. */
extern struct arena arena;

int network_setup(void **state); /* an empty network */
int network_teardown(void **state);
#define WITH_NETWORK(test) cmocka_unit_test_setup_teardown(test, network_setup, network_teardown)

/* Nodes "key date, key, key date kind"; edges "parent>child" for primary ones and "donor~child". */
enum status try_build(struct network *network, const char *nodes, const char *edges, struct error *error);
void build(struct network *network, const char *nodes, const char *edges); /* which must do */

size_t find(const struct network *network, const char *key); /* which must be there */
const char *keys(const struct network *network);             /* of all nodes, in order */
const char *edges(const struct network *network);            /* all, in the form of build() */
const char *keys_of(const struct network *network, const size_t *nodes, size_t count);

#endif
