/* PSF-Attn: attention as a product of sparse matrices (paramixer; SyntheticExperiments/psf.py of
 * RuslanKhalitov/SparseFactorization). Row t of each factor is not zero at the chord t, t + 1, t + 2, t + 4,
 * .. (around the end), where a network of the token gives its entries:
 *
 *     V_0 = g(x),  V_m[t] = sum_k f_m(x_t)[k] V_{m-1}[(t + o_k) mod T] (+ V_0),
 *         o = 0, 1, 2, 4, .. 2^{M-1},  m = 1 .. M
 *     y = V_M          f_m and g: two linear maps with gelu between
 *
 * M, the number of factors, is a size of the weights: log2 of the `length` they are made for, at which every
 * token reaches every other. */
#include "block/kernel.h"

enum { MOST_FACTORS = 40 };

static int64_t factors(const struct scope *s)
{
    int64_t count = 1;
    while (((int64_t)1 << count) < option(s, "length"))
        count++;
    return option_or(s, "factors", count);
}

static tensor *network(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t hidden = option_or(s, "hidden", s->width);
    x = tensor_gelu(linear(s, part_name(s, "%s.network.0", name), x, hidden, true));
    return linear(s, part_name(s, "%s.network.2", name), x, outputs, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t count = factors(s), chord[1 + MOST_FACTORS] = {0};
    for (int64_t k = 1; k <= count; k++)
        chord[k] = (int64_t)1 << (k - 1);
    tensor *first = network(s, "g", x, s->width), *v = first;
    for (int64_t m = 0; m < count; m++) {
        tensor *w = network(s, part_name(s, "fs.%lld", (long long)m), x, count + 1);
        v = tensor_ring_sum(v, w, chord);
        v = option(s, "residual") ? tensor_add(v, first) : v;
    }
    return v;
}

KERNEL(sparse_factor_attention) = {
    .name = "sparse-factor-attention",
    .slot = SLOT_MIXER,
    .variant = "paramixer",
    .summary =
        "a product of sparse matrices on a chord pattern, whose entries networks predict from each token",
    .options = OPTIONS(INTEGER_OPTION("length", 1024, 2, 1 << 24, "positions that the factors connect"),
                       INTEGER_OPTION("factors", 0, 0, MOST_FACTORS, "sparse matrices; 0: log2 of length"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels inside the networks; 0: width"),
                       FLAG_OPTION("residual", 1, "values are added again after each factor")),
    .characters = CHARACTERS({"mixing", "learned-matrix"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "strided"}, {"position", "none"}, {"output-gate", "no"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
