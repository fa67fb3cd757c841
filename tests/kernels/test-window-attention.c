/* Attention in windows of a grid of 5 x 6, with the biases that belong to it, against sums over the cells
 * that each cell sees. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { B = 2, ROWS = 5, COLUMNS = 6, T = ROWS * COLUMNS, D = 8, H = 2, E = D / H, W = 3, SIDE = 2 * W - 1 };

/* Which of the windows along an axis a place lies in, if one starts at `first` (and one ends there). */
static int window_of(int place, int first)
{
    return place < first ? 0 : 1 + (place - first) / W;
}

static int window_start(int place, int length)
{
    int start = place - W / 2;
    return start < 0 ? 0 : start > length - W ? length - W : start;
}

enum form { BLOCKS, SHIFTED, INTERVAL, NEIGHBORHOOD };

static bool sees_along(enum form form, int query, int key, int length, int interval)
{
    switch (form) {
    case BLOCKS:
        return query / W == key / W;
    case SHIFTED:
        return window_of(query, W / 2) == window_of(key, W / 2);
    case INTERVAL:
        return query % interval == key % interval && query / (W * interval) == key / (W * interval);
    default:
        return key >= window_start(query, length) && key < window_start(query, length) + W;
    }
}

typedef double offset_bias(const struct kernel_case *c, int head, int down, int right);

static void attends(const char *json, enum form form, int interval, bool cosine, offset_bias *bias)
{
    struct kernel_case c;
    static double want[B * T * D], qkv[T][3 * D];
    double read[D];
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) {
            case_linear(&c, "qkv", c.x + (b * T + t) * D, D, qkv[t], 3 * D);
            for (int i = 0; cosine && i < D; i++) {
                qkv[t][i] += (double)case_values(&c, "q_bias")[i];
                qkv[t][2 * D + i] += (double)case_values(&c, "v_bias")[i];
            }
        }
        for (int t = 0; t < T; t++) {
            for (int h = 0; h < H; h++) {
                double total = 0, sum[E] = {0};
                for (int s = 0; s < T; s++) {
                    int down = t / COLUMNS - s / COLUMNS, right = t % COLUMNS - s % COLUMNS;
                    if (!sees_along(form, t / COLUMNS, s / COLUMNS, ROWS, interval) ||
                        !sees_along(form, t % COLUMNS, s % COLUMNS, COLUMNS, interval))
                        continue;
                    double dot = 0, qq = 0, kk = 0;
                    for (int i = h * E; i < (h + 1) * E; i++) {
                        dot += qkv[t][i] * qkv[s][D + i];
                        qq += qkv[t][i] * qkv[t][i];
                        kk += qkv[s][D + i] * qkv[s][D + i];
                    }
                    double score = dot / sqrt(E);
                    if (cosine)
                        score = dot / sqrt(qq * kk) *
                                exp(fmin((double)case_values(&c, "logit_scale")[h], log(100)));
                    double weight = exp(score + (bias ? bias(&c, h, down / interval, right / interval) : 0));
                    total += weight;
                    for (int i = 0; i < E; i++)
                        sum[i] += weight * qkv[s][2 * D + h * E + i];
                }
                for (int i = 0; i < E; i++)
                    read[h * E + i] = sum[i] / total;
            }
            case_linear(&c, "proj", read, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

#define MIXER(options) \
    "\"mixer\": {\"kernel\": \"window-attention\", \"heads\": 2, \"window\": 3, \"columns\": 6" options "}"
#define POSITION(options) ", \"position\": {\"kernel\": " options "}}"

static double table_bias(const struct kernel_case *c, int head, int down, int right)
{
    int row = (down + W - 1) * SIDE + right + W - 1;
    return (double)case_values(c, "relative_position_bias_table")[row * H + head];
}

static double opposite_table_bias(const struct kernel_case *c, int head, int down, int right)
{
    return (double)case_values(c, "rpb")[(head * SIDE + W - 1 - down) * SIDE + W - 1 - right];
}

static double spaced(int offset)
{
    double z = 8.0 * offset / (W - 1);
    return (z < 0 ? -1 : 1) * log(1 + fabs(z)) / log(8);
}

static double log_bias(const struct kernel_case *c, int head, int down, int right)
{
    double hidden[6], out[H];
    case_linear(c, "cpb_mlp.0", (double[]){spaced(down), spaced(right)}, 2, hidden, 6);
    for (int i = 0; i < 6; i++)
        hidden[i] = fmax(hidden[i], 0);
    case_linear(c, "cpb_mlp.2", hidden, 6, out, H);
    return 16 / (1 + exp(-out[head]));
}

static double dynamic(const struct kernel_case *c, int head, int down, int right, bool residual)
{
    enum { N = 5 };
    double u[N], z[N], y[N];
    case_linear(c, "pos_proj", (double[]){down, right}, 2, u, N);
    for (int layer = 1; layer <= 3; layer++) {
        char name[32];
        double mean = 0, square = 0;
        for (int i = 0; i < N; i++)
            mean += u[i] / N;
        for (int i = 0; i < N; i++)
            square += (u[i] - mean) * (u[i] - mean) / N;
        for (int i = 0; i < N; i++) {
            snprintf(name, sizeof name, "pos%d.0.weight", layer);
            z[i] = (u[i] - mean) / sqrt(square + 1e-5) * (double)case_values(c, name)[i];
            snprintf(name, sizeof name, "pos%d.0.bias", layer);
            z[i] = fmax(z[i] + (double)case_values(c, name)[i], 0);
        }
        snprintf(name, sizeof name, "pos%d.2", layer);
        case_linear(c, name, z, N, y, layer < 3 ? N : H);
        for (int i = 0; i < N && layer < 3; i++)
            u[i] = residual ? u[i] + y[i] : y[i];
    }
    return y[head];
}

static double dynamic_bias(const struct kernel_case *c, int head, int down, int right)
{
    return dynamic(c, head, down, right, false);
}

static double residual_bias(const struct kernel_case *c, int head, int down, int right)
{
    return dynamic(c, head, down, right, true);
}

static void within_windows(void **state)
{
    (void)state;
    attends("{" MIXER("") "}", BLOCKS, 1, false, NULL);
    attends("{" MIXER("") POSITION("\"grid-relative-bias\", \"window\": 3"), BLOCKS, 1, false, table_bias);
    attends("{" MIXER(", \"shift\": true") "}", SHIFTED, 1, false, NULL);
    attends("{" MIXER(", \"shift\": true") POSITION("\"grid-relative-bias\", \"window\": 3"), SHIFTED, 1,
            false, table_bias);
}

static void by_cosines(void **state)
{
    (void)state;
    attends("{" MIXER(", \"shift\": true, \"scores\": \"cosine\"")
                POSITION("\"log-continuous-position-bias\", \"hidden\": 6"),
            SHIFTED, 1, true, log_bias);
}

static void at_an_interval(void **state)
{
    (void)state;
    attends("{" MIXER(", \"windows\": \"interval\"")
                POSITION("\"dynamic-position-bias\", \"hidden\": 5, \"residual\": true"),
            INTERVAL, 2, false, residual_bias);
    attends("{" MIXER(", \"windows\": \"interval\", \"interval\": 2")
                POSITION("\"dynamic-position-bias\", \"hidden\": 5"),
            INTERVAL, 2, false, dynamic_bias);
}

static void in_neighborhoods(void **state)
{
    (void)state;
    attends("{" MIXER(", \"windows\": \"neighborhood\"") "}", NEIGHBORHOOD, 1, false, NULL);
    attends("{" MIXER(", \"windows\": \"neighborhood\"")
                POSITION("\"grid-relative-bias\", \"window\": 3, \"heads_first\": true"),
            NEIGHBORHOOD, 1, false, opposite_table_bias);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_windows),
        cmocka_unit_test(by_cosines),
        cmocka_unit_test(at_an_interval),
        cmocka_unit_test(in_neighborhoods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
