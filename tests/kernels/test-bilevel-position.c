/* Two levels of positions from token ids, against places counted one by one: in one call, step by step, and
 * with segments of equal length where no ids are given. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 2, SIZE = 4, D = H * SIZE, LENGTH = 19, PLACES = 4, SEGMENT = 6 };

/* Tokens 7 and 9 end segments: at once, twice in a row, at the end, after more tokens than there are
 * places. */
static const double ids[B * LENGTH] = {7, 1, 2, 9, 9, 3, 1, 1, 2, 1, 1, 7, 5, 8, 9, 1, 1, 1, 7, /* */
                                       1, 1, 1, 1, 1, 1, 1, 1, 9, 1, 7, 7, 7, 7, 2, 2, 2, 2, 2};

struct variant {
    bool alibi, log_scale, regular;
};

static void count_places(const struct variant *v, const double *id, int64_t *segment, int64_t *inside)
{
    for (int64_t t = 0; t < LENGTH; t++) {
        bool begins = t > 0 && (id[t - 1] == 7 || id[t - 1] == 9);
        segment[t] = t == 0 ? 0 : segment[t - 1] + begins;
        inside[t] = t == 0 || begins ? 0 : inside[t - 1] + 1;
        if (v->regular) {
            segment[t] = t / SEGMENT;
            inside[t] = t % SEGMENT;
        }
    }
}

/* Pairs are halves of a head. */
static void turn(double *head, int64_t segment)
{
    for (int i = 0; i < SIZE / 2; i++) {
        double angle = (double)segment * pow(10000, -2.0 * i / SIZE), x = head[i], y = head[i + SIZE / 2];
        head[i] = x * cos(angle) - y * sin(angle);
        head[i + SIZE / 2] = x * sin(angle) + y * cos(angle);
    }
}

static double score(const struct variant *v, int head, const double *q, const double *k, int64_t of_query,
                    int64_t of_key)
{
    double a[SIZE], b[SIZE], sum = 0;
    memcpy(a, q, sizeof a);
    memcpy(b, k, sizeof b);
    if (!v->alibi) {
        turn(a, of_query);
        turn(b, of_key);
    }
    for (int i = 0; i < SIZE; i++)
        sum += a[i] * b[i] / sqrt(SIZE);
    if (v->log_scale)
        sum *= log((double)of_query + 1) / log(PLACES);
    double slope = head == 0 ? 1.0 / 16 : 1.0 / 256;
    return v->alibi ? sum - 96 * slope * (double)(of_query - of_key) : sum;
}

static void attend(const struct kernel_case *c, const struct variant *v, const double *x, const double *id,
                   double *y)
{
    double q[LENGTH][D], k[LENGTH][D], value[LENGTH][D], h[D], o[D];
    const real *table = case_values(c, "position.embeds.0.weight");
    int64_t segment[LENGTH], inside[LENGTH];
    count_places(v, id, segment, inside);
    for (int64_t t = 0; t < LENGTH; t++) {
        int64_t place = inside[t] < PLACES ? inside[t] : PLACES - 1;
        for (int i = 0; i < D; i++)
            h[i] = x[t * D + i] + (double)table[place * D + i];
        case_linear(c, "mixer.q_proj", h, D, q[t], D);
        case_linear(c, "mixer.k_proj", h, D, k[t], D);
        case_linear(c, "mixer.v_proj", h, D, value[t], D);
        memset(o, 0, sizeof o);
        for (int head = 0; head < H; head++) {
            double sum = 0;
            int at = head * SIZE;
            for (int64_t s = 0; s <= t; s++)
                sum += exp(score(v, head, q[t] + at, k[s] + at, segment[t], segment[s]));
            for (int64_t s = 0; s <= t; s++)
                for (int i = at; i < at + SIZE; i++)
                    o[i] +=
                        exp(score(v, head, q[t] + at, k[s] + at, segment[t], segment[s])) / sum * value[s][i];
        }
        case_linear(c, "mixer.o_proj", o, D, y + t * D, D);
        for (int i = 0; i < D; i++)
            y[t * D + i] += h[i];
    }
}

static void is_variant(const struct variant *v)
{
    struct kernel_case c;
    double want[B * LENGTH * D];
    char json[512];
    snprintf(json, sizeof json,
             "{\"position\": {\"kernel\": \"bilevel-position\", \"places\": %d, \"separators\": [7, 9], "
             "\"segment\": %d, "
             "\"upper\": \"%s\", \"log_scale\": %s}, \"mixer\": {\"kernel\": \"attention\", \"heads\": %d}}",
             PLACES, SEGMENT, v->alibi ? "alibi" : "rotary", v->log_scale ? "true" : "false", H);
    if (v->regular)
        case_open_stack(&c, json, B, LENGTH, D);
    else
        case_open_with_input(&c, json, B, LENGTH, D, "ids", ids);
    for (int b = 0; b < B; b++)
        attend(&c, v, c.x + b * LENGTH * D, ids + b * LENGTH, want + b * LENGTH * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
    case_expect_stack_properties(json);
}

static void segments_turn_or_bias(void **state)
{
    (void)state;
    for (int bits = 0; bits < 8; bits++)
        is_variant(&(struct variant){bits & 1, bits & 2, bits & 4});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_turn_or_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
