/* Vectors of the distance at keys and values, and DIET's biases of segments, against softmaxes formed one by
 * one. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 3, SIZE = 4, D = H * SIZE, LENGTH = 17, MOST = 4 };

/* The row of `name` for clip(s - t). */
static const real *vector(const struct kernel_case *c, const char *name, int64_t t, int64_t s)
{
    int64_t n = s - t < -MOST ? -MOST : s - t > MOST ? MOST : s - t;
    return case_values(c, name) + (n + MOST) * SIZE;
}

static void shaw(const struct kernel_case *c, bool causal, bool values, const double *x, double *y)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D];
    for (int64_t t = 0; t < LENGTH; t++) {
        case_linear(c, "q", x + t * D, D, q[t], D);
        case_linear(c, "k", x + t * D, D, k[t], D);
        case_linear(c, "v", x + t * D, D, v[t], D);
    }
    for (int64_t t = 0; t < LENGTH; t++) {
        double o[D] = {0};
        for (int head = 0; head < H; head++) {
            double sum = 0;
            int at = head * SIZE;
            for (int64_t s = 0; s < (causal ? t + 1 : LENGTH); s++) {
                const real *a = vector(c, "relative_positions_keys.embeddings", t, s);
                const real *b = values ? vector(c, "relative_positions_values.embeddings", t, s) : NULL;
                double score = 0;
                for (int i = 0; i < SIZE; i++)
                    score += q[t][at + i] * (k[s][at + i] + (double)a[i]) / sqrt(SIZE);
                sum += exp(score);
                for (int i = 0; i < SIZE; i++)
                    o[at + i] += exp(score) * (v[s][at + i] + (b ? (double)b[i] : 0));
            }
            for (int i = 0; i < SIZE; i++)
                o[at + i] /= sum;
        }
        case_linear(c, "output_transform", o, D, y + t * D, D);
    }
}

static void keys_and_values_have_vectors(void **state)
{
    (void)state;
    for (int bits = 0; bits < 4; bits++) {
        bool causal = bits & 1, values = bits & 2;
        struct kernel_case c;
        double want[B * LENGTH * D];
        char json[256];
        snprintf(
            json, sizeof json,
            "{\"mixer\": {\"kernel\": \"relative-vector-attention\", \"heads\": %d, \"max_distance\": %d, "
            "\"causal\": %s, \"values\": %s}}",
            H, MOST, causal ? "true" : "false", values ? "true" : "false");
        case_open(&c, json, B, LENGTH, D);
        for (int b = 0; b < B; b++)
            shaw(&c, causal, values, c.x + b * LENGTH * D, want + b * LENGTH * D);
        case_expect(&c, want);
        if (causal)
            case_expect_steps(&c, want);
        case_close(&c);
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"relative-vector-attention\", \"causal\": %s, \"values\": %s}}",
                 causal ? "true" : "false", values ? "true" : "false");
        case_expect_properties(json);
    }
}

/* ---- Segments ---- */

enum { SEGMENTS = 3 };
static const double segments[B * LENGTH] = {0, 0, 0, 1, 1, 1, 1, 2, 2, 0, 0, 0, 1, 1, 2, 2, 2,
                                            1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2, 1, 1, 0};

/* A layer with a residual, in which r(t - s) and e(S_t, S_s) are added. */
static void decouple(const struct kernel_case *c, const double *x, const double *segment, double *y)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D];
    const real *r = case_values(c, "position.relative_position"), *e = case_values(c, "position.segment");
    for (int64_t t = 0; t < LENGTH; t++) {
        case_linear(c, "mixer.q_proj", x + t * D, D, q[t], D);
        case_linear(c, "mixer.k_proj", x + t * D, D, k[t], D);
        case_linear(c, "mixer.v_proj", x + t * D, D, v[t], D);
    }
    for (int64_t t = 0; t < LENGTH; t++) {
        double o[D] = {0};
        for (int head = 0; head < H; head++) {
            double sum = 0;
            int at = head * SIZE;
            for (int64_t s = 0; s <= t; s++) {
                int64_t n = t - s < MOST ? t - s : MOST - 1;
                double score = (double)r[head * MOST + n] +
                               (double)e[(head * SEGMENTS + (int)segment[t]) * SEGMENTS + (int)segment[s]];
                for (int i = 0; i < SIZE; i++)
                    score += q[t][at + i] * k[s][at + i] / sqrt(SIZE);
                sum += exp(score);
                for (int i = 0; i < SIZE; i++)
                    o[at + i] += exp(score) * v[s][at + i];
            }
            for (int i = 0; i < SIZE; i++)
                o[at + i] /= sum;
        }
        case_linear(c, "mixer.o_proj", o, D, y + t * D, D);
        for (int i = 0; i < D; i++)
            y[t * D + i] += x[t * D + i];
    }
}

static void segments_have_biases(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * LENGTH * D];
    char json[256];
    snprintf(
        json, sizeof json,
        "{\"position\": {\"kernel\": \"decoupled-position-bias\", \"form\": \"relative\", \"length\": %d, "
        "\"segments\": %d}, \"mixer\": {\"kernel\": \"attention\", \"heads\": %d}}",
        MOST, SEGMENTS, H);
    case_open_with_input(&c, json, B, LENGTH, D, "segments", segments);
    for (int b = 0; b < B; b++)
        decouple(&c, c.x + b * LENGTH * D, segments + b * LENGTH, want + b * LENGTH * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_have_vectors),
        cmocka_unit_test(segments_have_biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
