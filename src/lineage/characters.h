/* characters.h: which variant has which character in which state, as a matrix: what the kernels of its slots
 * declare. A cell is a set of states, for the layers of a variant may differ; the empty set is "unknown". */
#ifndef CLADE_LINEAGE_CHARACTERS_H
#define CLADE_LINEAGE_CHARACTERS_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include <stddef.h>
#include <stdint.h>

enum { MOST_STATES = 32 };
struct matrix_character {
    const char *name;
    const char **states; /* names; bit i of a cell is state i */
    size_t state_count;
};

struct character_matrix {
    const char **taxa; /* keys of variants, or labels of a file */
    size_t taxon_count;
    struct matrix_character *characters;
    size_t character_count;
    uint32_t *cells; /* taxon by character, one bit a state; 0: unknown */
};

static inline uint32_t matrix_cell(const struct character_matrix *matrix, size_t taxon, size_t character)
{
    return matrix->cells[taxon * matrix->character_count + character];
}

/* Variants of which at least `known` characters are known, by key, with the characters that differ among
 * them. STATUS_OUTSIDE if a character of the catalogue has more than MOST_STATES states. */
enum status characters_from_catalog(struct catalog *catalog, size_t known, struct arena *arena,
                                    struct character_matrix *matrix, struct error *error);

#endif
