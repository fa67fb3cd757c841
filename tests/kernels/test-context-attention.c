/* Attention that sums up keys and values before queries meet them: separable and efficient attention, FLuRKA,
 * and fast weights. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, H = 2, E = D / H, ROWS = 3 };

static void separable(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], qkv[T][1 + 2 * D], context[D], y[D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"separable-attention\"}}", B, T, D);
    for (int b = 0; b < B; b++) {
        double sum = 0;
        memset(context, 0, sizeof context);
        for (int t = 0; t < T; t++) {
            case_linear(&c, "qkv_proj", c.x + (b * T + t) * D, D, qkv[t], 1 + 2 * D);
            sum += exp(qkv[t][0]);
            for (int i = 0; i < D; i++)
                context[i] += exp(qkv[t][0]) * qkv[t][1 + i];
        }
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < D; i++)
                y[i] = context[i] / sum * fmax(qkv[t][1 + D + i], 0);
            case_linear(&c, "out_proj", y, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

/* Shen et al.: queries normalised over channels, keys over tokens, with no other scale. */
static void efficient(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], q[T][D], k[T][D], v[T][D], y[D];
    case_open(
        &c,
        "{\"mixer\": {\"kernel\": \"efficient-attention\", \"heads\": 2, \"causal\": false, \"scale\": 1, "
        "\"bias\": true}}",
        B, T, D);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) {
            const double *x = c.x + (b * T + t) * D;
            case_linear(&c, "to_q", x, D, q[t], D);
            case_linear(&c, "to_k", x, D, k[t], D);
            case_linear(&c, "to_v", x, D, v[t], D);
        }
        for (int t = 0; t < T; t++) {
            memset(y, 0, sizeof y);
            for (int i = 0; i < D; i++) {
                int head = i / E * E;
                double of_query = 0, of_keys = 0;
                for (int j = head; j < head + E; j++)
                    of_query += exp(q[t][j]);
                for (int s = 0; s < T; s++)
                    of_keys += exp(k[s][i]);
                for (int s = 0; s < T; s++)
                    for (int j = head; j < head + E; j++)
                        y[j] += exp(q[t][i]) / of_query * exp(k[s][i]) / of_keys * v[s][j];
            }
            case_linear(&c, "to_out", y, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static double phi(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* FLuRKA: features of keys that were shortened along the sequence. */
static void shortened_keys_with_features(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], q[D], k[ROWS][D], v[ROWS][D], y[D];
    const char *json =
        "{\"mixer\": {\"kernel\": \"length-projected-attention\", \"heads\": 2, \"length\": 10, \"rows\": 3, "
        "\"feature_map\": \"elu+1\"}}";
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        const real *matrices[] = {case_values(&c, "proj_k"), case_values(&c, "proj_v")};
        for (int j = 0; j < ROWS; j++)
            for (int part = 0; part < 2; part++) {
                double row[D] = {0};
                for (int t = 0; t < T; t++)
                    for (int i = 0; i < D; i++)
                        row[i] += (double)matrices[part][t * ROWS + j] * c.x[(b * T + t) * D + i];
                case_linear(&c, part ? "to_v" : "to_k", row, D, part ? v[j] : k[j], D);
            }
        for (int t = 0; t < T; t++) {
            case_linear(&c, "to_q", c.x + (b * T + t) * D, D, q, D);
            for (int h = 0; h < H; h++) {
                double sum = 1e-6, weighted[E] = {0};
                for (int j = 0; j < ROWS; j++) {
                    double score = 0;
                    for (int i = h * E; i < (h + 1) * E; i++)
                        score += phi(q[i]) * phi(k[j][i]);
                    sum += score;
                    for (int i = 0; i < E; i++)
                        weighted[i] += score * v[j][h * E + i];
                }
                for (int i = 0; i < E; i++)
                    y[h * E + i] = weighted[i] / sum;
            }
            case_linear(&c, "to_out", y, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void fast_weights(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], W[D][D], to[D], from[D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"fast-weights\", \"rate\": 0.3}}", B, T, D);
    for (int b = 0; b < B; b++) {
        memset(W, 0, sizeof W);
        for (int t = 0; t < T; t++) {
            const double *x = c.x + (b * T + t) * D;
            double *y = want + (b * T + t) * D;
            case_linear(&c, "to", x, D, to, D);
            case_linear(&c, "from", x, D, from, D);
            for (int i = 0; i < D; i++) {
                y[i] = 0;
                for (int j = 0; j < D; j++) {
                    W[i][j] += 0.3 * to[i] * from[j];
                    y[i] += W[i][j] * x[j];
                }
            }
        }
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separable),
        cmocka_unit_test(efficient),
        cmocka_unit_test(shortened_keys_with_features),
        cmocka_unit_test(fast_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
