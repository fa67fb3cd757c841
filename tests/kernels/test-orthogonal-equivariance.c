/* Attention that turns with its space: its sums, and that turned tokens and knowledge give a turned
 * output. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, D = 6, K = 4, H = 2, E = K / H };

/* f of tokens x [T, D] and knowledge z [K, D], with the other weights of the case. */
static void attend(const struct kernel_case *c, const double *x, double z[K][D], bool causal, double *y)
{
    double q[T][K], k[T][K], v[T][K], read[K], known[K];
    for (int t = 0; t < T; t++) {
        double place[K];
        for (int j = 0; j < K; j++) {
            place[j] = 0;
            for (int i = 0; i < D; i++)
                place[j] += z[j][i] * x[t * D + i] / sqrt(D);
        }
        case_linear(c, "q_proj", place, K, q[t], K);
        case_linear(c, "k_proj", place, K, k[t], K);
        case_linear(c, "v_proj", place, K, v[t], K);
    }
    memset(y, 0, T * D * sizeof *y);
    for (int t = 0; t < T; t++) {
        int seen = causal ? t + 1 : T;
        for (int h = 0; h < H; h++) {
            double share[T], total = 0;
            for (int s = 0; s < seen; s++) {
                double dot = 0;
                for (int i = h * E; i < (h + 1) * E; i++)
                    dot += q[t][i] * k[s][i];
                total += share[s] = exp(dot / sqrt(E));
            }
            for (int i = h * E; i < (h + 1) * E; i++)
                read[i] = 0;
            for (int s = 0; s < seen; s++) {
                for (int i = h * E; i < (h + 1) * E; i++)
                    read[i] += share[s] / total * v[s][i];
                for (int i = 0; i < D; i++)
                    y[t * D + i] +=
                        share[s] / total * (double)case_values(c, "token_scale")[h] * x[s * D + i];
            }
        }
        case_linear(c, "o_proj", read, K, known, K);
        for (int j = 0; j < K; j++)
            for (int i = 0; i < D; i++)
                y[t * D + i] += known[j] * z[j][i] / sqrt(D);
    }
}

/* A rotation of the first two axes by 0.7 and an exchange of the last two. */
static void turn(const double *x, double *y)
{
    memcpy(y, x, D * sizeof *y);
    y[0] = cos(0.7) * x[0] - sin(0.7) * x[1];
    y[1] = sin(0.7) * x[0] + cos(0.7) * x[1];
    y[4] = x[5];
    y[5] = x[4];
}

static void sums_tokens_and_knowledge(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct kernel_case c;
        double want[B * T * D], z[K][D], turned_z[K][D], turned_x[T * D], turned[T * D], y[D];
        case_open(&c,
                  causal ? "{\"mixer\": {\"kernel\": \"orthogonally-equivariant-attention\", \"heads\": 2, "
                           "\"knowledge\": 4}}"
                         : "{\"mixer\": {\"kernel\": \"orthogonally-equivariant-attention\", \"heads\": 2, "
                           "\"knowledge\": 4, \"causal\": false}}",
                  B, T, D);
        for (int j = 0; j < K; j++) {
            for (int i = 0; i < D; i++)
                z[j][i] = (double)case_values(&c, "knowledge")[j * D + i];
            turn(z[j], turned_z[j]);
        }
        for (int b = 0; b < B; b++) {
            attend(&c, c.x + b * T * D, z, causal, want + b * T * D);
            for (int t = 0; t < T; t++)
                turn(c.x + (b * T + t) * D, turned_x + t * D);
            attend(&c, turned_x, turned_z, causal, turned);
            for (int t = 0; t < T; t++) {
                turn(c.y + (b * T + t) * D, y);
                for (int i = 0; i < D; i++)
                    assert_true(fabs(turned[t * D + i] - y[i]) < (sizeof(real) == 8 ? 1e-9 : 1e-4));
            }
        }
        case_expect(&c, want);
        if (causal)
            case_expect_steps(&c, want);
        case_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_tokens_and_knowledge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
