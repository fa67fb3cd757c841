/* Attention of a few queries over many keys: bound by memory, so keys and values are read once, in the order
 * in which they lie, for all heads. The keys are cut into spans of fixed length, one task each, whose partial
 * results are merged in order; so the bits do not depend on the number of threads. */
#include "tensor/attention.h"
#include "tensor/loops/attention.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { SPAN = 256 };

struct decode {
    tensor *y;
    const struct attention *a;
    int64_t rows;  /* queries of all heads of a batch entry: row = head * queries + query */
    int64_t group; /* rows that read the same key head */
    struct seen_keys seen;
    int64_t sink_spans, spans;
    real *queries; /* [B, rows, width], scaled */
    real *partial; /* [B, spans, rows, value width + 2]: weighted values, then the largest score and the total
                      weight */
};

static size_t partial_size(const struct decode *d)
{
    return (size_t)(d->rows * (d->a->value_width + 2));
}

static real *partial_row(const struct decode *d, int64_t b, int64_t span, int64_t row)
{
    return d->partial + (size_t)(b * d->spans + span) * partial_size(d) + row * (d->a->value_width + 2);
}

static void scale_queries(const struct decode *d)
{
    const tensor *q = d->y->inputs[0];
    int64_t width = d->a->width;
    for (int64_t b = 0; b < d->a->batch; b++)
        for (int64_t row = 0; row < d->rows; row++) {
            const real *from = head_rows(q, q->data, b, row % d->a->queries, row / d->a->queries);
            real *to = d->queries + (b * d->rows + row) * width;
            for (int64_t i = 0; i < width; i++)
                to[i] = (real)d->a->options.scale * from[i];
        }
}

static struct key_rows span_rows(const struct decode *d, const tensor *x, int64_t b, int64_t key, int64_t n)
{
    return (struct key_rows){.data = head_rows(x, x->data, b, key, 0),
                             .count = n,
                             .heads = x->shape[2],
                             .width = x->shape[3],
                             .stride = x->stride[1],
                             .head_stride = x->stride[2],
                             .group = d->group};
}

/* Partial results over the keys [key, key + n); scores is [rows, SPAN], sums [rows, value width]. */
static void attend_span(const struct decode *d, int64_t b, int64_t span, int64_t key, int64_t n, real *scores,
                        real *sums)
{
    const struct attention *a = d->a;
    const tensor *k = d->y->inputs[1], *v = d->y->inputs[2];
    const struct attention_loops *loops = attention_loops();
    struct key_rows keys = span_rows(d, k, b, key, n), values = span_rows(d, v, b, key, n);
    loops->dots(&keys, d->queries + b * d->rows * a->width, scores, SPAN);
    for (int64_t row = 0; row < d->rows; row++) {
        real *x = scores + row * SPAN, *partial = partial_row(d, b, span, row);
        int64_t begin, end;
        finish_scores(d->y, b, row / a->queries, row % a->queries, key, n, x, NULL, &begin, &end);
        partial[a->value_width] = -INFINITY;
        partial[a->value_width + 1] = 0;
        loops->online_softmax(end - begin, x + begin, partial + a->value_width, partial + a->value_width + 1);
        memset(x, 0, (size_t)begin * sizeof *x);
        memset(x + end, 0, (size_t)(n - end) * sizeof *x);
    }
    memset(sums, 0, (size_t)(d->rows * a->value_width) * sizeof *sums);
    loops->add_weighted(&values, scores, SPAN, sums);
    for (int64_t row = 0; row < d->rows; row++)
        memcpy(partial_row(d, b, span, row), sums + row * a->value_width,
               (size_t)a->value_width * sizeof *sums);
}

static void merge_row(const struct decode *d, int64_t b, int64_t row)
{
    const struct attention *a = d->a;
    real largest = -INFINITY, total = 0;
    for (int64_t span = 0; span < d->spans; span++) {
        real x = partial_row(d, b, span, row)[a->value_width];
        largest = x > largest ? x : largest;
    }
    real *sum = partial_row(d, b, 0, row); /* the first span's place takes the whole */
    for (int64_t span = 0; span < d->spans; span++) {
        const real *partial = partial_row(d, b, span, row);
        real share = largest == -INFINITY ? 1 : (real)exp((double)(partial[a->value_width] - largest));
        total += share * partial[a->value_width + 1];
        for (int64_t i = 0; i < a->value_width; i++)
            sum[i] = (span ? sum[i] : 0) + share * partial[i];
    }
    finish_row(d->y, b, row / a->queries, row % a->queries, sum, largest, total);
}

void attention_decode(tensor *y)
{
    const struct attention *a = y->attributes;
    struct decode d = {.y = y, .a = a, .rows = a->heads * a->queries, .seen = seen_keys(a, 0, a->queries)};
    d.group = d.rows / a->key_heads;
    d.sink_spans = (d.seen.sinks + SPAN - 1) / SPAN;
    d.spans = larger(1, d.sink_spans + (d.seen.last - d.seen.first + SPAN - 1) / SPAN);
    int threads = threads_for(attention_work(a, a->width + a->value_width));
    size_t scores = (size_t)(d.rows * SPAN), each = scores + (size_t)(d.rows * a->value_width);
    d.queries = scratch_take(y->graph, (size_t)(a->batch * d.rows * a->width));
    d.partial = scratch_take(y->graph, (size_t)(a->batch * d.spans) * partial_size(&d));
    real *memory = scratch_take(y->graph, (size_t)threads * each);
    scale_queries(&d);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * d.spans; task++) {
        int64_t span = task % d.spans;
        bool sink = span < d.sink_spans;
        int64_t key = sink ? span * SPAN : d.seen.first + (span - d.sink_spans) * SPAN;
        int64_t n = smaller(SPAN, (sink ? d.seen.sinks : d.seen.last) - key);
        real *scratch = memory + (size_t)omp_get_thread_num() * each;
        attend_span(&d, task / d.spans, span, key, n, scratch, scratch + scores);
    }
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t row = 0; row < d.rows; row++)
            merge_row(&d, b, row);
    scratch_give(y->graph, memory);
    scratch_give(y->graph, d.partial);
    scratch_give(y->graph, d.queries);
}
