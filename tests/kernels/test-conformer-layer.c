/* A Conformer layer against its formulas, with attention over all frames and a batch norm in the
 * convolution. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, H = 2, E = D / H, HIDDEN = 5, CONV = 3 };

static double weight(const struct kernel_case *c, const char *name, const char *part, int i)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return (double)case_values(c, full)[i];
}

static void layer_normed(const struct kernel_case *c, const char *name, const double *x, double *y)
{
    double mean = 0, square = 0;
    for (int i = 0; i < D; i++)
        mean += x[i] / D;
    for (int i = 0; i < D; i++)
        square += (x[i] - mean) * (x[i] - mean) / D;
    for (int i = 0; i < D; i++)
        y[i] =
            (x[i] - mean) / sqrt(square + 1e-5) * weight(c, name, "weight", i) + weight(c, name, "bias", i);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void add_half_feed_forward(const struct kernel_case *c, const char *name, const char *norm, double *h)
{
    double u[D], hidden[HIDDEN], out[D];
    char full[64];
    layer_normed(c, norm, h, u);
    snprintf(full, sizeof full, "%s.w_1", name);
    case_linear(c, full, u, D, hidden, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] *= sigmoid(hidden[i]);
    snprintf(full, sizeof full, "%s.w_2", name);
    case_linear(c, full, hidden, HIDDEN, out, D);
    for (int i = 0; i < D; i++)
        h[i] += out[i] / 2;
}

static void add_attention(const struct kernel_case *c, double h[T][D])
{
    double q[T][D], k[T][D], v[T][D], place[2 * T - 1][D], u[D], read[D], out[D];
    for (int n = 1 - T; n < T; n++) { /* from key to query */
        double e[D];
        for (int i = 0; i < D; i++) {
            double angle = n / pow(10000, (double)(i / 2 * 2) / D);
            e[i] = i % 2 ? cos(angle) : sin(angle);
        }
        case_linear(c, "self_attn.linear_pos", e, D, place[n + T - 1], D);
    }
    for (int t = 0; t < T; t++) {
        layer_normed(c, "norm_mha", h[t], u);
        case_linear(c, "self_attn.linear_q", u, D, q[t], D);
        case_linear(c, "self_attn.linear_k", u, D, k[t], D);
        case_linear(c, "self_attn.linear_v", u, D, v[t], D);
    }
    for (int t = 0; t < T; t++) {
        for (int head = 0; head < H; head++) {
            double total = 0, sum[E] = {0};
            for (int s = 0; s < T; s++) {
                double score = 0;
                for (int i = head * E; i < (head + 1) * E; i++)
                    score += (q[t][i] + weight(c, "self_attn", "pos_bias_u", i)) * k[s][i] +
                             (q[t][i] + weight(c, "self_attn", "pos_bias_v", i)) * place[t - s + T - 1][i];
                double share = exp(score / sqrt(E));
                total += share;
                for (int i = 0; i < E; i++)
                    sum[i] += share * v[s][head * E + i];
            }
            for (int i = 0; i < E; i++)
                read[head * E + i] = sum[i] / total;
        }
        case_linear(c, "self_attn.linear_out", read, D, out, D);
        for (int i = 0; i < D; i++)
            h[t][i] += out[i];
    }
}

static void add_convolution(const struct kernel_case *c, double h[T][D])
{
    double glu[T][D], u[D], both[2 * D], z[D], out[D];
    for (int t = 0; t < T; t++) {
        layer_normed(c, "norm_conv", h[t], u);
        case_linear(c, "conv_module.pointwise_conv1", u, D, both, 2 * D);
        for (int i = 0; i < D; i++)
            glu[t][i] = both[i] * sigmoid(both[D + i]);
    }
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < D; i++) {
            const char *norm = "conv_module.norm";
            double sum = weight(c, "conv_module.depthwise_conv", "bias", i);
            for (int j = 0; j < CONV; j++)
                if (t + j - CONV / 2 >= 0 && t + j - CONV / 2 < T)
                    sum += weight(c, "conv_module.depthwise_conv", "weight", i * CONV + j) *
                           glu[t + j - CONV / 2][i];
            sum = (sum - weight(c, norm, "running_mean", i)) /
                  sqrt(weight(c, norm, "running_var", i) + 1e-5) * weight(c, norm, "weight", i);
            sum += weight(c, norm, "bias", i);
            z[i] = sum * sigmoid(sum);
        }
        case_linear(c, "conv_module.pointwise_conv2", z, D, out, D);
        for (int i = 0; i < D; i++)
            h[t][i] += out[i];
    }
}

static void is_its_modules_in_turn(void **state)
{
    (void)state;
    struct kernel_case c;
    static double want[B * T * D];
    double h[T][D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"conformer-layer\", \"heads\": 2, \"hidden\": 5, \"conv\": 3}}",
              B, T, D);
    for (int b = 0; b < B; b++) {
        memcpy(h, c.x + b * T * D, sizeof h);
        for (int t = 0; t < T; t++)
            add_half_feed_forward(&c, "feed_forward_macaron", "norm_ff_macaron", h[t]);
        add_attention(&c, h);
        add_convolution(&c, h);
        for (int t = 0; t < T; t++) {
            add_half_feed_forward(&c, "feed_forward", "norm_ff", h[t]);
            layer_normed(&c, "norm_final", h[t], want + (b * T + t) * D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_its_modules_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
