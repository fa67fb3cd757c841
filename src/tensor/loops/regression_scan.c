#include "tensor/loops/regression_scan.h"
#include "tensor/loops/vector.h"
#include <stdbool.h>
#include <stddef.h>

enum { L = REGRESSION_LANES, PARTS = L / VECTOR_LANES };

/* A row's entries of the block's channels, zeros behind them. */
TEMPLATE void load(const real *row, int64_t count, vector *lanes)
{
    if (count == L)
        EACH (v, 0, PARTS)
            lanes[v] = vector_load(row + v * VECTOR_LANES);
    else {
        real all[L] = {0};
        for (int64_t c = 0; c < count; c++)
            all[c] = row[c];
        EACH (v, 0, PARTS)
            lanes[v] = vector_load(all + v * VECTOR_LANES);
    }
}

TEMPLATE void store(const vector *lanes, int64_t count, real *row, bool add)
{
    real all[L];
    EACH (v, 0, PARTS)
        vector_store(all + v * VECTOR_LANES, lanes[v]);
    for (int64_t c = 0; c < count; c++)
        row[c] = add ? row[c] + all[c] : all[c];
}

TEMPLATE void advance_with(int64_t states, const real *restrict k, const real *restrict q, const vector *rate,
                           const vector *written, const real *before, real *after, vector *sum)
{
    for (int64_t n = 0; n < states; n++)
        EACH (v, 0, PARTS) {
            vector h = vector_load(before + n * L + v * VECTOR_LANES);
            h += (written[v] - k[n] * rate[v] * h) * k[n];
            sum[v] += q[n] * h;
            vector_store(after + n * L + v * VECTOR_LANES, h);
        }
}

static void advance(const struct regression_block *b, int64_t t, const real *before, real *after, real *y)
{
    vector rate[PARTS], written[PARTS], sum[PARTS];
    load(b->delta + t * b->channels, b->count, rate);
    load(b->u + t * b->channels, b->count, written);
    EACH (v, 0, PARTS) {
        written[v] *= rate[v];
        sum[v] = vector_fill(0);
    }
    advance_with(b->states, b->k + t * b->states, b->q + t * b->states, rate, written, before, after, sum);
    if (y && b->count == L)
        EACH (v, 0, PARTS)
            vector_store(y + v * VECTOR_LANES, sum[v]);
    else if (y)
        store(sum, b->count, y, false);
}

static void backward(const struct regression_block *b, int64_t t, const real *before, const real *after,
                     real *g, const struct regression_gradients *to)
{
    const real *k = b->k + t * b->states, *q = b->q + t * b->states;
    real *dk = to->k + t * b->states, *dq = to->q + t * b->states;
    vector u[PARTS], rate[PARTS], dy[PARTS], du[PARTS], drate[PARTS];
    load(b->u + t * b->channels, b->count, u);
    load(b->delta + t * b->channels, b->count, rate);
    EACH (v, 0, PARTS)
        dy[v] = du[v] = drate[v] = vector_fill(0);
    if (to->y)
        load(to->y + t * b->channels, b->count, dy);
    for (int64_t n = 0; n < b->states; n++) {
        vector key = vector_fill(0), query = vector_fill(0);
        EACH (v, 0, PARTS) {
            int64_t at = n * L + v * VECTOR_LANES;
            vector h = vector_load(before + at), slope = vector_load(g + at) + dy[v] * q[n];
            vector error = u[v] - k[n] * h;
            query += dy[v] * vector_load(after + at);
            du[v] += slope * k[n];
            drate[v] += slope * error * k[n];
            key += slope * rate[v] * (error - k[n] * h);
            vector_store(g + at, slope * (1 - rate[v] * (k[n] * k[n])));
        }
        dk[n] += vector_sum(key);
        dq[n] += vector_sum(query);
    }
    EACH (v, 0, PARTS)
        du[v] *= rate[v];
    if (to->u)
        store(du, b->count, to->u + t * b->channels, true);
    if (to->delta)
        store(drate, b->count, to->delta + t * b->channels, true);
}

LOOPS_TABLE(struct regression_scan_loops, regression_scan_loops) = {
    .advance = advance,
    .backward = backward,
};
