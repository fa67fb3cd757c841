/* difference.h: two variants side by side: what fills their slots, under which options, with which
 * characters. */
#ifndef CLADE_LINEAGE_DIFFERENCE_H
#define CLADE_LINEAGE_DIFFERENCE_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include <stdbool.h>
#include <stddef.h>

struct option_difference {
    const char *name;
    const char *a, *b; /* as JSON; NULL: the default */
};

/* One slot of a pair of layers. */
struct slot_difference {
    const char *layer_a, *layer_b; /* NULL where the composition is no pattern or there is no such layer */
    const char *slot;
    const struct slot_filling *a, *b;  /* NULL: empty */
    bool same;                         /* kernel and options */
    struct option_difference *options; /* those that differ, where both have the same kernel */
    size_t option_count;
};

struct character_difference {
    const char *character;
    const char *a, *b; /* states, by ", " where there are several; NULL: the kernels say nothing of it */
    bool same;
};

struct difference {
    struct slot_difference *slots;
    size_t slot_count;
    struct character_difference *characters;
    size_t character_count;
};

/* Layers are paired by name, then by how many kernels they share, then in order. */
enum status difference_of(struct catalog *catalog, const struct variant *a, const struct variant *b,
                          struct arena *arena, struct difference *difference, struct error *error);

#endif
