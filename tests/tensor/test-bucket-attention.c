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

struct bucket_case {
    const char *name;
    int64_t batch, queries, keys, heads, width, value_width;
    bool each_batch, each_head; /* have buckets of their own */
    struct bucket_attention_options options;
};

/* Buckets of `length` places, some of none. */
static tensor *buckets_of(struct graph *graph, const struct bucket_case *c, int64_t length, uint64_t random)
{
    const int64_t shape[] = {c->each_batch ? c->batch : 1, c->each_head ? c->heads : 1, length};
    tensor *buckets = tensor_constant(graph, NULL, 3, shape);
    for (int64_t i = 0; i < tensor_size(buckets); i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        buckets->data[i] = (real)((int64_t)(random >> 33) % (c->options.buckets + 1) - 1);
    }
    return buckets;
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct bucket_case *c = argument;
    return tensor_bucket_attention(leaves[0], leaves[1], leaves[2], buckets_of(graph, c, c->queries, 1),
                                   buckets_of(graph, c, c->keys, 2), &c->options);
}

/* The same by scores of all pairs. */
static tensor *build_whole(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct bucket_case *c = argument;
    tensor *of_query = buckets_of(graph, c, c->queries, 1), *of_key = buckets_of(graph, c, c->keys, 2);
    int64_t batch = of_query->shape[0], heads = of_query->shape[1];
    of_query = tensor_reshape(of_query, 4, SHAPE(batch, heads, c->queries, 1));
    of_key = tensor_reshape(of_key, 4, SHAPE(batch, heads, 1, c->keys));
    tensor *seen =
        tensor_multiply(tensor_equal(of_query, of_key), tensor_greater(of_key, tensor_scalar(graph, -0.5)));
    if (c->options.causal) {
        tensor *t =
            tensor_reshape(tensor_range(graph, c->options.offset, c->queries, 1), 2, SHAPE(c->queries, 1));
        seen = tensor_multiply(seen,
                               tensor_greater(tensor_affine(t, 1, 0.5), tensor_range(graph, 0, c->keys, 1)));
    }
    double scale = c->options.scale != 0 ? c->options.scale : 1 / sqrt((double)c->width);
    tensor *scores = tensor_matmul_nt(tensor_transpose(leaves[0], 1, 2), tensor_transpose(leaves[1], 1, 2));
    scores = tensor_where(seen, tensor_scale(scores, scale), tensor_scalar(graph, -INFINITY));
    return tensor_transpose(tensor_matmul(tensor_softmax(scores, 3), tensor_transpose(leaves[2], 1, 2)), 1,
                            2);
}

static const struct bucket_case cases[] = {
    {"one bucket", 2, 9, 9, 2, 4, 4, .options = {.buckets = 1, .causal = true}},
    {"causal", 2, 13, 13, 2, 5, 3, true, true, .options = {.buckets = 3, .causal = true}},
    {"not its own key", 1, 17, 17, 3, 4, 4, false, true,
     .options = {.buckets = 4, .causal = true, .offset = -1}},
    {"all of the bucket", 2, 11, 17, 2, 4, 6, true, false, .options = {.buckets = 3, .scale = 0.3}},
    {"keys before the queries", 1, 7, 15, 2, 4, 4, true, true,
     .options = {.buckets = 2, .causal = true, .offset = 8}},
    {"one query", 2, 1, 15, 2, 4, 4, true, true, .options = {.buckets = 2, .causal = true, .offset = 14}},
    {"more buckets than tokens", 1, 5, 5, 2, 4, 4, true, true, .options = {.buckets = 40, .causal = true}},
    {"more than a tile and a panel", 1, 150, 310, 2, 4, 4, true, true,
     .options = {.buckets = 2, .causal = true, .offset = 160}},
};
enum { CASES = sizeof cases / sizeof *cases };

static void follows_the_definition(void **state)
{
    for (int i = 0; i < CASES; i++) {
        const struct bucket_case *c = &cases[i];
        const struct gradient_leaf leaves[] = {LEAF(4, c->batch, c->queries, c->heads, c->width),
                                               LEAF(4, c->batch, c->keys, c->heads, c->width),
                                               LEAF(4, c->batch, c->keys, c->heads, c->value_width)};
        int64_t size;
        print_message("# %s\n", c->name);
        real *got = evaluate(build, c, leaves, 3, &size), *whole = evaluate(build_whole, c, leaves, 3, &size);
        double *want = memory_allocate((size_t)size * sizeof *want);
        for (int64_t j = 0; j < size; j++)
            want[j] = (double)whole[j];
        expect_near(got, want, size, value_tolerance);
        check_gradients(build, c, leaves);
        free(got);
        free(whole);
        free(want);
    }
}

static tensor *build_given(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_bucket_attention(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4], argument);
}

static void refuses_what_does_not_fit(void **state)
{
    struct bucket_attention_options options = {.buckets = 2};
    static const real places[] = {0, 2, 1, -1};
    struct gradient_leaf leaves[] = {LEAF(4, 1, 4, 2, 4),
                                     LEAF(4, 1, 4, 2, 4),
                                     LEAF(4, 1, 4, 2, 4),
                                     {.rank = 3, .shape = {1, 1, 4}, .values = places, .fixed = true},
                                     {.rank = 3, .shape = {1, 1, 4}, .values = places, .fixed = true}};
    assert_string_equal(raised_message(build_given, &options, leaves),
                        "bucket_attention: 2 is not one of the 2 buckets");
    options.buckets = 0;
    assert_string_equal(raised_message(build_given, &options, leaves),
                        "bucket_attention: 0 buckets, expected 1 or more");
    options.buckets = 3;
    leaves[3].shape[2] = 3;
    assert_string_equal(raised_message(build_given, &options, leaves),
                        "bucket_attention: buckets [1, 1, 3], expected [1 or 1, 2 or 1, 4]");
    leaves[2].shape[2] = 1;
    assert_string_equal(
        raised_message(build_given, &options, leaves),
        "bucket_attention: keys [1, 4, 2, 4] and values [1, 4, 1, 4] do not fit queries [1, 4, 2, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_definition),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
