#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double value_tolerance = 1e-12;
#else
static const double value_tolerance = 1e-5;
#endif

struct sparse_case {
    const char *name;
    int64_t batch, queries, keys, heads, key_heads, width, value_width, listed;
    bool list_each_batch, list_each_head;
    struct sparse_attention_options options;
    int seed; /* of the lists */
};

static int64_t blocks_of(int64_t length, int64_t block)
{
    return (length + block - 1) / block;
}

/* Lists with repeated, missing and unordered blocks. */
static real *lists_of(const struct sparse_case *c, int64_t *shape)
{
    shape[0] = c->list_each_batch ? c->batch : 1;
    shape[1] = c->list_each_head ? c->heads : 1;
    shape[2] = blocks_of(c->queries, c->options.query_block);
    shape[3] = c->listed;
    int64_t size = shape[0] * shape[1] * shape[2] * shape[3],
            blocks = blocks_of(c->keys, c->options.key_block);
    real *lists = memory_allocate((size_t)size * sizeof *lists);
    uint64_t random = (uint64_t)c->seed + 1;
    for (int64_t i = 0; i < size; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        lists[i] = (real)((int64_t)(random >> 33) % (blocks + 1) - 1);
    }
    return lists;
}

static int leaves_of(const struct sparse_case *c, struct gradient_leaf *leaves)
{
    leaves[0] = (struct gradient_leaf)LEAF(4, c->batch, c->queries, c->heads, c->width);
    leaves[1] = (struct gradient_leaf)LEAF(4, c->batch, c->keys, c->key_heads, c->width);
    leaves[2] = (struct gradient_leaf)LEAF(4, c->batch, c->keys, c->key_heads, c->value_width);
    return 3;
}

static tensor *record(struct graph *graph, tensor *const *leaves, const struct sparse_case *c,
                      tensor **log_sum)
{
    int64_t shape[4];
    real *lists = lists_of(c, shape);
    tensor *listed = tensor_constant(graph, lists, 4, shape);
    free(lists);
    struct sparse_attention_options options = c->options;
    options.log_sum = log_sum;
    return tensor_sparse_attention(leaves[0], leaves[1], leaves[2], listed, &options);
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return record(graph, leaves, argument, NULL);
}

/* With the log sums, an empty row's infinity made finite. */
static tensor *build_with_sums(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *log_sum, *y = record(graph, leaves, argument, &log_sum);
    tensor *empty = tensor_equal(log_sum, tensor_scalar(graph, INFINITY));
    return gradient_join(2, (tensor *[]){y, tensor_where(empty, tensor_scalar(graph, 7), log_sum)});
}

static tensor *build_sums(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *log_sum;
    record(graph, leaves, argument, &log_sum);
    return log_sum;
}

static double score(const struct sparse_case *c, const real *q, const real *k)
{
    double sum = 0;
    for (int64_t i = 0; i < c->width; i++)
        sum += (double)q[i] * (double)k[i];
    return sum * (c->options.scale != 0 ? c->options.scale : 1 / sqrt((double)c->width));
}

/* One row by the definition; weights[s] counts how often key s is listed. */
static void attend_row(const struct sparse_case *c, real *const *inputs, const real *list, int64_t b,
                       int64_t h, int64_t t, double *y)
{
    int64_t group = h / (c->heads / c->key_heads), blocks = c->options.key_block;
    const real *q = inputs[0] + ((b * c->queries + t) * c->heads + h) * c->width;
    double total = 0;
    for (int64_t i = 0; i < c->value_width; i++)
        y[i] = 0;
    for (int64_t s = 0; s < c->keys; s++) {
        int64_t times = 0;
        for (int64_t i = 0; i < c->listed; i++)
            times += (int64_t)list[i] == s / blocks;
        if (!times || (c->options.causal && s > t + c->options.offset))
            continue;
        int64_t row = (b * c->keys + s) * c->key_heads + group;
        double weight = (double)times * exp(score(c, q, inputs[1] + row * c->width));
        total += weight;
        for (int64_t i = 0; i < c->value_width; i++)
            y[i] += weight * (double)inputs[2][row * c->value_width + i];
    }
    for (int64_t i = 0; total > 0 && i < c->value_width; i++)
        y[i] /= total;
}

static void expect_definition(const struct sparse_case *c)
{
    struct gradient_leaf leaves[3];
    real *inputs[3];
    int64_t size, shape[4];
    int count = leaves_of(c, leaves);
    real *got = evaluate(build, c, leaves, count, &size), *lists = lists_of(c, shape);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int i = 0; i < 3; i++)
        inputs[i] = leaf_values(leaves, i);
    for (int64_t row = 0; row < c->batch * c->queries * c->heads; row++) {
        int64_t b = row / c->heads / c->queries, t = row / c->heads % c->queries, h = row % c->heads;
        int64_t place = (shape[0] > 1 ? b : 0) * shape[1] + (shape[1] > 1 ? h : 0);
        attend_row(c, inputs, lists + (place * shape[2] + t / c->options.query_block) * shape[3], b, h, t,
                   want + row * c->value_width);
    }
    expect_near(got, want, size, value_tolerance);
    for (int i = 0; i < 3; i++)
        free(inputs[i]);
    free(want);
    free(lists);
    free(got);
}

static const struct sparse_case cases[] = {
    {"blocks", 2, 13, 13, 2, 2, 5, 5, 3, .options = {.query_block = 4, .key_block = 4}},
    {"causal blocks", 2, 13, 13, 2, 2, 5, 3, 4, false, true,
     .options = {.query_block = 4, .key_block = 4, .causal = true}},
    {"other blocks of keys", 1, 11, 17, 4, 2, 4, 6, 3, true, true,
     .options = {.query_block = 5, .key_block = 2, .scale = 0.3}},
    {"each query its keys", 2, 9, 9, 2, 1, 5, 5, 4, true, true,
     .options = {.query_block = 1, .key_block = 1, .causal = true}},
    {"two queries", 1, 9, 14, 1, 1, 5, 5, 6,
     .options = {.query_block = 2, .key_block = 3, .causal = true, .offset = 5}},
    {"keys after the queries", 1, 9, 6, 1, 1, 5, 5, 6,
     .options = {.query_block = 4, .key_block = 1, .causal = true, .offset = -3}},
    {"nothing listed", 1, 5, 6, 1, 1, 3, 3, 1, .options = {.query_block = 2, .key_block = 9}},
    {"more than a panel", 1, 140, 300, 2, 1, 8, 8, 9, .options = {.query_block = 70, .key_block = 30}},
    {"large blocks", 1, 150, 300, 2, 1, 8, 8, 2,
     .options = {.query_block = 75, .key_block = 150, .causal = true, .offset = 150}},
    {"many single keys", 1, 70, 300, 2, 2, 8, 8, 150, false, true,
     .options = {.query_block = 1, .key_block = 1}},
};
enum { CASES = sizeof cases / sizeof *cases };

static void follows_the_definition(void **state)
{
    for (int i = 0; i < CASES; i++)
        for (int seed = 0; seed < 3; seed++) {
            struct sparse_case c = cases[i];
            c.seed = seed;
            print_message("# %s\n", c.name);
            expect_definition(&c);
        }
}

static void has_gradients(void **state)
{
    for (int i = 0; i < CASES; i++) {
        struct gradient_leaf leaves[3];
        int count = leaves_of(&cases[i], leaves);
        print_message("# %s\n", cases[i].name);
        check_gradients_at(__FILE__, __LINE__, build, &cases[i], leaves, count);
        if (cases[i].keys < 100) /* differences of more terms say little in single precision */
            check_gradients_at(__FILE__, __LINE__, build_with_sums, &cases[i], leaves, count);
    }
}

static void has_gradients_of_log_sums_alone(void **state)
{
    struct sparse_case c = {"",       1, 9, 9, 2, 1, 5, 5, 9, .options = {.query_block = 1, .key_block = 9},
                            .seed = 3};
    struct gradient_leaf leaves[3];
    int count = leaves_of(&c, leaves);
    check_gradients_at(__FILE__, __LINE__, build_sums, &c, leaves, count);
}

/* ---- Joined parts ---- */

enum { PARTS = 3 };

/* Keys cut in parts, one of which most queries do not see: the same as attention over all of them. */
static tensor *build_joined(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const bool whole = argument != NULL;
    if (whole)
        return tensor_attention(leaves[0], leaves[1], leaves[2],
                                &(struct attention_options){.causal = true, .offset = 2});
    static const int64_t first[PARTS + 1] = {0, 4, 9, 15};
    tensor *parts[PARTS], *sums[PARTS];
    for (int i = 0; i < PARTS; i++) {
        struct attention_options options = {.causal = true, .log_sum = &sums[i]};
        tensor *q = leaves[0], *k = tensor_slice(leaves[1], 1, first[i], first[i + 1] - first[i]),
               *v = tensor_slice(leaves[2], 1, first[i], first[i + 1] - first[i]);
        options.offset = 2 - first[i];
        if (options.offset < 0) { /* queries that come before the part see none of it */
            tensor *nothing = tensor_full(graph, 0, 4, SHAPE(1, 9, 2, 4));
            k = tensor_concat(2, (tensor *[]){nothing, k}, 1);
            v = tensor_concat(2, (tensor *[]){nothing, v}, 1);
            options.offset += 9;
            options.bias = tensor_pad(tensor_full(graph, 0, 4, SHAPE(1, 1, 1, first[i + 1] - first[i])), 3, 9,
                                      0, -INFINITY);
        }
        parts[i] = tensor_attention(q, k, v, &options);
    }
    return tensor_join_attention(PARTS, parts, sums);
}

static void joins_parts_exactly(void **state)
{
    static const bool whole = true;
    const struct gradient_leaf leaves[] = {LEAF(4, 1, 13, 2, 4), LEAF(4, 1, 15, 2, 4), LEAF(4, 1, 15, 2, 4)};
    int64_t size;
    real *got = evaluate(build_joined, NULL, leaves, 3, &size),
         *want = evaluate(build_joined, &whole, leaves, 3, &size);
    double *wanted = memory_allocate((size_t)size * sizeof *wanted);
    for (int64_t i = 0; i < size; i++)
        wanted[i] = (double)want[i];
    expect_near(got, wanted, size, value_tolerance);
    check_gradients(build_joined, NULL, leaves);
    free(got);
    free(want);
    free(wanted);
}

/* ---- Refusals ---- */

static tensor *build_listed(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_sparse_attention(leaves[0], leaves[1], leaves[2], leaves[3], argument);
}

static void refuses_what_does_not_fit(void **state)
{
    struct sparse_attention_options options = {.query_block = 4, .key_block = 4};
    static const real places[] = {0, 2, 1};
    struct gradient_leaf leaves[] = {LEAF(4, 1, 9, 2, 4),
                                     LEAF(4, 1, 8, 2, 4),
                                     LEAF(4, 1, 8, 2, 4),
                                     {.rank = 4, .shape = {1, 1, 3, 1}, .values = places, .fixed = true}};
    assert_string_equal(raised_message(build_listed, &options, leaves),
                        "sparse_attention: block 2 is not one of the 2 blocks of keys");
    options.query_block = 2;
    assert_string_equal(raised_message(build_listed, &options, leaves),
                        "sparse_attention: lists [1, 1, 3, 1], expected [1 or 1, 2 or 1, 5, any number]");
    options.key_block = 0;
    assert_string_equal(raised_message(build_listed, &options, leaves),
                        "sparse_attention: blocks of 2 queries and 0 keys, expected 1 or more");
    leaves[2].shape[2] = 1;
    assert_string_equal(
        raised_message(build_listed, &options, leaves),
        "sparse_attention: keys [1, 8, 2, 4] and values [1, 8, 1, 4] do not fit queries [1, 9, 2, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_definition),          cmocka_unit_test(has_gradients),
        cmocka_unit_test(has_gradients_of_log_sums_alone), cmocka_unit_test(joins_parts_exactly),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
