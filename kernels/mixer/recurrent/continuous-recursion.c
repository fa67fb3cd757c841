/* The continuous recursive network (contrnn, section 3; JRC1995/Continuous-RvNN FOCN): every token exists to
 * a degree a, and in each of T rounds the tokens merge into their right neighbours to the degree p.
 * Bidirectional.
 *
 * Between a START and an END vector, z = LN(W x), a = 1. A position's right neighbours are the tokens after
 * it whose degrees make up the first whole one, R_ij = a_j while a_{i+1} + .. + a_j <= 1, then what is left;
 * left neighbours L likewise. In a round
 *     s = scorer(gelu(conv([L L z, L z, z, R z, R R z, momentum])))               one number a position
 *     p = e^s / (e^s + 1 + L e^s + R e^s),   t = L p
 *         without `modulation` no neighbours in the sum
 *     new = LN(f1 L z + f2 z + i parent),  (f1, f2, i, parent) = W2 act(W1 [L z, z]),
 *         z := t new + (1 - t) z,   a := (1 - p) a
 * START, END and the last token never go. A sequence that has one token left stays as it is, and the rounds
 * end when all have. The sum of momentum is t of the round before between two vectors. Output z, and that of
 * the last token as "global_state". */
#include "block/kernel.h"

/* The neighbours of every position to the right, [B, n, n], for a [B, 1, n]. */
static tensor *right_neighbours(tensor *a, tensor *later)
{
    tensor *degrees = tensor_multiply(a, later), *sum = tensor_cumulative_sum(degrees, 2);
    tensor *left = tensor_relu(tensor_affine(tensor_shift(sum, 2, 1), -1, 1));
    tensor *beyond = tensor_greater(sum, tensor_scalar(a->graph, 1));
    return tensor_multiply(tensor_where(beyond, left, degrees), later);
}

static tensor *left_neighbours(tensor *a, tensor *later)
{
    tensor *mirrored = right_neighbours(tensor_flip(a, 2), later);
    return tensor_flip(tensor_flip(mirrored, 1), 2);
}

static tensor *named(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    return linear(s, part_name(s, "%s.linear", name), x, outputs, true);
}

/* What the rounds hand on; z [B, n, D], all else [B, n, 1] but alive [B, 1, 1]. */
struct tokens {
    tensor *z, *degree, *merged, *alive;
};

/* Constants: which positions may go, which are no boundary [1, n, 1], and which lie later than others
 * [1, n, n]. */
struct places {
    tensor *going, *inner, *later;
};

static tensor *momentum(struct scope *s, tensor *merged)
{
    int64_t features = option(s, "momentum");
    tensor *past = parameter(s, "past_transition_features", init_normal(0.02), 1, SHAPE(features));
    tensor *none = parameter(s, "past_non_transition_features", init_normal(0.02), 1, SHAPE(features));
    return tensor_add(tensor_multiply(merged, past), tensor_multiply(tensor_affine(merged, -1, 1), none));
}

/* One score a position from its `window` of neighbours. */
static tensor *scores(struct scope *s, const struct tokens *now, tensor *L, tensor *R, tensor *left)
{
    int64_t reach = option(s, "window") / 2;
    tensor *all = now->z, *right = now->z;
    for (int64_t k = 0; k < reach; k++) {
        left = k ? tensor_matmul(L, left) : left;
        right = tensor_matmul(R, right);
        all = tensor_concat(3, (tensor *[]){left, all, right}, 2);
    }
    if (option(s, "momentum"))
        all = tensor_concat(2, (tensor *[]){all, momentum(s, now->merged)}, 2);
    return named(s, "scorer", tensor_gelu_tanh(named(s, "conv_layer", all, s->width)), 1);
}

/* The degree to which each position goes. The maximum is taken over the batch, as published, and makes the
 * epsilon relative to it: the only thing by which entries of a batch touch each other. */
static tensor *going(struct scope *s, tensor *score, tensor *L, tensor *R, const struct places *places)
{
    tensor *largest = tensor_max(tensor_max(tensor_stop_gradient(score), 0), 1);
    largest = tensor_maximum(largest, tensor_scalar(s->graph, 0));
    tensor *weight = tensor_multiply(places->going, tensor_exp(tensor_subtract(score, largest)));
    tensor *sum = tensor_add(weight, tensor_exp(tensor_negate(largest)));
    bool modulated = option(s, "modulation");
    if (modulated)
        sum = tensor_add(sum, tensor_add(tensor_matmul(L, weight), tensor_matmul(R, weight)));
    return tensor_divide(tensor_multiply(places->going, weight),
                         tensor_affine(sum, 1, modulated ? 4e-8 : 2e-8));
}

static tensor *compose(struct scope *s, tensor *left, tensor *z)
{
    int64_t width = s->width, hidden = option_or(s, "hidden", 4 * width);
    tensor *h = named(s, "wcell1", tensor_concat(2, (tensor *[]){left, z}, 2), hidden);
    tensor *all = named(s, "wcell2", tensor_activation(h, option_choice(s, "activation")), 4 * width);
    tensor *gates = tensor_sigmoid(tensor_slice(all, 2, 0, 3 * width));
    tensor *sum = tensor_add(tensor_multiply(tensor_slice(gates, 2, 0, width), left),
                             tensor_multiply(tensor_slice(gates, 2, width, width), z));
    sum = tensor_add(sum, tensor_multiply(tensor_slice(gates, 2, 2 * width, width),
                                          tensor_slice(all, 2, 3 * width, width)));
    return layer_norm(s, "LN", sum, 1e-5);
}

static void merge(struct scope *s, struct tokens *now, const struct places *places)
{
    tensor *row = tensor_transpose(now->degree, 1, 2);
    tensor *R = right_neighbours(row, places->later), *L = left_neighbours(row, places->later);
    tensor *left = tensor_matmul(L, now->z);
    tensor *p = going(s, scores(s, now, L, R, left), L, R, places);
    now->merged = tensor_multiply(tensor_matmul(L, p), places->inner);
    tensor *change = tensor_multiply(now->merged, tensor_subtract(compose(s, left, now->z), now->z));
    now->z = tensor_add(now->z, tensor_multiply(now->alive, change));
    now->degree = tensor_multiply(now->degree, tensor_affine(tensor_multiply(now->alive, p), -1, 1));
    tensor *threshold = tensor_scalar(s->graph, option_real(s, "threshold"));
    tensor *count = tensor_sum(tensor_greater(now->degree, threshold), 1);
    now->alive = tensor_multiply(now->alive, tensor_greater(count, tensor_scalar(s->graph, 3)));
}

/* A round, which is not computed once no sequence of the batch has tokens left to merge. */
static struct tokens merge_unless_done(struct scope *s, struct tokens before, const struct places *places)
{
    tensor *guard = tensor_guard(before.alive);
    struct tokens now = before;
    merge(s, &now, places);
    return (struct tokens){.z = tensor_guarded(guard, now.z, before.z),
                           .degree = tensor_guarded(guard, now.degree, before.degree),
                           .merged = tensor_guarded(guard, now.merged, before.merged),
                           .alive = tensor_guarded(guard, now.alive, before.alive)};
}

static struct places places_of(struct scope *s, int64_t length)
{
    int64_t n = length + 2;
    struct places places = {tensor_full(s->graph, 1, 3, SHAPE(1, n, 1)),
                            tensor_full(s->graph, 1, 3, SHAPE(1, n, 1)),
                            tensor_constant(s->graph, NULL, 3, SHAPE(1, n, n))};
    places.going->data[0] = places.going->data[length] = places.going->data[length + 1] = 0;
    places.inner->data[0] = places.inner->data[length + 1] = 0;
    for (int64_t i = 0; i < n * n; i++)
        places.later->data[i] = i % n > i / n ? 1 : 0;
    return places;
}

static tensor *boundary(struct scope *s, const char *name, int64_t batch)
{
    tensor *vector = parameter(s, name, init_normal(0.02), 1, SHAPE(s->width));
    return tensor_broadcast(vector, 3, SHAPE(batch, 1, s->width));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1];
    struct places places = places_of(s, length);
    x = tensor_concat(3, (tensor *[]){boundary(s, "START", batch), x, boundary(s, "END", batch)}, 1);
    struct tokens now = {layer_norm(s, "LN", named(s, "initial_transform_layer", x, s->width), 1e-5),
                         tensor_full(s->graph, 1, 3, SHAPE(batch, length + 2, 1)),
                         tensor_full(s->graph, 0, 3, SHAPE(batch, length + 2, 1)),
                         tensor_full(s->graph, 1, 3, SHAPE(batch, 1, 1))};
    for (int64_t round = 0; round < length; round++)
        now = merge_unless_done(s, now, &places);
    further_output(s, "global_state",
                   tensor_reshape(tensor_slice(now.z, 1, length, 1), 2, SHAPE(batch, s->width)));
    return tensor_slice(now.z, 1, 1, length);
}

/* The epsilon of going(). */
static double batch_coupling(const struct scope *s)
{
    (void)s;
    return 1e-7;
}

KERNEL(continuous_recursion) = {
    .name = "continuous-recursion",
    .slot = SLOT_MIXER,
    .variant = "contrnn",
    .summary = "neighbours merge by degrees, round by round, along a tree that is learned",
    .options =
        OPTIONS(INTEGER_OPTION("hidden", 0, 0, 1 << 20, "hidden channels of the composition; 0: 4 * width"),
                INTEGER_OPTION("window", 5, 1, 99, "neighbours that a score sees, with the position itself"),
                INTEGER_OPTION("momentum", 64, 0, 4096, "features of the last round's merging; 0: none"),
                FLAG_OPTION("modulation", 1, "neighbours compete to go"),
                CHOICE_OPTION("activation", "gelu_tanh|relu", "activation of the composition"),
                REAL_OPTION("threshold", 0.01, 0, 1, "degree above which a token counts as there")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "norm"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "none"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "state"}, {"output-gate", "no"},
                             {"time", "cubic"}, {"causality", "bidirectional"}),
    .batch_coupling = batch_coupling,
    .forward = forward,
};
