/* Parts of a layer without reference data, against naive forms: residuals, mixing of tokens by an MLP,
 * positions added to the input and gated feed-forward networks. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, D = 6, HIDDEN = 7, LENGTH = 8, LAYERS = 2, SHORTCUTS = 2, NARROW = 3 };

static double gelu(double x)
{
    return x * 0.5 * (1 + erf(x / sqrt(2)));
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static const real *values_of(const struct kernel_case *c, const char *prefix, const char *rest)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, rest);
    return case_values(c, name);
}

/* ---- The branches ---- */

#define MIXER "\"mixer\": {\"kernel\": \"token-mixing-mlp\", \"length\": 8, \"hidden\": 7}"
#define FFN "\"ffn\": {\"kernel\": \"mlp\", \"hidden\": 7, \"activation\": \"gelu\"}"

/* An MLP over the tokens of x [T, D], of which there could be LENGTH. */
static void mix(const struct kernel_case *c, const char *prefix, const double *x, double *y)
{
    const real *w1 = values_of(c, prefix, "Dense_0.weight"), *b1 = values_of(c, prefix, "Dense_0.bias"),
               *w2 = values_of(c, prefix, "Dense_1.weight"), *b2 = values_of(c, prefix, "Dense_1.bias");
    for (int i = 0; i < D; i++) {
        double hidden[HIDDEN];
        for (int n = 0; n < HIDDEN; n++) {
            double sum = (double)b1[n];
            for (int t = 0; t < T; t++)
                sum += (double)w1[n * LENGTH + t] * x[t * D + i];
            hidden[n] = gelu(sum);
        }
        for (int t = 0; t < T; t++) {
            double sum = (double)b2[t];
            for (int n = 0; n < HIDDEN; n++)
                sum += (double)w2[t * HIDDEN + n] * hidden[n];
            y[t * D + i] = sum;
        }
    }
}

/* y = W2 gelu(W1 x + b1) + b2 for each token. */
static void feed(const struct kernel_case *c, const char *prefix, const char *first, const char *second,
                 int hidden, const double *x, double *y)
{
    char names[2][128];
    double h[HIDDEN];
    snprintf(names[0], sizeof names[0], "%s%s", prefix, first);
    snprintf(names[1], sizeof names[1], "%s%s", prefix, second);
    for (int t = 0; t < T; t++) {
        case_linear(c, names[0], x + t * D, D, h, hidden);
        for (int n = 0; n < hidden; n++)
            h[n] = gelu(h[n]);
        case_linear(c, names[1], h, hidden, y + t * D, D);
    }
}

/* What branch 0, the mixer, or 1 of a layer gives for u [T, D]. */
static void branch_output(const struct kernel_case *c, int layer, int branch, const double *u, double *y)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "layers.%d.%s.", layer, branch ? "ffn" : "mixer");
    if (branch)
        feed(c, prefix, "up_proj", "down_proj", HIDDEN, u, y);
    else
        mix(c, prefix, u, y);
}

/* ---- Residuals, over two layers without norms ---- */

static void open_layers(struct kernel_case *c, char *json, size_t size, const char *residual)
{
    snprintf(json, size,
             "{\"pattern\": [{\"name\": \"a\", " MIXER ", " FFN ", \"residual\": %s}, "
             "{\"name\": \"b\", " MIXER ", " FFN ", \"residual\": %s}]}",
             residual, residual);
    case_open_stack(c, json, B, T, D);
}

/* x becomes what stands after a branch that gives f for it. */
typedef void (*combination)(const struct kernel_case *c, int layer, int branch, const double *f, double *x);

static void expect_residual(const char *residual, combination combine)
{
    struct kernel_case c;
    char json[1024];
    double want[B * T * D], f[T * D];
    open_layers(&c, json, sizeof json, residual);
    memcpy(want, c.x, sizeof want);
    for (int b = 0; b < B; b++)
        for (int n = 0; n < 2 * LAYERS; n++) {
            branch_output(&c, n / 2, n % 2, want + b * T * D, f);
            combine(&c, n / 2, n % 2, f, want + b * T * D);
        }
    case_expect(&c, want);
    case_close(&c);
}

static void scale_branch(const struct kernel_case *c, int layer, int branch, const double *f, double *x)
{
    char name[64];
    snprintf(name, sizeof name, "layers.%d.residual_%d.scale", layer, branch + 1);
    for (int i = 0; i < T * D; i++)
        x[i] += (double)*case_values(c, name) * f[i];
}

static void each_branch_has_a_scale(void **state)
{
    (void)state;
    expect_residual("{\"kernel\": \"scaled-residual\"}", scale_branch);
}

static void add_shortcuts(const struct kernel_case *c, int layer, int branch, const double *f, double *x)
{
    double before[T * D], y[T * D];
    char prefix[64];
    memcpy(before, x, sizeof before);
    for (int i = 0; i < T * D; i++)
        x[i] += f[i];
    for (int n = 0; n < SHORTCUTS && branch == 0; n++) {
        snprintf(prefix, sizeof prefix, "layers.%d.residual_1.shortcuts.%d.", layer, n);
        feed(c, prefix, "down", "up", NARROW, before, y);
        for (int i = 0; i < T * D; i++)
            x[i] += y[i];
    }
}

static void bottlenecks_stand_beside_the_mixer(void **state)
{
    (void)state;
    expect_residual("{\"kernel\": \"augmented-shortcut\", \"form\": \"bottleneck\", \"reduction\": 2, "
                    "\"shortcuts\": 2, \"around\": \"mixer\", \"activation\": \"gelu\"}",
                    add_shortcuts);
}

static void subtract_mixer(const struct kernel_case *c, int layer, int branch, const double *f, double *x)
{
    (void)c, (void)layer;
    for (int i = 0; i < T * D; i++)
        x[i] += branch ? f[i] : -f[i];
}

static void what_the_mixer_explains_is_subtracted(void **state)
{
    (void)state;
    expect_residual("{\"kernel\": \"subtractive-residual\"}", subtract_mixer);
}

static void two_streams_add_to_each_other(void **state)
{
    (void)state;
    struct kernel_case c;
    char json[1024];
    double want[B * T * D], streams[2][T * D], f[T * D];
    open_layers(&c, json, sizeof json, "{\"kernel\": \"reversible\"}");
    for (int b = 0; b < B; b++) {
        for (int n = 0; n < 2; n++)
            memcpy(streams[n], c.x + b * T * D, sizeof streams[n]);
        for (int n = 0; n < 2 * LAYERS; n++) {
            branch_output(&c, n / 2, n % 2, streams[1 - n % 2], f);
            for (int i = 0; i < T * D; i++)
                streams[n % 2][i] += f[i];
        }
        for (int i = 0; i < T * D; i++)
            want[b * T * D + i] = (streams[0][i] + streams[1][i]) / 2;
    }
    case_expect(&c, want);
    case_close(&c);
}

/* ---- Token mixing, and positions before it ---- */

static void an_mlp_mixes_the_tokens(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, "{" MIXER "}", B, T, D);
    for (int b = 0; b < B; b++)
        mix(&c, "", c.x + b * T * D, want + b * T * D);
    case_expect(&c, want);
    case_close(&c);
    case_expect_properties("{\"mixer\": {\"kernel\": \"token-mixing-mlp\", \"hidden\": 5}}");
}

/* x + p, and then what the mixer adds; `table` [.., D] holds p or is NULL, where p are sines and cosines. */
static void expect_positions(const char *position, const char *table)
{
    struct kernel_case c;
    char json[512];
    double want[B * T * D], f[T * D];
    snprintf(json, sizeof json, "{\"position\": %s, " MIXER "}", position);
    case_open_stack(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        double *x = want + b * T * D;
        for (int t = 0; t < T; t++)
            for (int i = 0; i < D; i++) {
                double angle = t / pow(100, (double)(i - i % 2) / D);
                double p = table   ? (double)case_values(&c, table)[t * D + i]
                           : i % 2 ? cos(angle)
                                   : sin(angle);
                x[t * D + i] = c.x[(b * T + t) * D + i] + p;
            }
        mix(&c, "mixer.", x, f);
        for (int i = 0; i < T * D; i++)
            x[i] += f[i];
    }
    case_expect(&c, want);
    case_close(&c);
}

static void positions_are_added_to_the_input(void **state)
{
    (void)state;
    expect_positions("{\"kernel\": \"learned-absolute\", \"length\": 9}", "position.weight");
    expect_positions("{\"kernel\": \"sinusoidal\", \"theta\": 100}", NULL);
}

/* ---- Gated feed-forward networks ---- */

static void a_gate_is_a_series(void **state)
{
    (void)state;
    enum { TERMS = 3 };
    static const char *const json =
        "{\"ffn\": {\"kernel\": \"gated-mlp\", \"hidden\": 7, \"series\": 3, \"activation\": \"silu\"}}";
    struct kernel_case c;
    double want[B * T * D], gate[HIDDEN], up[HIDDEN];
    case_open(&c, json, B, T, D);
    const real *scale = case_values(&c, "series.weight"), *shift = case_values(&c, "series.bias");
    for (int t = 0; t < B * T; t++) {
        case_linear(&c, "gate_proj", c.x + t * D, D, gate, HIDDEN);
        case_linear(&c, "up_proj", c.x + t * D, D, up, HIDDEN);
        for (int n = 0; n < HIDDEN; n++) {
            double sum = 0;
            for (int k = 0; k < TERMS; k++)
                sum += silu((double)scale[k * HIDDEN + n] * gate[n] + (double)shift[k * HIDDEN + n]);
            up[n] *= sum;
        }
        case_linear(&c, "down_proj", up, HIDDEN, want + t * D, D);
    }
    case_expect(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

/* An RMS norm, rounded to 8 bits of the token's largest number, times signs of the weights over their mean
 * size. */
static void ternary(const struct kernel_case *c, const char *prefix, const double *x, int inputs, double *y,
                    int outputs)
{
    const real *w = values_of(c, prefix, ".weight"), *g = values_of(c, prefix, ".norm.weight");
    double n[2 * HIDDEN], square = 0, largest = 1e-5, size = 0;
    for (int i = 0; i < inputs; i++)
        square += x[i] * x[i] / inputs;
    for (int i = 0; i < inputs; i++) {
        n[i] = x[i] / sqrt(square + 1e-6) * (double)g[i];
        largest = fmax(largest, fabs(n[i]));
    }
    for (int i = 0; i < inputs * outputs; i++)
        size += fabs((double)w[i]) / (inputs * outputs);
    for (int o = 0; o < outputs; o++) {
        y[o] = 0;
        for (int i = 0; i < inputs; i++) {
            double sign = fmax(-1, fmin(1, rint((double)w[o * inputs + i] / size)));
            y[o] += rint(n[i] * 127 / largest) * largest / 127 * sign * size;
        }
    }
}

static void gated_maps_are_ternary(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], both[2 * HIDDEN];
    case_open(&c, "{\"ffn\": {\"kernel\": \"ternary-gated-mlp\", \"hidden\": 7}}", B, T, D);
    for (int t = 0; t < B * T; t++) {
        ternary(&c, "gate_proj", c.x + t * D, D, both, 2 * HIDDEN);
        for (int n = 0; n < HIDDEN; n++)
            both[n] = silu(both[n]) * both[HIDDEN + n];
        ternary(&c, "down_proj", both, HIDDEN, want + t * D, D);
    }
    case_expect(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_branch_has_a_scale),
        cmocka_unit_test(bottlenecks_stand_beside_the_mixer),
        cmocka_unit_test(what_the_mixer_explains_is_subtracted),
        cmocka_unit_test(two_streams_add_to_each_other),
        cmocka_unit_test(an_mlp_mixes_the_tokens),
        cmocka_unit_test(positions_are_added_to_the_input),
        cmocka_unit_test(a_gate_is_a_series),
        cmocka_unit_test(gated_maps_are_ternary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
