/* Hyena, Monarch Mixer and the Toeplitz unit: filters that networks make of positions, against sums over
 * lags. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 9, D = 3, HIDDEN = 4, DEPTH = 2, EMBEDDING = 3, MOST = 3 * D };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Tap l of every channel of a sine network's filter. */
static void sine_taps(const struct kernel_case *c, const char *name, const char *layers, int64_t l,
                      int channels, double factor, double shift, double *taps)
{
    char full[96];
    double z[HIDDEN], next[HIDDEN];
    snprintf(full, sizeof full, "%s.pos_emb.z", name);
    for (int i = 0; i < EMBEDDING; i++)
        z[i] = (double)case_values(c, full)[l * EMBEDDING + i];
    snprintf(full, sizeof full, "%s.implicit_filter.1.freq", name);
    const real *frequency = case_values(c, full);
    for (int i = 0; i <= DEPTH; i++) {
        snprintf(full, sizeof full, "%s.%s.%d", name, layers, 2 * i);
        case_linear(c, full, z, i ? HIDDEN : EMBEDDING, next, HIDDEN);
        for (int j = 0; j < HIDDEN; j++)
            z[j] = sin(factor * (double)frequency[j] * next[j]);
    }
    snprintf(full, sizeof full, "%s.%s.%d", name, layers, 2 * DEPTH + 2);
    case_linear(c, full, z, HIDDEN, taps, channels);
    snprintf(full, sizeof full, "%s.pos_emb.t", name);
    double t = (double)case_values(c, full)[l];
    snprintf(full, sizeof full, "%s.modulation.deltas", name);
    for (int i = 0; i < channels; i++)
        taps[i] *= exp(-t * fabs((double)case_values(c, full)[i])) + shift;
}

/* A causal convolution of three taps after a linear map. */
static void short_filter(const struct kernel_case *c, const char *input, const double *x, int64_t length,
                         int channels, double *u)
{
    double before[T * 4 * D];
    const real *w = case_values(c, "short_filter.weight"), *b = case_values(c, "short_filter.bias");
    for (int64_t t = 0; t < length; t++)
        case_linear(c, input, x + t * D, D, before + t * channels, channels);
    for (int64_t t = 0; t < length; t++)
        for (int i = 0; i < channels; i++) {
            u[t * channels + i] = (double)b[i];
            for (int64_t k = 0; k < 3; k++)
                if (t - 2 + k >= 0)
                    u[t * channels + i] += (double)w[i * 3 + k] * before[(t - 2 + k) * channels + i];
        }
}

/* ---- Hyena ---- */

enum { ORDER = 3, KEPT = 7 };

/* Of T tokens the KEPT first have filters and outputs. */
static void hyena(const struct kernel_case *c, const double *x, double *y)
{
    double u[T * (ORDER + 1) * D], taps[KEPT][MOST], v[KEPT * D], next[KEPT * D], gated[D];
    const real *bias = case_values(c, "filter_fn.bias");
    short_filter(c, "in_proj", x, KEPT, (ORDER + 1) * D, u);
    for (int l = 0; l < KEPT; l++)
        sine_taps(c, "filter_fn", "implicit_filter", l, D * (ORDER - 1), 1, 0.25, taps[l]);
    for (int t = 0; t < KEPT; t++)
        for (int d = 0; d < D; d++)
            v[t * D + d] = u[t * (ORDER + 1) * D + ORDER * D + d];
    for (int i = 0; i < ORDER - 1; i++) {
        for (int j = 0; j < KEPT * D; j++)
            v[j] *= u[j / D * (ORDER + 1) * D + (ORDER - 1 - i) * D + j % D];
        for (int t = 0; t < KEPT; t++)
            for (int d = 0; d < D; d++) {
                next[t * D + d] = (double)bias[i * D + d] * v[t * D + d];
                for (int s = 0; s <= t; s++)
                    next[t * D + d] += taps[t - s][i * D + d] * v[s * D + d];
            }
        memcpy(v, next, sizeof v);
    }
    for (int t = 0; t < KEPT; t++) {
        for (int d = 0; d < D; d++)
            gated[d] = v[t * D + d] * u[t * (ORDER + 1) * D + d];
        case_linear(c, "out_proj", gated, D, y + t * D, D);
    }
}

static void hyena_gates_and_sums(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * KEPT * D];
    case_open(
        &c,
        "{\"mixer\": {\"kernel\": \"implicit-long-convolution\", \"order\": 3, \"length\": 7, \"hidden\": 4, "
        "\"shift\": 0.25}}",
        B, T, D);
    assert_int_equal(c.rows, KEPT);
    for (int b = 0; b < B; b++)
        hyena(&c, c.x + b * T * D, want + b * KEPT * D);
    case_expect(&c, want);
    case_close(&c);
}

/* ---- Monarch Mixer ---- */

static void filtered(const struct kernel_case *c, const char *name, bool both, const double *x, double *y)
{
    double past[T][MOST], future[T][MOST];
    char bias[64];
    snprintf(bias, sizeof bias, "%s.bias", name);
    for (int l = 0; l < T; l++) {
        sine_taps(c, name, "implicit_filter", l, D, 1.5, 0, past[l]);
        if (both)
            sine_taps(c, name, "implicit_filter_rev", l, D, 1.5, 0, future[l]);
    }
    for (int t = 0; t < T; t++)
        for (int d = 0; d < D; d++) {
            double sum = (double)case_values(c, bias)[d] * x[t * D + d];
            for (int s = 0; s < T; s++)
                sum += (s <= t ? past[t - s][d] : both ? future[s - t - 1][d] : 0) * x[s * D + d];
            y[t * D + d] = sum;
        }
}

static void monarch(bool both, bool residual)
{
    struct kernel_case c;
    char json[256];
    double want[B * T * D], u[T * 3 * D], v[T * D], y[T * D], direct[T * D];
    snprintf(
        json, sizeof json,
        "{\"mixer\": {\"kernel\": \"monarch-convolution\", \"length\": 12, \"hidden\": 4, \"factor\": 1.5, "
        "\"bidirectional\": %s, \"residual_conv\": %s}}",
        both ? "true" : "false", residual ? "true" : "false");
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        const double *x = c.x + b * T * D;
        short_filter(&c, "in_linear", x, T, 3 * D, u);
        for (int i = 0; i < T * D; i++)
            v[i] = u[i / D * 3 * D + 2 * D + i % D] * u[i / D * 3 * D + i % D];
        filtered(&c, "filter_fn", both, v, y);
        if (residual)
            filtered(&c, "filter_fn2", both, x, direct);
        for (int i = 0; i < T * D; i++)
            y[i] = y[i] * u[i / D * 3 * D + D + i % D] + (residual ? direct[i] : 0);
        for (int t = 0; t < T; t++)
            case_linear(&c, "out_linear", y + t * D, D, want + (b * T + t) * D, D);
    }
    case_expect(&c, want);
    case_close(&c);
}

static void monarch_mixer_sums_both_ways(void **state)
{
    (void)state;
    monarch(false, false);
    monarch(true, false);
    monarch(false, true);
    monarch(true, true);
    case_expect_properties("{\"mixer\": {\"kernel\": \"monarch-convolution\", \"residual_conv\": true}}");
}

/* ---- The Toeplitz unit ---- */

enum { FEATURES = 4, INNER = 2 * D };

struct toeplitz {
    bool causal, normalize, residual, norm;
    const char *decay;
};

static void normalised(double *z, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += z[i] * z[i];
    for (int i = 0; i < n; i++)
        z[i] /= sqrt(squares) / sqrt(n) + 1e-8;
}

static void coefficients(const struct kernel_case *c, const struct toeplitz *v, int t, double *a)
{
    double p[FEATURES], h[FEATURES], next[FEATURES], place = t;
    char name[64];
    case_linear(c, "toep.rpe.pos_proj", &place, 1, p, FEATURES);
    for (int i = 0; i <= 2; i++) {
        memcpy(h, p, sizeof h);
        normalised(h, FEATURES);
        for (int j = 0; j < FEATURES; j++)
            h[j] = h[j] > 0 ? h[j] : 0;
        snprintf(name, sizeof name, "toep.rpe.%s.2", i == 0 ? "layers.0" : i == 1 ? "layers.1" : "out");
        case_linear(c, name, h, FEATURES, i < 2 ? next : a, i < 2 ? FEATURES : INNER);
        for (int j = 0; j < FEATURES && i < 2; j++)
            p[j] = next[j] + (v->residual ? p[j] : 0);
    }
    for (int i = 0; i < INNER && strcmp(v->decay, "none") != 0; i++) {
        double gamma = strcmp(v->decay, "fixed") == 0
                           ? 0.8
                           : 0.8 + 0.2 * sigmoid((double)case_values(c, "toep.gamma")[i]);
        a[i] *= pow(gamma, abs(t));
    }
    for (int i = 0; i < INNER; i++)
        a[i] = sigmoid(a[i]);
}

static void toeplitz(const struct toeplitz *v)
{
    struct kernel_case c;
    char json[512];
    double want[B * T * D], a[2 * T][INNER], u[T * INNER], val[T * INNER], o[INNER];
    snprintf(json, sizeof json,
             "{\"mixer\": {\"kernel\": \"gated-toeplitz-unit\", \"heads\": 2, \"expand\": 2, \"features\": "
             "4, \"depth\": 2, "
             "\"gamma\": 0.8, \"coefficient_activation\": \"sigmoid\", \"decay\": \"%s\", \"causal\": %s, "
             "\"normalize\": %s, "
             "\"residual\": %s, \"norm\": %s}}",
             v->decay, v->causal ? "true" : "false", v->normalize ? "true" : "false",
             v->residual ? "true" : "false", v->norm ? "true" : "false");
    case_open(&c, json, B, T, D);
    for (int t = 1 - T; t < T; t++)
        coefficients(&c, v, t, a[t + T]);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) {
            case_linear(&c, "u_proj", c.x + (b * T + t) * D, D, u + t * INNER, INNER);
            case_linear(&c, "v_proj", c.x + (b * T + t) * D, D, val + t * INNER, INNER);
        }
        for (int i = 0; i < T * INNER; i++) {
            u[i] *= sigmoid(u[i]);
            val[i] *= sigmoid(val[i]);
        }
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < INNER; i++) {
                double sum = 0, total = 0;
                for (int s = 0; s < (v->causal ? t + 1 : T); s++) {
                    sum += a[t - s + T][i] * val[s * INNER + i];
                    total += a[t - s + T][i];
                }
                o[i] = u[t * INNER + i] * sum / (v->normalize ? total : 1);
            }
            if (v->norm)
                normalised(o, INNER);
            case_linear(&c, "o", o, INNER, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void toeplitz_unit_sums_over_distances(void **state)
{
    static const struct toeplitz variants[] = {{true, false, false, false, "fixed"},
                                               {true, true, true, false, "none"},
                                               {false, true, false, true, "learned"},
                                               {false, false, true, false, "fixed"}};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        toeplitz(&variants[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hyena_gates_and_sums),
        cmocka_unit_test(monarch_mixer_sums_both_ways),
        cmocka_unit_test(toeplitz_unit_sums_over_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
