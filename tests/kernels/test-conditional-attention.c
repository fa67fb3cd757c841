/* CoLT5's conditional attention against its definition, token by token. */
#include "base/memory.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { D = 12, HEADS = 2, WIDE = 4, LIGHT_HEADS = 3, THIN = 4, WINDOW = 5, MOST = 64 };

/* Scores of a router for all tokens, and in *first the places of the `keep` best. */
static void route(const struct kernel_case *c, const char *name, const double *x, int keep, double *score,
                  bool *chosen)
{
    const real *token = case_values(c, name);
    int T = (int)c->length;
    double s[MOST], b[MOST], a = 0, e = 4, k = fmin(keep * 1.125, T);
    for (int t = 0; t < T; t++) {
        s[t] = 0;
        for (int i = 0; i < D; i++)
            s[t] += x[t * D + i] * (double)token[i];
        b[t] = -s[t];
        chosen[t] = T <= keep;
        score[t] = 1;
    }
    for (int round = 0; round < 20 && T > keep; round++) {
        double sum = 0, most = -INFINITY;
        for (int t = 0; t < T; t++)
            most = fmax(most, (s[t] + b[t]) / e);
        for (int t = 0; t < T; t++)
            sum += exp((s[t] + b[t]) / e - most);
        a = e * (log(k) - most - log(sum));
        for (int t = 0; t < T; t++) {
            b[t] = -fmax(s[t] + a, 0);
            score[t] = s[t] + a + b[t];
        }
        e = fmax(0.7 * e, 0.03);
    }
    for (int n = 0; n < keep && T > keep; n++) {
        int best = -1;
        for (int t = 0; t < T; t++)
            if (!chosen[t] && (best < 0 || score[t] > score[best]))
                best = t;
        chosen[best] = true;
    }
    for (int t = 0; t < T && T > keep; t++)
        score[t] = exp(score[t] / 0.03);
}

/* y += softmax over `count` keys of one head. */
static void attend(const double *q, double k[][WIDE], double v[][WIDE], int count, double *y)
{
    double weight[MOST + 1], sum = 0;
    for (int j = 0; j < count; j++) {
        double product = 0;
        for (int i = 0; i < WIDE; i++)
            product += q[i] * k[j][i];
        sum += weight[j] = exp(product / sqrt(WIDE));
    }
    for (int i = 0; i < WIDE; i++) {
        y[i] = 0;
        for (int j = 0; j < count; j++)
            y[i] += weight[j] / sum * v[j][i];
    }
}

static void light(const struct kernel_case *c, const double *x, double *y)
{
    const real *w = case_values(c, "light_attn.norm.weight"), *b = case_values(c, "light_attn.norm.bias");
    int T = (int)c->length;
    static double qkv[MOST][3 * D];
    for (int t = 0; t < T; t++) {
        double mean = 0, variance = 0, h[D];
        for (int i = 0; i < D; i++)
            mean += x[t * D + i] / D;
        for (int i = 0; i < D; i++)
            variance += pow(x[t * D + i] - mean, 2) / D;
        for (int i = 0; i < D; i++)
            h[i] = (x[t * D + i] - mean) / sqrt(variance + 1e-5) * (double)w[i] + (double)b[i];
        case_linear(c, "light_attn.to_qkv", h, D, qkv[t], 3 * D);
    }
    for (int t = 0; t < T; t++) {
        double o[D], k[MOST][WIDE], v[MOST][WIDE];
        for (int head = 0; head < LIGHT_HEADS; head++) {
            int count = 0;
            for (int j = 0; j < T; j++) {
                if (abs(j / WINDOW - t / WINDOW) > 1)
                    continue;
                for (int i = 0; i < THIN; i++) {
                    k[count][i] = qkv[j][D + head * THIN + i];
                    v[count][i] = qkv[j][2 * D + head * THIN + i];
                }
                count++;
            }
            attend(qkv[t] + head * THIN, k, v, count, o + head * THIN);
        }
        case_linear(c, "light_attn.to_out", o, D, y + t * D, D);
    }
}

static void unit_norm(const struct kernel_case *c, const double *x, double *y)
{
    const real *gamma = case_values(c, "heavy_attn.norm.gamma");
    double square = 0;
    for (int i = 0; i < D; i++)
        square += x[i] * x[i];
    for (int i = 0; i < D; i++)
        y[i] = x[i] / sqrt(square) * sqrt(D) * (double)gamma[i];
}

static void turn(double *x, int place)
{
    for (int i = 0; i < WIDE / 2; i++) {
        double angle = place * pow(10000, -2.0 * i / WIDE), a = x[i], b = x[i + WIDE / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + WIDE / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* Adds the heavy branch to y; `through`: scores count as 1; `times`: queries and keys are multiplied by
 * them. */
static void heavy(const struct kernel_case *c, const double *x, int queries, int keys, bool through,
                  bool times, bool rotary, double *y)
{
    const real *null = case_values(c, "heavy_attn.null_kv"), *unseen = case_values(c, "null_q_token");
    int T = (int)c->length;
    double q_score[MOST], k_score[MOST];
    bool q_chosen[MOST], k_chosen[MOST];
    route(c, "q_router.routing_token", x, queries, q_score, q_chosen);
    route(c, "kv_router.routing_token", x, keys, k_score, k_chosen);
    for (int t = 0; t < T; t++) {
        double h[D], q[HEADS * WIDE], o[HEADS * WIDE], out[D], k[MOST + 1][WIDE], v[MOST + 1][WIDE];
        double score = through ? 1 : q_score[t];
        unit_norm(c, x + t * D, h);
        case_linear(c, "heavy_attn.to_q", h, D, q, HEADS * WIDE);
        for (int head = 0; head < HEADS; head++) {
            int count = 1;
            for (int i = 0; i < WIDE; i++) {
                k[0][i] = (double)null[head * WIDE + i];
                v[0][i] = (double)null[(HEADS + head) * WIDE + i];
                q[head * WIDE + i] *= times ? score : 1;
            }
            for (int j = 0; j < T; j++) {
                double kv[2 * HEADS * WIDE], own = through ? 1 : k_score[j];
                if (!k_chosen[j])
                    continue;
                unit_norm(c, x + j * D, h);
                case_linear(c, "heavy_attn.to_kv", h, D, kv, 2 * HEADS * WIDE);
                for (int i = 0; i < WIDE; i++) {
                    k[count][i] = kv[2 * head * WIDE + i] * (times ? own : 1);
                    v[count][i] = kv[(2 * head + 1) * WIDE + i] * own;
                }
                if (rotary)
                    turn(k[count], j);
                count++;
            }
            if (rotary)
                turn(q + head * WIDE, t);
            attend(q + head * WIDE, k, v, count, o + head * WIDE);
        }
        case_linear(c, "heavy_attn.to_out", o, HEADS * WIDE, out, D);
        for (int i = 0; i < D; i++)
            y[t * D + i] += q_chosen[t] ? score * out[i] : (double)unseen[i];
    }
}

static void is_its_definition(int batch, int length, int queries, int keys, bool through, bool times,
                              bool rotary)
{
    struct kernel_case c;
    char json[400];
    snprintf(json, sizeof json,
             "{\"mixer\": {\"kernel\": \"conditional-attention\", \"heads\": %d, \"head_dim\": %d, "
             "\"light_heads\": %d, \"window\": %d, \"heavy_queries\": %d, \"heavy_keys\": %d, "
             "\"straight_through\": %s, \"score_queries\": %s, \"score_keys\": %s, \"rotary\": %s}}",
             HEADS, WIDE, LIGHT_HEADS, WINDOW, queries, keys, through ? "true" : "false",
             times ? "true" : "false", times ? "true" : "false", rotary ? "true" : "false");
    case_open(&c, json, batch, length, D);
    double *want = memory_allocate((size_t)(batch * length * D) * sizeof *want);
    for (int64_t at = 0; at < (int64_t)batch * length * D; at += (int64_t)length * D) {
        light(&c, c.x + at, want + at);
        heavy(&c, c.x + at, queries, keys, through, times, rotary, want + at);
    }
    case_expect(&c, want);
    free(want);
    case_close(&c);
}

static void all_tokens_are_chosen(void **state)
{
    (void)state;
    is_its_definition(2, 17, 17, 40, true, false, true);
    is_its_definition(1, 1, 1, 1, true, true, false);
}

static void some_tokens_are_chosen(void **state)
{
    (void)state;
    is_its_definition(2, 23, 4, 9, true, false, false);
    is_its_definition(3, 20, 20, 6, true, false, true);
    is_its_definition(2, 31, 5, 31, true, true, true);
}

static void scores_weigh(void **state)
{
    (void)state;
    is_its_definition(2, 23, 4, 23, false, false, true);
    is_its_definition(1, 26, 26, 7, false, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tokens_are_chosen),
        cmocka_unit_test(some_tokens_are_chosen),
        cmocka_unit_test(scores_weigh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
