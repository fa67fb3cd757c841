/* A recurrent translator with additive attention against its equations, token by token. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 5, HIDDEN = 3, FEATURES = 4, LENGTH = 7, OTHER = 4, WIDEST = LENGTH };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double product(const struct kernel_case *c, const char *name, int row, int columns, const double *x)
{
    const real *weight = case_values(c, name);
    double sum = 0;
    for (int i = 0; i < columns; i++)
        sum += (double)weight[row * columns + i] * x[i];
    return sum;
}

/* One encoder, in the order of its reading. */
static void encode(const struct kernel_case *c, const char *suffix, const double *source, int64_t length,
                   int backward, double h[WIDEST][2 * HIDDEN])
{
    char name[4][64];
    static const char *const parts[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"};
    double state[HIDDEN] = {0}, gates[2 * HIDDEN], reset[HIDDEN], next[HIDDEN];
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "encoder.%s%s", parts[i], suffix);
    for (int64_t step = 0; step < length; step++) {
        int64_t j = backward ? length - 1 - step : step;
        for (int i = 0; i < 2 * HIDDEN; i++)
            gates[i] =
                sigmoid(product(c, name[0], i, D, source + j * D) + product(c, name[1], i, HIDDEN, state) +
                        (double)case_values(c, name[2])[i] + (double)case_values(c, name[3])[i]);
        for (int i = 0; i < HIDDEN; i++)
            reset[i] = gates[i] * state[i];
        for (int i = 0; i < HIDDEN; i++) {
            int row = 2 * HIDDEN + i;
            double fresh =
                tanh(product(c, name[0], row, D, source + j * D) + product(c, name[1], row, HIDDEN, reset) +
                     (double)case_values(c, name[2])[row] + (double)case_values(c, name[3])[row]);
            next[i] = gates[HIDDEN + i] * state[i] + (1 - gates[HIDDEN + i]) * fresh;
        }
        memcpy(state, next, sizeof state);
        memcpy(h[j] + backward * HIDDEN, state, sizeof state);
    }
}

/* The average of the annotations as the state sees them. */
static void look(const struct kernel_case *c, const double h[WIDEST][2 * HIDDEN], int64_t length,
                 const double *state, double *context)
{
    double sum = 0;
    memset(context, 0, 2 * HIDDEN * sizeof *context);
    for (int64_t j = 0; j < length; j++) {
        double energy = 0;
        for (int i = 0; i < FEATURES; i++)
            energy += (double)case_values(c, "alignment.v_a")[i] *
                      tanh(product(c, "alignment.W_a.weight", i, D, state) +
                           product(c, "alignment.U_a.weight", i, 2 * HIDDEN, h[j]));
        sum += exp(energy);
        for (int i = 0; i < 2 * HIDDEN; i++)
            context[i] += exp(energy) * h[j][i];
    }
    for (int i = 0; i < 2 * HIDDEN; i++)
        context[i] /= sum;
}

static void translate(const struct kernel_case *c, const double *x, const double *source, int64_t length,
                      double *y)
{
    double h[WIDEST][2 * HIDDEN], state[D], context[2 * HIDDEN], input[3 * D], gates[2 * D], reset[D];
    encode(c, "", source, length, 0, h);
    encode(c, "_reverse", source, length, 1, h);
    case_linear(c, "decoder.W_s", h[0] + HIDDEN, HIDDEN, state, D);
    for (int i = 0; i < D; i++)
        state[i] = tanh(state[i]);
    for (int64_t t = 0; t < LENGTH; t++) {
        look(c, (const double(*)[2 * HIDDEN]) h, length, state, context);
        case_linear(c, "decoder.input", x + t * D, D, input, 3 * D);
        for (int i = 0; i < 3 * D; i++)
            input[i] += product(c, "decoder.context.weight", i, 2 * HIDDEN, context);
        for (int i = 0; i < 2 * D; i++)
            gates[i] = sigmoid(input[i] + product(c, "decoder.state.weight", i, D, state));
        for (int i = 0; i < D; i++)
            reset[i] = gates[i] * state[i];
        for (int i = 0; i < D; i++) {
            double fresh = tanh(input[2 * D + i] + product(c, "decoder.state.weight", 2 * D + i, D, reset));
            y[t * D + i] = gates[D + i] * state[i] + (1 - gates[D + i]) * fresh;
        }
        memcpy(state, y + t * D, sizeof state);
    }
}

/* ---- A source of its own ---- */

static void with_source(struct graph *graph, void *argument)
{
    struct kernel_case *c = argument;
    tensor *x = tensor_constant(graph, NULL, 3, SHAPE(B, LENGTH, D));
    for (int64_t i = 0; i < B * LENGTH * D; i++)
        x->data[i] = (real)c->x[i];
    /* The first tokens of x, the last first. */
    struct inputs inputs = {
        .names = {"source"}, .values = {tensor_flip(tensor_slice(x, 1, 0, OTHER), 1)}, .count = 1};
    tensor *y = graph_keep(tensor_contiguous(block_forward(c->block, x, &inputs)));
    graph_run(graph);
    for (int64_t i = 0; i < B * LENGTH * D; i++)
        c->y[i] = (double)y->data[i];
}

static void looks_at_another_sequence(void **state)
{
    (void)state;
    struct kernel_case c;
    struct error error = ERROR_INIT;
    double want[B * LENGTH * D], source[OTHER * D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"additive-attention\", \"hidden\": 3, \"features\": 4}}", B,
              LENGTH, D);
    for (int b = 0; b < B; b++) {
        const double *x = c.x + b * LENGTH * D;
        for (int j = 0; j < OTHER; j++)
            memcpy(source + j * D, x + (OTHER - 1 - j) * D, D * sizeof *source);
        translate(&c, x, source, OTHER, want + b * LENGTH * D);
    }
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    if (!graph_protect(graph, with_source, &c, &error))
        fail_msg("%s", error.message);
    graph_free(graph);
    pool_free(pool);
    case_expect(&c, want);
    case_close(&c);
}

static void looks_at_its_own_sequence(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * LENGTH * D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"additive-attention\", \"hidden\": 3, \"features\": 4}}", B,
              LENGTH, D);
    for (int b = 0; b < B; b++)
        translate(&c, c.x + b * LENGTH * D, c.x + b * LENGTH * D, LENGTH, want + b * LENGTH * D);
    case_expect(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_at_its_own_sequence),
        cmocka_unit_test(looks_at_another_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
