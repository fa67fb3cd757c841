/* structured_spectrum.h: sums over pairs of conjugate poles at some frequencies. In double precision in
 * either library. */
#ifndef CLADE_TENSOR_LOOPS_STRUCTURED_SPECTRUM_H
#define CLADE_TENSOR_LOOPS_STRUCTURED_SPECTRUM_H

#include "tensor/loops/loops.h"

enum { SPECTRUM_PIECE = 64 }; /* most frequencies of one call */

/* |p|, g and, of one mode, 1 / D: see ../structured_spectrum.c. */
struct spectrum_piece {
    int64_t count;
    double sine[SPECTRUM_PIECE], cosine[SPECTRUM_PIECE], re[SPECTRUM_PIECE], im[SPECTRUM_PIECE];
};

struct pair_slopes {
    double alpha, beta, real_part, square;
};

struct structured_spectrum_loops {
    /* 1 / D from Re(a) and |a|^2. */
    void (*invert)(struct spectrum_piece *piece, double real_part, double square);
    /* sum += (-2 alpha g + 2 i beta |p|) / D */
    void (*add_pair)(const struct spectrum_piece *piece, double alpha, double beta, double *sum_re,
                     double *sum_im);
    /* Adds what the gradients u + i v of such sums give alpha, beta, Re(a) and |a|^2. */
    void (*pair_backward)(const struct spectrum_piece *piece, double alpha, double beta, const double *u,
                          const double *v, struct pair_slopes *slopes);
};

LOOPS_DECLARE(struct structured_spectrum_loops, structured_spectrum_loops)

#endif
