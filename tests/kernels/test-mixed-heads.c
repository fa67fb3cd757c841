/* Talking heads and expanded queries against attention as written in their papers. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, MOST = 8 };

/* softmax(scores) over the keys s <= t. */
static void normalise(double *scores, int t)
{
    double total = 0;
    for (int s = 0; s <= t; s++)
        total += exp(scores[s]);
    for (int s = 0; s <= t; s++)
        scores[s] = exp(scores[s]) / total;
}

struct projected {
    double q[T][32], k[T][32], v[T][32];
};

static void project(const struct kernel_case *c, const double *x, int keys, int values, struct projected *p)
{
    for (int t = 0; t < T; t++) {
        case_linear(c, "q_proj", x + t * D, D, p->q[t], keys);
        case_linear(c, "k_proj", x + t * D, D, p->k[t], keys);
        case_linear(c, "v_proj", x + t * D, D, p->v[t], values);
    }
}

static double product(const struct projected *p, int t, int s, int head, int d)
{
    double sum = 0;
    for (int i = head * d; i < (head + 1) * d; i++)
        sum += p->q[t][i] * p->k[s][i];
    return sum / sqrt((double)d);
}

static void heads_talk(const char *json, int key_heads, int heads, int value_heads, int d)
{
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, json, B, T, D);
    const real *P = case_values(&c, "logits_proj"), *R = case_values(&c, "weights_proj");
    for (int b = 0; b < B; b++) {
        struct projected p;
        project(&c, c.x + b * T * D, key_heads * d, value_heads * d, &p);
        for (int t = 0; t < T; t++) {
            double weights[MOST][T], read[32] = {0};
            for (int h = 0; h < heads; h++) {
                for (int s = 0; s <= t; s++) {
                    weights[h][s] = 0;
                    for (int a = 0; a < key_heads; a++)
                        weights[h][s] += product(&p, t, s, a, d) * (double)P[a * heads + h];
                }
                normalise(weights[h], t);
            }
            for (int i = 0; i < value_heads * d; i++)
                for (int h = 0; h < heads; h++)
                    for (int s = 0; s <= t; s++)
                        read[i] += weights[h][s] * (double)R[h * value_heads + i / d] * p.v[s][i];
            case_linear(&c, "o_proj", read, value_heads * d, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void mixes_scores_and_weights(void **state)
{
    (void)state;
    heads_talk("{\"mixer\": {\"kernel\": \"talking-heads-attention\", \"heads\": 3}}", 3, 3, 3, 2);
    heads_talk("{\"mixer\": {\"kernel\": \"talking-heads-attention\", \"heads\": 3, \"key_heads\": 2, "
               "\"value_heads\": 5, \"head_dim\": 4}}",
               2, 3, 5, 4);
}

static void expanded_queries_are_multi_head_attention(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"expanded-query-attention\", \"heads\": 2, \"head_dim\": 5}}", B,
              T, D);
    for (int b = 0; b < B; b++) {
        struct projected p;
        project(&c, c.x + b * T * D, 10, 10, &p);
        for (int t = 0; t < T; t++) {
            double read[10] = {0};
            for (int h = 0; h < 2; h++) {
                double weights[T];
                for (int s = 0; s <= t; s++)
                    weights[s] = product(&p, t, s, h, 5);
                normalise(weights, t);
                for (int i = h * 5; i < (h + 1) * 5; i++)
                    for (int s = 0; s <= t; s++)
                        read[i] += weights[s] * p.v[s][i];
            }
            case_linear(&c, "o_proj", read, 10, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void have_their_properties(void **state)
{
    (void)state;
    case_expect_properties(
        "{\"mixer\": {\"kernel\": \"talking-heads-attention\", \"heads\": 4, \"key_heads\": 2}}");
    case_expect_properties("{\"mixer\": {\"kernel\": \"expanded-query-attention\", \"heads\": 2}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixes_scores_and_weights),
        cmocka_unit_test(expanded_queries_are_multi_head_attention),
        cmocka_unit_test(have_their_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
