/* Attention within windows of the token grid (swin-transformer; microsoft/Swin-Transformer WindowAttention),
 * or among cells at an interval (crossformer; cheerss/CrossFormer), or in the neighbourhood of each cell
 * (nat; SHI-Labs/NATTEN). cell-groups.h says which cells these are.
 *
 *     (q, k, v) = x W + b,   y_t = W' sum_s softmax_s( q_t . k_s / sqrt(d) + bias[t - s] ) v_s + b'
 *         s in the window of t
 *     cosine (swin-v2):  the scores are cos(q_t, k_s) exp(min(g_h, log 100)) + bias[t - s], keys have no b
 *
 * The bias is the block's position kernel's (grid_bias), by rows and columns from key to query. A window
 * costs its own scores only: cells are gathered by group, every group is an attention of its own, and what a
 * query does not see of its group is masked. With `shift` windows begin half a window further, as in every
 * second layer of Swin. Where windows do not fill the grid, the places past its end are not seen, as the
 * paper has it. */
#include "../grid.h"
#include "cell-groups.h"
#include <math.h>
#include <string.h>

struct groups {
    struct scope *scope;
    struct axis rows, columns;
};

static int64_t group_count(const struct groups *g)
{
    return g->rows.groups * g->columns.groups;
}

/* The tokens that stand at the groups' places, [1, groups * places, 1]; token 0 at empty ones. With
 * `place_of` the other way round: [1, T, 1]. */
static tensor *group_tokens(const struct groups *g, bool queries, bool place_of)
{
    const struct axis *r = &g->rows, *c = &g->columns;
    int64_t height = queries ? r->queries : r->keys, width = queries ? c->queries : c->keys;
    int64_t places = group_count(g) * height * width, tokens = r->length * c->length;
    tensor *table = tensor_constant(g->scope->graph, NULL, 3, SHAPE(1, place_of ? tokens : places, 1));
    for (int64_t n = 0; n < places; n++) {
        int64_t i = n / width % height, j = n % width, group = n / (height * width);
        int64_t row = group / c->groups, column = group % c->groups;
        row = queries ? query_cell(r, row, i) : key_cell(r, row, i);
        column = queries ? query_cell(c, column, j) : key_cell(c, column, j);
        bool empty = row < 0 || column < 0;
        if (place_of && !empty)
            table->data[row * c->length + column] = (real)n;
        else if (!place_of)
            table->data[n] = empty ? 0 : (real)(row * c->length + column);
    }
    return table;
}

/* For every pair of places of a group the entry of the bias that belongs to it, past the last one if it is
 * not seen: [groups or 1, queries, keys]. */
static tensor *pair_offsets(const struct groups *g)
{
    const struct axis *r = &g->rows, *c = &g->columns;
    int64_t groups = groups_alike(r) && groups_alike(c) ? 1 : group_count(g), span = 2 * c->window - 1;
    int64_t queries = r->queries * c->queries, keys = r->keys * c->keys;
    tensor *table = tensor_constant(g->scope->graph, NULL, 3, SHAPE(groups, queries, keys));
    for (int64_t n = 0; n < groups * queries * keys; n++) {
        int64_t group = n / (queries * keys), query = n / keys % queries, key = n % keys, down = 0, right = 0;
        int64_t row = group / c->groups, column = group % c->groups;
        bool seen =
            sees(r, query_cell(r, row, query / c->queries), key_cell(r, row, key / c->keys), &down) &&
            sees(c, query_cell(c, column, query % c->queries), key_cell(c, column, key % c->keys), &right);
        int64_t offset = (down + r->window - 1) * span + right + c->window - 1;
        table->data[n] = (real)(seen ? offset : (2 * r->window - 1) * span);
    }
    return table;
}

/* What is added to the scores of each group, [B * groups or 1, heads or 1, queries, keys]; NULL if there is
 * neither a position nor a cell that is not seen. */
static tensor *score_bias(const struct groups *g, int64_t batch)
{
    struct scope *s = g->scope, *position = s->position_scope;
    int64_t heads = option(s, "heads"), rows = g->rows.window, columns = g->columns.window;
    tensor *places = pair_offsets(g), *bias;
    int64_t groups = places->shape[0], pairs = tensor_size(places);
    if (position && position->kernel->grid_bias) {
        bias = position->kernel->grid_bias(position, heads, rows, columns);
    } else {
        bool all = groups == 1 && g->rows.form != AXIS_NEIGHBORHOOD;
        if (all)
            return NULL;
        heads = 1;
        bias = tensor_full(s->graph, 0, 3, SHAPE(1, 2 * rows - 1, 2 * columns - 1));
    }
    bias = tensor_reshape(bias, 2, SHAPE(heads, (2 * rows - 1) * (2 * columns - 1)));
    bias = tensor_gather(tensor_pad(bias, 1, 0, 1, -INFINITY), 1, tensor_reshape(places, 2, SHAPE(1, pairs)));
    bias = tensor_reshape(bias, 4, SHAPE(heads, groups, places->shape[1], places->shape[2]));
    bias = tensor_transpose(bias, 0, 1);
    return groups > 1 ? tensor_repeat(bias, 0, batch) : bias;
}

/* x [B, T, H, d] by groups: [B * groups, places, H, d]. */
static tensor *grouped(const struct groups *g, tensor *x, tensor *tokens)
{
    int64_t heads = x->shape[2], d = x->shape[3], groups = x->shape[0] * group_count(g);
    x = tensor_gather(merge_heads(x), 1, tokens);
    return tensor_reshape(x, 4, SHAPE(groups, tokens->shape[1] / group_count(g), heads, d));
}

static tensor *attend(const struct groups *g, tensor *q, tensor *k, tensor *v, double scale)
{
    int64_t batch = q->shape[0], width = q->shape[2] * q->shape[3];
    tensor *queries = group_tokens(g, true, false), *keys = queries;
    if (g->rows.form == AXIS_NEIGHBORHOOD)
        keys = group_tokens(g, false, false);
    struct attention_options options = {.scale = scale, .bias = score_bias(g, batch)};
    tensor *y = tensor_attention(grouped(g, q, queries), grouped(g, k, keys), grouped(g, v, keys), &options);
    y = tensor_reshape(y, 3, SHAPE(batch, queries->shape[1], width));
    return tensor_gather(y, 1, group_tokens(g, true, true));
}

static tensor *biases(struct scope *s)
{
    int64_t width = s->width;
    const struct init zero = init_constant(0);
    if (!option(s, "bias"))
        return NULL;
    if (!option_is(s, "scores", "cosine"))
        return parameter(s, "qkv.bias", zero, 1, SHAPE(3 * width));
    tensor *parts[] = {parameter(s, "q_bias", zero, 1, SHAPE(width)),
                       tensor_full(s->graph, 0, 1, SHAPE(width)),
                       parameter(s, "v_bias", zero, 1, SHAPE(width))};
    return tensor_concat(3, parts, 0);
}

static int axis_form(const struct scope *s)
{
    return option_is(s, "windows", "blocks")     ? AXIS_BLOCKS
           : option_is(s, "windows", "interval") ? AXIS_INTERVAL
                                                 : AXIS_NEIGHBORHOOD;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width, window = option(s, "window");
    bool cosine = option_is(s, "scores", "cosine"), shift = option(s, "shift");
    struct scope *position = s->position_scope;
    if (position && position->kernel->bias)
        kernel_fail(s, "its biases are by offsets on a grid, not those of '%s': try 'grid-relative-bias'",
                    position->kernel->name);
    tensor *weight = parameter(s, "qkv.weight", init_linear(), 2, SHAPE(3 * width, width));
    tensor *qkv = split_heads(tensor_linear(x, weight, biases(s)), 3 * heads);
    tensor *q = tensor_slice(qkv, 2, 0, heads), *k = tensor_slice(qkv, 2, heads, heads);
    if (cosine) {
        tensor *scale = parameter(s, "logit_scale", init_constant(log(10)), 3, SHAPE(heads, 1, 1));
        scale = tensor_exp(tensor_clamp(tensor_reshape(scale, 2, SHAPE(heads, 1)), -INFINITY, log(100)));
        q = tensor_multiply(tensor_l2_norm_max(q, 1e-12), scale);
        k = tensor_l2_norm_max(k, 1e-12);
    }
    rotate_query_and_key(s, &q, &k);
    struct grid grid = grid_of(s, x->shape[1]);
    int64_t interval = option(s, "interval");
    struct groups groups = {s, axis_of(axis_form(s), grid.rows, window, shift, interval),
                            axis_of(axis_form(s), grid.columns, window, shift, interval)};
    tensor *y = attend(&groups, q, k, tensor_slice(qkv, 2, 2 * heads, heads), cosine ? 1 : 0);
    return linear(s, "proj", y, width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "visibility"))
        return NULL;
    return option_is(s, "windows", "blocks")     ? NULL
           : option_is(s, "windows", "interval") ? "strided"
                                                 : "window";
}

static const char *validate(const struct scope *s)
{
    if (option(s, "shift") && !option_is(s, "windows", "blocks"))
        return "shift moves windows of the form 'blocks' only";
    return validate_heads(s);
}

KERNEL(window_attention) = {
    .name = "window-attention",
    .slot = SLOT_MIXER,
    .variant = "swin-transformer",
    .summary = "softmax attention within windows of the token grid",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 7, 1, 1 << 15, "rows and columns of a window"),
                       CHOICE_OPTION("windows", "blocks|interval|neighborhood", "which cells they hold"),
                       FLAG_OPTION("shift", 0, "blocks begin half a window further"),
                       INTEGER_OPTION("interval", 0, 0, 1 << 15, "between cells; 0: windows span the grid"),
                       CHOICE_OPTION("scores", "dot|cosine", "products, or cosines by a learned scale"),
                       FLAG_OPTION("bias", 1, "the projection to q, k and v has a bias"), COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "replay"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
