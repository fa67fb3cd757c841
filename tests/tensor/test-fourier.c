#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One, even and odd, powers of two, products of small primes, primes below and above the 23 from which on
 * single precision takes another way, and products of those. */
static const int64_t lengths[] = {1,  2,  3,  4,  5,  6,   7,   8,   9,   12,  16,   17,   22,   23,
                                  29, 46, 58, 64, 69, 101, 243, 256, 361, 529, 1000, 1009, 1024, 2018};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static const double tolerance = sizeof(real) == 4 ? 1e-5 : 1e-12;

struct options {
    int axis;
    int64_t length;
    bool inverse;
};

static tensor *to_half(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct options *options = argument;
    return tensor_fourier(leaves[0], options->axis);
}

static tensor *to_real(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct options *options = argument;
    return tensor_inverse_fourier(leaves[0], options->axis, options->length);
}

static tensor *transform_complex(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct options *options = argument;
    return tensor_fourier_complex(leaves[0], options->axis, options->inverse);
}

static tensor *there_and_back(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct options *options = argument;
    tensor *half = tensor_fourier(leaves[0], options->axis);
    return tensor_inverse_fourier(half, options->axis < 0 ? options->axis - 1 : options->axis,
                                  options->length);
}

static tensor *there_and_back_complex(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct options *options = argument;
    return tensor_fourier_complex(tensor_fourier_complex(leaves[0], options->axis, options->inverse),
                                  options->axis, !options->inverse);
}

/* sum_j x_j exp(sign 2 pi i j k / n) of a row of complex numbers that lie `step` numbers apart. */
static void define(int64_t n, int64_t k, double sign, const double *x, int64_t step, double *sum)
{
    static double roots[2 * 2018];
    static int64_t tabulated;
    for (int64_t j = 0; tabulated != n && j < n; j++) {
        roots[2 * j] = cos(2 * M_PI * (double)j / (double)n);
        roots[2 * j + 1] = sin(2 * M_PI * (double)j / (double)n);
    }
    tabulated = n;
    sum[0] = sum[1] = 0;
    for (int64_t j = 0; j < n; j++) {
        double c = roots[2 * (j * k % n)], s = sign * roots[2 * (j * k % n) + 1];
        sum[0] += x[2 * j * step] * c - x[2 * j * step + 1] * s;
        sum[1] += x[2 * j * step] * s + x[2 * j * step + 1] * c;
    }
}

/* Rows of n along the middle of [outer, n, inner]. */
struct sizes {
    int64_t outer, inner;
};

static const struct sizes layouts[] = {{3, 1}, {1, 5}, {2, 19}};

static struct sizes sizes_for(int64_t n, size_t layout)
{
    return n > 300 ? (struct sizes){1, layout == 0 ? 1 : 3} : layouts[layout];
}

static void transforms_real_rows(void **state)
{
    for (size_t at = 0; at < LENGTHS * 3; at++) {
        int64_t n = lengths[at / 3], half = n / 2 + 1;
        struct sizes sizes = sizes_for(n, at % 3);
        struct options options = {.axis = 1};
        struct gradient_leaf leaf[] = {LEAF(3, sizes.outer, n, sizes.inner)};
        int64_t got_size, size = sizes.outer * half * sizes.inner * 2;
        real *x = leaf_values(leaf, 0), *got = evaluate(to_half, &options, leaf, 1, &got_size);
        double *wide = calloc((size_t)(2 * sizes.outer * n * sizes.inner), sizeof *wide);
        double *want = malloc((size_t)size * sizeof *want);
        for (int64_t i = 0; i < sizes.outer * n * sizes.inner; i++)
            wide[2 * i] = (double)x[i];
        for (int64_t o = 0; o < sizes.outer; o++)
            for (int64_t k = 0; k < half; k++)
                for (int64_t i = 0; i < sizes.inner; i++)
                    define(n, k, -1, wide + 2 * (o * n * sizes.inner + i), sizes.inner,
                           want + 2 * ((o * half + k) * sizes.inner + i));
        assert_int_equal(got_size, size);
        expect_near(got, want, size, tolerance);
        free(x);
        free(got);
        free(wide);
        free(want);
    }
}

/* Imaginary parts of bins 0 and N / 2, that no real row has, do not count. */
static void transforms_half_spectra_back(void **state)
{
    for (size_t at = 0; at < LENGTHS * 3; at++) {
        int64_t n = lengths[at / 3], half = n / 2 + 1;
        struct sizes sizes = sizes_for(n, at % 3);
        struct options options = {.axis = 1, .length = n};
        struct gradient_leaf leaf[] = {LEAF(4, sizes.outer, half, sizes.inner, 2)};
        int64_t got_size, size = sizes.outer * n * sizes.inner;
        real *x = leaf_values(leaf, 0), *got = evaluate(to_real, &options, leaf, 1, &got_size);
        double *whole = malloc((size_t)(2 * n) * sizeof *whole), *want = malloc((size_t)size * sizeof *want);
        for (int64_t row = 0; row < sizes.outer * sizes.inner; row++) {
            int64_t o = row / sizes.inner, i = row % sizes.inner;
            for (int64_t k = 0; k < n; k++) {
                int64_t bin = k < half ? k : n - k, from = 2 * ((o * half + bin) * sizes.inner + i);
                whole[2 * k] = (double)x[from];
                whole[2 * k + 1] = 2 * k % n == 0 ? 0 : (k < half ? 1 : -1) * (double)x[from + 1];
            }
            for (int64_t j = 0; j < n; j++) {
                double sum[2];
                define(n, j, 1, whole, 1, sum);
                want[(o * n + j) * sizes.inner + i] = sum[0] / (double)n;
            }
        }
        assert_int_equal(got_size, size);
        expect_near(got, want, size, tolerance);
        free(x);
        free(got);
        free(whole);
        free(want);
    }
}

static void transforms_complex_rows_both_ways(void **state)
{
    for (size_t at = 0; at < LENGTHS * 6; at++) {
        int64_t n = lengths[at / 6];
        struct sizes sizes = sizes_for(n, at % 3);
        struct options options = {.axis = 1, .inverse = at / 3 % 2};
        struct gradient_leaf leaf[] = {LEAF(4, sizes.outer, n, sizes.inner, 2)};
        int64_t size;
        real *x = leaf_values(leaf, 0), *got = evaluate(transform_complex, &options, leaf, 1, &size);
        double *wide = malloc((size_t)size * sizeof *wide), *want = malloc((size_t)size * sizeof *want);
        for (int64_t i = 0; i < size; i++)
            wide[i] = (double)x[i] / (double)(options.inverse ? n : 1);
        for (int64_t o = 0; o < sizes.outer; o++)
            for (int64_t k = 0; k < n; k++)
                for (int64_t i = 0; i < sizes.inner; i++)
                    define(n, k, options.inverse ? 1 : -1, wide + 2 * (o * n * sizes.inner + i), sizes.inner,
                           want + 2 * ((o * n + k) * sizes.inner + i));
        expect_near(got, want, size, tolerance);
        free(x);
        free(got);
        free(wide);
        free(want);
    }
}

static void comes_back_from_the_spectrum(void **state)
{
    static const int axes[] = {0, 1, 2, -1, -2, -3};
    for (size_t at = 0; at < 6; at++) {
        struct gradient_leaf real_leaf[] = {LEAF(3, 10, 23, 34)}, complex_leaf[] = {LEAF(4, 10, 23, 34, 2)};
        int axis = axes[at];
        struct options options = {.axis = axis, .length = real_leaf[0].shape[axis < 0 ? axis + 3 : axis]};
        for (int complex_rows = 0; complex_rows < 2; complex_rows++) {
            struct gradient_leaf *leaf = complex_rows ? complex_leaf : real_leaf;
            if (complex_rows && axis < 0)
                options.axis = axis - 1;
            int64_t size;
            real *x = leaf_values(leaf, 0);
            real *got =
                evaluate(complex_rows ? there_and_back_complex : there_and_back, &options, leaf, 1, &size);
            double *want = malloc((size_t)size * sizeof *want);
            for (int64_t i = 0; i < size; i++)
                want[i] = (double)x[i];
            expect_near(got, want, size, tolerance);
            free(x);
            free(got);
            free(want);
        }
    }
}

/* Also the layouts and numbers of threads that check_gradients() goes through, with more rows than one tile
 * has. */
static void has_the_gradients_of_each_direction(void **state)
{
    static const int64_t some[] = {1, 2, 3, 4, 9, 16, 23, 46, 101};
    for (size_t at = 0; at < sizeof some / sizeof *some; at++) {
        int64_t n = some[at];
        struct options options = {.axis = 1, .length = n};
        struct gradient_leaf rows[] = {LEAF(3, 2, n, 9)}, spectra[] = {LEAF(4, 2, n / 2 + 1, 9, 2)};
        struct gradient_leaf numbers[] = {LEAF(4, 2, n, 9, 2)};
        check_gradients(to_half, &options, rows);
        check_gradients(to_real, &options, spectra);
        check_gradients(transform_complex, &options, numbers);
        options.inverse = true;
        check_gradients(transform_complex, &options, numbers);
        struct options last = {.axis = -1, .length = n}, last_complex = {.axis = -2, .length = n};
        struct gradient_leaf last_rows[] = {LEAF(2, 3, n)}, last_spectra[] = {LEAF(3, 3, n / 2 + 1, 2)};
        check_gradients(to_half, &last, last_rows);
        check_gradients(to_real, &last_complex, last_spectra);
    }
}

static void refuses_axes_and_lengths_that_do_not_fit(void **state)
{
    struct gradient_leaf spectrum[] = {LEAF(3, 4, 5, 2)}, three[] = {LEAF(3, 4, 5, 3)},
                         empty[] = {LEAF(2, 4, 0)};
    struct gradient_leaf full[] = {LEAF(6, 1, 1, 1, 1, 1, 4)}, flat[] = {LEAF(1, 2)};
    struct options first = {.axis = 0}, second = {.axis = 1, .length = 10}, last = {.axis = -1, .length = 8};
    struct options fourth = {.axis = 3, .length = 8};
    assert_string_equal(raised_message(to_real, &second, spectrum),
                        "inverse_fourier: expected length / 2 + 1 entries along the axis, got [4, 5, 2]");
    assert_string_equal(raised_message(to_real, &last, spectrum),
                        "inverse_fourier: expected an axis before that of (real, imaginary), got [4, 5, 2]");
    assert_string_equal(raised_message(transform_complex, &last, spectrum),
                        "fourier_complex: expected an axis before that of (real, imaginary), got [4, 5, 2]");
    assert_string_equal(raised_message(transform_complex, &second, three),
                        "fourier_complex: expected a last axis of (real, imaginary), got [4, 5, 3]");
    assert_string_equal(raised_message(transform_complex, &first, flat),
                        "fourier_complex: expected a last axis of (real, imaginary), got [2]");
    assert_string_equal(raised_message(to_half, &last, empty),
                        "fourier: a length of 0 is outside 1 to 268435456");
    assert_string_equal(raised_message(to_half, &last, full),
                        "fourier: expected at most 5 dimensions, got [1, 1, 1, 1, 1, 4]");
    assert_non_null(strstr(raised_message(to_half, &fourth, spectrum), "axis 3 is outside"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_real_rows),
        cmocka_unit_test(transforms_half_spectra_back),
        cmocka_unit_test(transforms_complex_rows_both_ways),
        cmocka_unit_test(comes_back_from_the_spectrum),
        cmocka_unit_test(has_the_gradients_of_each_direction),
        cmocka_unit_test(refuses_axes_and_lengths_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
