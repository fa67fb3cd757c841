/* Rotary kernels with frequencies of their own, against attention whose pairs are turned one by one. */
#include "base/memory.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 2, SIZE = 8, PAIRS = SIZE / 2, D = H * SIZE, LENGTH = 29 };

/* What a method does to a query or key at position t of a call with so many tokens. */
struct method {
    double (*angle)(const struct kernel_case *c, int pair, int64_t t, int64_t tokens);
    double (*magnitude)(int64_t t); /* NULL: 1 */
    int pairs;
    bool interleaved;
    double (*decay)(int pair); /* of a pair's score over a token; NULL: 1 */
    bool inner_norm;
    double (*query_scale)(int64_t tokens); /* NULL: 1 */
};

static void turn(const struct kernel_case *c, const struct method *m, double *head, int64_t t, int64_t tokens)
{
    for (int i = 0; i < m->pairs; i++) {
        double angle = m->angle(c, i, t, tokens);
        double *a = head + (m->interleaved ? 2 * i : i), *b = m->interleaved ? a + 1 : a + m->pairs;
        double x = *a, y = *b;
        *a = x * cos(angle) - y * sin(angle);
        *b = x * sin(angle) + y * cos(angle);
    }
    for (int i = 0; m->magnitude && i < SIZE; i++)
        head[i] *= m->magnitude(t);
}

/* What is left of the product of a channel over a distance. */
static double faded(const struct method *m, int channel, int64_t distance)
{
    return m->decay ? pow(m->decay(m->interleaved ? channel / 2 : channel % m->pairs), (double)distance) : 1;
}

static void normalize(const struct kernel_case *c, double *o)
{
    const real *weight = case_values(c, "inner_norm.weight"), *bias = case_values(c, "inner_norm.bias");
    double mean = 0, variance = 0;
    for (int i = 0; i < D; i++)
        mean += o[i] / D;
    for (int i = 0; i < D; i++)
        variance += (o[i] - mean) * (o[i] - mean) / D;
    for (int i = 0; i < D; i++)
        o[i] = (double)weight[i] * (o[i] - mean) / sqrt(variance + 0.01) + (double)bias[i];
}

/* The output of token t of a call with so many tokens. */
static void attend(const struct kernel_case *c, const struct method *m, const double *x, int64_t t,
                   int64_t tokens, double *y)
{
    double q[D], k[LENGTH][D], v[LENGTH][D], o[D] = {0};
    case_linear(c, "q_proj", x + t * D, D, q, D);
    for (int64_t s = 0; s <= t; s++) {
        case_linear(c, "k_proj", x + s * D, D, k[s], D);
        case_linear(c, "v_proj", x + s * D, D, v[s], D);
    }
    for (int h = 0; h < H; h++) {
        double sum = 0, *query = q + h * SIZE;
        turn(c, m, query, t, tokens);
        for (int i = 0; m->query_scale && i < SIZE; i++)
            query[i] *= m->query_scale(tokens);
        for (int64_t s = 0; s <= t; s++) {
            double score = 0, *key = k[s] + h * SIZE;
            turn(c, m, key, s, tokens);
            for (int i = 0; i < SIZE; i++)
                score += query[i] * key[i] * faded(m, i, t - s) / sqrt(SIZE);
            double weight = exp(score);
            sum += weight;
            for (int i = 0; i < SIZE; i++)
                o[h * SIZE + i] += weight * v[s][h * SIZE + i];
        }
        for (int i = 0; i < SIZE; i++)
            o[h * SIZE + i] /= sum;
    }
    if (m->inner_norm)
        normalize(c, o);
    case_linear(c, "o_proj", o, D, y, D);
}

/* The kernel in one call and, where that is the same or follows the number of tokens, step by step. */
static void is_method(const struct method *m, const char *position)
{
    struct kernel_case c;
    char json[512];
    double want[B * LENGTH * D];
    snprintf(json, sizeof json,
             "{\"position\": {%s}, \"mixer\": {\"kernel\": \"attention\", \"heads\": %d%s}}", position, H,
             m->inner_norm ? ", \"inner_norm\": true, \"epsilon\": 0.01" : "");
    case_open(&c, json, B, LENGTH, D);
    for (int stepwise = 0; stepwise < 2; stepwise++) {
        for (int64_t row = 0; row < B * LENGTH; row++) {
            int64_t t = row % LENGTH;
            attend(&c, m, c.x + (row - t) * D, t, stepwise ? t + 1 : LENGTH, want + row * D);
        }
        (stepwise ? case_expect_steps : case_expect)(&c, want);
    }
    case_close(&c);
    case_expect_properties(json);
}

static double wave(double base, int pair, int pairs)
{
    return pow(base, -(double)pair / pairs);
}

/* ---- Position interpolation ---- */

static double interpolated(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    (void)c, (void)tokens;
    return (double)t / 3 * wave(100, pair, 2);
}

static void interpolation_divides_positions(void **state)
{
    (void)state;
    is_method(&(struct method){interpolated, NULL, 2, true},
              "\"kernel\": \"position-interpolation\", \"factor\": 3, \"theta\": 100, \"rotary_dim\": 4, "
              "\"interleaved\": true");
}

/* ---- NTK ---- */

enum { TRAINED = 11 };

static double with_base(double growth, int pair, int64_t t)
{
    return (double)t * wave(10000 * pow(growth, (double)SIZE / (SIZE - 2)), pair, PAIRS);
}

static double static_base(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    (void)c, (void)tokens;
    return with_base(5, pair, t);
}

static double dynamic_base(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    (void)c;
    return with_base(tokens > TRAINED ? 5 * (double)tokens / TRAINED - 4 : 1, pair, t);
}

static void a_larger_base_is_fixed_or_follows_the_tokens(void **state)
{
    (void)state;
    is_method(&(struct method){static_base, NULL, PAIRS, false},
              "\"kernel\": \"ntk-aware-rotary\", \"factor\": 5");
    is_method(&(struct method){dynamic_base, NULL, PAIRS, false},
              "\"kernel\": \"ntk-aware-rotary\", \"factor\": 5, \"form\": \"dynamic\", \"length\": 11");
}

/* ---- YaRN ---- */

/* Turns within 200 tokens at base 10000: 31.8, 3.18, 0.318, 0.0318. With betas of 5 and 0.2 pairs 0 and 3 are
 * at the ends: the pair that turns 5 times is 0.80, down to 0; that which turns 0.2 times 2.2, up to 3. */
static double yarn(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    static const double kept[PAIRS] = {0.5, 0.5 * 2 / 3, 0.5 / 3, 0};
    (void)c, (void)tokens;
    return (double)t * pow(10, -pair) * (kept[pair] + (1 - kept[pair]) / 8);
}

static double yarn_magnitude(int64_t t)
{
    (void)t;
    return 1.3 * (0.1 * log(8) + 1);
}

static void yarn_ramps_between_kept_and_interpolated(void **state)
{
    (void)state;
    is_method(
        &(struct method){yarn, yarn_magnitude, PAIRS, false},
        "\"kernel\": \"yarn-rotary\", \"factor\": 8, \"length\": 200, \"beta_fast\": 5, \"beta_slow\": 0.2, "
        "\"extrapolation\": 0.5, \"attention\": 1.3");
}

/* ---- LongRoPE ---- */

enum { PLAIN = 5 };

static double searched(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    static const double factors[PAIRS] = {1.5, 2, 3.25, 7};
    (void)c, (void)tokens;
    return (double)t * wave(10000, pair, PAIRS) / (t < PLAIN ? 1 : factors[pair]);
}

static double su_magnitude(int64_t t)
{
    return t < PLAIN ? 1 : sqrt(1 + log(4) / log(16));
}

static double log_magnitude(int64_t t)
{
    return t < PLAIN ? 1 : 1 + 0.1 * log(4);
}

#define SEARCHED                                                                                   \
    "\"kernel\": \"searched-rotary-scaling\", \"factors\": [1.5, 2, 3.25, 7], \"rotary_dim\": 8, " \
    "\"start\": 5, \"length\": 16, \"extended_length\": 64, \"magnitude\": "

static void searched_factors_spare_the_first_tokens(void **state)
{
    (void)state;
    is_method(&(struct method){searched, su_magnitude, PAIRS, false}, SEARCHED "\"su\"");
    is_method(&(struct method){searched, log_magnitude, PAIRS, false}, SEARCHED "\"yarn\"");
    is_method(&(struct method){searched, NULL, PAIRS, false}, SEARCHED "\"none\"");
}

/* ---- Resonance ---- */

/* 2 pi 10^i is 6.28, 62.8, 628.3 and 6283.2. */
static double resonant(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    static const int64_t waves[PAIRS] = {6, 63, 628, 6283};
    (void)c, (void)tokens;
    return 2 * M_PI * (double)(t % waves[pair]) / (double)waves[pair];
}

/* Of 4096 tokens pairs 0 and 1 turn 652 and 65 times, pair 2 6.5 times, pair 3 0.65 times: yarn's ramp goes
 * from 1 to 3. */
static double resonant_yarn(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    static const double kept[PAIRS] = {1, 1, 0.5, 0};
    double w = pow(10, -pair) * (kept[pair] + (1 - kept[pair]) / 2), length = round(2 * M_PI / w);
    (void)c, (void)tokens;
    return 2 * M_PI * (double)t / length;
}

static double half_magnitude(int64_t t)
{
    (void)t;
    return 0.1 * log(2) + 1;
}

static void wavelengths_are_whole(void **state)
{
    (void)state;
    is_method(&(struct method){resonant, NULL, PAIRS, false}, "\"kernel\": \"resonance-rotary\"");
    is_method(&(struct method){resonant_yarn, half_magnitude, PAIRS, false},
              "\"kernel\": \"resonance-rotary\", \"scaling\": \"yarn\", \"factor\": 2, \"length\": 4096");
}

/* ---- xPos ---- */

static double plain(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    (void)c, (void)tokens;
    return (double)t * wave(10000, pair, PAIRS);
}

static double decay(int pair)
{
    return pow(((double)pair / PAIRS + 0.3) / 1.3, 1.0 / 7);
}

static double steep_decay(int pair)
{
    return pow(((double)pair / PAIRS + 0.4) / 1.4, 1 / 0.05);
}

static void pairs_fade_with_distance(void **state)
{
    (void)state;
    is_method(&(struct method){plain, NULL, PAIRS, true, decay, true},
              "\"kernel\": \"xpos\", \"scale_base\": 7, \"gamma\": 0.3");
    is_method(&(struct method){plain, NULL, PAIRS, false, decay},
              "\"kernel\": \"xpos\", \"scale_base\": 7, \"gamma\": 0.3, \"interleaved\": false");
}

/* Over all tokens powers reach 3.5^580, which is no double; a step never forms them. */
static void steps_do_not_overflow(void **state)
{
    const struct method method = {plain, NULL, PAIRS, true, steep_decay};
    struct kernel_case c;
    double want[B * LENGTH * D];
    (void)state;
    case_open(
        &c,
        "{\"position\": {\"kernel\": \"xpos\", \"scale_base\": 0.05}, \"mixer\": {\"kernel\": \"attention\", "
        "\"heads\": 2}}",
        B, LENGTH, D);
    for (int64_t row = 0; row < B * LENGTH; row++)
        attend(&c, &method, c.x + row / LENGTH * LENGTH * D, row % LENGTH, LENGTH, want + row * D);
    case_expect_steps(&c, want);
    case_close(&c);
}

/* ---- CLEX ---- */

enum { HIDDEN = 2 * SIZE, SHORT = 8 };

/* dz/dt for all pairs. */
static void slope(const struct kernel_case *c, double t, const double *z, double *dz)
{
    const real *up = case_values(c, "ode_up_proj"), *down = case_values(c, "ode_down_proj");
    double hidden[HIDDEN], alpha = 2 * t - 1;
    for (int m = 0; m < HIDDEN; m++) {
        double sum = 0;
        for (int i = 0; i < PAIRS; i++) {
            double n = pow(10000 * pow(alpha, (double)SIZE / (SIZE - 2)), -2.0 * i / SIZE);
            sum += (z[i] + log(n)) * (double)up[i * HIDDEN + m];
        }
        hidden[m] = tanh(sum);
    }
    for (int i = 0; i < PAIRS; i++) {
        dz[i] = -(2.0 * 2 * i / (SIZE - 2)) / alpha; /* g / n */
        for (int m = 0; m < HIDDEN; m++)
            dz[i] += hidden[m] * (double)down[m * PAIRS + i];
    }
}

/* The 3/8 rule by its tableau. */
static void advance(const struct kernel_case *c, double t, double h, double *z)
{
    static const double nodes[] = {0, 1.0 / 3, 2.0 / 3, 1}, weights[] = {1, 3, 3, 1},
                        tableau[4][3] = {{0}, {1.0 / 3}, {-1.0 / 3, 1}, {1, -1, 1}};
    double k[4][PAIRS], at[PAIRS];
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < PAIRS; i++) {
            at[i] = z[i];
            for (int before = 0; before < stage; before++)
                at[i] += h * tableau[stage][before] * k[before][i];
        }
        slope(c, t + nodes[stage] * h, at, k[stage]);
    }
    for (int i = 0; i < PAIRS; i++)
        for (int stage = 0; stage < 4; stage++)
            z[i] += h * weights[stage] / 8 * k[stage][i];
}

/* Points 1, 1.3, .., 2.8 and, in place of 3.1, 3; at 2 between two of them. */
static double solved(const struct kernel_case *c, int pair, int64_t t, int64_t tokens)
{
    double z[PAIRS], before = 0;
    for (int i = 0; i < PAIRS; i++)
        z[i] = log(wave(10000, i, PAIRS));
    for (int point = 0; tokens > SHORT && point < 4; point++) {
        before = z[pair];
        advance(c, 1 + 0.3 * point, 0.3, z);
    }
    if (tokens <= SHORT)
        return (double)t * exp(z[pair]);
    if (tokens <= 2 * SHORT)
        return (double)t * exp(before + (z[pair] - before) / 3); /* 1.9 to 2.2 */
    for (int point = 4; point < 7; point++)
        advance(c, 1 + 0.3 * point, point < 6 ? 0.3 : 0.2, z);
    return (double)t * exp(z[pair]);
}

static double logarithm_of_tokens(int64_t tokens)
{
    return log((double)tokens) / log(SHORT);
}

#define CONTINUOUS                                                                                 \
    "\"kernel\": \"continuous-rotary-scaling\", \"length\": 8, \"max_factor\": 3, \"expand\": 2, " \
    "\"activation\": \"tanh\", \"step\": 0.3"

static void frequencies_solve_an_equation(void **state)
{
    (void)state;
    is_method(&(struct method){solved, NULL, PAIRS, false}, CONTINUOUS);
    is_method(&(struct method){solved, NULL, PAIRS, false, .query_scale = logarithm_of_tokens},
              CONTINUOUS ", \"log_scale\": true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpolation_divides_positions),
        cmocka_unit_test(a_larger_base_is_fixed_or_follows_the_tokens),
        cmocka_unit_test(yarn_ramps_between_kept_and_interpolated),
        cmocka_unit_test(searched_factors_spare_the_first_tokens),
        cmocka_unit_test(wavelengths_are_whole),
        cmocka_unit_test(pairs_fade_with_distance),
        cmocka_unit_test(steps_do_not_overflow),
        cmocka_unit_test(frequencies_solve_an_equation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
