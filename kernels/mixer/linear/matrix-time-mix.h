/* What RWKV-5 and RWKV-6 share (rwkv6, sections 4.1 and 4.2): a matrix state per head, read before its update
 * with a bonus u for the present token, then a norm of each head's output, a gate and the output's
 * projection.
 *
 *     o_t = (S_{t-1} + diag(u) k_t v_t^T)^T r_t,  S_t = diag(w_t) S_{t-1} + k_t v_t^T,
 *         y = (norm_head(o / divisor) * gate) Wo */
#ifndef CLADE_KERNELS_MATRIX_TIME_MIX_H
#define CLADE_KERNELS_MATRIX_TIME_MIX_H

#include "block/kernel.h"
#include <math.h>

static inline int64_t time_mix_inner(const struct scope *s)
{
    return option_or(s, "inner", s->width);
}

static inline const char *time_mix_validate(const struct scope *s)
{
    return time_mix_inner(s) % option(s, "head_dim") ? "the width is not divisible by head_dim" : NULL;
}

/* Published initial bonus: falls over the channels, more so in later layers. */
static inline void time_mix_bonus(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    int64_t size = shape[0] * shape[1];
    double depth = s->layers > 1 ? (double)s->layer / (double)(s->layers - 1) : 0;
    for (int64_t i = 0; i < size; i++)
        values[i] = (real)(depth * (1 - (double)i / (double)(size > 1 ? size - 1 : 1)) +
                           0.1 * (double)((i + 1) % 3 - 1));
}

/* Published initial decays, -6 to -1 across the channels, by layer; for a shape of that many elements. */
static inline void time_mix_decay_speed(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    int64_t size = 1;
    for (int i = 0; i < rank; i++)
        size *= shape[i];
    double depth = s->layers > 1 ? (double)s->layer / (double)(s->layers - 1) : 0;
    for (int64_t i = 0; i < size; i++)
        values[i] = (real)(-6 + 5 * pow((double)i / (double)(size > 1 ? size - 1 : 1), 0.7 + 1.3 * depth));
}

/* r, k, v and gate [B, T, inner], log_decay [B, T, H, d] -> y [B, T, D]. */
static inline tensor *time_mix_read(struct scope *s, tensor *r, tensor *k, tensor *v, tensor *gate,
                                    tensor *log_decay)
{
    int64_t inner = time_mix_inner(s), d = option(s, "head_dim"), heads = inner / d;
    double divisor = option_real(s, "divisor");
    tensor *u = parameter(s, "time_faaaa", init_function(time_mix_bonus), 2, SHAPE(heads, d));
    struct matrix_scan_options scan = {.log_decay = log_decay, .bonus = u};
    tensor *o =
        kept_matrix_scan(s, "S", split_heads(r, heads), split_heads(k, heads), split_heads(v, heads), scan);
    o = merge_heads(tensor_layer_norm(o, NULL, NULL, option_real(s, "epsilon") * divisor * divisor));
    o = tensor_multiply(o, parameter(s, "ln_x.weight", init_constant(1), 1, SHAPE(inner)));
    o = tensor_add(o, parameter(s, "ln_x.bias", init_constant(0), 1, SHAPE(inner)));
    return linear(s, "output", tensor_multiply(o, gate), s->width, false);
}

#define TIME_MIX_OPTIONS                                                                 \
    INTEGER_OPTION("head_dim", 64, 1, 4096, "channels of a head"),                       \
        INTEGER_OPTION("inner", 0, 0, 1 << 24, "channels of all heads; 0: width"),       \
        REAL_OPTION("divisor", 8, 1e-3, 1e3, "divides a head's output before its norm"), \
        REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")

#endif
