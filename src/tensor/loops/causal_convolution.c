#include "tensor/loops/causal_convolution.h"
#include "tensor/loops/vector.h"
#include <stddef.h>

enum {
    WIDE = 2, /* vectors of channels at a time */
    KEPT = 4, /* taps whose weights or sums stay in registers */
    STEPS =
        16 /* rows that are gone through before the next channels: few, as rows are long and come from far */
};

/* Some channels, all steps, with taps first .. first + taps - 1; `count` channels fill the vectors but for
 * the last. */
TEMPLATE void convolve_lanes(int vectors, int64_t steps, int64_t channels, int taps, const real *w,
                             const real *bias, const real *const *x, bool add, real *const *y, int64_t at)
{
    vector weight[KEPT][WIDE], shift[WIDE];
    EACH (v, 0, vectors) {
        shift[v] = vector_fill(0);
        if (bias)
            shift[v] = vector_load(bias + at + v * VECTOR_LANES);
        EACH (j, 0, taps)
            weight[j][v] = vector_load(w + j * channels + at + v * VECTOR_LANES);
    }
    for (int64_t t = 0; t < steps; t++)
        EACH (v, 0, vectors) {
            real *to = y[t] + at + v * VECTOR_LANES;
            vector sum = shift[v];
            if (add)
                sum += vector_load(to);
            EACH (j, 0, taps)
                sum += weight[j][v] * vector_load(x[t + j] + at + v * VECTOR_LANES);
            vector_store(to, sum);
        }
}

TEMPLATE void convolve_taps(int64_t steps, int64_t channels, int taps, const real *w, const real *bias,
                            const real *const *x, bool add, real *const *y)
{
    int64_t at = 0;
    for (; at + WIDE * VECTOR_LANES <= channels; at += WIDE * VECTOR_LANES)
        convolve_lanes(WIDE, steps, channels, taps, w, bias, x, add, y, at);
    for (; at + VECTOR_LANES <= channels; at += VECTOR_LANES)
        convolve_lanes(1, steps, channels, taps, w, bias, x, add, y, at);
    for (int64_t t = 0; t < steps; t++)
        for (int64_t c = at; c < channels; c++) {
            real sum = bias ? bias[c] : 0;
            for (int j = 0; j < taps; j++)
                sum += w[j * channels + c] * x[t + j][c];
            y[t][c] = sum + (add ? y[t][c] : 0);
        }
}

static void convolve_some(int64_t steps, int64_t channels, int64_t taps, const real *w, const real *bias,
                          const real *const *x, bool add, real *const *y)
{
    if (taps == 4 && !add && bias)
        convolve_taps(steps, channels, 4, w, bias, x, false, y);
    else if (taps == 4 && !add)
        convolve_taps(steps, channels, 4, w, NULL, x, false, y);
    else if (taps == 4)
        convolve_taps(steps, channels, 4, w, bias, x, true, y);
    else if (taps == 3)
        convolve_taps(steps, channels, 3, w, bias, x, add, y);
    else if (taps == 2)
        convolve_taps(steps, channels, 2, w, bias, x, add, y);
    else
        convolve_taps(steps, channels, 1, w, bias, x, add, y);
}

/* The first taps together with the bias, then the others in fours. */
static void convolve(int64_t steps, int64_t channels, int64_t taps, const real *w, const real *bias,
                     const real *const *x, bool add, real *const *y)
{
    for (int64_t t = 0; t < steps; t += STEPS)
        for (int64_t j = 0; j < taps; j += KEPT)
            convolve_some(steps - t < STEPS ? steps - t : STEPS, channels, taps - j < KEPT ? taps - j : KEPT,
                          w + j * channels, j ? NULL : bias, x + t + j, add || j, y + t);
}

TEMPLATE void gradient_lanes(int vectors, int64_t steps, int64_t channels, int taps, const real *const *dy,
                             const real *const *x, real *dw, real *dbias, int64_t at)
{
    vector sum[KEPT][WIDE], total[WIDE];
    EACH (v, 0, vectors) {
        total[v] = vector_fill(0);
        EACH (j, 0, taps)
            sum[j][v] = vector_fill(0);
    }
    for (int64_t t = 0; t < steps; t++)
        EACH (v, 0, vectors) {
            vector g = vector_load(dy[t] + at + v * VECTOR_LANES);
            total[v] += g;
            EACH (j, 0, taps)
                sum[j][v] += g * vector_load(x[t + j] + at + v * VECTOR_LANES);
        }
    EACH (v, 0, vectors) {
        int64_t lane = at + v * VECTOR_LANES;
        if (dbias)
            vector_store(dbias + lane, vector_load(dbias + lane) + total[v]);
        EACH (j, 0, taps)
            vector_store(dw + j * channels + lane, vector_load(dw + j * channels + lane) + sum[j][v]);
    }
}

TEMPLATE void gradient_taps(int64_t steps, int64_t channels, int taps, const real *const *dy,
                            const real *const *x, real *dw, real *dbias)
{
    int64_t at = 0;
    for (; at + WIDE * VECTOR_LANES <= channels; at += WIDE * VECTOR_LANES)
        gradient_lanes(WIDE, steps, channels, taps, dy, x, dw, dbias, at);
    for (; at + VECTOR_LANES <= channels; at += VECTOR_LANES)
        gradient_lanes(1, steps, channels, taps, dy, x, dw, dbias, at);
    for (int64_t t = 0; t < steps; t++)
        for (int64_t c = at; c < channels; c++) {
            if (dbias)
                dbias[c] += dy[t][c];
            for (int j = 0; j < taps; j++)
                dw[j * channels + c] += dy[t][c] * x[t + j][c];
        }
}

static void gradient_some(int64_t steps, int64_t channels, int64_t taps, const real *const *dy,
                          const real *const *x, real *dw, real *dbias)
{
    if (taps == 4)
        gradient_taps(steps, channels, 4, dy, x, dw, dbias);
    else if (taps == 3)
        gradient_taps(steps, channels, 3, dy, x, dw, dbias);
    else if (taps == 2)
        gradient_taps(steps, channels, 2, dy, x, dw, dbias);
    else if (taps == 1)
        gradient_taps(steps, channels, 1, dy, x, dw, dbias);
    else
        gradient_taps(steps, channels, 0, dy, x, dw, dbias);
}

static void gradient(int64_t steps, int64_t channels, int64_t taps, const real *const *dy,
                     const real *const *x, real *dw, real *dbias)
{
    for (int64_t t = 0; t < steps; t += STEPS) {
        int64_t count = steps - t < STEPS ? steps - t : STEPS;
        for (int64_t j = 0; dw && j < taps; j += KEPT)
            gradient_some(count, channels, taps - j < KEPT ? taps - j : KEPT, dy + t, x + t + j,
                          dw + j * channels, j ? NULL : dbias);
        if (!dw && dbias)
            gradient_some(count, channels, 0, dy + t, x + t, NULL, dbias);
    }
}

LOOPS_TABLE(struct convolution_loops, convolution_loops) = {convolve, gradient};
