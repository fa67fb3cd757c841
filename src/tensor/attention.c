/* Softmax attention: the node, and which keys its queries see. */
#include "tensor/attention.h"
#include "tensor/loops/attention.h"
#include "tensor/loops/rows.h"
#include <math.h>

/* What the query at one position among the keys sees; sinks may reach into the range. Each bound grows with
 * the position. */
static struct seen_keys bounds_at(const struct attention *a, int64_t position)
{
    const struct attention_options *o = &a->options;
    int64_t bound = o->causal ? smaller(a->keys, position + 1) : a->keys;
    struct seen_keys seen = {smaller(o->sinks, bound), 0, bound};
    if (o->sink_span > 0) {
        seen.sinks = smaller(seen.sinks, (position + o->start + o->sink_inclusive) / o->sink_span);
        seen.first = o->sinks;
    }
    if (o->window > 0) {
        seen.first = larger(seen.first, position - o->window + 1);
        seen.last = smaller(seen.last, position + o->window);
    }
    if (o->block > 0) {
        int64_t block = (position + o->start) / o->block;
        seen.first = larger(seen.first, (block - o->look_backward) * o->block - o->start);
        seen.last = smaller(seen.last, (block + o->look_forward + 1) * o->block - o->start);
    }
    seen.first = smaller(seen.first, seen.last);
    return seen;
}

struct seen_keys seen_keys(const struct attention *a, int64_t query, int64_t count)
{
    int64_t position = a->options.offset + query;
    struct seen_keys seen = bounds_at(a, position);
    if (count > 1) {
        struct seen_keys newest = bounds_at(a, position + count - 1);
        seen.sinks = newest.sinks;
        seen.last = newest.last;
    }
    if (seen.sinks >= seen.first) {
        seen.last = larger(seen.last, seen.sinks);
        seen.first = seen.sinks = 0;
    }
    return seen;
}

double attention_work(const struct attention *a, int64_t width)
{
    double pairs = 0;
    for (int64_t t = 0; t < a->queries; t++) {
        struct seen_keys seen = seen_keys(a, t, 1);
        pairs += (double)(seen.sinks + seen.last - seen.first);
    }
    return pairs * (double)(a->batch * a->heads) * (double)width;
}

/* ---- Rows of scores ---- */

/* x[s] += values[distance - s], where entries past the last one take the last. */
static void add_distances(int64_t n, int64_t distance, const real *values, int64_t count, real *x)
{
    int64_t far = smaller(n, larger(0, distance - (count - 1))); /* keys at least as far as the last entry */
    for (int64_t s = 0; s < far && values[count - 1] != 0; s++)
        x[s] += values[count - 1];
    if (far < n)
        attention_loops()->add_reversed(n - far, values + distance - far, x + far);
}

void finish_scores(const tensor *y, int64_t b, int64_t head, int64_t query, int64_t key, int64_t n,
                   real *scores, real *slope, int64_t *begin, int64_t *end)
{
    const struct attention *a = y->attributes;
    struct seen_keys seen = seen_keys(a, query, 1);
    int64_t sinks = smaller(seen.sinks - key, n);
    int64_t first = larger(0, smaller(seen.first - key, n)),
            last = larger(first, smaller(seen.last - key, n));
    *begin = sinks > 0 ? 0 : first;
    *end = last > first ? last : larger(sinks, *begin);
    int64_t length = *end - *begin;
    if (a->options.soft_cap > 0)
        attention_loops()->soft_cap(length, (real)a->options.soft_cap, scores + *begin,
                                    slope ? slope + *begin : NULL);
    if (a->bias) {
        const tensor *bias = y->inputs[a->bias];
        const real *row = bias->data;
        const int64_t at[] = {b, head, query};
        for (int i = 0; i < 3; i++)
            row += bias->shape[i] == 1 ? 0 : at[i] * bias->stride[i];
        row_loops()->add(length, row + key + *begin, scores + *begin);
    }
    if (a->distance_bias) {
        const tensor *bias = y->inputs[a->distance_bias];
        int64_t distance = query + a->options.offset - (key + *begin);
        add_distances(length, distance, bias->data + distance_row(bias, b, head, query),
                      tensor_length(bias, -1), scores + *begin);
    }
    for (int64_t s = larger(sinks, *begin); s < smaller(first, *end); s++)
        scores[s] = -INFINITY;
}

void weigh_scores(int64_t count, real *scores, int64_t width, real *sums, real *largest, real *total)
{
    real change = attention_loops()->online_softmax(count, scores, largest, total);
    if (change != 1)
        attention_loops()->scale(width, change, sums);
}

void write_row(tensor *y, int64_t b, int64_t head, int64_t query, const real *sum, real shrink, real largest,
               real total)
{
    real factor = total == 0 ? 0 : shrink / total;
    real *row = head_rows(y, y->data, b, query, head);
    for (int64_t i = 0; i < y->shape[3]; i++)
        row[i] = factor * sum[i];
    if (y->next_output)
        y->next_output->data[(b * y->shape[2] + head) * y->shape[1] + query] =
            total == 0 ? INFINITY : largest + (real)log((double)total);
}

void finish_row(tensor *y, int64_t b, int64_t head, int64_t query, const real *sum, real largest, real total)
{
    const struct attention *a = y->attributes;
    real shrink = 1;
    if (a->sink_logits) {
        const tensor *sinks = y->inputs[a->sink_logits];
        real sink = sinks->data[head * sinks->stride[0]];
        real top = sink > largest ? sink : largest;
        if (top > -INFINITY) {
            shrink = (real)exp((double)(largest - top));
            total = total * shrink + (real)exp((double)(sink - top));
            largest = top;
        }
    }
    write_row(y, b, head, query, sum, shrink, largest, total);
}

/* ---- Packed keys ---- */

real *pack_panels(const tensor *y, const tensor *x)
{
    const struct attention *a = y->attributes;
    int64_t width = x->shape[3], panels = panel_count(a), heads = a->key_heads;
    real *packed = scratch_take(y->graph, (size_t)(a->batch * heads * panels * width * a->panel));
    struct seen_keys seen = seen_keys(a, 0, a->queries);
#pragma omp parallel for num_threads(threads_for((double)tensor_size(x))) schedule(static)
    for (int64_t task = 0; task < a->batch * heads * panels; task++) {
        int64_t b = task / (heads * panels), head = task / panels % heads, key = task % panels * a->panel;
        int64_t n = smaller(a->panel, a->keys - key);
        if (key < seen.sinks || (key < seen.last && key + n > seen.first))
            attention_loops()->transpose(n, width, head_rows(x, x->data, b, key, head), x->stride[1],
                                         packed + task * width * a->panel, a->panel);
    }
    return packed;
}

/* ---- The node ---- */

static void forward(tensor *y)
{
    const struct attention *a = y->attributes;
    if (a->queries <= DECODE_QUERIES)
        attention_decode(y);
    else
        attention_forward(y);
}

static const struct operation attention_operation = {"attention", forward, attention_backward,
                                                     SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) |
                                                         SAVES_INPUT(3) | SAVES_INPUT(4) | SAVES_INPUT(5) |
                                                         SAVES_OUTPUT,
                                                     false};

/* Keys for which a product with a query tile has at most 10^6 multiply-adds: OpenBLAS does those without
 * copying its operands, on current processors a fifth faster. */
static int64_t choose_panel(int64_t width)
{
    int64_t most = 1000000 / QUERY_TILE / larger(width, 1) / 16 * 16;
    return larger(16, smaller(PANEL_MAX, most));
}

/* The bias as [B or 1, H or 1, T or 1, S]. */
static tensor *full_bias(const struct attention *a, tensor *bias)
{
    const int64_t whole[] = {a->batch, a->heads, a->queries, a->keys};
    int64_t shape[4] = {1, 1, 1, 1};
    bool fits = bias->rank <= 4;
    for (int i = 0; fits && i < bias->rank; i++) {
        int axis = 4 - bias->rank + i;
        shape[axis] = bias->shape[i];
        fits = shape[axis] == whole[axis] || shape[axis] == 1;
    }
    if (!fits)
        graph_raise(bias->graph, STATUS_USAGE,
                    "attention: bias %s does not broadcast to [%lld, %lld, %lld, %lld]", shape_text(bias),
                    (long long)whole[0], (long long)whole[1], (long long)whole[2], (long long)whole[3]);
    if (bias->rank < 4)
        bias = tensor_reshape(bias, 4, shape);
    if (shape[3] != a->keys) {
        shape[3] = a->keys;
        bias = tensor_broadcast(bias, 4, shape);
    }
    return with_contiguous_rows(bias);
}

static void check_shapes(const tensor *q, const tensor *k, const tensor *v)
{
    require(q->rank == 4, q, "attention", "queries [B, T, H, d]");
    bool keys_fit = k->rank == 4 && k->shape[0] == q->shape[0] && k->shape[3] == q->shape[3] &&
                    k->shape[2] > 0 && q->shape[2] % k->shape[2] == 0;
    if (!keys_fit)
        graph_raise(q->graph, STATUS_USAGE, "attention: keys %s do not fit queries %s", shape_text(k),
                    shape_text(q));
    bool values_fit = v->rank == 4 && v->shape[0] == k->shape[0] && v->shape[1] == k->shape[1] &&
                      v->shape[2] == k->shape[2];
    if (!values_fit)
        graph_raise(q->graph, STATUS_USAGE, "attention: values %s do not fit keys %s", shape_text(v),
                    shape_text(k));
}

static void check_options(const tensor *q, const struct attention_options *o)
{
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"offset", o->offset},
                  {"window", o->window},
                  {"block", o->block},
                  {"look_backward", o->look_backward},
                  {"look_forward", o->look_forward},
                  {"sinks", o->sinks},
                  {"sink_span", o->sink_span}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < 0)
            graph_raise(q->graph, STATUS_USAGE, "attention: %s is %lld, expected 0 or more", counts[i].name,
                        (long long)counts[i].value);
    if (o->start < -o->offset)
        graph_raise(q->graph, STATUS_USAGE, "attention: start is %lld, expected -offset (%lld) or more",
                    (long long)o->start, (long long)-o->offset);
    if (o->sink_span && !o->causal)
        graph_raise(q->graph, STATUS_USAGE, "attention: sink_span takes causal attention");
    if (!(o->soft_cap >= 0))
        graph_raise(q->graph, STATUS_USAGE, "attention: soft_cap is %g, expected 0 or more", o->soft_cap);
    if (o->distance_bias) {
        if (!o->causal)
            graph_raise(q->graph, STATUS_USAGE, "attention: distance_bias takes causal attention");
        const tensor *bias = o->distance_bias;
        bool of_heads = bias->rank == 2 && (bias->shape[0] == q->shape[2] || bias->shape[0] == 1);
        bool of_queries = bias->rank == 4 && bias->shape[0] == q->shape[0] && bias->shape[1] == q->shape[2] &&
                          bias->shape[2] == q->shape[1];
        require((of_heads || of_queries) && tensor_length(bias, -1) > 0, bias, "attention",
                "distance_bias [H or 1, N] or [B, H, T, N]");
    }
    if (o->sink_logits)
        require(o->sink_logits->rank == 1 && o->sink_logits->shape[0] == q->shape[2], o->sink_logits,
                "attention", "sink_logits [H]");
}

/* No sequence is as long; so positions can be added and multiplied without a thought for overflow. */
static void bound_reach(struct attention_options *o)
{
    const int64_t most = (int64_t)1 << 30;
    o->window = smaller(o->window, most);
    o->block = smaller(o->block, most);
    o->look_backward = smaller(o->look_backward, most);
    o->look_forward = smaller(o->look_forward, most);
    o->offset = smaller(o->offset, most);
    o->start = smaller(o->start, most);
}

void add_log_sums(tensor *y, tensor **log_sum)
{
    if (!y->needs_gradient && !log_sum)
        return;
    tensor *sums = node_add_output(y, 3, SHAPE(y->shape[0], y->shape[2], y->shape[1]));
    if (log_sum)
        *log_sum = sums;
}

tensor *tensor_attention(tensor *q, tensor *k, tensor *v, const struct attention_options *options)
{
    check_shapes(q, k, v);
    check_options(q, options);
    struct attention a = {.batch = q->shape[0],
                          .queries = q->shape[1],
                          .keys = k->shape[1],
                          .heads = q->shape[2],
                          .key_heads = k->shape[2],
                          .width = q->shape[3],
                          .value_width = v->shape[3],
                          .options = *options};
    bound_reach(&a.options);
    a.panel = choose_panel(larger(a.width, a.value_width));
    if (a.options.scale == 0)
        a.options.scale = 1 / sqrt((double)larger(a.width, 1));
    tensor *inputs[6] = {with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v)};
    /* Gradients of queries and of keys are added in an order of their own each, so not in one place. */
    if (inputs[0] == inputs[1] && q->needs_gradient)
        inputs[0] = tensor_add(q, tensor_scalar(q->graph, 0));
    int count = 3;
    if (options->bias)
        inputs[a.bias = count++] = full_bias(&a, options->bias);
    if (options->distance_bias)
        inputs[a.distance_bias = count++] = with_contiguous_rows(options->distance_bias);
    if (options->sink_logits)
        inputs[a.sink_logits = count++] = options->sink_logits;
    tensor *y = node_create(q->graph, &attention_operation, 4,
                            SHAPE(a.batch, a.queries, a.heads, a.value_width), count, inputs, &a, sizeof a);
    add_log_sums(y, options->log_sum);
    node_count(y, 2 * attention_work(&a, a.width + a.value_width),
               -1); /* recomputed scores are not counted */
    return y;
}
