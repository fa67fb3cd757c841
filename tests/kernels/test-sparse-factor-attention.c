/* PSF-Attn against the product of its factors as dense matrices. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 6, HIDDEN = 4, MAXIMUM = 19 };

static double gelu(double x)
{
    return x * 0.5 * (1 + erf(x / sqrt(2)));
}

static void network(const struct kernel_case *c, const char *name, const double *x, double *y, int outputs)
{
    char first[64], second[64];
    double hidden[HIDDEN];
    snprintf(first, sizeof first, "%s.network.0", name);
    snprintf(second, sizeof second, "%s.network.2", name);
    case_linear(c, first, x, D, hidden, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] = gelu(hidden[i]);
    case_linear(c, second, hidden, HIDDEN, y, outputs);
}

/* Factor m as a T x T matrix: what the network of token t says of the chord t, t + 1, t + 2, t + 4, .. */
static void factor(const struct kernel_case *c, const double *x, int m, int factors, double *W)
{
    char name[32];
    int64_t T = c->length;
    snprintf(name, sizeof name, "fs.%d", m);
    memset(W, 0, (size_t)(T * T) * sizeof *W);
    for (int64_t t = 0; t < T; t++) {
        double entries[16];
        network(c, name, x + t * D, entries, factors + 1);
        W[t * T + t] += entries[0];
        for (int k = 0; k < factors; k++)
            W[t * T + (t + (1 << k)) % T] += entries[k + 1];
    }
}

static void is_a_product_of_matrices(const char *json, int64_t length, int factors, bool residual)
{
    struct kernel_case c;
    double want[B * MAXIMUM * D], W[MAXIMUM * MAXIMUM], V[MAXIMUM * D], first[MAXIMUM * D];
    case_open(&c, json, B, length, D);
    for (int b = 0; b < B; b++) {
        const double *x = c.x + b * length * D;
        double *v = want + b * length * D;
        for (int64_t t = 0; t < length; t++)
            network(&c, "g", x + t * D, first + t * D, D);
        memcpy(v, first, (size_t)(length * D) * sizeof *v);
        for (int m = 0; m < factors; m++) {
            factor(&c, x, m, factors, W);
            memcpy(V, v, (size_t)(length * D) * sizeof *v);
            for (int64_t t = 0; t < length; t++)
                for (int i = 0; i < D; i++) {
                    double sum = residual ? first[t * D + i] : 0;
                    for (int64_t s = 0; s < length; s++)
                        sum += W[t * length + s] * V[s * D + i];
                    v[t * D + i] = sum;
                }
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void multiplies_its_factors(void **state)
{
    (void)state;
    is_a_product_of_matrices(
        "{\"mixer\": {\"kernel\": \"sparse-factor-attention\", \"length\": 16, \"hidden\": 4}}", 16, 4, true);
    is_a_product_of_matrices("{\"mixer\": {\"kernel\": \"sparse-factor-attention\", \"length\": 19, "
                             "\"hidden\": 4, \"residual\": false}}",
                             19, 5, false);
    is_a_product_of_matrices(
        "{\"mixer\": {\"kernel\": \"sparse-factor-attention\", \"factors\": 3, \"hidden\": 4}}", 3, 3, true);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"sparse-factor-attention\", \"length\": 32}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies_its_factors),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
