/* Gated and dynamic convolutions, token by token from their definitions. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 11, D = 6, MOST = 16 };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* z of token t: two halves of a dense convolution whose taps are `apart` tokens from each other. */
static void gated(const struct kernel_case *c, const char *prefix, const double *x, int t, int taps,
                  int apart, int hidden, bool squashed, double *z)
{
    char name[64];
    double both[2 * MOST];
    snprintf(name, sizeof name, "%sconv.weight", prefix);
    const real *w = case_values(c, name);
    snprintf(name, sizeof name, "%sconv.bias", prefix);
    const real *bias = case_values(c, name);
    for (int o = 0; o < 2 * hidden; o++) {
        both[o] = (double)bias[o];
        for (int j = 0; j < taps; j++) {
            int from = t - (taps - 1 - j) * apart;
            for (int i = 0; i < D && from >= 0; i++)
                both[o] += (double)w[(o * D + i) * taps + j] * x[from * D + i];
        }
    }
    for (int o = 0; o < hidden; o++)
        z[o] = (squashed ? tanh(both[o]) : both[o]) * sigmoid(both[hidden + o]);
}

static void is_a_gated_linear_unit(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"gated-convolution\", \"conv\": 3, \"dilation\": 2}}", B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            gated(&c, "", c.x + b * T * D, t, 3, 2, D, false, want + (b * T + t) * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void projects_what_it_gated(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], z[MOST];
    case_open(&c,
              "{\"mixer\": {\"kernel\": \"gated-convolution\", \"hidden\": 5, \"projection\": true, "
              "\"activation\": \"tanh\"}}",
              B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            gated(&c, "", c.x + b * T * D, t, 4, 1, 5, true, z);
            case_linear(&c, "residual", z, 5, want + (b * T + t) * D, D);
        }
    case_expect(&c, want);
    case_close(&c);
}

/* Three layers of WaveNet with dilations 1, 2 and 1: the output is the rectified sum of what all of them skip
 * to. */
static void sums_the_skips_of_its_layers(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], x[T * D], next[T * D], z[MOST], part[D];
    char json[1024], layer[256];
    snprintf(
        layer, sizeof layer,
        "\"mixer\": {\"kernel\": \"gated-convolution\", \"conv\": 2, \"cycle\": 2, \"activation\": \"tanh\", "
        "\"skip\": true, \"hidden\": 4}, \"residual\": {\"kernel\": \"no-residual\"}}");
    snprintf(json, sizeof json,
             "{\"pattern\": [{\"name\": \"a\", %s, {\"name\": \"b\", %s, {\"name\": \"c\", %s]}", layer,
             layer, layer);
    case_open_stack(&c, json, B, T, D);
    memset(want, 0, sizeof want);
    for (int b = 0; b < B; b++) {
        memcpy(x, c.x + b * T * D, sizeof x);
        for (int l = 0; l < 3; l++) {
            char prefix[32], name[64];
            snprintf(prefix, sizeof prefix, "layers.%d.mixer.", l);
            for (int t = 0; t < T; t++) {
                gated(&c, prefix, x, t, 2, l == 1 ? 2 : 1, 4, true, z);
                snprintf(name, sizeof name, "%sskip", prefix);
                case_linear(&c, name, z, 4, part, D);
                for (int i = 0; i < D; i++)
                    want[(b * T + t) * D + i] += part[i];
                snprintf(name, sizeof name, "%sresidual", prefix);
                if (l < 2)
                    case_linear(&c, name, z, 4, part, D);
                for (int i = 0; i < D; i++)
                    next[t * D + i] = x[t * D + i] + part[i];
            }
            memcpy(x, next, sizeof x);
        }
    }
    for (int i = 0; i < B * T * D; i++)
        want[i] = want[i] > 0 ? want[i] : 0;
    case_expect(&c, want);
    case_close(&c);
    case_expect_stack_properties(json);
}

static void convolves_by_taps(const char *json, int heads, int taps, bool predicted)
{
    struct kernel_case c;
    double want[B * T * D], u[T * D], both[2 * D], w[MOST], o[D];
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            case_linear(&c, "linear1", c.x + (b * T + t) * D, D, both, 2 * D);
            for (int i = 0; i < D; i++)
                u[t * D + i] = both[i] * sigmoid(both[D + i]);
            memset(o, 0, sizeof o);
            for (int h = 0; h < heads; h++) {
                double sum = 0;
                for (int j = 0; j < taps; j++) {
                    const real *weight =
                        case_values(&c, predicted ? "conv.weight_linear.weight" : "conv.weight");
                    w[j] = predicted ? 0 : (double)weight[h * taps + j];
                    for (int i = 0; i < D && predicted; i++)
                        w[j] += (double)weight[(h * taps + j) * D + i] * u[t * D + i];
                    sum += exp(w[j]);
                }
                for (int j = 0; j < taps; j++)
                    for (int i = h * (D / heads); i < (h + 1) * (D / heads); i++)
                        if (t - taps + 1 + j >= 0)
                            o[i] += exp(w[j]) / sum * u[(t - taps + 1 + j) * D + i];
            }
            case_linear(&c, "linear2", o, D, want + (b * T + t) * D, D);
        }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

static void predicts_its_taps(void **state)
{
    (void)state;
    convolves_by_taps("{\"mixer\": {\"kernel\": \"dynamic-convolution\", \"heads\": 2, \"conv\": 4}}", 2, 4,
                      true);
    convolves_by_taps("{\"mixer\": {\"kernel\": \"dynamic-convolution\", \"heads\": 1, \"conv\": 1}}", 1, 1,
                      true);
}

static void trains_its_taps(void **state)
{
    (void)state;
    convolves_by_taps(
        "{\"mixer\": {\"kernel\": \"dynamic-convolution\", \"heads\": 3, \"conv\": 15, \"dynamic\": false}}",
        3, 15, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_gated_linear_unit),
        cmocka_unit_test(projects_what_it_gated),
        cmocka_unit_test(sums_the_skips_of_its_layers),
        cmocka_unit_test(predicts_its_taps),
        cmocka_unit_test(trains_its_taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
