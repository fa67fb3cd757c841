/* SeqBoat's layer (seqboat, section 3; renll/SeqBoat SeqBoatLayer). A moving average decides for each token
 * whether it takes part in attention:
 *
 *     m = silu(EMA(x)),  (u [2], h') = slices of m Wx + b,  p = softmax(u / e^temp),  active where p_1 > p_0,
 *         a = p_1 there, else 0
 *     of active tokens, packed in their order:  (z, r, v) = slices of silu(m Wm + b),
 *         q, k = z gamma_i + beta_i
 *     o_i = sum_{i-w <= j <= i} f(q_i . k_j + B) v_j,   f softmax (scale 1 / sqrt(d)) or relu^2 (scale 1 / w)
 *     y = silu(h' + a ((o * r) Wh + b) + x0)         x0 the layer's input
 *
 * B is a table by the distance of the tokens in the sequence, the farthest alike (or, `local_pos`, in the
 * packed one), or q and k turn by their times. All tokens are packed here, the inactive ones behind the
 * active, and their results dropped: shapes do not depend on data. A step keeps the w newest active keys and
 * values of each sequence. Gradients reach the router through a. `bidirectional`: a second average runs
 * backwards, |i - j| <= w, and relu^2 has the scale 1 / (2 w). Without `packed` tokens keep their places and
 * windows count inactive ones; the published code does that to a whole batch as soon as one of its sequences
 * is active throughout, which would let sequences depend on each other. */
#include "moving-average.h"
#include <string.h>

/* Rows of active tokens, or queries and keys cut into windows. */
struct tokens {
    tensor *q, *k, *v, *time; /* [.., R, d or e or 1]; time is below 0 where there is no token */
};

static bool turns(const struct scope *s)
{
    return option_is(s, "position_bias", "rotary");
}

/* x [B, T, d] turned by its time. */
static tensor *turned(struct scope *s, tensor *x)
{
    tensor *angles = rotary_angles(s, s->position, x->shape[1], x->shape[2] / 2, 10000);
    return merge_heads(tensor_rotary(split_heads(x, 1), angles, true));
}

/* B, by the difference of times or, locally, by age. */
static tensor *bias(struct scope *s, tensor *offset, tensor *age)
{
    bool local = option(s, "local_pos");
    int64_t w = option(s, "window"), reach = local ? 3 * w : option(s, "length");
    tensor *table = parameter(s, "rel_pos_bias.rel_pos_bias", init_normal(0.02), 1, SHAPE(2 * reach - 1));
    tensor *places = local ? tensor_affine(age, -1, (double)(reach - 1 + w))
                           : tensor_affine(offset, 1, (double)(reach - 1));
    return tensor_rows(table, tensor_clamp(places, 0, (double)(2 * reach - 2)));
}

/* o for queries q [.., R, d] over keys [.., S, d]; age [R, S] counts packed tokens from key to query, of
 * which 0 .. w are seen, or both ways -w .. w. */
static tensor *attend(struct scope *s, tensor *q, tensor *time, const struct tokens *keys, tensor *age)
{
    int64_t w = option(s, "window"), ahead = option(s, "bidirectional") ? w : 0;
    bool soft = option_is(s, "normalizer", "softmax");
    int last = q->rank - 1;
    tensor *zero = tensor_scalar(s->graph, 0), *key_time = tensor_transpose(keys->time, last - 1, last);
    tensor *hidden = tensor_add(tensor_greater(tensor_scalar(s->graph, (double)-ahead), age),
                                tensor_greater(age, tensor_scalar(s->graph, (double)w)));
    hidden = tensor_add(hidden, tensor_greater(zero, key_time));
    double scale = soft ? 1 / sqrt((double)q->shape[last]) : 1 / (double)(w + ahead);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, keys->k), scale);
    if (!turns(s))
        scores = tensor_add(scores, bias(s, tensor_subtract(key_time, time), age));
    scores = tensor_where(hidden, tensor_scalar(s->graph, soft ? -1e30 : 0), scores);
    tensor *weights = soft ? tensor_softmax(scores, last) : tensor_square(tensor_relu(scores));
    return tensor_matmul(weights, keys->v);
}

/* age of columns up to `first` tokens older than row 0. */
static tensor *ages(struct scope *s, int64_t rows, int64_t columns, int64_t first)
{
    tensor *age = tensor_constant(s->graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            age->data[i * columns + j] = (real)(first + i - j);
    return age;
}

/* Windows of w rows of x [B, T, d], each with `back` windows before it and `ahead` after; `outside` stands
 * beyond the ends. */
static tensor *windows(tensor *x, int64_t w, int64_t back, int64_t ahead, double outside)
{
    int64_t count = (x->shape[1] + w - 1) / w;
    tensor *padded = tensor_pad(x, 1, back * w, (count + ahead) * w - x->shape[1], outside);
    return tensor_windows(padded, 1, (1 + back + ahead) * w, w);
}

/* The places of all tokens [B, T, 1], the active ones first, or as they are. */
static tensor *packing(struct scope *s, tensor *active)
{
    int64_t batch = active->shape[0], length = active->shape[1];
    tensor *place = tensor_range(s->graph, 0, length, 1), *order;
    if (!option(s, "packed"))
        return tensor_broadcast(tensor_reshape(place, 3, SHAPE(1, length, 1)), 3, SHAPE(batch, length, 1));
    tensor *rank = tensor_affine(active, -(double)length, (double)length);
    tensor_sort(tensor_add(tensor_reshape(rank, 2, SHAPE(batch, length)), place), false, &order);
    return tensor_reshape(order, 3, SHAPE(batch, length, 1));
}

/* Packs the active tokens, attends and puts the results back in their places. */
static tensor *attend_packed(struct scope *s, tensor *active, const struct tokens *all)
{
    int64_t w = option(s, "window"), batch = active->shape[0], length = active->shape[1];
    bool ahead = option(s, "bidirectional");
    tensor *order = packing(s, active); /* the packed tokens' times as well */
    /* With later keys in view, or in their places, the inactive tokens must not be among them. */
    tensor *time = ahead || !option(s, "packed")
                       ? tensor_where(tensor_gather(active, 1, order), order, tensor_scalar(s->graph, -1))
                       : order;
    struct tokens keys = {.k = windows(tensor_gather(all->k, 1, order), w, 1, ahead, 0),
                          .v = windows(tensor_gather(all->v, 1, order), w, 1, ahead, 0),
                          .time = windows(time, w, 1, ahead, -1)};
    tensor *q = windows(tensor_gather(all->q, 1, order), w, 0, 0, 0);
    tensor *o = attend(s, q, windows(order, w, 0, 0, -1), &keys, ages(s, w, (2 + ahead) * w, w));
    o = tensor_reshape(o, 3, SHAPE(batch, o->shape[1] * w, o->shape[3]));
    return tensor_scatter_add(tensor_slice(o, 1, 0, length), 1, order, length);
}

/* One token over the w newest active ones, or the active ones of the w newest, which it then may join. */
static tensor *attend_kept(struct scope *s, tensor *active, const struct tokens *all, int64_t t)
{
    int64_t w = option(s, "window"), batch = active->shape[0];
    tensor *now[] = {tensor_slice(all->k, 1, t, 1), tensor_slice(all->v, 1, t, 1),
                     tensor_full(s->graph, (double)(s->position + t), 3, SHAPE(batch, 1, 1))};
    static const char *const names[] = {"key", "value", "time"};
    tensor *seen[3], *joins = tensor_slice(active, 1, t, 1);
    if (!option(s, "packed")) {
        now[2] = tensor_where(joins, now[2], tensor_scalar(s->graph, -1));
        joins = tensor_scalar(s->graph, 1);
    }
    for (int i = 0; i < 3; i++) {
        tensor *kept = state(s, names[i], i == 2 ? -1 : 0, 3, SHAPE(batch, w, now[i]->shape[2]));
        seen[i] = tensor_concat(2, (tensor *[]){kept, now[i]}, 1);
        state_set(s, names[i], tensor_where(joins, tensor_slice(seen[i], 1, 1, w), kept));
    }
    struct tokens keys = {.k = seen[0], .v = seen[1], .time = seen[2]};
    return attend(s, tensor_slice(all->q, 1, t, 1), now[2], &keys, ages(s, 1, w + 1, w));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, d = option(s, "key_dim"), e = option_or(s, "hidden", 2 * width);
    tensor *m = tensor_silu(
        moving_average(s, "ssm", x, option(s, "state"), option(s, "truncation"), option(s, "bidirectional")));
    tensor *hu = linear(s, "hx_proj", m, 2 + width, true), *copies[2];
    tensor *u = tensor_slice(hu, 2, 0, 2),
           *temperature = parameter(s, "q_router.temp", init_constant(0), 1, SHAPE(1));
    tensor *p = tensor_softmax(tensor_multiply(u, tensor_exp(tensor_negate(temperature))), 2);
    tensor *active = tensor_greater(tensor_slice(u, 2, 1, 1), tensor_slice(u, 2, 0, 1));
    tensor *zrv = tensor_silu(linear(s, "mx_proj", m, d + 2 * e, true));
    query_and_key(s, tensor_slice(zrv, 2, 0, d), 1, copies);
    struct tokens all = {.q = turns(s) ? turned(s, copies[0]) : copies[0],
                         .k = turns(s) ? turned(s, copies[1]) : copies[1],
                         .v = tensor_slice(zrv, 2, d + e, e)};
    struct pieces rows = {0};
    for (int64_t t = 0; s->state && t < x->shape[1]; t++)
        add_piece(&rows, attend_kept(s, active, &all, t));
    tensor *o = s->state ? join_pieces(&rows, 1) : attend_packed(s, active, &all);
    tensor *h = linear(s, "h_proj", tensor_multiply(o, tensor_slice(zrv, 2, d, e)), width, true);
    h = tensor_multiply(h, tensor_multiply(active, tensor_slice(p, 2, 1, 1)));
    h = tensor_add(h, tensor_slice(hu, 2, 2, width));
    return tensor_silu(tensor_add(h, s->layer_input ? s->layer_input : x));
}

static const char *validate(const struct scope *s)
{
    return turns(s) && option(s, "key_dim") % 2 ? "key_dim is odd: pairs turn" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "normalizer") == 0 && !option_is(s, "normalizer", "softmax"))
        return "none";
    return causality_by_option(s, name);
}

KERNEL(sparse_modular_activation) = {
    .name = "sparse-modular-activation",
    .slot = SLOT_MIXER,
    .variant = "seqboat",
    .summary = "a moving average that decides which tokens take part in local attention",
    .options = OPTIONS(INTEGER_OPTION("key_dim", 64, 1, 4096, "channels of queries and keys"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20,
                                      "channels of values and their gate; 0: 2 * width"),
                       INTEGER_OPTION("state", 16, 1, 1024, "moving averages of a channel"),
                       INTEGER_OPTION("window", 128, 1, 1 << 20, "active tokens seen before the query's own"),
                       INTEGER_OPTION("length", 8192, 1, 1 << 24, "distances that have biases of their own"),
                       INTEGER_OPTION("truncation", 0, 0, 1 << 24, "tokens that an average reaches; 0: all"),
                       CHOICE_OPTION("normalizer", "softmax|relu2", "f"),
                       CHOICE_OPTION("position_bias", "simple|rotary", "a table, or rotations"),
                       FLAG_OPTION("local_pos", 0, "the table goes by packed distance"),
                       FLAG_OPTION("packed", 1, "active tokens stand side by side, else in their places"),
                       FLAG_OPTION("bidirectional", 0, "later tokens are seen as well")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "single"},
                             {"visibility", "content"}, {"state", "window-cache"}, {"decay", "learned"},
                             {"decay-grain", "state"}, {"output-gate", "yes"}, {"position", "relative"},
                             {"time", "log-linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
