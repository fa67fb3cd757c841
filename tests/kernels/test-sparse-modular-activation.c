/* SeqBoat's layer against a walk over the active tokens. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 23, D = 8, Z = 4, E = 6, N = 2, W = 3, LENGTH = 24, OUTPUTS = Z + 2 * E };

struct variant {
    const char *normalizer, *bias;
    bool local;
    int truncation;
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double average(const struct kernel_case *c, const struct variant *v, const double *x, int t, int d)
{
    double sum = (double)case_values(c, "ssm.omega")[d] * x[t * D + d];
    for (int n = 0; n < N; n++) {
        double p = sigmoid((double)case_values(c, "ssm.delta")[d * N + n]);
        double q = 1 - p * sigmoid((double)case_values(c, "ssm.alpha")[d * N + n]);
        double weight = p * (double)case_values(c, "ssm.beta")[d * N + n] *
                        (double)case_values(c, "ssm.gamma")[d * N + n] / sqrt(N);
        for (int l = 0; l <= t && (v->truncation == 0 || l < v->truncation); l++)
            sum += weight * pow(q, l) * x[(t - l) * D + d];
    }
    return sum;
}

/* Pairs (2 m, 2 m + 1) turned by time t. */
static void turn(double *z, int t)
{
    for (int m = 0; m < Z / 2; m++) {
        double angle = t * pow(10000, -2.0 * m / Z), a = z[2 * m], b = z[2 * m + 1];
        z[2 * m] = a * cos(angle) - b * sin(angle);
        z[2 * m + 1] = a * sin(angle) + b * cos(angle);
    }
}

struct token {
    int time;
    double q[Z], k[Z], r[E], v[E];
};

static struct token token_of(const struct kernel_case *c, const struct variant *v, const double *m, int time)
{
    struct token token = {.time = time};
    double zrv[OUTPUTS];
    const real *gamma = case_values(c, "gamma"), *beta = case_values(c, "beta");
    case_linear(c, "mx_proj", m, D, zrv, OUTPUTS);
    for (int i = 0; i < OUTPUTS; i++)
        zrv[i] = silu(zrv[i]);
    for (int i = 0; i < Z; i++) {
        token.q[i] = zrv[i] * (double)gamma[i] + (double)beta[i];
        token.k[i] = zrv[i] * (double)gamma[Z + i] + (double)beta[Z + i];
    }
    if (strcmp(v->bias, "rotary") == 0) {
        turn(token.q, time);
        turn(token.k, time);
    }
    memcpy(token.r, zrv + Z, sizeof token.r);
    memcpy(token.v, zrv + Z + E, sizeof token.v);
    return token;
}

/* The newest of `count` active tokens over itself and the W before it. */
static void attend(const struct kernel_case *c, const struct variant *v, const struct token *tokens,
                   int count, double *o)
{
    const struct token *query = &tokens[count - 1];
    bool soft = strcmp(v->normalizer, "softmax") == 0;
    double weights[W + 1], total = 0;
    memset(o, 0, E * sizeof *o);
    for (int age = 0; age <= W && age < count; age++) {
        const struct token *key = &tokens[count - 1 - age];
        double s = 0;
        for (int i = 0; i < Z; i++)
            s += query->q[i] * key->k[i];
        s *= soft ? 1 / sqrt(Z) : 1.0 / W;
        if (strcmp(v->bias, "simple") == 0)
            s += (double)case_values(
                c, "rel_pos_bias.rel_pos_bias")[v->local ? 3 * W - 1 + W - age
                                                         : LENGTH - 1 + key->time - query->time];
        weights[age] = soft ? exp(s) : s > 0 ? s * s : 0;
        total += weights[age];
    }
    for (int age = 0; age <= W && age < count; age++)
        for (int i = 0; i < E; i++)
            o[i] += weights[age] / (soft ? total : 1) * tokens[count - 1 - age].v[i];
}

static int sequence(const struct kernel_case *c, const struct variant *v, const double *x, double *y)
{
    struct token tokens[T];
    int count = 0;
    double temperature = exp((double)case_values(c, "q_router.temp")[0]);
    for (int t = 0; t < T; t++) {
        double m[D], hu[2 + D], o[E], h[D] = {0};
        for (int d = 0; d < D; d++)
            m[d] = silu(average(c, v, x, t, d));
        case_linear(c, "hx_proj", m, D, hu, 2 + D);
        if (hu[1] > hu[0]) {
            tokens[count++] = token_of(c, v, m, t);
            attend(c, v, tokens, count, o);
            for (int i = 0; i < E; i++)
                o[i] *= tokens[count - 1].r[i];
            case_linear(c, "h_proj", o, E, h, D);
            for (int d = 0; d < D; d++)
                h[d] *= sigmoid((hu[1] - hu[0]) / temperature);
        }
        for (int d = 0; d < D; d++)
            y[t * D + d] = silu(hu[2 + d] + h[d] + x[t * D + d]);
    }
    return count;
}

static void walks_over_active_tokens(void **state)
{
    static const struct variant variants[] = {{"softmax", "simple", false, 0}, {"relu2", "simple", false, 0},
                                              {"softmax", "simple", true, 4},  {"relu2", "simple", true, 0},
                                              {"softmax", "rotary", false, 0}, {"relu2", "rotary", false, 7}};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct kernel_case c;
        char json[512];
        double want[B * T * D];
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"sparse-modular-activation\", \"key_dim\": 4, \"hidden\": 6, "
                 "\"state\": 2, "
                 "\"window\": 3, \"length\": 24, \"normalizer\": \"%s\", \"position_bias\": \"%s\", "
                 "\"local_pos\": %s, "
                 "\"truncation\": %d}}",
                 variants[i].normalizer, variants[i].bias, variants[i].local ? "true" : "false",
                 variants[i].truncation);
        case_open(&c, json, B, T, D);
        bool some = false; /* take part, others do not */
        for (int b = 0; b < B; b++) {
            int active = sequence(&c, &variants[i], c.x + b * T * D, want + b * T * D);
            some |= active > W && active < T;
        }
        assert_true(some);
        case_expect(&c, want);
        case_close(&c);
    }
}

static void has_its_properties(void **state)
{
    static const char *const variants[] = {"\"normalizer\": \"relu2\", \"local_pos\": true",
                                           "\"position_bias\": \"rotary\", \"truncation\": 5"};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"mixer\": {\"kernel\": \"sparse-modular-activation\", %s}}",
                 variants[i]);
        case_expect_properties(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_over_active_tokens),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
