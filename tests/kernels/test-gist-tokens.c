/* Gist tokens: one attention layer over prompt, gist and rest under the paper's mask. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 9, D = 6, HEADS = 2, E = D / HEADS, PROMPT = 4, GIST = 2, ALL = T + GIST };

/* Whether row j is seen from row i of [prompt; gist; rest]. */
static bool seen(int i, int j)
{
    return j <= i && !(i >= PROMPT + GIST && j < PROMPT);
}

static void one_layer(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open_stack(
        &c,
        "{\"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, \"memory\": {\"kernel\": \"gist-tokens\", "
        "\"segment\": 4, \"tokens\": 2}}",
        B, T, D);
    const real *gist = case_values(&c, "memory.gist.weight");
    for (int b = 0; b < B; b++) {
        double x[ALL][D], q[ALL][D], k[ALL][D], v[ALL][D];
        for (int i = 0; i < ALL; i++) {
            int t = i < PROMPT ? i : i - GIST;
            for (int d = 0; d < D; d++)
                x[i][d] = i >= PROMPT && i < PROMPT + GIST ? (double)gist[(i - PROMPT) * D + d]
                                                           : c.x[(b * T + t) * D + d];
            case_linear(&c, "mixer.q_proj", x[i], D, q[i], D);
            case_linear(&c, "mixer.k_proj", x[i], D, k[i], D);
            case_linear(&c, "mixer.v_proj", x[i], D, v[i], D);
        }
        for (int i = 0; i < ALL; i++) {
            double o[D] = {0}, y[D];
            for (int h = 0; h < HEADS; h++) {
                double sum = 0;
                for (int j = 0; j < ALL; j++) {
                    double score = 0;
                    for (int d = h * E; d < (h + 1) * E; d++)
                        score += q[i][d] * k[j][d] / sqrt(E);
                    double weight = seen(i, j) ? exp(score) : 0;
                    sum += weight;
                    for (int d = h * E; d < (h + 1) * E; d++)
                        o[d] += weight * v[j][d];
                }
                for (int d = h * E; d < (h + 1) * E; d++)
                    o[d] /= sum;
            }
            case_linear(&c, "mixer.o_proj", o, D, y, D);
            if (i >= PROMPT && i < PROMPT + GIST)
                continue;
            int t = i < PROMPT ? i : i - GIST;
            for (int d = 0; d < D; d++)
                want[(b * T + t) * D + d] = x[i][d] + y[d];
        }
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void properties(void **state)
{
    (void)state;
    case_expect_stack_properties(
        "{\"pattern\": [{\"name\": \"a\", \"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, "
        "\"position\": {\"kernel\": "
        "\"rotary\"}, \"memory\": {\"kernel\": \"gist-tokens\", \"segment\": 8}}, {\"name\": \"b\", "
        "\"mixer\": "
        "{\"kernel\": \"attention\", \"heads\": 2}, \"position\": {\"kernel\": \"rotary\"}}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_layer),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
