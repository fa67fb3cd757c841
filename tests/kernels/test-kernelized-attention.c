/* SimpleTRON, NPRF, the KL-Transformer and translation-equivariant attention, which never form their scores
 * or never name offsets, against explicit scores of all pairs. */
#include "base/memory.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { B = 2, H = 2, SIZE = 4, D = H * SIZE, M = 5, SCALES = 2, LENGTH = 520 };
static const double smoothing = 1.5;

/* One query and one key. */
struct pair {
    const struct kernel_case *c;
    int head;
    const double *q, *k; /* [SIZE] */
    int64_t i, j;        /* their tokens */
};

/* A method: its projections, the weight of a key, and whether weights are divided by their sum. */
struct method {
    const char *query, *key, *value, *output;
    double (*weight)(const struct pair *pair);
    bool causal, normalized;
    double epsilon;                           /* added to the sum */
    int64_t keys;                             /* channels of the keys, where they are not D */
    double (*added)(const struct pair *pair); /* of a query with itself, to the sum as well; or NULL */
};

static void attend(const struct kernel_case *c, const struct method *m, const double *x, double *y)
{
    int64_t T = c->length;
    double *q = memory_allocate((size_t)(3 * T * D) * sizeof *q), *k = q + T * D, *v = k + T * D;
    for (int64_t t = 0; t < T; t++) {
        case_linear(c, m->query, x + t * D, D, q + t * D, D);
        case_linear(c, m->key, x + t * D, D, k + t * D, m->keys ? m->keys : D);
        case_linear(c, m->value, x + t * D, D, v + t * D, D);
    }
    for (int64_t i = 0; i < T; i++) {
        double o[D];
        for (int h = 0; h < H; h++) {
            double sum[SIZE] = {0}, weights = m->epsilon;
            for (int64_t j = 0; j < (m->causal ? i + 1 : T); j++) {
                struct pair pair = {c, h, q + i * D + h * SIZE, k + j * D + h * SIZE, i, j};
                double weight = m->weight(&pair);
                weights += weight + (m->added && i == j ? m->added(&pair) : 0);
                for (int e = 0; e < SIZE; e++)
                    sum[e] += weight * v[j * D + h * SIZE + e];
            }
            for (int e = 0; e < SIZE; e++)
                o[h * SIZE + e] = m->normalized ? sum[e] / weights : sum[e];
        }
        case_linear(c, m->output, o, D, y + i * D, D);
    }
    free(q);
}

static void is_attention(const struct method *m, const char *json, int64_t length)
{
    struct kernel_case c;
    case_open(&c, json, B, length, D);
    double *want = memory_allocate((size_t)(B * length * D) * sizeof *want);
    for (int b = 0; b < B; b++)
        attend(&c, m, c.x + b * length * D, want + b * length * D);
    case_expect(&c, want);
    free(want);
    case_close(&c);
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- SimpleTRON ---- */

static double scaled_product(const struct pair *p)
{
    return dot(p->q, p->k) / sqrt((double)p->c->length);
}

static void unnormalized_attention_keeps_scores(void **state)
{
    static const struct method method = {"query", "key", "value", "output", scaled_product, false, false, 0};
    (void)state;
    for (int64_t length = 1; length < 60; length += 29)
        is_attention(&method, "{\"mixer\": {\"kernel\": \"unnormalized-linear-attention\", \"heads\": 2}}",
                     length);
}

/* ---- NPRF ---- */

/* The exponential kernel of unit vectors, estimated by M random features, times e^b; `columns` biases a
 * head. */
static double toeplitz_weight(const struct pair *p, int64_t columns)
{
    const real *w = case_values(p->c, "projection_matrix"), *b = case_values(p->c, "relative_position_bias");
    double sum = 0, one = sqrt(dot(p->q, p->q)), other = sqrt(dot(p->k, p->k));
    for (int m = 0; m < M; m++) {
        double u = -1; /* the halves of two squared norms */
        for (int e = 0; e < SIZE; e++)
            u += (double)w[m * SIZE + e] * (p->q[e] / one + p->k[e] / other);
        sum += exp(u) / M;
    }
    return sum * exp((double)b[p->head * columns + LENGTH - 1 + p->j - p->i]);
}

static double one_sided(const struct pair *p)
{
    return toeplitz_weight(p, LENGTH);
}

static double two_sided(const struct pair *p)
{
    return toeplitz_weight(p, 2 * LENGTH - 1);
}

#define TOEPLITZ \
    "{\"mixer\": {\"kernel\": \"toeplitz-kernel-attention\", \"heads\": 2, \"features\": 5, \"length\": 520"

static void toeplitz_attention_adds_biases(void **state)
{
    static const struct method past = {"q_proj", "k_proj", "v_proj", "out_proj", one_sided, true, true, 0},
                               all = {"q_proj", "k_proj", "v_proj", "out_proj", two_sided, false, true, 0};
    static const int64_t lengths[] = {1, 2, 33, LENGTH}; /* the last ones by transforms in single precision */
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        is_attention(&past, TOEPLITZ "}}", lengths[i]);
        is_attention(&all, TOEPLITZ ", \"causal\": false}}", lengths[i]);
    }
    case_expect_properties("{\"mixer\": {\"kernel\": \"toeplitz-kernel-attention\", \"causal\": false}}");
}

/* ---- The KL-Transformer ---- */

typedef double frequencies[2 * M][SIZE]; /* w_m, of which a spectrum fills some */

static int mixture(const struct pair *p, frequencies w)
{
    const real *e = case_values(p->c, "inner_attention.feature_map.omega"),
               *sigma = case_values(p->c, "inner_attention.feature_map.sigma"),
               *mean = case_values(p->c, "inner_attention.feature_map.mean") + p->head * SIZE;
    for (int m = 0; m < M; m++)
        for (int i = 0; i < SIZE; i++) {
            double sum = 0;
            for (int s = 0; s < SIZE; s++)
                sum += (double)e[s * M + m] * (double)sigma[(p->head * SIZE + s) * SIZE + i];
            w[m][i] = sum + (double)mean[i];
            w[M + m][i] = sum - (double)mean[i];
        }
    return 2 * M;
}

static int diagonal_mixture(const struct pair *p, frequencies w)
{
    const real *e = case_values(p->c, "inner_attention.feature_map.omega"),
               *sigma = case_values(p->c, "inner_attention.feature_map.sigma") + p->head * SIZE,
               *mean = case_values(p->c, "inner_attention.feature_map.mean") + p->head * SIZE;
    for (int m = 0; m < M; m++)
        for (int i = 0; i < SIZE; i++)
            w[m][i] = exp((double)sigma[i] / 2) * (double)e[i * M + m] + (double)mean[i];
    return M;
}

/* Sylvester's matrix: [A A; A -A] of itself. */
static double hadamard(int row, int column, int size)
{
    if (size == 1)
        return 1;
    int half = size / 2;
    return (row >= half && column >= half ? -1 : 1) * hadamard(row % half, column % half, half);
}

static int fastfood(const struct pair *p, frequencies w)
{
    const real *diagonal[3], *order = case_values(p->c, "inner_attention.feature_map.P");
    static const char *const names[] = {"S", "G", "B"};
    bool seen[SIZE] = {false};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "inner_attention.feature_map.%s", names[i]);
        diagonal[i] = case_values(p->c, name);
    }
    for (int l = 0; l < SIZE; l++)
        seen[(int)order[l]] = true;
    for (int i = 0; i < SIZE; i++) {
        assert_true(seen[i]);
        for (int j = 0; j < SIZE; j++) {
            w[i][j] = 0;
            for (int l = 0; l < SIZE; l++)
                w[i][j] += hadamard(i, l, SIZE) * (double)diagonal[1][l] * hadamard((int)order[l], j, SIZE);
            w[i][j] *= (double)diagonal[0][i] * (double)diagonal[2][j] / sqrt(SIZE);
        }
    }
    return SIZE;
}

/* Rows to zero mean and unit variance over the samples, then scale, shift and a leaky ReLU. */
static void normalize_batch(const struct kernel_case *c, int layer, int size, double *rows)
{
    char name[96];
    snprintf(name, sizeof name, "inner_attention.feature_map.generator.generator_layers.%d.batch_norm.weight",
             layer);
    const real *weight = case_values(c, name);
    snprintf(name, sizeof name, "inner_attention.feature_map.generator.generator_layers.%d.batch_norm.bias",
             layer);
    const real *bias = case_values(c, name);
    for (int i = 0; i < size; i++) {
        double mean = 0, variance = 0;
        for (int m = 0; m < M; m++)
            mean += rows[m * size + i] / M;
        for (int m = 0; m < M; m++)
            variance += (rows[m * size + i] - mean) * (rows[m * size + i] - mean) / M;
        for (int m = 0; m < M; m++) {
            double *at = rows + m * size + i;
            *at = (*at - mean) / sqrt(variance + 1e-5) * (double)weight[i] + (double)bias[i];
            *at = *at > 0 ? *at : 0.01 * *at;
        }
    }
}

static int generator(const struct pair *p, frequencies w)
{
    static const int sizes[] = {SIZE / 2, 2 * SIZE, 4 * SIZE, SIZE};
    const real *e = case_values(p->c, "inner_attention.feature_map.omega");
    double rows[M * 4 * SIZE], next[M * 4 * SIZE];
    for (int i = 0; i < M * sizes[0]; i++)
        rows[i] = (double)e[i];
    for (int layer = 0; layer < 3; layer++) {
        char name[96];
        snprintf(name, sizeof name, "inner_attention.feature_map.generator.generator_layers.%d.linear",
                 layer);
        for (int m = 0; m < M; m++)
            case_linear(p->c, name, rows + m * sizes[layer], sizes[layer], next + m * sizes[layer + 1],
                        sizes[layer + 1]);
        if (layer < 2)
            normalize_batch(p->c, layer, sizes[layer + 1], next);
        for (int i = 0; i < M * sizes[layer + 1]; i++)
            rows[i] = next[i];
    }
    for (int i = 0; i < M * SIZE; i++)
        w[i / SIZE][i % SIZE] = tanh(rows[i]);
    return M;
}

/* The mean of cos w (u - u'), and the product of the constant features; a mixture sums both signs of its
 * mean. */
static double stationary(const struct pair *p, int (*spectrum)(const struct pair *p, frequencies w))
{
    frequencies w;
    int count = spectrum(p, w);
    double sum = 0;
    for (int m = 0; m < count; m++)
        sum += cos((dot(w[m], p->q) - dot(w[m], p->k)) / sqrt(sqrt(SIZE)));
    return sum / (spectrum == mixture ? M : count) + smoothing * smoothing;
}

static double exponential(const struct pair *p, int (*spectrum)(const struct pair *p, frequencies w))
{
    frequencies w;
    int count = spectrum(p, w);
    double sum = 0, squares = (dot(p->q, p->q) + dot(p->k, p->k)) / sqrt(SIZE);
    for (int m = 0; m < count; m++)
        sum += exp((dot(w[m], p->q) + dot(w[m], p->k)) / sqrt(sqrt(SIZE)) - squares);
    return sum / count;
}

/* clang-format off */
static double fourier_mixture(const struct pair *p) { return stationary(p, mixture); }
static double positive_mixture(const struct pair *p) { return exponential(p, diagonal_mixture); }
static double fourier_fastfood(const struct pair *p) { return stationary(p, fastfood); }
static double positive_fastfood(const struct pair *p) { return exponential(p, fastfood); }
static double fourier_generator(const struct pair *p) { return stationary(p, generator); }
static double positive_generator(const struct pair *p) { return exponential(p, generator); }
/* clang-format on */

static void spectral_attention_learns_its_kernel(void **state)
{
    static const struct {
        const char *spectrum, *map;
        double (*weight)(const struct pair *p);
    } forms[] = {{"mixture", "fourier", fourier_mixture},     {"mixture", "positive", positive_mixture},
                 {"fastfood", "fourier", fourier_fastfood},   {"fastfood", "positive", positive_fastfood},
                 {"generator", "fourier", fourier_generator}, {"generator", "positive", positive_generator}};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct method method = {"query_projection",
                                "key_projection",
                                "value_projection",
                                "out_projection",
                                forms[i].weight,
                                false,
                                true,
                                1e-6};
        char json[256];
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"learned-spectral-attention\", \"heads\": 2, \"features\": 5, "
                 "\"smoothing\": 1.5, \"spectrum\": \"%s\", \"feature_map\": \"%s\"}}",
                 forms[i].spectrum, forms[i].map);
        for (int64_t length = 1; length < 20; length += 9)
            is_attention(&method, json, length);
        case_expect_properties(json);
    }
}

/* ---- Translation-equivariant features ---- */

#define POSITION "\"position\": {\"kernel\": \"translation-equivariant-features\", \"scales\": 2}}"

/* Softmax attention shows what the further channels add to a score: sums over frequencies of the offset. */
static double offset_weight(const struct pair *p)
{
    const real *w = case_values(p->c, "inv_freq"), *alpha = case_values(p->c, "alpha") + p->head * SCALES,
               *beta = case_values(p->c, "beta") + p->head * SCALES;
    double score = dot(p->q, p->k);
    for (int i = 0; i < SCALES; i++) {
        double angle = (double)w[i] * (double)(p->i - p->j);
        score += (double)alpha[i] * cos(angle) + (double)beta[i] * sin(angle);
    }
    return exp(score / sqrt(SIZE + 2 * SCALES));
}

static void scores_see_offsets(void **state)
{
    static const struct method all = {"q_proj", "k_proj", "v_proj", "o_proj", offset_weight, false, true, 0},
                               past = {"q_proj", "k_proj", "v_proj", "o_proj", offset_weight, true, true, 0};
    (void)state;
    for (int64_t length = 1; length < 40; length += 18) {
        is_attention(&all,
                     "{\"mixer\": {\"kernel\": \"attention\", \"heads\": 2, \"causal\": false}, " POSITION,
                     length);
        is_attention(&past, "{\"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, " POSITION, length);
    }
    case_expect_properties("{\"mixer\": {\"kernel\": \"attention\"}, " POSITION);
}

/* The ReLU features of a Performer, of extended queries and keys. */
static double relu_weight(const struct pair *p)
{
    enum { ALL = SIZE + 2 * SCALES };
    const real *w = case_values(p->c, "inv_freq"), *alpha = case_values(p->c, "alpha") + p->head * SCALES,
               *beta = case_values(p->c, "beta") + p->head * SCALES,
               *projection = case_values(p->c, "fast_attention.projection_matrix");
    double q[ALL], k[ALL], sum = 0;
    for (int i = 0; i < SIZE; i++) {
        q[i] = p->q[i];
        k[i] = p->k[i];
    }
    for (int i = 0; i < SCALES; i++) {
        double *of_q = q + SIZE + 2 * i, *of_k = k + SIZE + 2 * i, here = (double)w[i] * (double)p->i;
        of_k[0] = sin((double)w[i] * (double)p->j);
        of_k[1] = cos((double)w[i] * (double)p->j);
        of_q[0] = (double)alpha[i] * sin(here) - (double)beta[i] * cos(here);
        of_q[1] = (double)beta[i] * sin(here) + (double)alpha[i] * cos(here);
    }
    for (int m = 0; m < M; m++) {
        double of_q = 0, of_k = 0;
        for (int i = 0; i < ALL; i++) {
            of_q += (double)projection[m * ALL + i] * q[i] / sqrt(sqrt(ALL));
            of_k += (double)projection[m * ALL + i] * k[i] / sqrt(sqrt(ALL));
        }
        sum += (fmax(of_q, 0) + 1e-3) * (fmax(of_k, 0) + 1e-3);
    }
    return sum;
}

static void performers_take_further_channels(void **state)
{
    static const struct method method = {"to_q", "to_k", "to_v", "to_out", relu_weight, false, true, 0};
    (void)state;
    for (int64_t length = 1; length < 40; length += 18)
        is_attention(
            &method,
            "{\"mixer\": {\"kernel\": \"positive-random-feature-attention\", \"heads\": 2, \"features\": 5, "
            "\"causal\": false, \"generalized\": true}, " POSITION,
            length);
}

/* ---- Clipped distances ---- */

enum { CLIP = 3 };

/* The ReLU features of a vector, [M]. */
static void relu_features(const real *projection, const double *x, double *features)
{
    for (int m = 0; m < M; m++) {
        double product = 0;
        for (int i = 0; i < SIZE; i++)
            product += (double)projection[m * SIZE + i] * x[i] / sqrt(sqrt(SIZE));
        features[m] = fmax(product, 0) + 1e-3;
    }
}

static double feature_product(const real *projection, const double *a, const double *b)
{
    double of_a[M], of_b[M], sum = 0;
    relu_features(projection, a, of_a);
    relu_features(projection, b, of_b);
    for (int m = 0; m < M; m++)
        sum += of_a[m] * of_b[m];
    return sum;
}

/* The first head sees content, the second the distance. */
static double clipped_weight(const struct pair *p)
{
    if (p->head == 0)
        return feature_product(case_values(p->c, "fast_attention.projection_matrix"), p->q, p->k);
    int64_t distance = p->i > p->j ? p->i - p->j : p->j - p->i;
    const real *row = case_values(p->c, "rpe") + (distance < CLIP ? distance : CLIP) * SIZE;
    double r[SIZE];
    for (int i = 0; i < SIZE; i++)
        r[i] = (double)row[i];
    return feature_product(case_values(p->c, "relative_attention.projection_matrix"), p->q, r);
}

/* A causal Performer adds 1e-6 to the sum of its keys' features. */
static double performer_epsilon(const struct pair *p)
{
    double features[M], sum = 0;
    relu_features(case_values(p->c, "fast_attention.projection_matrix"), p->q, features);
    for (int m = 0; m < M; m++)
        sum += 1e-6 * features[m];
    return p->head == 0 ? sum : 0;
}

static void distances_are_clipped(void **state)
{
    static const struct method all = {"to_q", "to_k", "to_v", "to_out", clipped_weight,
                                      false,  true,   0,      SIZE,     NULL},
                               past = {"to_q", "to_k", "to_v", "to_out", clipped_weight,
                                       true,   true,   0,      SIZE,     performer_epsilon};
    static const char *const form =
        "{\"mixer\": {\"kernel\": \"positive-random-feature-attention\", \"heads\": 2, \"features\": 5, "
        "\"clip\": 3, \"generalized\": true, \"causal\": %s}}";
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        char json[300];
        snprintf(json, sizeof json, form, causal ? "true" : "false");
        for (int64_t length = 1; length < 20; length += 4)
            is_attention(causal ? &past : &all, json, length);
        case_expect_properties(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unnormalized_attention_keeps_scores),
        cmocka_unit_test(toeplitz_attention_adds_biases),
        cmocka_unit_test(spectral_attention_learns_its_kernel),
        cmocka_unit_test(scores_see_offsets),
        cmocka_unit_test(performers_take_further_channels),
        cmocka_unit_test(distances_are_clipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
