/* sparse_attention.h: what forward and gradients of block-sparse attention share: tiles of queries, and the
 * listed keys taken a panel at a time, side by side in memory. */
#ifndef CLADE_TENSOR_SPARSE_ATTENTION_H
#define CLADE_TENSOR_SPARSE_ATTENTION_H

#include "tensor/operation.h"

enum {
    SPARSE_ROWS = 64,  /* queries of a tile, at most; all of one block */
    SPARSE_PANEL = 64, /* keys taken at once, from one or several listed blocks */
    FEW_ROWS = 3       /* for so few queries gathering keys costs more than products of tiles save */
};

/* The attributes of the node. Its inputs are q, k, v and the lists. */
struct sparse_attention {
    int64_t batch, queries, keys, heads, key_heads, width, value_width;
    int64_t query_block, key_block, listed; /* entries of a list */
    int64_t tiles;                          /* of the queries of one head */
    int64_t offset;
    bool causal;
    double scale, pairs; /* pairs of a query and a key that it sees, at most */
};

/* The queries [query, query + rows) of one head, and a panel of the keys that their list names. */
struct sparse_tile {
    int64_t b, head, key_head, query, rows;
    const real *list;
    int64_t entry, inside;          /* where in the list the next panel starts, and how far into that block */
    int64_t count;                  /* keys of the panel */
    int64_t position[SPARSE_PANEL]; /* theirs */
    bool together;                  /* they lie one after the other */
};

struct sparse_tile sparse_tile_at(const tensor *y, int64_t b, int64_t head, int64_t number);
/* Takes the next panel, without blocks that all of the tile's queries must not see; false after the last
 * one. */
bool sparse_next_panel(const struct sparse_attention *a, struct sparse_tile *tile);
/* The panel's rows of x (k or v): in place where they lie together, else copied to `memory`. *step: between
 * rows. */
const real *sparse_rows(const tensor *x, const struct sparse_tile *tile, real *memory, int64_t *step);
/* scores [rows, SPARSE_PANEL] = factor a_r . x_s for the rows of a [B, T, H, ..] (or its gradient, `data`)
 * that are the tile's queries and those of x that are the panel's. */
void sparse_products(const tensor *a, const real *data, const tensor *x, const struct sparse_tile *tile,
                     double factor, real *memory, real *scores);
/* sums_r += factor sum_s weights_rs x_s, for rows of the given step. */
void sparse_weighted_sums(const tensor *x, const struct sparse_tile *tile, const real *weights, double factor,
                          real *memory, real *sums, int64_t step);
/* Sets what causality hides to -infinity. */
void sparse_hide(const struct sparse_attention *a, const struct sparse_tile *tile, real *scores);

void sparse_attention_backward(tensor *y);

#endif
