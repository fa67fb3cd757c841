/* The smoother of transformer-dissection with its two kernels multiplied pair by pair. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, HEADS = 2, SIZE = 3 };

static double kernel_of(const double *a, const double *b, int head)
{
    double sum = 0;
    for (int i = head * SIZE; i < (head + 1) * SIZE; i++)
        sum += a[i] * b[i];
    return exp(sum / sqrt(SIZE));
}

static void multiplies_two_kernels(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], content[T][D], place[T][D], values[T][D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"product-kernel-attention\", \"heads\": 2}}", B, T, D);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) {
            const double *x = c.x + (b * T + t) * D;
            double p[D];
            for (int i = 0; i < D; i += 2) {
                p[i] = sin(t / pow(10000, (double)i / D));
                p[i + 1] = cos(t / pow(10000, (double)i / D));
            }
            case_linear(&c, "content_proj", x, D, content[t], D);
            case_linear(&c, "position_proj", p, D, place[t], D);
            case_linear(&c, "v_proj", x, D, values[t], D);
        }
        for (int t = 0; t < T; t++) {
            double read[D] = {0};
            for (int i = 0; i < D; i++) {
                double total = 0;
                for (int s = 0; s <= t; s++) {
                    double weight =
                        kernel_of(content[t], content[s], i / SIZE) * kernel_of(place[t], place[s], i / SIZE);
                    total += weight;
                    read[i] += weight * values[s][i];
                }
                read[i] /= total;
            }
            case_linear(&c, "o_proj", read, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"product-kernel-attention\", \"heads\": 2}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies_two_kernels),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
