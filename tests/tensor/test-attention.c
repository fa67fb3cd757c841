#include "base/memory.h"
#include "gradient.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double value_tolerance = 1e-12;
#else
static const double value_tolerance = 1e-5;
#endif

enum { BIAS_RANK = 4, MAX_INPUTS = 6 };

/* One attention: sizes, options, and which of the optional inputs it has. */
struct attention_case {
    const char *name;
    int64_t batch, queries, keys, heads, key_heads, width,
        value_width; /* 0: 2, 9, queries, 2, heads, 5, width */
    struct attention_options options;
    int64_t bias[BIAS_RANK]; /* its shape; all 0: none */
    int64_t distance[2];     /* the shape of distance_bias */
    bool by_query;           /* distance_bias is [B, H, T, distance[1]] */
    bool sinks;              /* has sink_logits */
    double reach;            /* q and k are drawn from -reach to reach; 0: 1 */
};

static struct attention_case filled(struct attention_case c)
{
    c.batch = c.batch ? c.batch : 2;
    c.queries = c.queries ? c.queries : 9;
    c.keys = c.keys ? c.keys : c.queries;
    c.heads = c.heads ? c.heads : 2;
    c.key_heads = c.key_heads ? c.key_heads : c.heads;
    c.width = c.width ? c.width : 5;
    c.value_width = c.value_width ? c.value_width : c.width;
    return c;
}

static int leaves_of(const struct attention_case *c, struct gradient_leaf *leaves)
{
    const struct gradient_leaf qkv[] = {LEAF(4, c->batch, c->queries, c->heads, c->width),
                                        LEAF(4, c->batch, c->keys, c->key_heads, c->width),
                                        LEAF(4, c->batch, c->keys, c->key_heads, c->value_width)};
    int count = 3;
    memcpy(leaves, qkv, sizeof qkv);
    for (int i = 0; i < 2 && c->reach > 0; i++) {
        leaves[i].low = -c->reach;
        leaves[i].high = c->reach;
    }
    if (c->bias[0])
        leaves[count++] = (struct gradient_leaf)LEAF(4, c->bias[0], c->bias[1], c->bias[2], c->bias[3]);
    if (c->distance[0] && c->by_query)
        leaves[count++] = (struct gradient_leaf)LEAF(4, c->batch, c->distance[0], c->queries, c->distance[1]);
    else if (c->distance[0])
        leaves[count++] = (struct gradient_leaf)LEAF(2, c->distance[0], c->distance[1]);
    if (c->sinks)
        leaves[count++] = (struct gradient_leaf)LEAF(1, c->heads);
    return count;
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct attention_case *c = argument;
    struct attention_options options = c->options;
    int next = 3;
    options.bias = c->bias[0] ? leaves[next++] : NULL;
    options.distance_bias = c->distance[0] ? leaves[next++] : NULL;
    options.sink_logits = c->sinks ? leaves[next] : NULL;
    return tensor_attention(leaves[0], leaves[1], leaves[2], &options);
}

/* ---- The definition, entry by entry ---- */

static bool sees(const struct attention_case *c, int64_t query, int64_t key)
{
    const struct attention_options *o = &c->options;
    int64_t position = query + o->offset;
    if (o->causal && key > position)
        return false;
    if (key < o->sinks)
        return !o->sink_span || (key + 1) * o->sink_span <= position + o->start + o->sink_inclusive;
    if (o->window && llabs(position - key) >= o->window)
        return false;
    if (o->block) {
        int64_t apart = (key + o->start) / o->block - (position + o->start) / o->block;
        if (apart < -o->look_backward || apart > o->look_forward)
            return false;
    }
    return true;
}

static double bias_entry(const struct attention_case *c, const real *bias, int64_t b, int64_t h, int64_t t,
                         int64_t s)
{
    const int64_t at[BIAS_RANK] = {b, h, t, s};
    int64_t place = 0;
    for (int i = 0; i < BIAS_RANK; i++)
        place = place * c->bias[i] + (c->bias[i] == 1 ? 0 : at[i]);
    return (double)bias[place];
}

static double score(const struct attention_case *c, real *const *inputs, int64_t b, int64_t h, int64_t t,
                    int64_t s)
{
    const struct attention_options *o = &c->options;
    int64_t g = h / (c->heads / c->key_heads);
    const real *q = inputs[0] + ((b * c->queries + t) * c->heads + h) * c->width;
    const real *k = inputs[1] + ((b * c->keys + s) * c->key_heads + g) * c->width;
    double product = 0;
    for (int64_t i = 0; i < c->width; i++)
        product += (double)q[i] * (double)k[i];
    product *= o->scale != 0 ? o->scale : 1 / sqrt((double)c->width);
    if (o->soft_cap > 0)
        product = o->soft_cap * tanh(product / o->soft_cap);
    int next = 3;
    if (c->bias[0])
        product += bias_entry(c, inputs[next++], b, h, t, s);
    if (c->distance[0]) {
        int64_t distance = t + o->offset - s, last = c->distance[1] - 1;
        int64_t row = c->by_query ? (b * c->heads + h) * c->queries + t : c->distance[0] == 1 ? 0 : h;
        product += (double)inputs[next][row * (last + 1) + (distance < last ? distance : last)];
    }
    return product;
}

static void attend_row(const struct attention_case *c, real *const *inputs, int64_t b, int64_t h, int64_t t,
                       double *y)
{
    int64_t g = h / (c->heads / c->key_heads);
    double *scores = memory_allocate((size_t)c->keys * sizeof *scores), largest = -INFINITY, total = 0;
    double sink = c->sinks ? (double)inputs[3 + (c->bias[0] > 0) + (c->distance[0] > 0)][h] : -INFINITY;
    for (int64_t s = 0; s < c->keys; s++) {
        scores[s] = sees(c, t, s) ? score(c, inputs, b, h, t, s) : -INFINITY;
        largest = fmax(largest, scores[s]);
    }
    largest = fmax(largest, sink);
    if (c->sinks)
        total = exp(sink - largest);
    for (int64_t s = 0; s < c->keys; s++)
        total += scores[s] > -INFINITY ? exp(scores[s] - largest) : 0;
    for (int64_t i = 0; i < c->value_width; i++)
        y[i] = 0;
    for (int64_t s = 0; s < c->keys; s++)
        for (int64_t i = 0; scores[s] > -INFINITY && i < c->value_width; i++)
            y[i] += exp(scores[s] - largest) / total *
                    (double)inputs[2][((b * c->keys + s) * c->key_heads + g) * c->value_width + i];
    free(scores);
}

static void expect_definition(const struct attention_case *given)
{
    struct attention_case c = filled(*given);
    struct gradient_leaf leaves[MAX_INPUTS];
    real *inputs[MAX_INPUTS];
    int count = leaves_of(&c, leaves);
    int64_t size;
    real *got = evaluate(build, &c, leaves, count, &size);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int i = 0; i < count; i++)
        inputs[i] = leaf_values(leaves, i);
    for (int64_t row = 0; row < c.batch * c.queries * c.heads; row++)
        attend_row(&c, inputs, row / c.heads / c.queries, row % c.heads, row / c.heads % c.queries,
                   want + row * c.value_width);
    expect_near(got, want, size, value_tolerance);
    for (int i = 0; i < count; i++)
        free(inputs[i]);
    free(want);
    free(got);
}

/* The result and the log sums, an empty row's infinity made finite. */
static tensor *build_with_sums(struct graph *graph, tensor *const *leaves, const void *argument)
{
    struct attention_case c = *(const struct attention_case *)argument;
    tensor *log_sum;
    c.options.log_sum = &log_sum;
    tensor *y = build(graph, leaves, &c), *empty = tensor_equal(log_sum, tensor_scalar(graph, INFINITY));
    return gradient_join(2, (tensor *[]){y, tensor_where(empty, tensor_scalar(graph, 7), log_sum)});
}

static void expect_gradients(const struct attention_case *given)
{
    struct attention_case c = filled(*given);
    struct gradient_leaf leaves[MAX_INPUTS];
    int count = leaves_of(&c, leaves);
    check_gradients_at(__FILE__, __LINE__, build, &c, leaves, count);
    if (c.keys < 100) /* differences of more terms say little in single precision */
        check_gradients_at(__FILE__, __LINE__, build_with_sums, &c, leaves, count);
}

/* ---- Cases ---- */

static const struct attention_case option_cases[] = {
    {"bidirectional", 0},
    {"causal", .options.causal = true},
    {"a scale", .options = {.causal = true, .scale = 0.3}},
    {"fewer queries than keys", .queries = 5, .keys = 12},
    {"more queries than keys", .queries = 12, .keys = 5, .options.causal = true},
    {"cached keys", .queries = 5, .keys = 12, .options = {.causal = true, .offset = 7}},
    {"many queries after cached keys", .queries = 11, .keys = 30, .options = {.causal = true, .offset = 19}},
    {"values wider than keys", .width = 3, .value_width = 7, .options.causal = true},
    {"values narrower than keys", .width = 7, .value_width = 2},
    {"groups of heads", .heads = 6, .key_heads = 2, .options.causal = true},
    {"one key head", .heads = 3, .key_heads = 1, .queries = 13},
    {"a window", .options = {.causal = true, .window = 3}},
    {"a window of one", .options = {.causal = true, .window = 1}},
    {"a window to both sides", .queries = 12, .options.window = 3},
    {"blocks", .queries = 11, .options = {.causal = true, .block = 4}},
    {"blocks that look backward", .queries = 14, .options = {.causal = true, .block = 4, .look_backward = 1}},
    {"blocks that look to both sides", .queries = 14,
     .options = {.block = 3, .look_backward = 1, .look_forward = 1}},
    {"blocks counted from a later start", .queries = 14, .options = {.causal = true, .block = 4, .start = 3}},
    {"a window within blocks", .queries = 14,
     .options = {.causal = true, .window = 3, .block = 5, .look_backward = 1}},
    {"sinks", .queries = 14, .options = {.causal = true, .window = 3, .sinks = 2}},
    {"sinks to both sides", .queries = 14, .options = {.window = 2, .sinks = 3}},
    {"sinks before blocks", .queries = 14, .options = {.causal = true, .block = 4, .sinks = 1}},
    {"a soft cap", .options = {.causal = true, .soft_cap = 0.7, .scale = 1}},
    {"sink logits", .sinks = true, .options = {.causal = true, .window = 2}},
    {"a bias", .bias = {2, 2, 9, 9}},
    {"a bias for all heads", .bias = {2, 1, 9, 9}},
    {"a bias for the batch", .bias = {1, 2, 9, 9}, .options.causal = true},
    {"a bias for batch and heads", .bias = {1, 1, 9, 9}},
    {"a bias for all queries", .bias = {2, 1, 1, 9}},
    {"a bias by key only", .bias = {1, 1, 1, 9}, .options.causal = true},
    {"a bias by query only", .bias = {1, 2, 9, 1}},
    {"distance biases", .distance = {2, 9}, .options.causal = true},
    {"short distance biases", .distance = {2, 4}, .options.causal = true},
    {"one row of distance biases", .distance = {1, 3}, .queries = 11, .keys = 15,
     .options = {.causal = true, .offset = 4}},
    {"distance biases with a window and sinks", .distance = {2, 6}, .queries = 14,
     .options = {.causal = true, .window = 3, .sinks = 2}},
    {"distance biases of each query", .distance = {2, 5}, .by_query = true, .options.causal = true},
    {"distance biases of each query after others", .distance = {4, 20}, .by_query = true, .queries = 11,
     .keys = 30, .heads = 4, .key_heads = 2, .options = {.causal = true, .offset = 19, .window = 9}},
    {"sinks that sum up what came before", .queries = 14, .keys = 18,
     .options = {.causal = true, .offset = 4, .start = -4, .block = 6, .sinks = 4, .sink_span = 3}},
    {"sinks that their last token sees", .queries = 14, .keys = 18,
     .options = {.causal = true,
                 .offset = 4,
                 .start = -4,
                 .block = 6,
                 .sinks = 4,
                 .sink_span = 3,
                 .sink_inclusive = true}},
    {"sinks that sum up before the newest queries", .queries = 5, .keys = 24,
     .options = {.causal = true,
                 .offset = 19,
                 .start = 1,
                 .block = 4,
                 .look_backward = 1,
                 .sinks = 10,
                 .sink_span = 2}},
    {"sinks that sum up without blocks", .queries = 12, .keys = 15,
     .options = {.causal = true, .offset = 3, .start = -3, .window = 4, .sinks = 3, .sink_span = 4}},
    {"everything", .queries = 14, .keys = 17, .heads = 4, .key_heads = 2, .bias = {1, 4, 14, 17},
     .distance = {4, 5}, .sinks = true,
     .options = {.causal = true, .offset = 3, .window = 5, .sinks = 2, .soft_cap = 0.8}},
    {"rows that see nothing", .queries = 12, .keys = 4,
     .options = {.causal = true, .offset = 2, .window = 3}},
    {"rows that see nothing but a sink", .queries = 12, .keys = 4, .sinks = true,
     .options = {.causal = true, .window = 3}},
};
enum { OPTION_CASES = sizeof option_cases / sizeof *option_cases };

static void follows_the_definition_with_every_option(void **state)
{
    for (int i = 0; i < OPTION_CASES; i++) {
        print_message("# %s\n", option_cases[i].name);
        expect_definition(&option_cases[i]);
    }
}

static void has_the_gradient_of_every_option(void **state)
{
    for (int i = 0; i < OPTION_CASES; i++) {
        print_message("# %s\n", option_cases[i].name);
        expect_gradients(&option_cases[i]);
    }
}

/* Around the sizes of query tiles, panels of keys, decoding and its spans. */
static void follows_the_definition_at_every_length(void **state)
{
    static const int64_t lengths[] = {1, 2, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct attention_case c = {.batch = 1, .queries = lengths[i], .width = 16, .options.causal = true};
        expect_definition(&c);
        c.options = (struct attention_options){.causal = true, .window = 50, .sinks = 3};
        expect_definition(&c);
        c.options = (struct attention_options){.window = 70};
        expect_definition(&c);
        c.options =
            (struct attention_options){.block = 48, .look_backward = 1, .look_forward = 1, .sinks = 20};
        expect_definition(&c);
    }
}

static void follows_the_definition_at_every_width(void **state)
{
    static const int64_t widths[] = {1, 3, 16, 31, 32, 64, 65, 128, 200, 256};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int few = 0; few < 2; few++) {
            int64_t queries = few ? 3 : 70, keys = 150;
            struct attention_case c = {.batch = 1,
                                       .queries = queries,
                                       .keys = keys,
                                       .heads = 4,
                                       .key_heads = 2,
                                       .width = widths[i],
                                       .options = {.causal = true, .offset = keys - queries}};
            expect_definition(&c);
        }
}

static void decodes_over_many_keys(void **state)
{
    static const int64_t keys[] = {1, 255, 256, 257, 600, 2048};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct attention_case c = {.queries = 1,
                                   .keys = keys[i],
                                   .heads = 4,
                                   .key_heads = 2,
                                   .width = 8,
                                   .options = {.causal = true, .offset = keys[i] - 1}};
        expect_definition(&c);
        c.sinks = true;
        c.options.window = 300;
        c.options.sinks = 4;
        expect_definition(&c);
        c.options.soft_cap = 0.5;
        c.distance[0] = 4;
        c.distance[1] = 100;
        expect_definition(&c);
    }
}

/* More than one query tile and panel; the checker also compares numbers of threads bit by bit. */
static void has_gradients_across_tiles(void **state)
{
    static const struct attention_case cases[] = {
        {"causal", .batch = 1, .queries = 150, .width = 16, .options.causal = true},
        {"one key head", .batch = 1, .queries = 140, .heads = 3, .key_heads = 1, .width = 8,
         .options.causal = true},
        {"a window and sinks", .batch = 1, .queries = 300, .heads = 1, .width = 8,
         .options = {.causal = true, .window = 40, .sinks = 3}},
        {"sinks over a panel", .batch = 1, .queries = 400, .heads = 1, .width = 4,
         .options = {.causal = true, .window = 10, .sinks = 140}},
        {"sinks that sum up what came before", .batch = 1, .queries = 300, .keys = 450, .heads = 1,
         .width = 4,
         .options = {.causal = true,
                     .offset = 150,
                     .start = -150,
                     .block = 20,
                     .look_backward = 1,
                     .sinks = 150,
                     .sink_span = 2}},
        {"distance biases of each query", .batch = 2, .queries = 140, .heads = 1, .width = 4,
         .distance = {1, 30}, .by_query = true, .options.causal = true},
        {"a window to both sides", .batch = 1, .queries = 300, .heads = 1, .width = 8,
         .options = {.window = 70}},
        {"blocks", .batch = 1, .queries = 300, .heads = 1, .width = 8,
         .options = {.block = 50, .look_backward = 1, .look_forward = 1, .sinks = 5}},
        {"cached keys", .batch = 1, .queries = 70, .keys = 333, .width = 4,
         .options = {.causal = true, .offset = 263}},
        {"a bias for all heads", .batch = 3, .queries = 70, .keys = 140, .heads = 4, .width = 4,
         .bias = {1, 1, 70, 140}},
        {"a bias of each head", .batch = 1, .queries = 70, .keys = 140, .width = 4, .bias = {1, 2, 70, 140}},
        {"distance biases", .batch = 1, .queries = 140, .width = 4, .distance = {1, 30},
         .options.causal = true},
        {"few queries over many keys", .batch = 1, .queries = 3, .keys = 700, .width = 8,
         .options = {.causal = true, .offset = 697}},
        {"wide heads", .batch = 1, .queries = 70, .heads = 1, .width = 200, .options.causal = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("# %s\n", cases[i].name);
        expect_gradients(&cases[i]);
    }
}

static void takes_large_scores(void **state)
{
    struct attention_case c = {.queries = 70, .width = 4, .reach = 30, .options.causal = true};
    struct attention_case few = {.queries = 3, .keys = 300, .width = 4, .reach = 30};
    struct gradient_leaf leaves[MAX_INPUTS];
    const struct attention_case cases[] = {filled(c), filled(few)};
    for (int i = 0; i < 2; i++) {
        int count = leaves_of(&cases[i], leaves);
        int64_t size;
        real *y = evaluate(build, &cases[i], leaves, count, &size);
        for (int64_t j = 0; j < size; j++)
            assert_true(fabs((double)y[j]) <= 1); /* as the values, of which it is a mean */
        free(y);
    }
}

/* ---- Unseen keys ---- */

/* A case whose bias has the given values. */
struct masked {
    struct attention_case c;
    const real *bias;
};

static tensor *build_masked(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct masked *masked = argument;
    struct attention_options options = masked->c.options;
    options.bias = tensor_constant(graph, masked->bias, 4, masked->c.bias);
    return tensor_attention(leaves[0], leaves[1], leaves[2], &options);
}

static void gives_zeros_where_the_bias_masks_a_row(void **state)
{
    for (int64_t queries = 6; queries <= 12; queries += 6) { /* decoded, tiled */
        struct masked masked = {
            .c = filled((struct attention_case){.batch = 1, .queries = queries, .heads = 1})};
        real *bias = memory_allocate_zero((size_t)(queries * queries), sizeof *bias);
        for (int64_t s = 0; s < queries; s++)
            bias[2 * queries + s] = (real)-INFINITY; /* all of row 2 */
        bias[4 * queries + 1] = (real)-INFINITY;     /* one key of row 4 */
        const int64_t shape[] = {1, 1, queries, queries};
        memcpy(masked.c.bias, shape, sizeof shape);
        masked.bias = bias;
        struct gradient_leaf leaves[MAX_INPUTS];
        leaves_of(&masked.c, leaves);
        int64_t size, width = masked.c.value_width;
        real *y = evaluate(build_masked, &masked, leaves, 3, &size);
        for (int64_t i = 0; i < size; i++)
            assert_true(i / width == 2 ? y[i] == 0 : y[i] != 0 && isfinite(y[i]));
        check_gradients_at(__FILE__, __LINE__, build_masked, &masked, leaves, 3);
        free(y);
        free(bias);
    }
}

/* Keys that no tile sees are not even read. */
static void leaves_far_keys_alone(void **state)
{
    static const int64_t query_counts[] = {1, 8, 64, 100};
    enum { KEYS = 1000, WINDOW = 20, WIDTH = 4, SINKS = 2 };
    real *k = memory_allocate(KEYS * WIDTH * sizeof *k);
    for (size_t n = 0; n < sizeof query_counts / sizeof *query_counts; n++) {
        int64_t queries = query_counts[n], first = KEYS - queries - WINDOW - 16;
        for (int64_t i = 0; i < KEYS * WIDTH; i++)
            k[i] = i < SINKS * WIDTH || i >= first * WIDTH ? (real)0.25 : (real)NAN;
        struct attention_case c = filled((struct attention_case){
            .batch = 1,
            .queries = queries,
            .keys = KEYS,
            .heads = 1,
            .width = WIDTH,
            .options = {.causal = true, .offset = KEYS - queries, .window = WINDOW, .sinks = SINKS}});
        struct gradient_leaf leaves[MAX_INPUTS];
        leaves_of(&c, leaves);
        leaves[1].values = leaves[2].values = k;
        int64_t size;
        real *y = evaluate(build, &c, leaves, 3, &size);
        for (int64_t i = 0; i < size; i++)
            assert_true(fabs((double)y[i] - 0.25) < 1e-6);
        free(y);
    }
    free(k);
}

static void counts_only_seen_pairs(void **state)
{
    static const struct {
        struct attention_options options;
        double pairs;
    } cases[] = {{{0}, 10 * 10},
                 {{.causal = true}, 10 * 11 / 2},
                 {{.causal = true, .window = 3}, 1 + 2 + 3 * 8},
                 {{.causal = true, .window = 3, .sinks = 1}, 1 + 2 + 3 + 4 * 7},
                 {{.causal = true, .block = 5}, 2 * 5 * 6 / 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool *pool = pool_create();
        struct graph *graph = graph_create(pool, true);
        real data[10 * 8] = {0};
        tensor *q = tensor_leaf(graph, data, 4, SHAPE(1, 10, 2, 4), true);
        tensor *k = tensor_leaf(graph, data, 4, SHAPE(1, 10, 2, 4), true);
        tensor_attention(q, k, k, &cases[i].options);
        assert_true(graph_cost(graph).flops == 2 * 2 * (4 + 4) * cases[i].pairs);
        assert_true(graph_cost(graph).backward_flops == 2 * graph_cost(graph).flops);
        graph_free(graph);
        pool_free(pool);
    }
}

static void takes_no_queries_and_no_keys(void **state)
{
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    real data[40] = {1}, seed[40] = {1};
    tensor *some = tensor_leaf(graph, data, 4, SHAPE(1, 10, 1, 4), true);
    tensor *none = tensor_leaf(graph, data, 4, SHAPE(1, 0, 1, 4), true);
    tensor *two = tensor_slice(some, 1, 0, 2);
    const struct attention_options options = {.causal = true};
    tensor *without_queries = graph_keep(tensor_attention(none, some, some, &options));
    tensor *without_keys = graph_keep(tensor_attention(some, none, none, &options));
    tensor *decoded = graph_keep(tensor_attention(two, none, none, &options));
    graph_run(graph);
    assert_int_equal(tensor_size(without_queries), 0);
    for (int i = 0; i < 40; i++)
        assert_true(without_keys->data[i] == 0);
    for (int i = 0; i < 8; i++)
        assert_true(decoded->data[i] == 0);
    graph_seed(without_keys, seed);
    graph_seed(decoded, seed);
    graph_backward(graph);
    for (int i = 0; i < 40; i++)
        assert_true(!some->gradient || some->gradient[i] == 0);
    graph_free(graph);
    pool_free(pool);
}

/* ---- Misuse ---- */

static void refuses_shapes_that_do_not_fit(void **state)
{
    const struct {
        struct attention_case c;
        const char *message;
    } cases[] = {
        {{.heads = 4, .key_heads = 3}, "attention: keys [2, 9, 3, 5] do not fit queries [2, 9, 4, 5]"},
        {{.bias = {1, 3, 9, 9}}, "attention: bias [1, 3, 9, 9] does not broadcast to [2, 2, 9, 9]"},
        {{.distance = {2, 3}}, "attention: distance_bias takes causal attention"},
        {{.distance = {3, 3}, .options.causal = true},
         "attention: expected distance_bias [H or 1, N] or [B, H, T, N], got [3, 3]"},
        {{.options = {.start = -1}}, "attention: start is -1, expected -offset (0) or more"},
        {{.options.sink_span = 2}, "attention: sink_span takes causal attention"},
        {{.options.window = -1}, "attention: window is -1, expected 0 or more"},
        {{.options.soft_cap = -1}, "attention: soft_cap is -1, expected 0 or more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attention_case c = filled(cases[i].c);
        struct gradient_leaf leaves[MAX_INPUTS];
        int count = leaves_of(&c, leaves);
        assert_string_equal(raised_message_at(__FILE__, __LINE__, build, &c, leaves, count),
                            cases[i].message);
    }
}

static void takes_options_without_end(void **state)
{
    const struct attention_options all = {.causal = true,
                                          .window = INT64_MAX,
                                          .block = INT64_MAX,
                                          .look_backward = INT64_MAX,
                                          .look_forward = INT64_MAX,
                                          .sinks = INT64_MAX};
    expect_definition(&(struct attention_case){.queries = 12, .options.causal = true});
    struct attention_case c = filled((struct attention_case){.queries = 12, .options = all});
    struct gradient_leaf leaves[MAX_INPUTS];
    int64_t size;
    int count = leaves_of(&c, leaves);
    real *with = evaluate(build, &c, leaves, count, &size);
    c.options = (struct attention_options){.causal = true};
    real *without = evaluate(build, &c, leaves, count, &size);
    assert_memory_equal(with, without, (size_t)size * sizeof(real));
    free(with);
    free(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_definition_with_every_option),
        cmocka_unit_test(follows_the_definition_at_every_length),
        cmocka_unit_test(follows_the_definition_at_every_width),
        cmocka_unit_test(decodes_over_many_keys),
        cmocka_unit_test(has_the_gradient_of_every_option),
        cmocka_unit_test(has_gradients_across_tiles),
        cmocka_unit_test(takes_large_scores),
        cmocka_unit_test(gives_zeros_where_the_bias_masks_a_row),
        cmocka_unit_test(leaves_far_keys_alone),
        cmocka_unit_test(counts_only_seen_pairs),
        cmocka_unit_test(takes_no_queries_and_no_keys),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
        cmocka_unit_test(takes_options_without_end),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
