/* matrix_chunk.h: what a sweep does to a few tokens of one head, between matrix_sweep.c and matrix_chunk.c.
 */
#ifndef CLADE_TENSOR_MATRIX_CHUNK_H
#define CLADE_TENSOR_MATRIX_CHUNK_H

#include "tensor/loops/matrix_joint.h"
#include "tensor/loops/matrix_lanes.h"
#include "tensor/loops/matrix_scan.h"
#include "tensor/matrix_sweep.h"

/* Tokens whose vectors are prepared together; then each panel of the state in turn passes over all of them,
 * so that it stays in the nearest cache. */
enum { CHUNK = JOINT, BLOCKS = CHUNK / SCAN_BLOCK };

/* A series that is to be read or written, from the chunk's first token on. */
struct stream {
    const real *first;
    int64_t step, width;
};

struct chunk {
    int64_t start, tokens; /* in the order of the sweep */
    const real *read[2][CHUNK], *write[2][CHUNK], *value[2][CHUNK], *log_decay[CHUNK], *own[2][CHUNK];
    real *result[2][CHUNK], *clock[CHUNK], *error[CHUNK], *dr[CHUNK], *dv[CHUNK], *dbeta[CHUNK];
    struct scan_pairs pairs[BLOCKS][2];
    bool joint; /* the whole chunk passes at once, by the two below; else block by block */
    struct joint_pairs joint_products, joint_pairs;
    struct joint_factors joint_factors;
    real beta[CHUNK], diagonal[CHUNK];
    struct stream streams[12];
    int stream_count;
    const real *paired; /* the first read vector that the pairs are of */
};

/* Some heads' sweep over some of the lanes. */
struct run {
    const struct sweep *sweep;
    const struct matrix_scan_loops *loops;
    const struct matrix_joint_loops *joint_loops;
    const struct matrix_lane_loops *lane_loops;
    int64_t batch, first_head, last_head, head, first_lane, last_lane, part, panels;
    real *states, *state;  /* of all its heads, and of the present one: panels of [rows, panel] */
    real *all_kept, *kept; /* with marks: states of an earlier sweep */
    int64_t state_size, kept_size;
    real *scaled[2][2];           /* with DECAY_ROWS: reads and writes times their factors, [CHUNK, stride] */
    real *factors, *fold[BLOCKS]; /* with DECAY_ROWS */
    const real *zeros;            /* as long as a vector over rows or lanes */
    int64_t stride;
    struct chunk chunk;
};

/* A panel's vectors for the tokens of a chunk. */
struct panel {
    int64_t number; /* from 0, among those of the run */
    _Alignas(64) real out[2][CHUNK * SCAN_PANEL_MAX], x[2][CHUNK * SCAN_PANEL_MAX],
        factors[CHUNK * SCAN_PANEL_MAX], fold[SCAN_PANEL_MAX];
};

/* The present head's vector for a token. */
static inline real *series_at(const struct series *series, const struct run *run, int64_t token)
{
    return series->data + run->batch * series->batch + token * series->token +
           (series->group == 1 ? run->head : run->head / series->group) * series->head;
}

/* Whether the present head is the first of those that share the series. */
static inline bool leads_group(const struct run *run, const struct series *series)
{
    return series->group == 1 || run->head % series->group == 0;
}

/* The panel that begins with this lane, and how many lanes of it are in use. */
static inline real *panel_at(const struct run *run, int64_t lane)
{
    return run->state + (lane - run->first_lane) * run->sweep->rows;
}

static inline int64_t panel_lanes(const struct run *run, int64_t lane)
{
    return run->last_lane - lane < run->loops->panel ? run->last_lane - lane : run->loops->panel;
}

/* Finds the vectors of the present head's tokens from `start` (in the sweep's order) on, and the products of
 * those over rows; then the state's panels can pass over them, one after the other. */
void chunk_load(struct run *run, int64_t start);
void chunk_pass(struct run *run, struct panel *panel, int64_t lane);

#endif
