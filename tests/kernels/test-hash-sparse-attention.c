/* Attention within hash buckets and among tokens that are not dropped, against softmaxes over pairs found one
 * by one. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { B = 2, H = 3, SIZE = 4, D = H * SIZE, LENGTH = 21 };

struct form {
    bool hashes, own_directions;
    int buckets;
    double sparsity;
};

/* The largest of the products with 2 k directions, k of them and their opposites. */
static int bucket_of(const struct kernel_case *c, const struct form *f, int head, const double *q)
{
    const real *r = case_values(c, "rand_matrix");
    int pairs = f->buckets / 2, best = 0;
    double most = -INFINITY;
    for (int n = 0; n < f->buckets; n++) {
        double product = 0, square = 0;
        for (int i = 0; i < SIZE; i++) {
            double entry = (double)r[((f->own_directions ? head : 0) * SIZE + i) * pairs + n % pairs];
            product += entry * q[i];
            square += entry * entry;
        }
        product *= (n < pairs ? 1 : -1) / sqrt(square);
        if (product > most) {
            most = product;
            best = n;
        }
    }
    return best;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static bool is_kept(const struct form *f, int head, int64_t t, int is_key)
{
    uint64_t bits = mix(mix((uint64_t)(2 * head + is_key + 1)) + 0x9e3779b97f4a7c15u * (uint64_t)(t + 1));
    return ldexp((double)(bits >> 11), -53) > f->sparsity;
}

static bool is_seen(const struct kernel_case *c, const struct form *f, int head, double q[LENGTH][2 * D],
                    int64_t t, int64_t s)
{
    int at = head * SIZE;
    if (f->hashes)
        return s < t && bucket_of(c, f, head, q[t] + at) == bucket_of(c, f, head, q[s] + at);
    return s <= t && is_kept(f, head, t, 0) && is_kept(f, head, s, 1);
}

static double score(const double *q, const double *k)
{
    double product = 0, square = 0;
    for (int i = 0; i < SIZE; i++) {
        product += q[i] * k[i];
        square += k[i] * k[i];
    }
    return product / sqrt(square * SIZE);
}

static void attend(const struct kernel_case *c, const struct form *f, const double *x, double *y)
{
    double qv[LENGTH][2 * D];
    for (int64_t t = 0; t < LENGTH; t++)
        case_linear(c, "c_attn", x + t * D, D, qv[t], 2 * D);
    for (int64_t t = 0; t < LENGTH; t++) {
        double o[D] = {0};
        for (int head = 0; head < H; head++) {
            int at = head * SIZE;
            double sum = 0;
            for (int64_t s = 0; s <= t; s++)
                if (is_seen(c, f, head, qv, t, s)) {
                    double weight = exp(score(qv[t] + at, qv[s] + at));
                    sum += weight;
                    for (int i = at; i < at + SIZE; i++)
                        o[i] += weight * qv[s][D + i];
                }
            for (int i = at; sum > 0 && i < at + SIZE; i++)
                o[i] /= sum;
        }
        case_linear(c, "c_proj", o, D, y + t * D, D);
    }
}

static void leaves_pairs(const struct form *f)
{
    struct kernel_case c;
    double want[B * LENGTH * D];
    char json[256];
    snprintf(
        json, sizeof json,
        "{\"mixer\": {\"kernel\": \"hash-sparse-attention\", \"heads\": %d, \"form\": \"%s\", \"buckets\": "
        "%d, \"hashes_per_head\": %s, \"sparsity\": %g}}",
        H, f->hashes ? "hash" : "drop", f->buckets, f->own_directions ? "true" : "false", f->sparsity);
    case_open(&c, json, B, LENGTH, D);
    for (int b = 0; b < B; b++)
        attend(&c, f, c.x + b * LENGTH * D, want + b * LENGTH * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void pairs_share_a_bucket(void **state)
{
    (void)state;
    leaves_pairs(&(struct form){true, true, 4, 0.5});
    leaves_pairs(&(struct form){true, false, 6, 0.5});
    case_expect_properties("{\"mixer\": {\"kernel\": \"hash-sparse-attention\", \"buckets\": 4, "
                           "\"hashes_per_head\": false, \"bias\": true}}");
}

static void dropped_tokens_are_left_out(void **state)
{
    (void)state;
    leaves_pairs(&(struct form){false, true, 2, 0.4});
    leaves_pairs(&(struct form){false, true, 2, 0});
    case_expect_properties("{\"mixer\": {\"kernel\": \"hash-sparse-attention\", \"form\": \"drop\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_share_a_bucket),
        cmocka_unit_test(dropped_tokens_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
