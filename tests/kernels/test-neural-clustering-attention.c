/* ClusterFormer's attention token by token: groups, their order, and for each token the keys of two
 * blocks. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 6, HEADS = 2, WIDTH = D / HEADS, MAXIMUM = 23 };

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void find_groups(const struct kernel_case *c, const double *x, int clusters, int *group)
{
    const real *centroids = case_values(c, "centroids");
    int64_t T = c->length;
    double best[MAXIMUM], mapped[D], scores[MAXIMUM];
    for (int i = 0; i < clusters; i++) {
        double total = 0;
        for (int64_t t = 0; t < T; t++) {
            case_linear(c, "cluster_proj", x + t * D, D, mapped, D);
            double score = 0;
            for (int j = 0; j < D; j++)
                score += (double)centroids[i * D + j] * mapped[j];
            total += scores[t] = exp(score);
        }
        for (int64_t t = 0; t < T; t++)
            if (i == 0 || scores[t] / total > best[t]) {
                best[t] = scores[t] / total;
                group[t] = i;
            }
    }
}

/* What the sorted token at place i gets, before o_proj. */
static void attend(double q[][D], double k[][D], double v[][D], const int *order, int64_t T, int64_t w,
                   int64_t i, bool causal, double *y)
{
    int64_t count = (T + w - 1) / w, own = i / w, before = (own + count - 1) % count;
    memset(y, 0, D * sizeof *y);
    for (int h = 0; h < HEADS; h++) {
        double total = 0, sum[WIDTH] = {0};
        for (int64_t j = 0; j < T; j++) {
            if ((j / w != own && j / w != before) || (causal && order[j] > order[i]))
                continue;
            double e = exp(dot(q[order[i]] + h * WIDTH, k[order[j]] + h * WIDTH, WIDTH) / sqrt(WIDTH));
            total += e;
            for (int n = 0; n < WIDTH; n++)
                sum[n] += e * v[order[j]][h * WIDTH + n];
        }
        for (int n = 0; n < WIDTH; n++)
            y[h * WIDTH + n] = sum[n] / total;
    }
}

static void is_attention_in_sorted_blocks(const char *json, int64_t T, int clusters, bool causal)
{
    struct kernel_case c;
    double want[B * MAXIMUM * D], q[MAXIMUM][D], k[MAXIMUM][D], v[MAXIMUM][D], y[D];
    int64_t w = (T + clusters - 1) / clusters;
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        const double *x = c.x + b * T * D;
        int group[MAXIMUM], order[MAXIMUM] = {0}, sorted = 0;
        find_groups(&c, x, clusters, group);
        for (int i = 0; i < clusters; i++)
            for (int t = 0; t < T; t++)
                if (group[t] == i)
                    order[sorted++] = t;
        for (int64_t t = 0; t < T; t++) {
            case_linear(&c, "q_proj", x + t * D, D, q[t], D);
            case_linear(&c, "k_proj", x + t * D, D, k[t], D);
            case_linear(&c, "v_proj", x + t * D, D, v[t], D);
        }
        for (int64_t i = 0; i < T; i++) {
            attend(q, k, v, order, T, w, i, causal, y);
            case_linear(&c, "o_proj", y, D, want + (b * T + order[i]) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void attends_in_sorted_blocks(void **state)
{
    (void)state;
    is_attention_in_sorted_blocks(
        "{\"mixer\": {\"kernel\": \"neural-clustering-attention\", \"heads\": 2, \"clusters\": 5}}", 23, 5,
        false);
    is_attention_in_sorted_blocks("{\"mixer\": {\"kernel\": \"neural-clustering-attention\", \"heads\": 2, "
                                  "\"clusters\": 3, \"causal\": true}}",
                                  16, 3, true);
    is_attention_in_sorted_blocks(
        "{\"mixer\": {\"kernel\": \"neural-clustering-attention\", \"heads\": 2, \"clusters\": 4}}", 1, 4,
        false);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"neural-clustering-attention\", \"clusters\": 4}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attends_in_sorted_blocks),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
