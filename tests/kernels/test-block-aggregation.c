/* NesT's block aggregation place by place of the image. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { B = 2, D = 3, SIDE = 2, MOST = 8 }; /* images of at most 8 x 8 */

/* Where the token at a place of the image stands in an image of `size` x `size`. */
static int token(int size, int row, int column)
{
    int block = row / SIDE * (size / SIDE) + column / SIDE;
    return block * SIDE * SIDE + row % SIDE * SIDE + column % SIDE;
}

/* The convolution at one place, normalised. */
static void convolve(const struct kernel_case *c, const double *x, int size, int row, int column, double *y)
{
    const real *kernel = case_values(c, "conv.kernel"), *bias = case_values(c, "conv.bias");
    const real *weight = case_values(c, "norm.weight"), *shift = case_values(c, "norm.bias");
    double mean = 0, variance = 0;
    for (int o = 0; o < D; o++) {
        y[o] = (double)bias[o];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) {
                int i = row + a - 1, j = column + b - 1;
                for (int d = 0; d < D && i >= 0 && j >= 0 && i < size && j < size; d++)
                    y[o] += x[token(size, i, j) * D + d] * (double)kernel[((a * 3 + b) * D + d) * D + o];
            }
        mean += y[o] / D;
    }
    for (int o = 0; o < D; o++)
        variance += (y[o] - mean) * (y[o] - mean) / D;
    for (int o = 0; o < D; o++)
        y[o] = (y[o] - mean) / sqrt(variance + 1e-6) * (double)weight[o] + (double)shift[o];
}

static void pools_an_image(int size)
{
    struct kernel_case c;
    double want[B * MOST * MOST / 4 * D], image[MOST * MOST][D];
    int half = size / 2;
    case_open(&c, "{\"mixer\": {\"kernel\": \"block-aggregation\", \"side\": 2}}", B, size * size, D);
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < size * size; i++)
            convolve(&c, c.x + b * size * size * D, size, i / size, i % size, image[i]);
        for (int i = 0; i < half * half * D; i++) {
            int row = i / D / half, column = i / D % half, d = i % D;
            double largest = -INFINITY;
            for (int r = 2 * row; r < 2 * row + 3 && r < size; r++)
                for (int k = 2 * column; k < 2 * column + 3 && k < size; k++)
                    largest = fmax(largest, image[r * size + k][d]);
            want[(b * half * half + token(half, row, column)) * D + d] = largest;
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void pools_images(void **state)
{
    (void)state;
    pools_an_image(4);
    pools_an_image(8);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"block-aggregation\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_images),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
