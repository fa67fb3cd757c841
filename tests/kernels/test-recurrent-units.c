/* LSTM, GRU, Elman's network, SRU and QRNN against loops over tokens and channels. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 9, D = 3 };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Row `row` of torch's recurrent layers: of the input and its bias, or of the state and its. */
static double input_row(const struct kernel_case *c, int row, const double *x)
{
    double sum = (double)case_values(c, "bias_ih_l0")[row];
    for (int i = 0; i < D; i++)
        sum += (double)case_values(c, "weight_ih_l0")[row * D + i] * x[i];
    return sum;
}

static double state_row(const struct kernel_case *c, int row, const double *h)
{
    double sum = (double)case_values(c, "bias_hh_l0")[row];
    for (int i = 0; i < D; i++)
        sum += (double)case_values(c, "weight_hh_l0")[row * D + i] * h[i];
    return sum;
}

static void lstm(const struct kernel_case *c, const double *x, double *h, double *memory)
{
    double next[D];
    for (int d = 0; d < D; d++) {
        double gates[4];
        for (int g = 0; g < 4; g++)
            gates[g] = input_row(c, g * D + d, x) + state_row(c, g * D + d, h);
        memory[d] = sigmoid(gates[1]) * memory[d] + sigmoid(gates[0]) * tanh(gates[2]);
        next[d] = sigmoid(gates[3]) * tanh(memory[d]);
    }
    memcpy(h, next, sizeof next);
}

static void gru_gates(const struct kernel_case *c, const double *x, const double *h, double *r, double *z)
{
    for (int d = 0; d < D; d++) {
        r[d] = sigmoid(input_row(c, d, x) + state_row(c, d, h));
        z[d] = sigmoid(input_row(c, D + d, x) + state_row(c, D + d, h));
    }
}

static void gru_before(const struct kernel_case *c, const double *x, double *h, double *memory)
{
    double r[D], z[D], shown[D];
    (void)memory;
    gru_gates(c, x, h, r, z);
    for (int d = 0; d < D; d++)
        shown[d] = r[d] * h[d];
    for (int d = 0; d < D; d++) {
        double g = tanh(input_row(c, 2 * D + d, x) + state_row(c, 2 * D + d, shown));
        h[d] = z[d] * h[d] + (1 - z[d]) * g;
    }
}

static void gru_after(const struct kernel_case *c, const double *x, double *h, double *memory)
{
    double r[D], z[D], own[D];
    (void)memory;
    gru_gates(c, x, h, r, z);
    for (int d = 0; d < D; d++)
        own[d] = state_row(c, 2 * D + d, h);
    for (int d = 0; d < D; d++)
        h[d] = z[d] * h[d] + (1 - z[d]) * tanh(input_row(c, 2 * D + d, x) + r[d] * own[d]);
}

static void elman(const struct kernel_case *c, const double *x, double *h, double *memory)
{
    double next[D];
    (void)memory;
    for (int d = 0; d < D; d++)
        next[d] = sigmoid(input_row(c, d, x) + state_row(c, d, h));
    memcpy(h, next, sizeof next);
}

static void sru(const struct kernel_case *c, const double *x, double *h, double *memory)
{
    const real *w = case_values(c, "weight"), *v = case_values(c, "weight_c"), *b = case_values(c, "bias");
    for (int d = 0; d < D; d++) {
        double u[3] = {0}, before = memory[d];
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < D; i++)
                u[k] += (double)w[i * 3 * D + d * 3 + k] * x[i];
        double f = sigmoid(u[1] + (double)b[d] + (double)v[d] * before);
        double r = sigmoid(u[2] + (double)b[D + d] + (double)v[D + d] * before);
        memory[d] = f * before + (1 - f) * u[0];
        h[d] = r * memory[d] + (1 - r) * sqrt(1 + 2 * exp(-1)) * x[d];
    }
}

static void expect_unit(const char *composition, void (*advance)(const struct kernel_case *, const double *x,
                                                                 double *h, double *memory))
{
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, composition, B, T, D);
    for (int b = 0; b < B; b++) {
        double h[D] = {0}, memory[D] = {0};
        for (int t = 0; t < T; t++) {
            advance(&c, c.x + (b * T + t) * D, h, memory);
            memcpy(want + (b * T + t) * D, h, sizeof h);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void lstm_keeps_a_memory_behind_gates(void **state)
{
    (void)state;
    expect_unit("{\"mixer\": {\"kernel\": \"lstm\"}}", lstm);
    case_expect_properties("{\"mixer\": {\"kernel\": \"lstm\"}}");
}

static void gru_resets_before_or_after_the_product(void **state)
{
    (void)state;
    expect_unit("{\"mixer\": {\"kernel\": \"gru\"}}", gru_before);
    expect_unit("{\"mixer\": {\"kernel\": \"gru\", \"reset\": \"after\"}}", gru_after);
    case_expect_properties("{\"mixer\": {\"kernel\": \"gru\", \"reset\": \"after\"}}");
}

static void elman_squashes_the_state(void **state)
{
    (void)state;
    expect_unit("{\"mixer\": {\"kernel\": \"elman-recurrence\"}}", elman);
    case_expect_properties("{\"mixer\": {\"kernel\": \"elman-recurrence\", \"activation\": \"tanh\"}}");
}

static void sru_gates_channel_by_channel(void **state)
{
    (void)state;
    expect_unit("{\"mixer\": {\"kernel\": \"simple-recurrent-unit\", \"highway_bias\": -1}}", sru);
    case_expect_properties("{\"mixer\": {\"kernel\": \"simple-recurrent-unit\"}}");
}

/* Pooling with `parts` gates (z, f, o, i) over windows of three tokens, oldest first. */
static void expect_pooling(const char *pooling, int parts)
{
    struct kernel_case c;
    char composition[128];
    double want[B * T * D], window[3 * D], gates[4 * D];
    snprintf(composition, sizeof composition,
             "{\"mixer\": {\"kernel\": \"quasi-recurrent\", \"conv\": 3, \"pooling\": \"%s\"}}", pooling);
    case_open(&c, composition, B, T, D);
    for (int b = 0; b < B; b++) {
        double memory[D] = {0};
        for (int t = 0; t < T; t++) {
            for (int j = 0; j < 3 * D; j++) {
                int from = t - 2 + j / D;
                window[j] = from < 0 ? 0 : c.x[(b * T + from) * D + j % D];
            }
            case_linear(&c, "linear", window, 3 * D, gates, parts * D);
            for (int d = 0; d < D; d++) {
                double f = sigmoid(gates[D + d]), enter = parts == 4 ? sigmoid(gates[3 * D + d]) : 1 - f;
                memory[d] = f * memory[d] + enter * tanh(gates[d]);
                want[(b * T + t) * D + d] = memory[d] * (parts > 2 ? sigmoid(gates[2 * D + d]) : 1);
            }
        }
    }
    case_expect(&c, want);
    case_close(&c);
    case_expect_properties(composition);
}

static void qrnn_pools_along_time(void **state)
{
    (void)state;
    expect_pooling("f", 2);
    expect_pooling("fo", 3);
    expect_pooling("ifo", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm_keeps_a_memory_behind_gates),
        cmocka_unit_test(gru_resets_before_or_after_the_product),
        cmocka_unit_test(elman_squashes_the_state),
        cmocka_unit_test(sru_gates_channel_by_channel),
        cmocka_unit_test(qrnn_pools_along_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
