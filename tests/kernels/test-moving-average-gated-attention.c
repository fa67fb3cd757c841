/* Mega's gated attention against its recurrence and a loop over pairs, for every normaliser, bias and cut of
 * the sequence. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 12, D = 5, Z = 4, E = 6, N = 3, LENGTH = 14, OUTPUTS = 2 * D + Z + E };

struct variant {
    const char *normalizer, *bias;
    int chunk, truncation;
    bool bidirectional;
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

/* What one average n of channel d (of the second set: reversed) makes of its inputs at t. */
static double average(const struct kernel_case *c, const struct variant *v, const double *x, int t, int d,
                      bool reversed)
{
    int row = (reversed ? D + d : d) * N;
    double sum = 0;
    for (int n = 0; n < N; n++) {
        double p = sigmoid((double)case_values(c, "move.delta")[row + n]);
        double q = 1 - p * sigmoid((double)case_values(c, "move.alpha")[row + n]);
        double weight = p * (double)case_values(c, "move.beta")[row + n] *
                        (double)case_values(c, "move.gamma")[row + n] / sqrt(N);
        for (int l = 0; l < T && (v->truncation == 0 || l < v->truncation); l++) {
            int s = reversed ? t + l : t - l;
            if (s >= 0 && s < T)
                sum += weight * pow(q, l) * x[s * D + d];
        }
    }
    return sum;
}

/* B of query i and key j, both counted inside their chunk. */
static double bias(const struct kernel_case *c, const struct variant *v, int i, int j)
{
    int length = v->chunk ? v->chunk : LENGTH;
    if (strcmp(v->bias, "simple") == 0)
        return (double)case_values(c, "rel_pos_bias.rel_pos_bias")[length - 1 + j - i];
    const real *alpha = case_values(c, "rel_pos_bias.alpha"), *beta = case_values(c, "rel_pos_bias.beta");
    double sum = 0;
    for (int m = 0; m < Z / 2; m++) {
        double rate = exp(-m * log(10000) / (Z / 2)), ci = cos(i * rate), si = sin(i * rate),
               cj = cos(j * rate), sj = sin(j * rate);
        double a1 = (double)alpha[m], a2 = (double)alpha[m + Z / 2], b1 = (double)beta[m],
               b2 = (double)beta[m + Z / 2];
        sum += (a1 * ci - a2 * si) * (b1 * cj - b2 * sj) + (a2 * ci + a1 * si) * (b2 * cj + b1 * sj);
    }
    return sum;
}

static void attend(const struct kernel_case *c, const struct variant *v, const double *q, const double *k,
                   const double *val, int i, double *o)
{
    int first = v->chunk ? i / v->chunk * v->chunk : 0,
        end = v->chunk && first + v->chunk < T ? first + v->chunk : T;
    int last = v->bidirectional ? end - 1 : i;
    double weights[T], total = 0;
    for (int j = first; j <= last; j++) {
        double s = 0;
        for (int d = 0; d < Z; d++)
            s += q[i * Z + d] * k[j * Z + d];
        double b = bias(c, v, i - first, j - first);
        if (strcmp(v->normalizer, "softmax") == 0) {
            weights[j] = exp(s / sqrt(Z) + b);
            total += weights[j];
            continue;
        }
        s = s / (last - first + 1) + b;
        weights[j] = strcmp(v->normalizer, "relu2") == 0
                         ? (s > 0 ? s * s : 0)
                         : 0.5 * (1 + erf((s - 0.707107) / (0.282095 * sqrt(2))));
        total = 1;
    }
    for (int d = 0; d < E; d++) {
        o[d] = 0;
        for (int j = first; j <= last; j++)
            o[d] += weights[j] / total * val[j * E + d];
    }
}

static void sequence(const struct kernel_case *c, const struct variant *v, const double *x, double *y)
{
    double base[T * OUTPUTS], q[T * Z], k[T * Z], val[T * E], m[D], o[E], h[D];
    const real *gamma = case_values(c, "gamma"), *beta = case_values(c, "beta"),
               *omega = case_values(c, "move.omega");
    for (int t = 0; t < T; t++) {
        for (int d = 0; d < D; d++) {
            double sum =
                average(c, v, x, t, d, false) + (v->bidirectional ? average(c, v, x, t, d, true) : 0);
            m[d] = silu(sum + (double)omega[d] * x[t * D + d]);
        }
        case_linear(c, "mx_proj", m, D, base + t * OUTPUTS, OUTPUTS);
        case_linear(c, "v_proj", x + t * D, D, val + t * E, E);
        for (int d = 0; d < E; d++)
            val[t * E + d] = silu(val[t * E + d]);
        for (int d = 0; d < Z; d++) {
            double z = silu(base[t * OUTPUTS + D + d]);
            q[t * Z + d] = z * (double)gamma[d] + (double)beta[d];
            k[t * Z + d] = z * (double)gamma[Z + d] + (double)beta[Z + d];
        }
    }
    for (int t = 0; t < T; t++) {
        attend(c, v, q, k, val, t, o);
        for (int d = 0; d < E; d++)
            o[d] *= silu(base[t * OUTPUTS + D + Z + d]);
        case_linear(c, "h_proj", o, E, h, D);
        for (int d = 0; d < D; d++)
            y[t * D + d] = sigmoid(base[t * OUTPUTS + d]) *
                           (silu(base[t * OUTPUTS + D + Z + E + d] + h[d]) - x[t * D + d]);
    }
}

static void is_a_loop_over_pairs(void **state)
{
    static const struct variant variants[] = {
        {"softmax", "simple", 0, 0, false}, {"softmax", "rotary", 4, 0, false},
        {"softmax", "rotary", 0, 3, true},  {"laplace", "simple", 0, 0, false},
        {"laplace", "rotary", 5, 2, false}, {"laplace", "simple", 4, 0, true},
        {"relu2", "simple", 5, 20, false},  {"relu2", "rotary", 0, 0, false},
        {"relu2", "rotary", 12, 0, true},   {"softmax", "simple", 6, 0, true},
        {"softmax", "simple", 13, 0, false}};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct kernel_case c;
        char json[512];
        double want[B * T * D];
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"moving-average-gated-attention\", \"key_dim\": 4, \"hidden\": "
                 "6, \"state\": 3, "
                 "\"length\": 14, \"normalizer\": \"%s\", \"position_bias\": \"%s\", \"chunk\": %d, "
                 "\"truncation\": %d, "
                 "\"bidirectional\": %s}}",
                 variants[i].normalizer, variants[i].bias, variants[i].chunk, variants[i].truncation,
                 variants[i].bidirectional ? "true" : "false");
        case_open(&c, json, B, T, D);
        for (int b = 0; b < B; b++)
            sequence(&c, &variants[i], c.x + b * T * D, want + b * T * D);
        case_expect(&c, want);
        case_close(&c);
    }
}

static void has_its_properties(void **state)
{
    static const char *const variants[] = {
        "\"normalizer\": \"laplace\"",
        "\"normalizer\": \"relu2\", \"chunk\": 8, \"position_bias\": \"rotary\"",
        "\"chunk\": 8, \"truncation\": 5"};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"mixer\": {\"kernel\": \"moving-average-gated-attention\", %s}}",
                 variants[i]);
        case_expect_properties(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_loop_over_pairs),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
