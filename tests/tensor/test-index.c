#include "base/memory.h"
#include "gradient.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A function of a table or source (leaf 0) and indices (leaf 1). */
struct request {
    int axis;
    int64_t length; /* of scatter_add's result; 0: gather */
};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct request *request = argument;
    return request->length ? tensor_scatter_add(leaves[0], request->axis, leaves[1], request->length)
                           : tensor_gather(leaves[0], request->axis, leaves[1]);
}

static int64_t size_of(int rank, const int64_t *shape)
{
    int64_t size = 1;
    for (int i = 0; i < rank; i++)
        size *= shape[i];
    return size;
}

/* The place in an array of this shape, along an axis of which `at` replaces the index, of entry `number` of
 * an array whose shape is `walked`; lengths of 1 are shared. */
static int64_t place_of(int rank, const int64_t *walked, int64_t number, const int64_t *shape, int axis,
                        int64_t at)
{
    int64_t index[TENSOR_MAX_RANK], place = 0;
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = number % walked[i];
        number /= walked[i];
    }
    for (int i = 0; i < rank; i++)
        place = place * shape[i] + (i == axis && at >= 0 ? at : shape[i] == 1 ? 0 : index[i]);
    return place;
}

/* By the definition, in double precision. */
static void expect_definition(const struct request *request, const struct gradient_leaf *leaves)
{
    const struct gradient_leaf *table = &leaves[0], *indices = &leaves[1];
    int rank = table->rank, axis = request->axis;
    int64_t walked[TENSOR_MAX_RANK], shape[TENSOR_MAX_RANK], size; /* of the chosen entries; of the result */
    memcpy(walked, table->shape, sizeof walked);
    memcpy(shape, table->shape, sizeof shape);
    walked[axis] = indices->shape[axis];
    shape[axis] = request->length ? request->length : indices->shape[axis];
    real *x = leaf_values(leaves, 0), *index = leaf_values(leaves, 1),
         *y = evaluate(build, request, leaves, 2, &size);
    assert_int_equal(size, size_of(rank, shape));
    double *want = memory_allocate_zero((size_t)size, sizeof *want);
    for (int64_t i = 0; i < size_of(rank, walked); i++) {
        int64_t chosen = (int64_t)index[place_of(rank, walked, i, indices->shape, -1, -1)];
        if (request->length)
            want[place_of(rank, walked, i, shape, axis, chosen)] += (double)x[i];
        else
            want[i] = (double)x[place_of(rank, walked, i, table->shape, axis, chosen)];
    }
    expect_near(y, want, size, sizeof(real) == 4 ? 1e-6 : 1e-13);
    free(x);
    free(index);
    free(y);
    free(want);
}

/* Indices of every way of sharing, drawn below `below`. */
static void check_both(struct gradient_leaf table, struct gradient_leaf indices, int axis)
{
    int64_t below = table.shape[axis], n = size_of(indices.rank, indices.shape);
    real *drawn = memory_allocate((size_t)n * sizeof(real));
    random_fill_integers(1, 9, 0, n, (uint64_t)below, drawn);
    indices.values = drawn;
    indices.fixed = true;
    struct gradient_leaf gathered[] = {table, indices};
    expect_definition(&(struct request){axis, 0}, gathered);
    check_gradients(build, &((struct request){axis, 0}), gathered);

    struct gradient_leaf source = table;
    source.shape[axis] = indices.shape[axis];
    struct gradient_leaf scattered[] = {source, indices};
    expect_definition(&(struct request){axis, below}, scattered);
    check_gradients(build, &((struct request){axis, below}), scattered);
    free(drawn);
}

static void gathers_and_adds_along_every_axis(void **state)
{
    check_both((struct gradient_leaf)LEAF(1, 6), (struct gradient_leaf)LEAF(1, 9), 0);
    struct gradient_leaf table = LEAF(4, 3, 2, 4, 5);
    for (int axis = 0; axis < 4; axis++)
        for (int sharing = 0; sharing < 16; sharing++) {
            struct gradient_leaf indices = {.rank = 4};
            for (int i = 0; i < 4; i++)
                indices.shape[i] = i == axis ? 3 : sharing >> i & 1 ? 1 : table.shape[i];
            check_both(table, indices, axis);
        }
}

static void gathers_and_adds_large_arrays_in_parallel(void **state)
{
    check_both((struct gradient_leaf)LEAF(2, 50, 300), (struct gradient_leaf)LEAF(2, 400, 1), 0);
    check_both((struct gradient_leaf)LEAF(3, 2, 200, 130), (struct gradient_leaf)LEAF(3, 2, 150, 130), 1);
    check_both((struct gradient_leaf)LEAF(3, 20, 30, 64), (struct gradient_leaf)LEAF(3, 20, 30, 40), 2);
}

static tensor *build_rows(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_rows(leaves[0], leaves[1]);
}

static void looks_up_rows(void **state)
{
    real ids[] = {2, 0, 2, 3, 1, 2};
    struct gradient_leaf leaves[] = {LEAF(2, 4, 5),
                                     {.rank = 2, .shape = {2, 3}, .values = ids, .fixed = true}};
    int64_t size;
    real *table = leaf_values(leaves, 0), *y = evaluate(build_rows, NULL, leaves, 2, &size);
    assert_int_equal(size, 30);
    for (int i = 0; i < 6; i++)
        assert_memory_equal(y + 5 * i, table + 5 * (int)ids[i], 5 * sizeof(real));
    free(table);
    free(y);
    check_gradients(build_rows, NULL, leaves);
    struct gradient_leaf vector[] = {LEAF(1, 4), leaves[1]}, cube[] = {LEAF(3, 4, 2, 3), leaves[1]};
    check_gradients(build_rows, NULL, vector);
    check_gradients(build_rows, NULL, cube);
}

static tensor *build_one_hot(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_one_hot(leaves[0], 3);
}

static void marks_one_class_each(void **state)
{
    real ids[] = {2, 0, 1, 2};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 2}, .values = ids, .fixed = true}};
    int64_t size;
    real *y = evaluate(build_one_hot, NULL, leaves, 1, &size);
    const double want[] = {0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1};
    assert_int_equal(size, 12);
    expect_near(y, want, size, 0);
    free(y);
    check_gradients(build_one_hot, NULL, leaves);
}

static void refuses_indices_outside(void **state)
{
    static const struct {
        double index;
        const char *gather, *one_hot;
    } refusals[] = {
        {3, "gather: index 3 (number 1 of [1, 2]) is not a whole number from 0 to 2",
         "one_hot: index 3 (number 1 of [1, 2]) is not a whole number from 0 to 2"},
        {-1, "gather: index -1 (number 1 of [1, 2]) is not a whole number from 0 to 2",
         "one_hot: index -1 (number 1 of [1, 2]) is not a whole number from 0 to 2"},
        {0.5, "gather: index 0.5 (number 1 of [1, 2]) is not a whole number from 0 to 2",
         "one_hot: index 0.5 (number 1 of [1, 2]) is not a whole number from 0 to 2"},
        {INFINITY, "gather: index inf (number 1 of [1, 2]) is not a whole number from 0 to 2",
         "one_hot: index inf (number 1 of [1, 2]) is not a whole number from 0 to 2"},
        {NAN, "gather: index nan (number 1 of [1, 2]) is not a whole number from 0 to 2",
         "one_hot: index nan (number 1 of [1, 2]) is not a whole number from 0 to 2"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        real ids[] = {1, (real)refusals[i].index};
        struct gradient_leaf leaves[] = {LEAF(2, 4, 3), {.rank = 2, .shape = {1, 2}, .values = ids}};
        assert_string_equal(raised_message(build, &((struct request){1, 0}), leaves), refusals[i].gather);
        struct gradient_leaf alone[] = {leaves[1]};
        assert_string_equal(raised_message(build_one_hot, NULL, alone), refusals[i].one_hot);
    }
    real ids[] = {5};
    struct gradient_leaf leaves[] = {LEAF(2, 4, 3), {.rank = 1, .shape = {1}, .values = ids}};
    assert_string_equal(raised_message(build_rows, NULL, leaves),
                        "rows: index 5 (number 0 of [1, 1]) is not a whole number from 0 to 3");
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    struct gradient_leaf rank[] = {LEAF(2, 4, 3), LEAF(1, 3)}, length[] = {LEAF(2, 4, 3), LEAF(2, 2, 3)};
    assert_string_equal(raised_message(build, &((struct request){1, 0}), rank),
                        "gather: expected indices of as many dimensions as the tensor, got [3]");
    assert_string_equal(
        raised_message(build, &((struct request){1, 0}), length),
        "gather: expected indices with lengths equal to the tensor's or 1 beside the axis, got [2, 3]");
    assert_string_equal(
        raised_message(build, &((struct request){0, 5}), length),
        "scatter_add: expected one index for each entry of the source along the axis, got [2, 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers_and_adds_along_every_axis),
        cmocka_unit_test(gathers_and_adds_large_arrays_in_parallel),
        cmocka_unit_test(looks_up_rows),
        cmocka_unit_test(marks_one_class_each),
        cmocka_unit_test(refuses_indices_outside),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
