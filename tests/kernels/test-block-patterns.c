/* Attention within chunks beside a memory, BlockBERT's permutations and Poolingformer's two levels, against
 * softmaxes over the pairs that each of them sees, found one by one. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 3, SIZE = 2, D = H * SIZE, MAXIMUM = 23 };

/* Whether head `head` of query t sees key s. */
typedef bool sees(const void *pattern, int head, int64_t t, int64_t s);

static void attend(const double q[][D], int64_t queries, const double k[][D], const double v[][D],
                   int64_t keys, sees *seen, const void *pattern, double y[][D])
{
    for (int64_t t = 0; t < queries; t++)
        for (int head = 0; head < H; head++) {
            double sum = 0, o[SIZE] = {0};
            for (int64_t s = 0; s < keys; s++) {
                if (!seen(pattern, head, t, s))
                    continue;
                double score = 0;
                for (int i = head * SIZE; i < (head + 1) * SIZE; i++)
                    score += q[t][i] * k[s][i] / sqrt(SIZE);
                sum += exp(score);
                for (int i = 0; i < SIZE; i++)
                    o[i] += exp(score) * v[s][head * SIZE + i];
            }
            for (int i = 0; i < SIZE; i++)
                y[t][head * SIZE + i] = sum > 0 ? o[i] / sum : 0;
        }
}

static void project(const struct kernel_case *c, const char *name, const double x[][D], int64_t rows,
                    double y[][D])
{
    for (int64_t t = 0; t < rows; t++)
        case_linear(c, name, x[t], D, y[t], D);
}

/* Projections, attention by a pattern, and the output's projection unless it is left out. */
static void first_level(const struct kernel_case *c, const double x[][D], sees *seen, const void *pattern,
                        double y[][D])
{
    double q[MAXIMUM][D], k[MAXIMUM][D], v[MAXIMUM][D];
    project(c, "query", x, c->length, q);
    project(c, "key", x, c->length, k);
    project(c, "value", x, c->length, v);
    attend(q, c->length, k, v, c->length, seen, pattern, y);
}

static void follows(const char *json, int64_t length, sees *seen, const void *pattern)
{
    struct kernel_case c;
    double want[B * MAXIMUM * D], y[MAXIMUM][D];
    case_open(&c, json, B, length, D);
    for (int64_t b = 0; b < B; b++) {
        first_level(&c, (const double(*)[D])(c.x + b * length * D), seen, pattern, y);
        project(&c, "dense", (const double(*)[D])y, length, (double(*)[D])(want + b * length * D));
    }
    case_expect(&c, want);
    case_close(&c);
}

/* ---- Chunks and a memory ---- */

struct chunks {
    int64_t segment, memory;
};

static bool in_chunk(const void *pattern, int head, int64_t t, int64_t s)
{
    const struct chunks *p = pattern;
    (void)head;
    return t < p->memory || s < p->memory || (t - p->memory) / p->segment == (s - p->memory) / p->segment;
}

static void chunks_meet_in_the_memory(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 3, 8, 23};
    char json[256];
    for (int i = 0; i < 4; i++)
        for (int64_t memory = 0; memory < 5; memory += 2) {
            struct chunks p = {5, memory};
            snprintf(json, sizeof json,
                     "{\"mixer\": {\"kernel\": \"chunk-attention\", \"heads\": 3, \"segment\": 5, "
                     "\"global_tokens\": "
                     "%d}}",
                     (int)memory);
            follows(json, lengths[i], in_chunk, &p);
        }
    case_expect_properties(json);
    case_expect_stack_properties("{\"norm\": {\"kernel\": \"layernorm\"}, \"mixer\": {\"kernel\": "
                                 "\"chunk-attention\", \"segment\": 5, \"global_tokens\": 3}, \"memory\": "
                                 "{\"kernel\": \"memory-tokens\", \"tokens\": 3}}");
}

/* ---- Permutations ---- */

struct permutation {
    int64_t length, blocks;
    const int64_t *shift; /* of each head */
};

static bool in_permuted_block(const void *pattern, int head, int64_t t, int64_t s)
{
    const struct permutation *p = pattern;
    int64_t size = (p->length + p->blocks - 1) / p->blocks, present = (p->length + size - 1) / size;
    return s / size == (t / size + p->shift[head]) % present;
}

static void heads_permute_blocks(void **state)
{
    (void)state;
    const char *even =
        "{\"mixer\": {\"kernel\": \"block-permutation-attention\", \"heads\": 3, \"blocks\": 2}}";
    const char *dealt =
        "{\"mixer\": {\"kernel\": \"block-permutation-attention\", \"heads\": 3, \"blocks\": 4, "
        "\"heads_by_shift\": [1, 0, 1, 1]}}";
    const int64_t alternate[] = {0, 1, 0}, chosen[] = {0, 2, 3};
    static const int64_t lengths[] = {1, 2, 9, 23}; /* 9: blocks of three, of which there are three */
    for (int i = 0; i < 4; i++) {
        follows(even, lengths[i], in_permuted_block, &(struct permutation){lengths[i], 2, alternate});
        follows(dealt, lengths[i], in_permuted_block, &(struct permutation){lengths[i], 4, chosen});
    }
    case_expect_properties("{\"mixer\": {\"kernel\": \"block-permutation-attention\", \"blocks\": 3, "
                           "\"heads_by_shift\": [4, 2, 2]}}");
}

/* ---- Two levels ---- */

enum pooling { DYNAMIC, MEAN_DYNAMIC, MEAN, MAX };
static const char *const pool_names[] = {"dynamic", "mean-dynamic", "mean", "max"};

struct levels {
    int64_t near, far, size, stride, globals;
    enum pooling pool;
};

static bool is_near(const void *pattern, int head, int64_t t, int64_t s)
{
    const struct levels *p = pattern;
    (void)head;
    return t < p->globals || s < p->globals || (t - s <= p->near && s - t <= p->near);
}

static bool is_far(const void *pattern, int head, int64_t t, int64_t row)
{
    const struct levels *p = pattern;
    int64_t first = row * p->stride, last = first + p->size - 1;
    (void)head;
    return first >= t - p->far && last <= t + p->far;
}

/* The pooled row that begins at x[0]. */
static void pool_row(const struct kernel_case *c, const struct levels *p, const char *name,
                     const double x[][D], double *y)
{
    double mean[D] = {0}, weights[MAXIMUM], sum = 0;
    memset(y, 0, D * sizeof *y);
    for (int i = 0; i < D; i++) {
        double most = x[0][i];
        for (int64_t n = 0; n < p->size; n++) {
            mean[i] += x[n][i] / (double)p->size;
            most = fmax(most, x[n][i]);
        }
        y[i] = p->pool == MAX ? most : p->pool == MEAN ? mean[i] : 0;
    }
    if (p->pool >= MEAN)
        return;
    char weight[64];
    snprintf(weight, sizeof weight, "%s_pooling", name);
    const int64_t middle = (int64_t)ceil((1 + (double)p->size) / 2) - 1;
    case_linear(c, weight, p->pool == DYNAMIC ? x[middle] : mean, D, weights, p->size);
    for (int64_t n = 0; n < p->size; n++)
        sum += exp(weights[n]);
    for (int64_t n = 0; n < p->size; n++)
        for (int i = 0; i < D; i++)
            y[i] += exp(weights[n]) / sum * x[n][i];
}

static int64_t pool_rows(const struct kernel_case *c, const struct levels *p, const char *name,
                         const double x[][D], double y[][D])
{
    int64_t rows = 0;
    for (; rows * p->stride + p->size <= c->length; rows++)
        pool_row(c, p, name, x + rows * p->stride, y[rows]);
    return rows;
}

static void has_levels(const struct levels *p, int64_t length)
{
    struct kernel_case c;
    double want[B * MAXIMUM * D], y[MAXIMUM][D], q[MAXIMUM][D], k[MAXIMUM][D], v[MAXIMUM][D];
    double few_k[MAXIMUM][D], few_v[MAXIMUM][D], z[MAXIMUM][D];
    char json[512];
    snprintf(json, sizeof json,
             "{\"mixer\": {\"kernel\": \"two-level-pooling-attention\", \"heads\": 3, \"window\": %d, "
             "\"pool_window\": %d, \"pool_size\": %d, \"pool_stride\": %d, \"global_tokens\": %d, \"pool\": "
             "\"%s\"}}",
             (int)p->near, (int)p->far, (int)p->size, (int)p->stride, (int)p->globals, pool_names[p->pool]);
    case_open(&c, json, B, length, D);
    for (int64_t b = 0; b < B; b++) {
        first_level(&c, (const double(*)[D])(c.x + b * length * D), is_near, p, y);
        project(&c, "pool_query", (const double(*)[D])y, length, q);
        project(&c, "pool_key", (const double(*)[D])y, length, k);
        project(&c, "pool_value", (const double(*)[D])y, length, v);
        int64_t rows = pool_rows(&c, p, "key", (const double(*)[D])k, few_k);
        pool_rows(&c, p, "value", (const double(*)[D])v, few_v);
        attend((const double(*)[D])q, length, (const double(*)[D])few_k, (const double(*)[D])few_v, rows,
               is_far, p, z);
        for (int64_t t = 0; t < length; t++)
            for (int i = 0; i < D; i++)
                y[t][i] += z[t][i];
        project(&c, "dense", (const double(*)[D])y, length, (double(*)[D])(want + b * length * D));
    }
    case_expect(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

static void a_wider_window_is_pooled(void **state)
{
    (void)state;
    has_levels(&(struct levels){2, 6, 5, 4, 0, DYNAMIC}, 23);
    has_levels(&(struct levels){2, 6, 4, 3, 3, MEAN_DYNAMIC}, 20);
    has_levels(&(struct levels){0, 3, 3, 3, 0, MEAN}, 17);
    has_levels(&(struct levels){3, 30, 4, 1, 2, MAX}, 13);
    has_levels(&(struct levels){1, 9, 5, 4, 2, DYNAMIC}, 4); /* nothing to pool */
    has_levels(&(struct levels){1, 9, 2, 2, 2, MEAN}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_meet_in_the_memory),
        cmocka_unit_test(heads_permute_blocks),
        cmocka_unit_test(a_wider_window_is_pooled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
