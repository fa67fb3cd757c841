/* filters.h: depthwise convolutions with filters as long as the sequence, and the sine networks that make
 * such filters, for the kernels of long convolutions. Kernels may include it beside kernel.h. */
#ifndef CLADE_BLOCK_FILTERS_H
#define CLADE_BLOCK_FILTERS_H

#include "block/kernel.h"

/* y_t = sum_j filter[c, j] x_{t-j} for x [B, T, C] and filter [C, L]. With a state earlier inputs are kept
 * under `name`, all of them or, where no filter has more than `taps` > 0, those that it reaches; then
 * `filter` needs as many taps as there are tokens so far. */
tensor *kept_long_convolution(struct scope *s, const char *name, tensor *x, tensor *filter, int64_t taps);
/* y_t = sum_j past[c, j] x_{t-j} + sum_j future[c, j] x_{t+1+j}. */
tensor *two_sided_convolution(tensor *x, tensor *past, tensor *future);

/* Hyena's implicit filter (hyena, section 3.3, eq. 7): a network of sines over an embedding of the position,
 * times a window,
 *
 *     h_l = W_n sin(f w (.. W_1 sin(f w (W_0 z_l + b_0)) + b_1 ..)),   filter[c, l] = h_l[c] (exp(-t_l |delta_c|) + shift)
 *
 * Parameters NAME.pos_emb.z [1, length, embedding] (trained), NAME.implicit_filter.N.weight and .bias, one
 * NAME.implicit_filter.1.freq [1, hidden] for all sines; buffers NAME.pos_emb.t and
 * NAME.modulation.deltas. */
enum { SINE_FILTER_MOST_DEPTH = 13 };
struct sine_filter {
    const char *name;
    bool reversed; /* the network NAME.implicit_filter_rev, with the same sines, embedding and window */
    int64_t length, embedding, hidden, depth,
        channels;     /* depth: linear maps between the first and the last */
    double frequency; /* f at first */
    double factor;    /* w */
    double shift;
};
/* Its values for the tokens so far, of which `count` are new: [channels, s->position + count]. */
tensor *sine_filter(struct scope *s, const struct sine_filter *filter, int64_t count);
/* Taps of a filter for new tokens [count, C], after those for the tokens before, which are kept under `name`:
 * [C, ..]. */
tensor *kept_taps(struct scope *s, const char *name, tensor *taps);

#endif
