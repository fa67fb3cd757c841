/* trees.h: trees written as Newick, and trees made by chance. */
#ifndef CLADE_TEST_LINEAGE_TREES_H
#define CLADE_TEST_LINEAGE_TREES_H

#include "lineage/tree.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern struct arena trees; /* of the test that runs; emptied after it */

int trees_teardown(void **state);
#define WITH_TREES(test) cmocka_unit_test_teardown(test, trees_teardown)

struct tree tree_of(const char *newick); /* which must be read */
const char *newick_of(const struct tree *tree);
size_t node_named(const struct tree *tree, const char *name);

/* Numbers by chance, the same in every run. */
uint64_t chance(uint64_t *state);
size_t chance_below(uint64_t *state, size_t bound);
double chance_real(uint64_t *state); /* from 0 to 1 */

/* A rooted tree of `leaves` leaves t0, t1, ... with lengths from 0 to 1; a share of its inner branches is
 * taken out, and a share of its inner nodes is named n0, n1, .... */
struct tree random_tree(uint64_t *state, size_t leaves, double collapsed, double named);

/* The sum of lengths between two nodes. */
double way_between(const struct tree *tree, size_t a, size_t b);

#endif
