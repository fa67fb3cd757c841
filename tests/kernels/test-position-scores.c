/* DeBERTa and TUPE, whose scores sum products of contents and of positions, against scores formed one by
 * one. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 2, SIZE = 4, D = H * SIZE, LENGTH = 13 };

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Softmax over the scores of a query with its keys, and the sum of values. */
static void mix(const double *scores, int64_t keys, const double v[LENGTH][D], int head, double *o)
{
    double sum = 0;
    for (int64_t j = 0; j < keys; j++)
        sum += exp(scores[j]);
    for (int64_t j = 0; j < keys; j++)
        for (int i = head * SIZE; i < (head + 1) * SIZE; i++)
            o[i] += exp(scores[j]) / sum * v[j][i];
}

static void row(const real *table, int64_t place, double *values)
{
    for (int i = 0; i < D; i++)
        values[i] = (double)table[place * D + i];
}

/* ---- DeBERTa ---- */

struct disentangled {
    int64_t span;
    bool bucketed, to_position, to_content, shared, causal, output;
};

/* Of 8 buckets a side up to 17: 4 and 3 ln(n / 4) / ln 4 rounded up. */
static int64_t place_of(const struct disentangled *m, int64_t distance)
{
    static const int64_t buckets[LENGTH] = {0, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 7, 7};
    int64_t size = distance < 0 ? -distance : distance, sign = distance < 0 ? -1 : 1;
    int64_t place = sign * (m->bucketed ? buckets[size] : size) + m->span;
    return place < 0 ? 0 : place < 2 * m->span ? place : 2 * m->span - 1;
}

static void disentangle(const struct kernel_case *c, const struct disentangled *m, const double *x, double *y)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D], distance[D], of_key[D], of_query[D], scores[LENGTH];
    for (int64_t t = 0; t < LENGTH; t++) {
        case_linear(c, "query_proj", x + t * D, D, q[t], D);
        case_linear(c, "key_proj", x + t * D, D, k[t], D);
        case_linear(c, "value_proj", x + t * D, D, v[t], D);
    }
    for (int64_t i = 0; i < LENGTH; i++) {
        int64_t keys = m->causal ? i + 1 : LENGTH;
        double o[D] = {0};
        for (int head = 0; head < H; head++) {
            int at = head * SIZE;
            for (int64_t j = 0; j < keys; j++) {
                row(case_values(c, "rel_embeddings.weight"), place_of(m, i - j), distance);
                double sum = dot(q[i] + at, k[j] + at);
                if (m->to_position) {
                    case_linear(c, m->shared ? "key_proj" : "pos_key_proj", distance, D, of_key, D);
                    sum += dot(q[i] + at, of_key + at);
                }
                if (m->to_content) {
                    case_linear(c, m->shared ? "query_proj" : "pos_query_proj", distance, D, of_query, D);
                    sum += dot(k[j] + at, of_query + at);
                }
                scores[j] = sum / sqrt((1.0 + m->to_position + m->to_content) * SIZE);
            }
            mix(scores, keys, v, head, o);
        }
        if (m->output)
            case_linear(c, "dense", o, D, y + i * D, D);
        else
            memcpy(y + i * D, o, sizeof o);
    }
}

static const char *flag(bool value)
{
    return value ? "true" : "false";
}

static void is_disentangled(const struct disentangled *m)
{
    struct kernel_case c;
    double want[B * LENGTH * D];
    char json[512];
    snprintf(json, sizeof json,
             "{\"mixer\": {\"kernel\": \"disentangled-attention\", \"heads\": %d, \"max_distance\": %d, "
             "\"buckets\": %d, "
             "\"content_to_position\": %s, \"position_to_content\": %s, \"shared_projections\": %s, "
             "\"causal\": %s, "
             "\"output\": %s}}",
             H, m->bucketed ? 17 : (int)m->span, m->bucketed ? (int)m->span : 0, flag(m->to_position),
             flag(m->to_content), flag(m->shared), flag(m->causal), flag(m->output));
    case_open(&c, json, B, LENGTH, D);
    for (int b = 0; b < B; b++)
        disentangle(&c, m, c.x + b * LENGTH * D, want + b * LENGTH * D);
    case_expect(&c, want);
    if (m->causal)
        case_expect_steps(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

static void contents_meet_positions(void **state)
{
    (void)state;
    is_disentangled(&(struct disentangled){5, false, true, true, false, false, true});
    is_disentangled(&(struct disentangled){5, false, true, false, true, true, true});
    is_disentangled(&(struct disentangled){8, true, false, true, false, true, false});
    is_disentangled(&(struct disentangled){8, true, true, true, true, false, true});
    is_disentangled(&(struct disentangled){5, false, false, false, false, true, false});
}

/* ---- TUPE ---- */

/* LN(pos.weight[place]) by one of the two projections. */
static void position(const struct kernel_case *c, const char *name, int64_t place, double *values)
{
    const real *weight = case_values(c, "pos_ln.weight"), *bias = case_values(c, "pos_ln.bias");
    double p[D], mean = 0, variance = 0;
    row(case_values(c, "pos.weight"), place, p);
    for (int i = 0; i < D; i++)
        mean += p[i] / D;
    for (int i = 0; i < D; i++)
        variance += (p[i] - mean) * (p[i] - mean) / D;
    for (int i = 0; i < D; i++)
        p[i] = (double)weight[i] * (p[i] - mean) / sqrt(variance + 1e-5) + (double)bias[i];
    case_linear(c, name, p, D, values, D);
}

/* The product of positions and the bucket's bias, of 8 buckets for distances up to 9. */
static double untied(const struct kernel_case *c, bool bucketed, int head, int64_t i, int64_t j)
{
    double u[D], v[D];
    int64_t n = i > j ? i - j : j - i, bucket = (j > i ? 4 : 0) + (n < 2 ? n : n < 5 ? 2 : 3);
    bucket = i == 0 ? 4 : j == 0 ? 8 : bucket;
    position(c, "pos_q_linear", i == 0 ? 0 : j == 0 ? 1 : i + 1, u);
    position(c, "pos_k_linear", i == 0 ? 0 : j == 0 ? 1 : j + 1, v);
    double product = dot(u + head * SIZE, v + head * SIZE) / sqrt(3.0 * SIZE);
    return bucketed ? product + (double)case_values(c, "relative_attention_bias.weight")[bucket * H + head]
                    : product;
}

/* Row `first` on of the one matrix that holds all three projections. */
static void project(const struct kernel_case *c, int first, const double *x, double *y)
{
    const real *weight = case_values(c, "in_proj_weight"), *bias = case_values(c, "in_proj_bias");
    for (int o = first; o < first + D; o++) {
        y[o - first] = (double)bias[o];
        for (int i = 0; i < D; i++)
            y[o - first] += (double)weight[o * D + i] * x[i];
    }
}

static void untie(const struct kernel_case *c, bool bucketed, const double *x, double *y)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D], scores[LENGTH];
    for (int64_t t = 0; t < LENGTH; t++) {
        project(c, 0, x + t * D, q[t]);
        project(c, D, x + t * D, k[t]);
        project(c, 2 * D, x + t * D, v[t]);
    }
    for (int64_t i = 0; i < LENGTH; i++) {
        double o[D] = {0};
        for (int head = 0; head < H; head++) {
            int at = head * SIZE;
            for (int64_t j = 0; j < LENGTH; j++)
                scores[j] = dot(q[i] + at, k[j] + at) / sqrt(3.0 * SIZE) + untied(c, bucketed, head, i, j);
            mix(scores, LENGTH, v, head, o);
        }
        case_linear(c, "out_proj", o, D, y + i * D, D);
    }
}

static void the_first_token_is_untied(void **state)
{
    (void)state;
    for (int bucketed = 0; bucketed < 2; bucketed++) {
        struct kernel_case c;
        double want[B * LENGTH * D];
        char json[512];
        snprintf(
            json, sizeof json,
            "{\"mixer\": {\"kernel\": \"untied-position-attention\", \"heads\": %d, \"scale_factor\": 3, "
            "\"buckets\": %d, \"max_distance\": 9}}",
            H, bucketed ? 8 : 0);
        case_open(&c, json, B, LENGTH, D);
        for (int b = 0; b < B; b++)
            untie(&c, bucketed, c.x + b * LENGTH * D, want + b * LENGTH * D);
        case_expect(&c, want);
        case_close(&c);
        case_expect_properties(json);
    }
}

/* x-transformers' decoder: its values are held against the published code, here it steps. */
static void values_turn_and_are_gated(void **state)
{
    (void)state;
    case_expect_stack_properties(
        "{\"position\": {\"kernel\": \"t5-bias\", \"scaled\": true, \"rotary\": true, \"buckets\": 8},"
        " \"mixer\": {\"kernel\": \"attention\", \"heads\": 2, \"kv_heads\": 1, \"head_dim\": 34,"
        " \"rotated_values\": true, \"output_gate\": true},"
        " \"norm\": {\"kernel\": \"rmsnorm\", \"clamped\": true, \"placement\": \"pre-final\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_meet_positions),
        cmocka_unit_test(the_first_token_is_untied),
        cmocka_unit_test(values_turn_and_are_gated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
