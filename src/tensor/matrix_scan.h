/* matrix_scan.h: what the forward and the backward of tensor_matrix_scan() share. */
#ifndef CLADE_TENSOR_MATRIX_SCAN_H
#define CLADE_TENSOR_MATRIX_SCAN_H

#include "tensor/matrix_sweep.h"

enum scan_input { SCAN_Q, SCAN_K, SCAN_V, SCAN_DECAY, SCAN_BETA, SCAN_BONUS, SCAN_INITIAL, SCAN_INPUTS };

struct matrix_scan {
    int64_t heads;
    real scale;
    int place[SCAN_INPUTS]; /* among the node's inputs, or -1 */
    bool delta;             /* beta is of the delta rule, else it multiplies v, and there is no gradient */
    bool final;             /* the last state is a further output */
};

/* The input, or NULL. */
const tensor *scan_input(const tensor *y, enum scan_input input);
/* Its data or another array of the same strides (a gradient), by token: of q, k, v, log_decay or beta. */
struct series scan_series(const tensor *y, enum scan_input input, real *data);
/* A contiguous [B, T, heads, width] array. */
struct series scan_output_series(const tensor *y, real *data);
/* An array [B, heads, d, e] of the given strides as the matrices of a sweep. */
struct matrices scan_matrices(const tensor *y, const int64_t *stride, bool key_rows, real *data);
/* A sweep over the state with d as rows and e as lanes (key_rows), or transposed, and the decay on its side.
 */
struct sweep scan_sweep(const tensor *y, bool key_rows);

void matrix_scan_backward(tensor *y);

#endif
