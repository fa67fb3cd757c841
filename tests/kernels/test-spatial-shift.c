/* Spatial shifts on a grid of 3 x 4 against where each value comes from. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { B = 2, ROWS = 3, COLUMNS = 4, T = ROWS * COLUMNS, D = 14 };

/* The value that group `group` gets at a cell from the one that is (down, right) before it. */
static double moved(const double *x, int stride, int t, int channel, int down, int right, bool keep)
{
    int row = t / COLUMNS - down, column = t % COLUMNS - right;
    if (row < 0 || row >= ROWS || column < 0 || column >= COLUMNS)
        return keep ? x[t * stride + channel] : 0;
    return x[(row * COLUMNS + column) * stride + channel];
}

static int quarter(int channel)
{
    return channel < 3 ? 0 : channel < 7 ? 1 : channel < 10 ? 2 : 3; /* of 14 channels: 3, 4, 3, 4 */
}

static const int down_first[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
static const int right_first[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};

static double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

static void moves_a_few_channels(void **state)
{
    (void)state;
    static const int directions[4][2] = {{0, -1}, {0, 1}, {-1, 0}, {1, 0}}; /* two channels each of 14 / 6 */
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c,
              "{\"mixer\": {\"kernel\": \"spatial-shift\", \"form\": \"bare\", \"divisions\": 6, "
              "\"border\": \"zero\", \"columns\": 4}}",
              B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            for (int i = 0; i < D; i++) {
                const int *way = i < 8 ? directions[i / 2] : (const int[]){0, 0};
                want[(b * T + t) * D + i] = moved(c.x + b * T * D, D, t, i, way[0], way[1], false);
            }
    case_expect(&c, want);
    case_close(&c);
}

static void moves_between_two_maps(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], u[T * D], z[D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"spatial-shift\", \"columns\": 4}}", B, T, D);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++)
            case_linear(&c, "mlp1", c.x + (b * T + t) * D, D, u + t * D, D);
        for (int i = 0; i < T * D; i++)
            u[i] = gelu(u[i]);
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < D; i++)
                z[i] = moved(u, D, t, i, down_first[quarter(i)][0], down_first[quarter(i)][1], true);
            case_linear(&c, "mlp2", z, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void merges_three_parts(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], u[T * 3 * D], z[T][3][D], sum[D], hidden[D], share[3 * D], y[D];
    case_open(&c,
              "{\"mixer\": {\"kernel\": \"spatial-shift\", \"form\": \"split_attention\", \"columns\": 4}}",
              B, T, D);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++)
            case_linear(&c, "mlp1", c.x + (b * T + t) * D, D, u + t * 3 * D, 3 * D);
        for (int i = 0; i < D; i++) {
            const int *one = down_first[quarter(i)], *two = right_first[quarter(i)];
            sum[i] = 0;
            for (int t = 0; t < T; t++) {
                z[t][0][i] = moved(u, 3 * D, t, i, one[0], one[1], true);
                z[t][1][i] = moved(u, 3 * D, t, D + i, two[0], two[1], true);
                z[t][2][i] = u[t * 3 * D + 2 * D + i];
                sum[i] += z[t][0][i] + z[t][1][i] + z[t][2][i];
            }
        }
        case_linear(&c, "split_attention.mlp1", sum, D, hidden, D);
        for (int i = 0; i < D; i++)
            hidden[i] = gelu(hidden[i]);
        case_linear(&c, "split_attention.mlp2", hidden, D, share, 3 * D);
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < D; i++) {
                double largest = fmax(share[i], fmax(share[D + i], share[2 * D + i])), total = 0;
                y[i] = 0;
                for (int k = 0; k < 3; k++) {
                    double weight = exp(share[k * D + i] - largest);
                    total += weight;
                    y[i] += weight * z[t][k][i];
                }
                y[i] /= total;
            }
            case_linear(&c, "mlp2", y, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void have_their_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"spatial-shift\"}}");
    case_expect_properties("{\"mixer\": {\"kernel\": \"spatial-shift\", \"form\": \"split_attention\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_a_few_channels),
        cmocka_unit_test(moves_between_two_maps),
        cmocka_unit_test(merges_three_parts),
        cmocka_unit_test(have_their_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
