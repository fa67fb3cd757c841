/* Position kernels that change the scores of attention, against attention whose scores are formed one by
 * one. */
#include "base/memory.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 4, GROUPS = 2, SIZE = 4, D = H * SIZE, LENGTH = 21 };

/* One query of one head with a key. */
struct pair {
    const struct kernel_case *c;
    int head;
    int64_t t, s;
    double scaled[H][LENGTH]; /* q_t . k_s / sqrt(SIZE) of all heads and keys */
    const double *q, *k;      /* of the head */
};

struct method {
    double (*score)(const struct pair *pair);
    bool bidirectional;
};

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Keys and values of GROUPS heads, each for two query heads. */
static void attend(const struct kernel_case *c, const struct method *m, const double *x, int64_t t, double *y)
{
    struct pair pair = {.c = c, .t = t};
    double q[D], k[LENGTH][GROUPS * SIZE], v[LENGTH][GROUPS * SIZE], o[D] = {0};
    case_linear(c, "q_proj", x + t * D, D, q, D);
    for (int64_t s = 0; s < LENGTH; s++) {
        case_linear(c, "k_proj", x + s * D, D, k[s], GROUPS * SIZE);
        case_linear(c, "v_proj", x + s * D, D, v[s], GROUPS * SIZE);
        for (int h = 0; h < H; h++)
            pair.scaled[h][s] = dot(q + h * SIZE, k[s] + h / 2 * SIZE) / sqrt(SIZE);
    }
    for (pair.head = 0; pair.head < H; pair.head++) {
        double sum = 0, *mixed = o + pair.head * SIZE;
        pair.q = q + pair.head * SIZE;
        for (pair.s = 0; pair.s < (m->bidirectional ? LENGTH : t + 1); pair.s++) {
            pair.k = k[pair.s] + pair.head / 2 * SIZE;
            double weight = exp(m->score(&pair));
            sum += weight;
            for (int i = 0; i < SIZE; i++)
                mixed[i] += weight * v[pair.s][pair.head / 2 * SIZE + i];
        }
        for (int i = 0; i < SIZE; i++)
            mixed[i] /= sum;
    }
    case_linear(c, "o_proj", o, D, y, D);
}

/* The kernel in one call and, where it is causal, step by step; `mixer` has further options of attention. */
static void is_method(const struct method *m, const char *position, const char *mixer)
{
    struct kernel_case c;
    char json[512];
    double want[B * LENGTH * D];
    snprintf(
        json, sizeof json,
        "{\"position\": {%s}, \"mixer\": {\"kernel\": \"attention\", \"heads\": %d, \"kv_heads\": %d%s}}",
        position, H, GROUPS, mixer);
    case_open(&c, json, B, LENGTH, D);
    for (int64_t row = 0; row < B * LENGTH; row++)
        attend(&c, m, c.x + row / LENGTH * LENGTH * D, row % LENGTH, want + row * D);
    case_expect(&c, want);
    if (!m->bidirectional)
        case_expect_steps(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

static double value(const struct pair *p, const char *name, int64_t at)
{
    return (double)case_values(p->c, name)[at];
}

/* ---- KERPLE ---- */

/* A trained number of the head within its range: normal numbers of deviation 0.5 are often outside. */
static double bounded(const struct pair *p, const char *name, double high)
{
    return fmin(fmax(value(p, name, p->head), 0.01), high);
}

static double logarithmic(const struct pair *p)
{
    double n = (double)(p->t - p->s);
    return p->scaled[p->head][p->s] -
           bounded(p, "bias_p", INFINITY) * log(1 + bounded(p, "bias_a", INFINITY) * n);
}

static double power(const struct pair *p)
{
    double n = (double)(p->t - p->s);
    return p->scaled[p->head][p->s] - bounded(p, "bias_a", INFINITY) * pow(n, bounded(p, "bias_p", 2));
}

static double scaled_power(const struct pair *p)
{
    double n = (double)(p->t - p->s), a = p->scaled[p->head][p->s];
    return power(p) - a + a * exp(-bounded(p, "wei_a", INFINITY) * pow(n, bounded(p, "wei_p", 2)));
}

static void kernels_of_the_distance(void **state)
{
    (void)state;
    is_method(&(struct method){logarithmic, false}, "\"kernel\": \"kernelized-distance-bias\"", "");
    is_method(&(struct method){power, false}, "\"kernel\": \"kernelized-distance-bias\", \"form\": \"power\"",
              "");
    is_method(&(struct method){scaled_power, false},
              "\"kernel\": \"kernelized-distance-bias\", \"form\": \"power-scaled\"", "");
}

/* ---- T5 ---- */

/* Without 1 / sqrt(SIZE). */
static double with_bucket(const struct pair *p, int bucket)
{
    return p->scaled[p->head][p->s] * sqrt(SIZE) +
           value(p, "relative_attention_bias.weight", bucket * H + p->head);
}

/* 8 buckets up to 16: 0 to 3, then by ln(n / 4) / ln(4) * 4: from 4, 5.7, 8 and 11.3 on. */
static double past_buckets(const struct pair *p)
{
    int64_t n = p->t - p->s;
    return with_bucket(p, n < 4 ? (int)n : n < 6 ? 4 : n < 8 ? 5 : n < 12 ? 6 : 7);
}

/* 8 buckets up to 9, 4 for either side: 0, 1, from 2 and from 2 sqrt(4.5) = 4.2 on. */
static double both_buckets(const struct pair *p)
{
    int64_t n = p->t > p->s ? p->t - p->s : p->s - p->t;
    return with_bucket(p, (p->s > p->t ? 4 : 0) + (n < 2 ? (int)n : n < 5 ? 2 : 3));
}

static void buckets_of_distances(void **state)
{
    (void)state;
    is_method(&(struct method){past_buckets, false},
              "\"kernel\": \"t5-bias\", \"buckets\": 8, \"max_distance\": 16", ", \"scale\": 1");
    is_method(&(struct method){both_buckets, true},
              "\"kernel\": \"t5-bias\", \"buckets\": 8, \"max_distance\": 9, \"causal\": false",
              ", \"scale\": 1, \"causal\": false");
}

/* ---- FIRE ---- */

enum { HIDDEN = 24 };

static double network(const struct pair *p, double u, double slope)
{
    double sum = value(p, "mlp.2.bias", p->head);
    for (int i = 0; i < HIDDEN; i++) {
        double z = value(p, "mlp.0.weight", i) * u + value(p, "mlp.0.bias", i);
        sum += value(p, "mlp.2.weight", p->head * HIDDEN + i) * (z > 0 ? z : slope * z);
    }
    return sum;
}

static double interpolated(const struct pair *p, double slope)
{
    double c = fabs(value(p, "c", 0)), threshold = fabs(value(p, "L_multiplier", 0) * 9.5);
    double most = fmax((double)p->t, threshold);
    return network(p, log(c * (double)(p->t - p->s) + 1) / (log(c * most + 1) + 0.125), slope);
}

static double fire(const struct pair *p)
{
    return p->scaled[p->head][p->s] + interpolated(p, 0);
}

static void a_network_of_the_relative_distance(void **state)
{
    (void)state;
    is_method(
        &(struct method){fire, false},
        "\"kernel\": \"functional-interpolation\", \"hidden\": 24, \"threshold\": 9.5, \"epsilon\": 0.125",
        "");
}

/* ---- CAPE ---- */

static double kerple_base(const struct pair *p)
{
    return logarithmic(p) - p->scaled[p->head][p->s];
}

static double alibi_base(const struct pair *p)
{
    return -pow(2, -2.0 * (p->head + 1)) * (double)(p->t - p->s); /* of 4 heads */
}

static double fire_base(const struct pair *p)
{
    return interpolated(p, 0.01);
}

static double corrected(const struct pair *p, double (*base)(const struct pair *p))
{
    double seen[2 * H], answer = value(p, "mlp2.2.bias", p->head);
    for (int h = 0; h < H; h++) {
        struct pair other = *p;
        other.head = h;
        seen[h] = p->scaled[h][p->s];
        seen[H + h] = base(&other);
    }
    for (int i = 0; i < HIDDEN; i++) {
        double z = value(p, "mlp2.0.bias", i);
        for (int j = 0; j < 2 * H; j++)
            z += value(p, "mlp2.0.weight", i * 2 * H + j) * seen[j];
        answer += value(p, "mlp2.2.weight", p->head * HIDDEN + i) * (z > 0 ? z : 0.01 * z);
    }
    return p->scaled[p->head][p->s] + base(p) + answer;
}

static double corrected_kerple(const struct pair *p)
{
    return corrected(p, kerple_base);
}

static double corrected_alibi(const struct pair *p)
{
    return corrected(p, alibi_base);
}

static double corrected_fire(const struct pair *p)
{
    return corrected(p, fire_base);
}

static void scores_correct_the_bias(void **state)
{
    (void)state;
    is_method(&(struct method){corrected_kerple, false},
              "\"kernel\": \"context-adaptive-bias\", \"hidden\": 24", "");
    is_method(&(struct method){corrected_alibi, false},
              "\"kernel\": \"context-adaptive-bias\", \"hidden\": 24, \"base\": \"alibi\"", "");
    is_method(
        &(struct method){corrected_fire, false},
        "\"kernel\": \"context-adaptive-bias\", \"hidden\": 24, \"base\": \"fire\", \"threshold\": 9.5, "
        "\"epsilon\": 0.125",
        "");
}

/* ---- CoPE ---- */

enum { POSITIONS = 5 };

static double contextual(const struct pair *p)
{
    double count = 0, at[2] = {0};
    for (int64_t j = p->s; j <= p->t; j++)
        count += 1 / (1 + exp(-p->scaled[p->head][j]));
    count = fmin(count, POSITIONS - 1);
    int below = (int)count, above = below < POSITIONS - 1 ? below + 1 : below;
    for (int i = 0; i < SIZE; i++) {
        at[0] += p->q[i] * value(p, "pos_emb", i * POSITIONS + below);
        at[1] += p->q[i] * value(p, "pos_emb", i * POSITIONS + above);
    }
    return p->scaled[p->head][p->s] + at[0] + (count - below) * (at[1] - at[0]);
}

static void gates_count_positions(void **state)
{
    (void)state;
    is_method(&(struct method){contextual, false}, "\"kernel\": \"contextual-position\", \"positions\": 5",
              "");
}

/* ---- Huang et al. ---- */

enum { NEAR = 6 }; /* distances with a row of their own: 0 to 5 */

static int64_t clipped(const struct pair *p, int64_t most)
{
    int64_t n = p->t - p->s;
    return n > most ? most : n < -most ? -most : n;
}

static double unsigned_factor(const struct pair *p)
{
    int64_t n = clipped(p, NEAR - 1);
    return p->scaled[p->head][p->s] * value(p, "distance_embedding.weight", n < 0 ? -n : n);
}

static double signed_factor(const struct pair *p)
{
    return p->scaled[p->head][p->s] * value(p, "distance_embedding.weight", clipped(p, NEAR - 1) + NEAR - 1);
}

static double vector_factor(const struct pair *p)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += p->q[i] * p->k[i] *
               value(p, "distance_embedding.weight", (clipped(p, NEAR - 1) + NEAR - 1) * SIZE + i);
    return sum / sqrt(SIZE);
}

static double three_products(const struct pair *p)
{
    double sum = dot(p->q, p->k);
    for (int i = 0; i < SIZE; i++)
        sum += (p->q[i] + p->k[i]) *
               value(p, "distance_embedding.weight", (clipped(p, NEAR - 1) + NEAR - 1) * SIZE + i);
    return sum / sqrt(SIZE);
}

static void distances_meet_queries_and_keys(void **state)
{
    (void)state;
    static const struct {
        double (*score)(const struct pair *);
        const char *position;
    } methods[] = {
        {three_products, "\"kernel\": \"query-key-distance\", \"length\": 6"},
        {unsigned_factor, "\"kernel\": \"query-key-distance\", \"length\": 6, \"method\": \"unsigned\""},
        {signed_factor, "\"kernel\": \"query-key-distance\", \"length\": 6, \"method\": \"signed\""},
        {vector_factor, "\"kernel\": \"query-key-distance\", \"length\": 6, \"method\": \"vector\""},
    };
    for (int i = 0; i < 4; i++) {
        is_method(&(struct method){methods[i].score, true}, methods[i].position, ", \"causal\": false");
        is_method(&(struct method){methods[i].score, false}, methods[i].position, "");
    }
}

/* ---- DIET ---- */

enum { PLACES = 300, RANK = 3 };

static double absolute_tables(const struct pair *p)
{
    double sum = p->scaled[p->head][p->s];
    for (int i = 0; i < RANK; i++)
        sum += value(p, "query_position", (p->head * PLACES + p->t) * RANK + i) *
               value(p, "key_position", (p->head * PLACES + p->s) * RANK + i);
    return sum;
}

static double past_distance(const struct pair *p)
{
    return p->scaled[p->head][p->s] + value(p, "relative_position", p->head * NEAR + clipped(p, NEAR - 1));
}

/* One table for all heads. */
static double any_distance(const struct pair *p)
{
    return p->scaled[p->head][p->s] + value(p, "relative_position", clipped(p, NEAR - 1) + NEAR - 1);
}

static void positions_are_decoupled(void **state)
{
    (void)state;
    is_method(&(struct method){absolute_tables, false},
              "\"kernel\": \"decoupled-position-bias\", \"length\": 300, \"rank\": 3", "");
    is_method(&(struct method){past_distance, false},
              "\"kernel\": \"decoupled-position-bias\", \"form\": \"relative\", \"length\": 6", "");
    is_method(&(struct method){any_distance, true},
              "\"kernel\": \"decoupled-position-bias\", \"form\": \"relative\", \"length\": 6, "
              "\"causal\": false, \"share_heads\": true, \"share_layers\": true",
              ", \"causal\": false");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_of_the_distance),
        cmocka_unit_test(buckets_of_distances),
        cmocka_unit_test(a_network_of_the_relative_distance),
        cmocka_unit_test(scores_correct_the_bias),
        cmocka_unit_test(gates_count_positions),
        cmocka_unit_test(distances_meet_queries_and_keys),
        cmocka_unit_test(positions_are_decoupled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
