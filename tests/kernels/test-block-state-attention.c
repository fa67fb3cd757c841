/* The Block-State Transformer's mixer against its definition: scores and the state space's recurrence,
 * written out. */
#include "case.h"
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    BATCH = 2,
    LENGTH = 13,
    WIDTH = 8,
    HEADS = 2,
    HEAD = WIDTH / HEADS,
    WINDOW = 5,
    CHANNELS = WIDTH / 4,
    MODES = 3,
    FILTERS = 3,
    MOST_CONTEXTS = 3
};

static void apply(const struct kernel_case *run, const char *name, int64_t rows, int64_t inputs,
                  int64_t outputs, const double *from, double *to)
{
    for (int64_t r = 0; r < rows; r++)
        case_linear(run, name, from + r * inputs, inputs, to + r * outputs, outputs);
}

/* The state space's outputs [T, contexts, D / 4] of one sequence. */
static void state_space(const struct kernel_case *run, int64_t contexts, const double *x, double *c)
{
    double u[LENGTH * CHANNELS];
    const real *log_real = case_values(run, "ssm.log_A_real"), *turn = case_values(run, "ssm.A_imag"),
               *log_dt = case_values(run, "ssm.log_dt"), *C = case_values(run, "ssm.C"),
               *D = case_values(run, "ssm.D");
    apply(run, "down_proj", LENGTH, WIDTH, CHANNELS, x, u);
    for (int64_t h = 0; h < contexts; h++)
        for (int64_t i = 0; i < CHANNELS; i++) {
            double complex state[MODES] = {0};
            double dt = exp((double)log_dt[i]);
            for (int64_t t = 0; t < LENGTH; t++) {
                double y = (double)D[h * CHANNELS + i] * u[t * CHANNELS + i];
                for (int64_t n = 0; n < MODES; n++) {
                    double complex a =
                        -exp((double)log_real[i * MODES + n]) + I * (double)turn[i * MODES + n];
                    const real *c_n = C + ((h * CHANNELS + i) * MODES + n) * 2;
                    state[n] = cexp(dt * a) * state[n] + (cexp(dt * a) - 1) / a * u[t * CHANNELS + i];
                    y += 2 * creal(((double)c_n[0] + I * (double)c_n[1]) * state[n]);
                }
                c[(t * contexts + h) * CHANNELS + i] = y;
            }
        }
}

/* y [T, D] at `to`, rows 2 D apart: softmax attention of one sequence inside blocks; bias NULL or [buckets,
 * H] with one bucket a distance. */
static void attend(const double *q, const double *k, const double *v, const real *bias, double *to)
{
    for (int64_t h = 0; h < HEADS; h++)
        for (int64_t t = 0; t < LENGTH; t++) {
            double sum = 0, out[HEAD] = {0};
            for (int64_t j = t / WINDOW * WINDOW; j <= t; j++) {
                double score = 0;
                for (int64_t i = h * HEAD; i < (h + 1) * HEAD; i++)
                    score += q[t * WIDTH + i] * k[j * WIDTH + i] / sqrt(HEAD);
                double weight = exp(score + (bias ? (double)bias[(t - j) * HEADS + h] : 0));
                sum += weight;
                for (int64_t i = 0; i < HEAD; i++)
                    out[i] += weight * v[j * WIDTH + h * HEAD + i];
            }
            for (int64_t i = 0; i < HEAD; i++)
                to[t * 2 * WIDTH + h * HEAD + i] = out[i] / sum;
        }
}

/* Head h's rows of the projection of its context. */
static void project_context(const struct kernel_case *run, const char *name, int64_t contexts,
                            const double *context, double *to)
{
    const real *w = case_values(run, name);
    for (int64_t t = 0; t < LENGTH; t++)
        for (int64_t o = 0; o < WIDTH; o++) {
            const double *from = context + (t * contexts + (contexts > 1 ? o / HEAD : 0)) * WIDTH;
            to[t * WIDTH + o] = 0;
            for (int64_t i = 0; i < WIDTH; i++)
                to[t * WIDTH + o] += (double)w[o * WIDTH + i] * from[i];
        }
}

/* y [T, D] at `to`, rows 2 D apart: each token over the filters' states after the block before its own, or
 * over the first context. */
static void attend_filters(const struct kernel_case *run, const double *q, const double *c, double *to)
{
    const real *first = case_values(run, "init_context"), *ids = case_values(run, "context_ids");
    for (int64_t t = 0; t < LENGTH; t++) {
        double from[FILTERS * CHANNELS], context[FILTERS * WIDTH], k[FILTERS * WIDTH], v[FILTERS * WIDTH];
        int64_t last = t / WINDOW * WINDOW - 1;
        for (int64_t i = 0; i < FILTERS * CHANNELS; i++)
            from[i] = last < 0 ? (double)first[i] : c[last * FILTERS * CHANNELS + i];
        apply(run, "up_proj", FILTERS, CHANNELS, WIDTH, from, context);
        for (int64_t i = 0; i < FILTERS * WIDTH; i++)
            context[i] += (double)ids[i];
        apply(run, "context_k_proj", FILTERS, WIDTH, WIDTH, context, k);
        apply(run, "context_v_proj", FILTERS, WIDTH, WIDTH, context, v);
        for (int64_t h = 0; h < HEADS; h++) {
            double sum = 0, out[HEAD] = {0};
            for (int64_t j = 0; j < FILTERS; j++) {
                double score = 0;
                for (int64_t i = h * HEAD; i < (h + 1) * HEAD; i++)
                    score += q[t * WIDTH + i] * k[j * WIDTH + i] / sqrt(HEAD);
                sum += exp(score);
                for (int64_t i = 0; i < HEAD; i++)
                    out[i] += exp(score) * v[j * WIDTH + h * HEAD + i];
            }
            for (int64_t i = 0; i < HEAD; i++)
                to[t * 2 * WIDTH + h * HEAD + i] = out[i] / sum;
        }
    }
}

/* As many contexts as FILTERS are multi-filter's. */
static void define(const struct kernel_case *run, int64_t contexts, const double *x, double *y)
{
    double q[LENGTH * WIDTH], k[LENGTH * WIDTH], v[LENGTH * WIDTH], both[LENGTH * 2 * WIDTH],
        c[LENGTH * MOST_CONTEXTS * CHANNELS], context[LENGTH * MOST_CONTEXTS * WIDTH];
    apply(run, "q_proj", LENGTH, WIDTH, WIDTH, x, q);
    apply(run, "k_proj", LENGTH, WIDTH, WIDTH, x, k);
    apply(run, "v_proj", LENGTH, WIDTH, WIDTH, x, v);
    attend(q, k, v, case_values(run, "relative_attention_bias.weight"), both);
    state_space(run, contexts, x, c);
    apply(run, "context_q_proj", LENGTH, WIDTH, WIDTH, x, q);
    if (contexts == FILTERS) {
        attend_filters(run, q, c, both + WIDTH);
    } else {
        apply(run, "up_proj", LENGTH * contexts, CHANNELS, WIDTH, c, context);
        project_context(run, "context_k_proj.weight", contexts, context, k);
        project_context(run, "context_v_proj.weight", contexts, context, v);
        attend(q, k, v, NULL, both + WIDTH);
    }
    apply(run, "o_proj", LENGTH, 2 * WIDTH, WIDTH, both, y);
}

static void compare(const char *mixer, int64_t contexts)
{
    struct kernel_case run;
    double want[BATCH * LENGTH * WIDTH];
    case_open(&run, mixer, BATCH, LENGTH, WIDTH);
    for (int64_t b = 0; b < BATCH; b++)
        define(&run, contexts, run.x + b * LENGTH * WIDTH, want + b * LENGTH * WIDTH);
    case_expect(&run, want);
    case_close(&run);
    case_expect_properties(mixer);
}

static void one_context_serves_all_heads(void **state)
{
    compare("{\"mixer\": {\"kernel\": \"block-state-attention\", \"heads\": 2, \"window\": 5, \"state\": 6}}",
            1);
}

static void each_head_has_its_context(void **state)
{
    compare("{\"mixer\": {\"kernel\": \"block-state-attention\", \"heads\": 2, \"window\": 5, \"state\": 6, "
            "\"contexts\": \"multi-head\"}}",
            HEADS);
}

static void filters_tell_of_the_block_before(void **state)
{
    compare("{\"mixer\": {\"kernel\": \"block-state-attention\", \"heads\": 2, \"window\": 5, \"state\": 6, "
            "\"contexts\": \"multi-filter\", \"filters\": 3}}",
            FILTERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_context_serves_all_heads),
        cmocka_unit_test(each_head_has_its_context),
        cmocka_unit_test(filters_tell_of_the_block_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
