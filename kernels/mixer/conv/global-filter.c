/* The global filter (gfnet; raoyongming/GFNet GlobalFilter): a Fourier transform over a grid of a x b tokens,
 * row by row, one trained complex weight per frequency and channel, and the inverse transform. That is a
 * circular convolution:
 *
 *     y = F^-1(K * F(x)),   K parameter complex_weight [a, b / 2 + 1, D, 2]
 *
 * Without a grid the sequence is one row of `length` tokens; for another length K is resampled linearly over
 * the frequencies, as the paper does for other resolutions. */
#include "block/kernel.h"

struct grid {
    int64_t rows, columns;
};

/* The grid that has weights. */
static struct grid trained_grid(const struct scope *s)
{
    int count;
    const double *sides = option_list(s, "grid", &count);
    return count == 2 ? (struct grid){(int64_t)sides[0], (int64_t)sides[1]}
                      : (struct grid){1, option(s, "length")};
}

/* K of a row of `bins` frequencies. */
static tensor *resampled(struct scope *s, tensor *weight, int64_t bins)
{
    int64_t trained = weight->shape[1];
    if (bins == trained)
        return weight;
    const int64_t *shape = SHAPE(1, bins, 1, 1);
    tensor *below = tensor_constant(s->graph, NULL, 4, shape),
           *above = tensor_constant(s->graph, NULL, 4, shape);
    tensor *share = tensor_constant(s->graph, NULL, 4, shape);
    for (int64_t i = 0; i < bins; i++) {
        double place = bins > 1 ? (double)i * (double)(trained - 1) / (double)(bins - 1) : 0;
        int64_t whole = (int64_t)place;
        below->data[i] = (real)whole;
        above->data[i] = (real)(whole + 1 < trained ? whole + 1 : whole);
        share->data[i] = (real)(place - (double)whole);
    }
    tensor *low = tensor_gather(weight, 1, below);
    return tensor_add(low, tensor_multiply(share, tensor_subtract(tensor_gather(weight, 1, above), low)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct grid grid = trained_grid(s);
    int64_t batch = x->shape[0], length = x->shape[1], width = s->width;
    tensor *weight = parameter(s, "complex_weight", init_normal(0.02), 4,
                               SHAPE(grid.rows, grid.columns / 2 + 1, width, 2));
    if (grid.rows == 1) {
        grid.columns = length;
        weight = resampled(s, weight, length / 2 + 1);
    }
    if (grid.rows * grid.columns != length)
        kernel_fail(s, "%lld tokens do not fill its grid of %lld x %lld", (long long)length,
                    (long long)grid.rows, (long long)grid.columns);
    tensor *X = tensor_fourier(tensor_reshape(x, 4, SHAPE(batch, grid.rows, grid.columns, width)), 2);
    if (grid.rows > 1)
        X = tensor_fourier_complex(X, 1, false);
    X = tensor_complex_multiply(X, weight);
    if (grid.rows > 1)
        X = tensor_fourier_complex(X, 1, true);
    return tensor_reshape(tensor_inverse_fourier(X, 2, grid.columns), 3, SHAPE(batch, length, width));
}

static const char *validate(const struct scope *s)
{
    int count;
    option_list(s, "grid", &count);
    return count != 0 && count != 2 ? "grid has two sides, or none" : NULL;
}

KERNEL(global_filter) = {
    .name = "global-filter",
    .slot = SLOT_MIXER,
    .variant = "gfnet",
    .summary =
        "a trained complex weight per frequency and channel: a circular convolution as large as the input",
    .options = OPTIONS(LIST_OPTION("grid", "", 1, 1 << 16, "rows and columns of tokens; none: one row"),
                       INTEGER_OPTION("length", 1024, 1, 1 << 24, "tokens of that row that have weights")),
    .characters = CHARACTERS({"mixing", "spectral"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"numbers", "complex"}, {"position", "relative"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
