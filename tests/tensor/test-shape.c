#include "base/memory.h"
#include "gradient.h"
#include "tensor/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each function on x = [[1 2 3] [4 5 6]], and what it gives. */
struct example {
    const char *name;
    tensor *(*build)(tensor *x);
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    double values[24];
};

static tensor *reshape(tensor *x)
{
    return tensor_reshape(x, 3, SHAPE(3, -1, 2));
}

static tensor *reshape_of_transposed(tensor *x)
{
    return tensor_reshape(tensor_transpose(x, 0, 1), 1, SHAPE(6));
}

static tensor *permute(tensor *x)
{
    return tensor_permute(tensor_reshape(x, 3, SHAPE(1, 2, 3)), (const int[]){2, 0, -2});
}

static tensor *transpose(tensor *x)
{
    return tensor_transpose(x, 0, -1);
}

static tensor *slice(tensor *x)
{
    return tensor_slice(x, 1, 1, 2);
}

static tensor *slice_from_the_end(tensor *x)
{
    return tensor_slice(x, 1, -1, 1);
}

static tensor *slice_of_nothing(tensor *x)
{
    return tensor_slice(x, 1, 3, 0);
}

static tensor *slice_by_steps(tensor *x)
{
    return tensor_slice_step(x, 1, 0, 2, 2);
}

static tensor *slice_of_slices(tensor *x)
{
    return tensor_slice(tensor_slice(tensor_transpose(x, 0, 1), 0, 1, 2), 1, 1, 1);
}

static tensor *contiguous(tensor *x)
{
    return tensor_contiguous(tensor_transpose(x, 0, 1));
}

static tensor *concat_rows(tensor *x)
{
    return tensor_concat(2, (tensor *const[]){x, tensor_slice(x, 0, 0, 1)}, 0);
}

static tensor *concat_columns(tensor *x)
{
    return tensor_concat(2, (tensor *const[]){tensor_slice(x, 1, 2, 1), x}, -1);
}

static tensor *concat_many(tensor *x)
{
    tensor *parts[24];
    for (int i = 0; i < 24; i++)
        parts[i] = tensor_slice(tensor_slice(x, 0, i / 3 % 2, 1), 1, i % 3, 1);
    return tensor_concat(24, parts, 1);
}

static tensor *pad(tensor *x)
{
    return tensor_pad(x, 1, 1, 2, -1);
}

static tensor *pad_before(tensor *x)
{
    return tensor_pad(x, 0, 1, 0, 0.5);
}

static tensor *repeat(tensor *x)
{
    return tensor_repeat(x, 1, 2);
}

static tensor *repeat_rows(tensor *x)
{
    return tensor_repeat(x, 0, 2);
}

static tensor *repeat_interleave(tensor *x)
{
    return tensor_repeat_interleave(x, 1, 2);
}

static tensor *repeat_interleave_rows(tensor *x)
{
    return tensor_repeat_interleave(x, 0, 2);
}

static tensor *broadcast(tensor *x)
{
    return tensor_broadcast(tensor_slice(x, 0, 1, 1), 3, SHAPE(2, 2, 3));
}

static tensor *roll(tensor *x)
{
    return tensor_roll(x, 1, 1);
}

static tensor *roll_back(tensor *x)
{
    return tensor_roll(x, 1, -4);
}

static tensor *flip(tensor *x)
{
    return tensor_flip(x, 1);
}

static tensor *flip_of_flip(tensor *x)
{
    return tensor_flip(tensor_flip(x, 0), 1);
}

static tensor *shift(tensor *x)
{
    return tensor_shift(x, 1, 1);
}

static tensor *shift_back(tensor *x)
{
    return tensor_shift(x, 1, -2);
}

static tensor *shift_away(tensor *x)
{
    return tensor_shift(x, 0, 2);
}

static tensor *windows(tensor *x)
{
    return tensor_windows(x, 1, 2, 1);
}

static tensor *windows_apart(tensor *x)
{
    return tensor_windows(x, 0, 1, 1);
}

static const struct example examples[] = {
    {"reshape", reshape, 3, {3, 1, 2}, {1, 2, 3, 4, 5, 6}},
    {"reshape_of_transposed", reshape_of_transposed, 1, {6}, {1, 4, 2, 5, 3, 6}},
    {"permute", permute, 3, {3, 1, 2}, {1, 4, 2, 5, 3, 6}},
    {"transpose", transpose, 2, {3, 2}, {1, 4, 2, 5, 3, 6}},
    {"slice", slice, 2, {2, 2}, {2, 3, 5, 6}},
    {"slice_from_the_end", slice_from_the_end, 2, {2, 1}, {3, 6}},
    {"slice_of_nothing", slice_of_nothing, 2, {2, 0}, {0}},
    {"slice_by_steps", slice_by_steps, 2, {2, 2}, {1, 3, 4, 6}},
    {"slice_of_slices", slice_of_slices, 2, {2, 1}, {5, 6}},
    {"contiguous", contiguous, 2, {3, 2}, {1, 4, 2, 5, 3, 6}},
    {"concat_rows", concat_rows, 2, {3, 3}, {1, 2, 3, 4, 5, 6, 1, 2, 3}},
    {"concat_columns", concat_columns, 2, {2, 4}, {3, 1, 2, 3, 6, 4, 5, 6}},
    {"concat_many", concat_many, 2, {1, 24}, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6,
                                              1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}},
    {"pad", pad, 2, {2, 6}, {-1, 1, 2, 3, -1, -1, -1, 4, 5, 6, -1, -1}},
    {"pad_before", pad_before, 2, {3, 3}, {0.5, 0.5, 0.5, 1, 2, 3, 4, 5, 6}},
    {"repeat", repeat, 2, {2, 6}, {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}},
    {"repeat_rows", repeat_rows, 2, {4, 3}, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}},
    {"repeat_interleave", repeat_interleave, 2, {2, 6}, {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}},
    {"repeat_interleave_rows", repeat_interleave_rows, 2, {4, 3}, {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}},
    {"broadcast", broadcast, 3, {2, 2, 3}, {4, 5, 6, 4, 5, 6, 4, 5, 6, 4, 5, 6}},
    {"roll", roll, 2, {2, 3}, {3, 1, 2, 6, 4, 5}},
    {"roll_back", roll_back, 2, {2, 3}, {2, 3, 1, 5, 6, 4}},
    {"flip", flip, 2, {2, 3}, {3, 2, 1, 6, 5, 4}},
    {"flip_of_flip", flip_of_flip, 2, {2, 3}, {6, 5, 4, 3, 2, 1}},
    {"shift", shift, 2, {2, 3}, {0, 1, 2, 0, 4, 5}},
    {"shift_back", shift_back, 2, {2, 3}, {3, 0, 0, 6, 0, 0}},
    {"shift_away", shift_away, 2, {2, 3}, {0, 0, 0, 0, 0, 0}},
    {"windows", windows, 3, {2, 2, 2}, {1, 2, 2, 3, 4, 5, 5, 6}},
    {"windows_apart", windows_apart, 3, {2, 1, 3}, {1, 2, 3, 4, 5, 6}},
};

static tensor *build_example(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct example *example = argument;
    tensor *y = example->build(leaves[0]);
    bool same = y->rank == example->rank;
    for (int i = 0; same && i < y->rank; i++)
        same = y->shape[i] == example->shape[i];
    if (!same)
        graph_raise(graph, STATUS_USAGE, "%s has another shape", example->name);
    return y;
}

static void gives_the_documented_entries(void **state)
{
    real x[] = {1, 2, 3, 4, 5, 6};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 3}, .values = x}};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        int64_t size;
        print_message("# %s\n", examples[i].name);
        real *y = evaluate(build_example, &examples[i], leaves, 1, &size);
        expect_near(y, examples[i].values, size, 0);
        free(y);
    }
}

static void passes_gradients_back_to_where_entries_came_from(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 2, 3)};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        print_message("# %s\n", examples[i].name);
        check_gradients(build_example, &examples[i], leaves);
    }
}

/* ---- Large copies, which run on several threads and in squares ---- */

static tensor *transpose_large(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_contiguous(tensor_transpose(leaves[0], 1, 2));
}

static tensor *heads_first(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_contiguous(tensor_permute(leaves[0], (const int[]){1, 0, 2}));
}

static tensor *overlapping_windows(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_windows(leaves[0], 1, 7, 2);
}

static tensor *repeat_large(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_repeat_interleave(tensor_repeat(leaves[0], 0, 3), 2, 2);
}

static tensor *one_row_many_times(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_broadcast(leaves[0], 2, SHAPE(20000, 64));
}

static void copies_large_arrays(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(3, 3, 150, 97)};
    check_gradients(transpose_large, NULL, leaves);
    check_gradients(heads_first, NULL, leaves);
    check_gradients(overlapping_windows, NULL, leaves);
    check_gradients(repeat_large, NULL, leaves);
    struct gradient_leaf single_row[] = {LEAF(1, 64)}; /* whose gradients meet in one place */
    check_gradients(one_row_many_times, NULL, single_row);
    int64_t size;
    real *x = leaf_values(leaves, 0), *y = evaluate(transpose_large, NULL, leaves, 1, &size);
    for (int64_t i = 0; i < size; i++) {
        int64_t b = i / (150 * 97), row = i / 150 % 97, column = i % 150;
        assert_true(y[i] == x[(b * 150 + column) * 97 + row]);
    }
    free(x);
    free(y);
}

/* ---- Reshapes of views, at random ---- */

struct recipe {
    uint64_t number;
};

static uint64_t choose(const struct recipe *recipe, int *draw, uint64_t below)
{
    return random_integer(3, recipe->number, (uint64_t)(*draw)++, below);
}

/* Some order of axes, then a slice of each. */
static tensor *random_view(tensor *x, const struct recipe *recipe, int *draw)
{
    int axes[TENSOR_MAX_RANK] = {0, 1, 2, 3};
    for (int i = x->rank - 1; i > 0; i--) {
        int j = (int)choose(recipe, draw, (uint64_t)i + 1), axis = axes[i];
        axes[i] = axes[j];
        axes[j] = axis;
    }
    if (choose(recipe, draw, 2))
        x = tensor_permute(x, axes);
    for (int i = 0; i < x->rank; i++)
        if (choose(recipe, draw, 3) == 0) {
            int64_t length = 1 + (int64_t)choose(recipe, draw, (uint64_t)x->shape[i]);
            x = tensor_slice(x, i, (int64_t)choose(recipe, draw, (uint64_t)(x->shape[i] - length) + 1),
                             length);
        }
    return x;
}

static tensor *random_reshape(tensor *x, const struct recipe *recipe, int *draw)
{
    int64_t shape[TENSOR_MAX_RANK], left = tensor_size(x);
    int rank = 1 + (int)choose(recipe, draw, TENSOR_MAX_RANK);
    for (int i = 0; i < rank - 1; i++) {
        shape[i] = 1;
        for (int64_t factor = 2; factor <= 3; factor++)
            if (left % factor == 0 && choose(recipe, draw, 2)) {
                shape[i] *= factor;
                left /= factor;
            }
    }
    shape[rank - 1] = left;
    return tensor_reshape(x, rank, shape);
}

static tensor *build_view(struct graph *graph, tensor *const *leaves, const void *argument)
{
    int draw = 0;
    return random_view(leaves[0], argument, &draw);
}

static tensor *build_reshaped_view(struct graph *graph, tensor *const *leaves, const void *argument)
{
    int draw = 0;
    return random_reshape(random_view(leaves[0], argument, &draw), argument, &draw);
}

static void reshapes_any_view_in_row_major_order(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(4, 4, 3, 2, 6)};
    for (uint64_t number = 0; number < 500; number++) {
        struct recipe recipe = {number};
        int64_t size, reshaped_size;
        real *view = evaluate(build_view, &recipe, leaves, 1, &size);
        real *reshaped = evaluate(build_reshaped_view, &recipe, leaves, 1, &reshaped_size);
        assert_int_equal(size, reshaped_size);
        assert_memory_equal(view, reshaped, (size_t)size * sizeof(real));
        free(view);
        free(reshaped);
        if (number % 25 == 0)
            check_gradients(build_reshaped_view, &recipe, leaves);
    }
}

/* ---- Storage ---- */

static void shares_storage(struct graph *graph, void *argument)
{
    real values[24] = {0};
    tensor *x = tensor_leaf(graph, values, 3, SHAPE(2, 3, 4), false);
    assert_ptr_equal(tensor_reshape(x, 2, SHAPE(6, 4))->base, x);
    assert_ptr_equal(tensor_reshape(x, 4, SHAPE(2, 1, 3, 4))->base, x);
    assert_ptr_equal(tensor_transpose(x, 0, 2)->base, x);
    assert_ptr_equal(tensor_slice(x, 1, 1, 2)->base, x);
    assert_ptr_equal(tensor_stop_gradient(x), x);
    assert_ptr_equal(tensor_contiguous(x), x);
    tensor *heads =
        tensor_reshape(tensor_slice(x, 2, 0, 2), 2, SHAPE(6, 2)); /* [2, 3] joined under a short last axis */
    assert_ptr_equal(heads->base, x);
    assert_ptr_not_equal(tensor_reshape(tensor_transpose(x, 0, 1), 1, SHAPE(24))->base, x);
}

static void views_share_storage(void **state)
{
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    struct error error = ERROR_INIT;
    assert_true(graph_protect(graph, shares_storage, NULL, &error));
    graph_free(graph);
    pool_free(pool);
}

/* ---- Gradient control ---- */

static tensor *stopped(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_multiply(tensor_stop_gradient(leaves[0]), leaves[1]);
}

static tensor *straight_through(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_straight_through(tensor_round(leaves[0]), leaves[0]);
}

static void stops_gradients(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(1, 4), LEAF(1, 4)};
    leaves[0].fixed = true;
    check_gradients(stopped, NULL, leaves);

    real a[] = {1, 2}, b[] = {3, 4};
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    tensor *x[] = {tensor_leaf(graph, a, 1, SHAPE(2), true), tensor_leaf(graph, b, 1, SHAPE(2), true)};
    tensor *y = graph_keep(stopped(graph, x, NULL)), *z = graph_keep(straight_through(graph, x + 1, NULL));
    b[1] = (real)3.6;
    graph_run(graph);
    graph_seed(y, (const real[]){5, 7});
    graph_seed(z, (const real[]){100, 200});
    graph_backward(graph);
    assert_true(x[0]->gradient == NULL);
    assert_true(x[1]->gradient[0] == 5 + 100 && x[1]->gradient[1] == 14 + 200);
    assert_true(z->data[0] == 3 && z->data[1] == 4);
    graph_free(graph);
    pool_free(pool);
}

/* ---- Refusals ---- */

static tensor *reshape_to_seven(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_reshape(leaves[0], 1, SHAPE(7));
}

static tensor *reshape_with_a_remainder(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_reshape(leaves[0], 2, SHAPE(4, -1));
}

static tensor *reshape_to_seven_axes(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_reshape(leaves[0], 7, SHAPE(1, 1, 1, 1, 1, 2, 3));
}

static tensor *reshape_with_two_free_axes(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_reshape(leaves[0], 3, SHAPE(-1, -1, 6));
}

static tensor *permute_twice_the_same(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_permute(leaves[0], (const int[]){1, 1});
}

static tensor *slice_beyond(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_slice(leaves[0], 1, 2, 2);
}

static tensor *slice_far_beyond(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_slice_step(leaves[0], 1, 1, INT64_MAX, INT64_MAX);
}

static tensor *sum_of_axis_two(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_sum(leaves[0], 2);
}

static tensor *concat_of_misfits(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_concat(2, (tensor *const[]){leaves[0], tensor_transpose(leaves[0], 0, 1)}, 0);
}

static tensor *windows_too_long(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_windows(leaves[0], 0, 3, 1);
}

static tensor *broadcast_to_less(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_broadcast(leaves[0], 2, SHAPE(2, 4));
}

static tensor *pad_by_a_negative(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_pad(leaves[0], 0, -1, 0, 0);
}

static tensor *full_of_too_much(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_broadcast(leaves[0], 4, SHAPE(INT64_MAX / 8, 2, 2, 3));
}

static void refuses_what_does_not_fit(void **state)
{
    static const struct {
        gradient_build build;
        const char *message;
    } refusals[] = {
        {reshape_to_seven, "reshape: expected a tensor of as many elements as the new shape, got [2, 3]"},
        {reshape_with_a_remainder,
         "reshape: expected a tensor of as many elements as the new shape, got [2, 3]"},
        {reshape_to_seven_axes, "reshape: rank 7 is outside 1 to 6"},
        {reshape_with_two_free_axes, "reshape: expected at most one free axis, got [2, 3]"},
        {permute_twice_the_same, "permute: expected each axis once, got [2, 3]"},
        {slice_beyond, "slice: 2 entries from 2 by 1 are outside axis 1 of [2, 3]"},
        {slice_far_beyond,
         "slice: 9223372036854775807 entries from 1 by 9223372036854775807 are outside axis 1 of [2, 3]"},
        {sum_of_axis_two, "axis 2 is outside a tensor of shape [2, 3]"},
        {concat_of_misfits, "concat: expected parts that differ along one axis only, got [3, 2]"},
        {windows_too_long, "windows: expected an axis at least as long as a window, got [2, 3]"},
        {broadcast_to_less, "broadcast: expected lengths equal to the result's or 1, got [2, 3]"},
        {pad_by_a_negative, "pad: expected a padding that is not negative, got [2, 3]"},
        {full_of_too_much, "copy: a shape is negative or too large"},
    };
    struct gradient_leaf leaves[] = {LEAF(2, 2, 3)};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        assert_string_equal(raised_message(refusals[i].build, NULL, leaves), refusals[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_documented_entries),
        cmocka_unit_test(passes_gradients_back_to_where_entries_came_from),
        cmocka_unit_test(copies_large_arrays),
        cmocka_unit_test(reshapes_any_view_in_row_major_order),
        cmocka_unit_test(views_share_storage),
        cmocka_unit_test(stops_gradients),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
