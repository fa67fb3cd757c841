/* Optimus: a sentence is encoded, a vector drawn, and one layer of attention decodes with it in front. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, D = 4, P = 3, MOST = T + 1 };
static const char json[] = "{\"position\": {\"kernel\": \"learned-absolute\", \"length\": 4096},"
                           " \"mixer\": {\"kernel\": \"attention\", \"heads\": 1, \"prefixed\": true},"
                           " \"objective\": {\"kernel\": \"variational-autoencoder\", \"latent\": 3, "
                           "\"encoder_layers\": 1, \"encoder_heads\": 1,"
                           " \"encoder_length\": 4096}}";

/* What a query finds among the first `count` keys. */
static void attend(const double *q, double k[][D], double v[][D], int count, double *o)
{
    double sum = 0;
    memset(o, 0, D * sizeof *o);
    for (int s = 0; s < count; s++) {
        double score = 0;
        for (int i = 0; i < D; i++)
            score += q[i] * k[s][i] / sqrt(D);
        sum += exp(score);
        for (int i = 0; i < D; i++)
            o[i] += exp(score) * v[s][i];
    }
    for (int i = 0; i < D; i++)
        o[i] /= sum;
}

static void norm(const struct kernel_case *c, const char *name, double *x)
{
    char full[128];
    double mean = 0, variance = 0;
    snprintf(full, sizeof full, "objective.encoder.%s.weight", name);
    const real *weight = case_values(c, full);
    snprintf(full, sizeof full, "objective.encoder.%s.bias", name);
    const real *bias = case_values(c, full);
    for (int i = 0; i < D; i++)
        mean += x[i] / D;
    for (int i = 0; i < D; i++)
        variance += pow(x[i] - mean, 2) / D;
    for (int i = 0; i < D; i++)
        x[i] = (x[i] - mean) / sqrt(variance + 1e-12) * (double)weight[i] + (double)bias[i];
}

#define LAYER "objective.encoder.encoder.layer.0."

static void encode(const struct kernel_case *c, const double *text, double *statistics)
{
    const real *places = case_values(c, "objective.encoder.embeddings.position_embeddings.weight");
    double x[T][D], q[D], k[T][D], v[T][D], found[D], first[D], units[4 * D], pooled[D];
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < D; i++)
            x[t][i] = text[t * D + i] + (double)places[t * D + i];
        norm(c, "embeddings.LayerNorm", x[t]);
        case_linear(c, LAYER "attention.self.key", x[t], D, k[t], D);
        case_linear(c, LAYER "attention.self.value", x[t], D, v[t], D);
    }
    case_linear(c, LAYER "attention.self.query", x[0], D, q, D);
    attend(q, k, v, T, found);
    case_linear(c, LAYER "attention.output.dense", found, D, first, D);
    for (int i = 0; i < D; i++)
        first[i] += x[0][i];
    norm(c, "encoder.layer.0.attention.output.LayerNorm", first);
    case_linear(c, LAYER "intermediate.dense", first, D, units, 4 * D);
    for (int i = 0; i < 4 * D; i++)
        units[i] *= 0.5 * (1 + erf(units[i] / sqrt(2)));
    case_linear(c, LAYER "output.dense", units, 4 * D, found, D);
    for (int i = 0; i < D; i++)
        first[i] += found[i];
    norm(c, "encoder.layer.0.output.LayerNorm", first);
    case_linear(c, "objective.encoder.pooler.dense", first, D, pooled, D);
    for (int i = 0; i < D; i++)
        pooled[i] = tanh(pooled[i]);
    case_linear(c, "objective.encoder.linear", pooled, D, statistics, 2 * P);
}

static void decode(const struct kernel_case *c, const double *text, const double *z, double *y)
{
    const real *places = case_values(c, "position.weight");
    double added[D], x[T][D], q[D], k[MOST][D], v[MOST][D], found[D];
    case_linear(c, "objective.decoder.transformer.linear", z, P, k[0], D);
    case_linear(c, "objective.decoder.transformer.linear_emb", z, P, added, D);
    memcpy(v[0], k[0], sizeof v[0]);
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < D; i++)
            x[t][i] = text[t * D + i] + (double)places[t * D + i] + added[i];
        case_linear(c, "mixer.q_proj", x[t], D, q, D);
        case_linear(c, "mixer.k_proj", x[t], D, k[t + 1], D);
        case_linear(c, "mixer.v_proj", x[t], D, v[t + 1], D);
        attend(q, k, v, t + 2, found);
        case_linear(c, "mixer.o_proj", found, D, y + t * D, D);
        for (int i = 0; i < D; i++)
            y[t * D + i] += x[t][i];
    }
}

static void expect_decoded(const struct case_input *inputs, int count, const double *noise,
                           const double *latent)
{
    struct kernel_case c;
    double want[B * T * D], statistics[2 * P], z[P];
    case_open_with_inputs(&c, json, B, T, D, inputs, count);
    for (int b = 0; b < B; b++) {
        if (!latent)
            encode(&c, c.x + b * T * D, statistics);
        for (int i = 0; i < P; i++)
            z[i] = latent ? latent[b * P + i]
                          : statistics[i] + (noise ? noise[b * P + i] * exp(statistics[P + i] / 2) : 0);
        decode(&c, c.x + b * T * D, z, want + b * T * D);
    }
    case_expect(&c, want);
    case_close(&c);
}

static const double drawn[B * P] = {0.3, -1.2, 0.7, 2, 0.1, -0.4};

static void mean_is_decoded(void **state)
{
    (void)state;
    expect_decoded(NULL, 0, NULL, NULL);
}

static void sample_is_decoded(void **state)
{
    (void)state;
    expect_decoded(&(struct case_input){"noise", 2, {B, P}, drawn}, 1, drawn, NULL);
}

static void given_vector_is_decoded(void **state)
{
    (void)state;
    expect_decoded(&(struct case_input){"latent", 2, {B, P}, drawn}, 1, NULL, drawn);
}

static void properties(void **state)
{
    (void)state;
    case_expect_stack_properties(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_is_decoded),
        cmocka_unit_test(sample_is_decoded),
        cmocka_unit_test(given_vector_is_decoded),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
