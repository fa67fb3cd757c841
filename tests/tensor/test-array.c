#include "tensor/array.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t size_of(int rank, const int64_t *shape)
{
    int64_t size = -1;
    return array_shape_size(rank, shape, &size) ? size : -1;
}

static void counts_elements(void **state)
{
    assert_int_equal(size_of(0, NULL), 1);
    assert_int_equal(size_of(1, (const int64_t[]){7}), 7);
    assert_int_equal(size_of(3, (const int64_t[]){2, 3, 4}), 24);
    assert_int_equal(size_of(8, (const int64_t[]){1, 1, 2, 1, 1, 3, 1, 5}), 30);
    assert_int_equal(size_of(3, (const int64_t[]){2, 0, 4}), 0);
    assert_int_equal(size_of(1, (const int64_t[]){ARRAY_MAX_SIZE}), ARRAY_MAX_SIZE);
    assert_int_equal(size_of(2, (const int64_t[]){1 << 26, 1 << 27}), ARRAY_MAX_SIZE);
}

static void refuses_what_is_no_shape(void **state)
{
    const int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(size_of(-1, NULL), -1);
    assert_int_equal(size_of(9, ones), -1);
    assert_int_equal(size_of(1, (const int64_t[]){-1}), -1);
    assert_int_equal(size_of(2, (const int64_t[]){0, -1}), -1);
    assert_int_equal(size_of(1, (const int64_t[]){INT64_MIN}), -1);
    assert_int_equal(size_of(1, (const int64_t[]){ARRAY_MAX_SIZE + 1}), -1);
    assert_int_equal(size_of(2, (const int64_t[]){(int64_t)1 << 32, (int64_t)1 << 32}), -1); /* 2^64 */
    assert_int_equal(size_of(2, (const int64_t[]){INT64_MAX, INT64_MAX}), -1);
}

/* Strides of an empty array are products too. */
static void refuses_a_shape_whose_strides_overflow(void **state)
{
    const int64_t lengths[] = {(int64_t)1 << 32, 0, (int64_t)1 << 32};
    assert_int_equal(size_of(3, lengths), -1);
    assert_int_equal(size_of(2, lengths), 0);
    assert_int_equal(size_of(2, lengths + 1), 0);
}

static void allocates_and_releases(void **state)
{
    struct array array;
    array_allocate(&array, 2, (const int64_t[]){3, 5});
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.shape[1], 5);
    assert_int_equal(array.shape[2], 0);
    assert_int_equal(array_size(&array), 15);
    for (int i = 0; i < 15; i++)
        array.data[i] = (real)i;
    array_release(&array);
    assert_null(array.data);
    assert_int_equal(array.rank, 0);
    array_release(&array); /* again is harmless */
    array_allocate(&array, 1, (const int64_t[]){0});
    assert_non_null(array.data);
    array_release(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_elements),
        cmocka_unit_test(refuses_what_is_no_shape),
        cmocka_unit_test(refuses_a_shape_whose_strides_overflow),
        cmocka_unit_test(allocates_and_releases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
