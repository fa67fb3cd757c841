/* parameters.h: the named arrays of a block. They are created when a building of the block first asks for
 * them and live as long as the block, across graphs. */
#ifndef CLADE_BLOCK_PARAMETERS_H
#define CLADE_BLOCK_PARAMETERS_H

#include "block/kernel.h"
#include <uthash.h>

struct parameter_entry {
    char *name; /* with its prefix */
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    real *data;
    bool trained; /* false: a buffer */
    tensor *leaf; /* in the graph being built, or NULL */
    UT_hash_handle hh;
};

struct parameters {
    struct parameter_entry **entries; /* in the order of first use */
    size_t count, capacity;
    struct parameter_entry *by_name;
    uint64_t seed;
    bool frozen; /* true once a whole building has been seen: an unknown name is then a fault */
};

void parameters_init(struct parameters *parameters, uint64_t seed);
void parameters_release(struct parameters *parameters);
/* To be called before each building: forgets the leaves of the graph before. */
void parameters_new_graph(struct parameters *parameters);
struct parameter_entry *parameters_find(const struct parameters *parameters, const char *name);
int64_t parameter_size(const struct parameter_entry *entry);
int64_t parameters_size(const struct parameters *parameters); /* numbers that are trained */

#endif
