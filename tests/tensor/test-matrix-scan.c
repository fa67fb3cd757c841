#include "base/memory.h"
#include "gradient.h"
#include "tensor/loops/matrix_scan.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum decay { NONE, FIXED, SCALAR, CHANNEL };

struct scan_case {
    int64_t B, T, H, d, e;
    int64_t q_heads, k_heads, v_heads, decay_heads; /* 0: H */
    enum decay decay;
    double lowest_decay; /* of log_decay; 0: -0.5 */
    bool beta, bonus, initial, final;
    double scale;
};

enum { Q, K, V, DECAY, BETA, BONUS, INITIAL, INPUTS };

static int64_t heads_or(int64_t heads, const struct scan_case *c)
{
    return heads ? heads : c->H;
}

/* Keys short enough for the delta rule not to grow. */
static double key_bound(const struct scan_case *c)
{
    return 1.5 / sqrt((double)c->d);
}

static int make_leaves(const struct scan_case *c, struct gradient_leaf *leaves, int *place)
{
    int64_t B = c->B, T = c->T;
    int count = 0;
    struct gradient_leaf all[INPUTS] = {
        {4, {B, T, heads_or(c->q_heads, c), c->d}},
        {4, {B, T, heads_or(c->k_heads, c), c->d}, -key_bound(c), key_bound(c)},
        {4, {B, T, heads_or(c->v_heads, c), c->e}},
        {c->decay == FIXED    ? 1
         : c->decay == SCALAR ? 3
                              : 4,
         {B, T, heads_or(c->decay_heads, c), c->d},
         c->lowest_decay != 0 ? c->lowest_decay : -0.5,
         -1e-3},
        {3, {B, T, c->H}, 0.1, 1.2},
        {2, {c->H, c->d}},
        {4, {B, c->H, c->d, c->e}}};
    if (c->decay == FIXED)
        all[DECAY].shape[0] = c->H;
    bool given[INPUTS] = {true, true, true, c->decay != NONE, c->beta, c->bonus, c->initial};
    for (int i = 0; i < INPUTS; i++) {
        place[i] = given[i] ? count : -1;
        if (given[i])
            leaves[count++] = all[i];
    }
    return count;
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct scan_case *c = argument;
    struct gradient_leaf unused[INPUTS];
    int place[INPUTS];
    make_leaves(c, unused, place);
    tensor *final = NULL;
    struct matrix_scan_options options = {
        .scale = c->scale,
        .log_decay = place[DECAY] < 0 ? NULL : leaves[place[DECAY]],
        .beta = place[BETA] < 0 ? NULL : leaves[place[BETA]],
        .bonus = place[BONUS] < 0 ? NULL : leaves[place[BONUS]],
        .initial = place[INITIAL] < 0 ? NULL : leaves[place[INITIAL]],
        .final = c->final ? &final : NULL,
    };
    tensor *y = tensor_matrix_scan(leaves[Q], leaves[K], leaves[V], &options);
    return c->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

/* ---- The definition, token by token in double precision, and its adjoint with every state stored ---- */

struct naive {
    const struct scan_case *c;
    double *value[INPUTS], *gradient[INPUTS]; /* NULL where not given */
    double *y, *final, *dy, *dfinal;
    double *S, *G; /* one head: S after each token, [T + 1, d, e] */
    double *decay; /* one token: [d] */
};

static int64_t size_of(const struct gradient_leaf *leaf)
{
    int64_t size = 1;
    for (int i = 0; i < leaf->rank; i++)
        size *= leaf->shape[i];
    return size;
}

static int64_t vector_at(const struct scan_case *c, int64_t heads, int64_t width, int64_t b, int64_t t,
                         int64_t h)
{
    return ((b * c->T + t) * heads + h / (c->H / heads)) * width;
}

static int64_t decay_at(const struct scan_case *c, int64_t b, int64_t t, int64_t h, int64_t i)
{
    return c->decay == FIXED    ? h
           : c->decay == SCALAR ? (b * c->T + t) * c->H + h
                                : vector_at(c, heads_or(c->decay_heads, c), c->d, b, t, h) + i;
}

static void find_decays(const struct naive *n, int64_t b, int64_t t, int64_t h)
{
    for (int64_t i = 0; i < n->c->d; i++)
        n->decay[i] = n->c->decay == NONE ? 1 : exp(n->value[DECAY][decay_at(n->c, b, t, h, i)]);
}

static void naive_head(const struct naive *n, int64_t b, int64_t h)
{
    const struct scan_case *c = n->c;
    int64_t d = c->d, e = c->e, T = c->T, state = (b * c->H + h) * d * e;
    double scale = c->scale != 0 ? c->scale : 1;
    for (int64_t i = 0; i < d * e; i++)
        n->S[i] = c->initial ? n->value[INITIAL][state + i] : 0;
    for (int64_t t = 0; t < T; t++) {
        const double *q = n->value[Q] + vector_at(c, heads_or(c->q_heads, c), d, b, t, h);
        const double *k = n->value[K] + vector_at(c, heads_or(c->k_heads, c), d, b, t, h);
        const double *v = n->value[V] + vector_at(c, heads_or(c->v_heads, c), e, b, t, h);
        const double *old = n->S + t * d * e;
        double *new = n->S + (t + 1) * d *e, *y = n->y + vector_at(c, c->H, e, b, t, h);
        find_decays(n, b, t, h);
        for (int64_t j = 0; j < e; j++) {
            double known = 0, sum = 0;
            for (int64_t i = 0; i < d; i++)
                known += n->decay[i] * old[i * e + j] * k[i];
            double u = c->beta ? n->value[BETA][(b * T + t) * c->H + h] * (v[j] - known) : v[j];
            for (int64_t i = 0; i < d; i++) {
                new[i * e + j] = n->decay[i] * old[i * e + j] + k[i] * u;
                sum += q[i] * (c->bonus ? old[i * e + j] + n->value[BONUS][h * d + i] * k[i] * v[j]
                                        : new[i * e + j]);
            }
            y[j] = scale * sum;
        }
    }
    memcpy(n->final + state, n->S + T * d * e, (size_t)(d * e) * sizeof(double));
}

static void naive_head_backward(const struct naive *n, int64_t b, int64_t h)
{
    const struct scan_case *c = n->c;
    int64_t d = c->d, e = c->e, T = c->T, state = (b * c->H + h) * d * e;
    double scale = c->scale != 0 ? c->scale : 1, *G = n->G;
    for (int64_t i = 0; i < d * e; i++)
        G[i] = c->final ? n->dfinal[state + i] : 0;
    for (int64_t t = T - 1; t >= 0; t--) {
        int64_t qt = vector_at(c, heads_or(c->q_heads, c), d, b, t, h);
        int64_t kt = vector_at(c, heads_or(c->k_heads, c), d, b, t, h);
        int64_t vt = vector_at(c, heads_or(c->v_heads, c), e, b, t, h);
        const double *q = n->value[Q] + qt, *k = n->value[K] + kt, *v = n->value[V] + vt;
        const double *dy = n->dy + vector_at(c, c->H, e, b, t, h);
        double *dq = n->gradient[Q] + qt, *dk = n->gradient[K] + kt, *dv = n->gradient[V] + vt;
        const double *old = n->S + t * d * e, *new = n->S + (t + 1) * d *e;
        find_decays(n, b, t, h);
        for (int64_t j = 0; j < e; j++) {
            double g = scale * dy[j], known = 0, du = 0;
            for (int64_t i = 0; i < d; i++) {
                double a = n->decay[i], u = c->bonus ? n->value[BONUS][h * d + i] : 0;
                known += a * old[i * e + j] * k[i];
                dq[i] += g * (c->bonus ? old[i * e + j] + u * k[i] * v[j] : new[i * e + j]);
                if (c->bonus) {
                    dk[i] += g * q[i] * u * v[j];
                    dv[j] += g * q[i] * u * k[i];
                    n->gradient[BONUS][h * d + i] += g * q[i] * k[i] * v[j];
                } else {
                    G[i * e + j] += q[i] * g;
                }
                du += G[i * e + j] * k[i];
            }
            int64_t bt = (b * T + t) * c->H + h;
            double beta = c->beta ? n->value[BETA][bt] : 1, error = c->beta ? v[j] - known : v[j];
            dv[j] += beta * du;
            if (c->beta)
                n->gradient[BETA][bt] += du * error;
            for (int64_t i = 0; i < d; i++) {
                double a = n->decay[i], dr = c->beta ? -beta * du : 0;
                dk[i] += G[i * e + j] * beta * error + a * old[i * e + j] * dr;
                G[i * e + j] += k[i] * dr;
                if (c->decay != NONE)
                    n->gradient[DECAY][decay_at(c, b, t, h, i)] += a * old[i * e + j] * G[i * e + j];
                G[i * e + j] *= a;
                if (c->bonus)
                    G[i * e + j] += q[i] * g;
            }
        }
    }
    for (int64_t i = 0; c->initial && i < d * e; i++)
        n->gradient[INITIAL][state + i] += G[i];
}

static double *widened(const real *x, int64_t size)
{
    double *y = memory_allocate_zero((size_t)size, sizeof(double));
    for (int64_t i = 0; x && i < size; i++)
        y[i] = (double)x[i];
    return y;
}

/* ---- Values and gradients against the definition ---- */

/* As expect_near(), with a least size that entries are taken to have. */
static void expect_close(const real *got, const double *want, int64_t size, double tolerance, double floor)
{
    double square = 0;
    for (int64_t i = 0; i < size; i++)
        square += want[i] * want[i];
    double typical = fmax(sqrt(square / (double)size), floor);
    for (int64_t i = 0; i < size; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * fmax(fabs(want[i]), typical)))
            fail_msg("entry %lld is %.9g instead of %.9g, typical %.3g", (long long)i, (double)got[i],
                     want[i], typical);
}

struct checked {
    const struct scan_case *c;
    real *storage[INPUTS];
    tensor *leaves[INPUTS], *output;
};

static void record(struct graph *graph, void *argument)
{
    struct checked *checked = argument;
    struct gradient_leaf leaves[INPUTS];
    int place[INPUTS], count = make_leaves(checked->c, leaves, place);
    for (int i = 0; i < count; i++) {
        checked->storage[i] = leaf_values(leaves, i);
        checked->leaves[i] = tensor_leaf(graph, checked->storage[i], leaves[i].rank, leaves[i].shape, true);
    }
    checked->output = graph_keep(build(graph, checked->leaves, checked->c));
}

static void expect_definition(const struct scan_case *c, double tolerance)
{
    struct gradient_leaf leaves[INPUTS];
    int place[INPUTS], count = make_leaves(c, leaves, place);
    struct checked checked = {.c = c};
    tensor_set_threads(1); /* many small runs; other numbers are check_gradients()'s business */
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    struct error error = ERROR_INIT;
    if (!graph_protect(graph, record, &checked, &error))
        fail_msg("%s", error.message);
    int64_t y_size = c->B * c->T * c->H * c->e, states = c->B * c->H * c->d * c->e;
    int64_t size = tensor_size(checked.output);
    real *seed = memory_allocate((size_t)size * sizeof(real));
    random_fill_uniform(1, 2, 0, size, -1, 1, seed);
    graph_run(graph);
    graph_seed(checked.output, seed);
    graph_backward(graph);

    struct naive n = {.c = c};
    for (int i = 0; i < INPUTS; i++)
        if (place[i] >= 0) {
            n.value[i] = widened(checked.storage[place[i]], size_of(&leaves[place[i]]));
            n.gradient[i] = widened(NULL, size_of(&leaves[place[i]]));
        }
    n.y = widened(NULL, y_size + states);
    n.final = n.y + y_size;
    n.dy = widened(seed, size);
    n.dfinal = n.dy + y_size;
    n.S = widened(NULL, (c->T + 1) * c->d * c->e);
    n.G = widened(NULL, c->d * c->e);
    n.decay = widened(NULL, c->d);
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t h = 0; h < c->H; h++) {
            naive_head(&n, b, h);
            naive_head_backward(&n, b, h);
        }
    expect_close(checked.output->data, n.y, size, tolerance, 1e-30);
    for (int i = 0; i < INPUTS; i++) {
        if (place[i] < 0)
            continue;
        /* The decays' gradient is a sum in which larger terms cancel: with a bonus, all products of
         * neighbours, that no decay comes between; over the whole sequence if the decay is fixed. */
        double floor = i == DECAY && (c->bonus || c->decay == FIXED) ? 1 : 1e-30;
        expect_close(checked.leaves[place[i]]->gradient, n.gradient[i], size_of(&leaves[place[i]]),
                     (i == DECAY ? 10 : 3) * tolerance, floor);
    }

    graph_free(graph);
    pool_free(pool);
    free(seed);
    for (int i = 0; i < count; i++)
        free(checked.storage[i]);
    for (int i = 0; i < INPUTS; i++) {
        free(n.value[i]);
        free(n.gradient[i]);
    }
    free(n.y);
    free(n.dy);
    free(n.S);
    free(n.G);
    free(n.decay);
}

#ifdef CLADE_DOUBLE
static const double rounding = 1e-12;
#else
static const double rounding = 1e-5;
#endif

static const struct scan_case rules[] = {
    {.decay = NONE},
    {.decay = FIXED},
    {.decay = SCALAR},
    {.decay = CHANNEL},
    {.decay = NONE, .bonus = true},
    {.decay = FIXED, .bonus = true},
    {.decay = SCALAR, .bonus = true},
    {.decay = CHANNEL, .bonus = true},
    {.decay = NONE, .beta = true},
    {.decay = FIXED, .beta = true},
    {.decay = SCALAR, .beta = true},
    {.decay = CHANNEL, .beta = true},
};
enum { RULES = sizeof rules / sizeof *rules };

static void agrees_with_the_definition_at_every_length(void **state)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 100};
    for (int rule = 0; rule < RULES; rule++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (int states = 0; states < 4; states++) {
                struct scan_case c = rules[rule];
                c.B = 2, c.T = lengths[i], c.H = 2, c.d = 5, c.e = 7, c.scale = 0.5;
                c.initial = states & 1;
                c.final = states & 2;
                expect_definition(&c, rounding);
            }
}

static void agrees_with_the_definition_for_every_width(void **state)
{
    static const int64_t widths[][2] = {{1, 1},   {16, 16}, {32, 33},  {64, 64}, {31, 80},
                                        {130, 8}, {8, 130}, {128, 64}, {40, 100}};
    for (int rule = 0; rule < RULES; rule++)
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
            struct scan_case c = rules[rule];
            c.B = 1, c.T = 21, c.H = 2, c.d = widths[i][0], c.e = widths[i][1], c.initial = c.final = true;
            expect_definition(&c, rounding);
        }
}

static void agrees_with_the_definition_over_a_long_sequence(void **state)
{
    for (int rule = 0; rule < RULES; rule++) {
        struct scan_case c = rules[rule];
        c.B = 1, c.T = 1000, c.H = 1, c.d = 16, c.e = 16, c.final = true;
        expect_definition(&c, 3 * rounding);
    }
}

static void shares_heads_of_every_input(void **state)
{
    static const int64_t heads[][4] = {{2, 2, 0, 0}, {0, 2, 2, 2}, {0, 1, 0, 1}, {0, 0, 2, 0},
                                       {1, 1, 0, 0}, {2, 0, 0, 2}, {1, 0, 1, 0}};
    for (int rule = 0; rule < RULES; rule++)
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
            struct scan_case c = rules[rule];
            c.B = 2, c.T = 23, c.H = 4, c.d = 40, c.e = 9, c.initial = c.final = true;
            c.q_heads = heads[i][0], c.k_heads = heads[i][1], c.v_heads = heads[i][2];
            c.decay_heads = c.decay == CHANNEL ? heads[i][3] : 0;
            expect_definition(&c, rounding);
        }
}

struct strengthened {
    enum decay decay;
    bool multiplied; /* v by the strength beforehand, which is what it stands for */
};

/* leaves: q, k, v, log_decay [H] or [B, T, H], strength [B, T, H], initial. */
static tensor *build_strengthened(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct strengthened *way = argument;
    tensor *v = leaves[V], *final, *strength = leaves[BETA];
    struct matrix_scan_options options = {.log_decay = way->decay == NONE ? NULL : leaves[DECAY],
                                          .initial = leaves[BETA + 1],
                                          .final = &final,
                                          .scale = 0.5};
    if (way->multiplied)
        v = tensor_multiply(
            v, tensor_reshape(strength, 4, SHAPE(v->shape[0], v->shape[1], strength->shape[2], 1)));
    else
        options.strength = strength;
    tensor *y = tensor_matrix_scan(leaves[Q], leaves[K], v, &options);
    return gradient_join(2, (tensor *[]){y, final});
}

static void takes_on_the_strength_of_values(void **state)
{
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 50}, heads[] = {1, 2, 4};
    for (enum decay decay = NONE; decay <= SCALAR; decay++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (size_t j = 0; j < sizeof heads / sizeof *heads; j++) {
                int64_t T = lengths[i];
                struct gradient_leaf leaves[] = {LEAF(4, 2, T, heads[j], 21),
                                                 LEAF(4, 2, T, heads[j], 21),
                                                 LEAF(4, 2, T, 4, 35),
                                                 LEAF(3, 2, T, 4),
                                                 LEAF(3, 2, T, 4),
                                                 LEAF(4, 2, 4, 21, 35)};
                leaves[DECAY].low = -3;
                if (decay == FIXED)
                    leaves[DECAY].rank = 1, leaves[DECAY].shape[0] = 4;
                int64_t size, count = sizeof leaves / sizeof *leaves;
                real *got = evaluate(build_strengthened, &(struct strengthened){decay, false}, leaves,
                                     (int)count, &size);
                real *multiplied = evaluate(build_strengthened, &(struct strengthened){decay, true}, leaves,
                                            (int)count, NULL);
                double *want = widened(multiplied, size);
                expect_near(got, want, size, rounding);
                free(got);
                free(multiplied);
                free(want);
            }
}

static void has_the_gradients_of_every_rule(void **state)
{
    for (int rule = 0; rule < RULES; rule++)
        for (int64_t T = 1; T <= 22; T += 21) {
            struct scan_case c = rules[rule];
            c.B = 2, c.T = T, c.H = 4, c.d = 6, c.e = 35, c.initial = c.final = true, c.scale = 0.5;
            if (rule % 2 == 0) /* and several parts of the lanes that heads of a group work on */
                c.k_heads = 2, c.v_heads = 2, c.d = 40, c.e = 9;
            struct gradient_leaf leaves[INPUTS];
            int place[INPUTS], count = make_leaves(&c, leaves, place);
            check_gradients_at(__FILE__, __LINE__, build, &c, leaves, count);
        }
}

/* ---- Strong and long decays ---- */

static void stays_exact_under_decays_of_every_strength(void **state)
{
    static const double lowest[] = {-1e-2, -3, -30, -300, -1e4};
    for (int rule = 0; rule < RULES; rule++)
        for (size_t i = 0; i < sizeof lowest / sizeof *lowest; i++) {
            struct scan_case c = rules[rule];
            if (c.decay == NONE)
                continue;
            c.B = 1, c.T = 70, c.H = 2, c.d = 8, c.e = 8, c.initial = c.final = true;
            c.lowest_decay = lowest[i];
            expect_definition(&c, rounding);
        }
}

/* Decays that differ by token and channel from none to total, over a sequence whose sum of log_decay no
 * exponential of either sign would survive. */
static void survives_a_log_decay_of_minus_1e4_over_8192_tokens(void **state)
{
    enum { T = 8192, D = 8 };
    struct scan_case c = {.B = 1, .T = T, .H = 1, .d = D, .e = D, .decay = CHANNEL};
    struct gradient_leaf leaves[INPUTS];
    int place[INPUTS], count = make_leaves(&c, leaves, place);
    real *decay = memory_allocate_zero(T * D, sizeof(real));
    for (int64_t i = 0; i < T * D; i++)
        decay[i] = (real)(i % D < 3 ? -1e4 : random_integer(5, 6, (uint64_t)i, 9) == 0 ? -INFINITY : -1e-4);
    leaves[DECAY].values = decay;
    int64_t size;
    real *y = evaluate(build, &c, leaves, count, &size);
    for (int64_t i = 0; i < size; i++)
        assert_true(isfinite((double)y[i]));
    free(y);
    free(decay);
}

/* ---- States ---- */

struct cut {
    const struct scan_case *c;
    int64_t at;
};

static tensor *cut_at(tensor *x, int64_t start, int64_t length)
{
    return x && x->rank >= 3 ? tensor_slice(x, 1, start, length) : x;
}

/* The scan in two pieces, the second of which starts from the first one's last state. */
static tensor *build_cut(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct cut *cut = argument;
    const struct scan_case *c = cut->c;
    struct gradient_leaf unused[INPUTS];
    int place[INPUTS];
    make_leaves(c, unused, place);
    tensor *decay = place[DECAY] < 0 ? NULL : leaves[place[DECAY]];
    tensor *beta = place[BETA] < 0 ? NULL : leaves[place[BETA]];
    tensor *bonus = place[BONUS] < 0 ? NULL : leaves[place[BONUS]], *state = NULL, *parts[2];
    for (int i = 0; i < 2; i++) {
        int64_t start = i ? cut->at : 0, length = i ? c->T - cut->at : cut->at;
        struct matrix_scan_options options = {
            .log_decay = cut_at(decay, start, length),
            .beta = cut_at(beta, start, length),
            .bonus = bonus,
            .initial = state,
            .final = &state,
        };
        parts[i] = tensor_matrix_scan(cut_at(leaves[Q], start, length), cut_at(leaves[K], start, length),
                                      cut_at(leaves[V], start, length), &options);
    }
    return gradient_join(2, (tensor *[]){tensor_concat(2, parts, 1), state});
}

static void continues_from_a_last_state(void **state)
{
    for (int rule = 0; rule < RULES; rule++)
        for (int64_t at = 1; at < 40; at += 6) {
            struct scan_case c = rules[rule];
            c.B = 2, c.T = 40, c.H = 2, c.d = 12, c.e = 20, c.final = true;
            struct gradient_leaf leaves[INPUTS];
            int place[INPUTS], count = make_leaves(&c, leaves, place);
            int64_t size;
            real *whole = evaluate(build, &c, leaves, count, &size);
            real *pieces = evaluate(build_cut, &(struct cut){&c, at}, leaves, count, NULL);
            double *want = widened(whole, size);
            expect_near(pieces, want, size, rounding);
            free(whole);
            free(pieces);
            free(want);
        }
}

static tensor *build_final_only(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *final;
    struct matrix_scan_options options = {.log_decay = leaves[3], .beta = leaves[4], .final = &final};
    tensor_matrix_scan(leaves[0], leaves[1], leaves[2], &options);
    return final;
}

static void passes_gradients_through_the_last_state_alone(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(4, 1, 9, 2, 4), LEAF(4, 1, 9, 2, 4), LEAF(4, 1, 9, 2, 5),
                                     LEAF(4, 1, 9, 2, 4), LEAF(3, 1, 9, 2)};
    leaves[3].low = -1;
    leaves[3].high = -0.01;
    check_gradients(build_final_only, NULL, leaves);
}

/* ---- Refusals and cost ---- */

static tensor *build_with(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_matrix_scan(leaves[0], leaves[1], leaves[2],
                              &(struct matrix_scan_options){.log_decay = leaves[3], .beta = leaves[4]});
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    struct gradient_leaf keys[] = {LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 7), LEAF(4, 2, 5, 4, 8),
                                   LEAF(3, 2, 5, 4), LEAF(3, 2, 5, 4)};
    assert_string_equal(
        raised_message(build_with, NULL, keys),
        "matrix_scan keys: expected the batch, length and width of the queries, got [2, 5, 4, 7]");
    struct gradient_leaf heads[] = {LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 3, 8), LEAF(4, 2, 5, 4, 8),
                                    LEAF(3, 2, 5, 4), LEAF(3, 2, 5, 4)};
    assert_string_equal(
        raised_message(build_with, NULL, heads),
        "matrix_scan keys: expected H or G heads, of 4 and a divisor of it, got [2, 5, 3, 8]");
    struct gradient_leaf decay[] = {LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 8),
                                    LEAF(3, 2, 6, 4), LEAF(3, 2, 5, 4)};
    assert_string_equal(raised_message(build_with, NULL, decay),
                        "matrix_scan log_decay: expected [H], [B, T, H] or [B, T, H or G, d], got [2, 6, 4]");
    struct gradient_leaf beta[] = {LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 8),
                                   LEAF(3, 2, 5, 4), LEAF(3, 2, 5, 2)};
    assert_string_equal(raised_message(build_with, NULL, beta),
                        "matrix_scan beta: expected [B, T, H], got [2, 5, 2]");
    struct gradient_leaf rank[] = {LEAF(3, 2, 5, 32), LEAF(4, 2, 5, 4, 8), LEAF(4, 2, 5, 4, 8),
                                   LEAF(3, 2, 5, 4), LEAF(3, 2, 5, 4)};
    assert_string_equal(raised_message(build_with, NULL, rank),
                        "matrix_scan queries: expected [B, T, H or G, d], got [2, 5, 32]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition_at_every_length),
        cmocka_unit_test(agrees_with_the_definition_for_every_width),
        cmocka_unit_test(agrees_with_the_definition_over_a_long_sequence),
        cmocka_unit_test(shares_heads_of_every_input),
        cmocka_unit_test(takes_on_the_strength_of_values),
        cmocka_unit_test(has_the_gradients_of_every_rule),
        cmocka_unit_test(stays_exact_under_decays_of_every_strength),
        cmocka_unit_test(survives_a_log_decay_of_minus_1e4_over_8192_tokens),
        cmocka_unit_test(continues_from_a_last_state),
        cmocka_unit_test(passes_gradients_through_the_last_state_alone),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
