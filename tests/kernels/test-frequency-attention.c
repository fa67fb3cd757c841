/* Frequency attention against sums of cosines of the strongest amplitudes. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 3, MAXIMUM = 16 };

/* sum over the chosen k of 2 |X_k| / T cos(2 pi k t / T + phase), eq. 10 to 12; k neither 0 nor T / 2. */
static void channel(const double *x, int64_t T, int components, double *y)
{
    double amplitude[MAXIMUM], phase[MAXIMUM];
    int64_t usable = (T - 1) / 2;
    for (int64_t k = 1; k <= usable; k++) {
        double re = 0, im = 0;
        for (int64_t s = 0; s < T; s++) {
            re += x[s * D] * cos(2 * M_PI * (double)(k * s) / (double)T);
            im -= x[s * D] * sin(2 * M_PI * (double)(k * s) / (double)T);
        }
        amplitude[k] = hypot(re, im);
        phase[k] = atan2(im, re);
    }
    for (int64_t t = 0; t < T; t++)
        y[t * D] = 0;
    for (int i = 0; i < components && i < usable; i++) {
        int64_t best = 1;
        for (int64_t k = 1; k <= usable; k++)
            best = amplitude[k] > amplitude[best] ? k : best;
        for (int64_t t = 0; t < T; t++)
            y[t * D] += 2 * amplitude[best] / (double)T *
                        cos(2 * M_PI * (double)(best * t) / (double)T + phase[best]);
        amplitude[best] = -1;
    }
}

static void keeps_the_strongest(void **state)
{
    static const int64_t lengths[] = {3, 4, 13, 16};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct kernel_case c;
        double want[B * MAXIMUM * D];
        case_open(&c, "{\"mixer\": {\"kernel\": \"frequency-attention\", \"components\": 3}}", B, lengths[i],
                  D);
        for (int b = 0; b < B; b++)
            for (int d = 0; d < D; d++)
                channel(c.x + b * lengths[i] * D + d, lengths[i], 3, want + b * lengths[i] * D + d);
        case_expect(&c, want);
        case_close(&c);
    }
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"frequency-attention\", \"components\": 2}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_strongest),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
