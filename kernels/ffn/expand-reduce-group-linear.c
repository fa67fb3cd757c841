/* Expansion and reduction by group linear maps: DeFINE (define) and DeLighT's DExTra (Mehta et al. 2020;
 * sacmehta/delight DExTraUnit). x_0 = act(norm(x Win + b)); every map splits its input into groups that have
 * matrices of their own,
 *
 *     u = act(norm_g(o_g W_g + b_g)),   o = concat_g'(x_0,g', u_g') in the groups g' of the next map,
 *         y = act(norm(o Wout + b))
 *
 * so that x_0 is mixed in again after each. act is gelu; the norms of a map's groups share their weights.
 * DExTra's groups double towards the middle, up to `groups`, and its widths grow linearly to expand * width
 * there and fall again; DeFINE's groups halve, from `groups` down to 1 and over again, and its widths grow to
 * the end. Widths are rounded up to multiples of both neighbours' groups and of 8. With `shuffle` the outputs
 * of different groups are interleaved. */
#include "block/kernel.h"
#include <math.h>

enum { MOST_MAPS = 32 };

struct plan {
    int64_t groups[MOST_MAPS + 1], outputs[MOST_MAPS]; /* groups of the last: 1 */
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How many of the maps widen. */
static int64_t widening(const struct scope *s, int64_t depth)
{
    return option(s, "reduces") ? (depth + 1) / 2 : depth;
}

static void plan_groups(const struct scope *s, int64_t depth, struct plan *plan)
{
    int64_t most = option(s, "groups");
    plan->groups[depth] = 1;
    if (option(s, "reduces")) {
        for (int64_t i = 0; i < depth; i++) {
            int64_t from_end = i < depth - 1 - i ? i : depth - 1 - i, g = (int64_t)2 << from_end;
            plan->groups[i] = g < most ? g : most;
        }
        return;
    }
    int64_t g = 1;
    for (int64_t i = depth - 1; i >= 0; i--, g *= 2) {
        if (g > most)
            g = 1;
        plan->groups[i] = g;
    }
}

static struct plan plan_of(const struct scope *s, int64_t inner, int64_t outputs)
{
    struct plan plan;
    int64_t depth = option(s, "depth"), growing = widening(s, depth);
    double widest = option_real(s, "expand") * (double)s->width;
    plan_groups(s, depth, &plan);
    for (int64_t i = 0; i + 1 < depth; i++) {
        /* The place on the line from inner to widest; DeFINE's first map already takes a step. */
        int64_t place = !option(s, "reduces") ? i + 1 : i < depth - 1 - i ? i : depth - 1 - i;
        double step = growing > 1 ? (widest - (double)inner) / (double)(growing - 1) : 0;
        int64_t size = place == growing - 1 && growing > 1 ? (int64_t)widest
                                                           : (int64_t)((double)place * step + (double)inner);
        int64_t multiple = larger(larger(plan.groups[i], plan.groups[i + 1]), 8);
        plan.outputs[i] = (size + multiple - 1) / multiple * multiple;
    }
    plan.outputs[depth - 1] = outputs;
    return plan;
}

static tensor *normed(struct scope *s, const char *name, tensor *u)
{
    return tensor_gelu(layer_norm(s, part_name(s, "%s.normalization_fn", name), u, 1e-5));
}

static tensor *dense(struct scope *s, const char *name, tensor *o, int64_t outputs)
{
    tensor *weights = parameter(s, part_name(s, "%s.weights", name), init_linear(), 2,
                                SHAPE(outputs, tensor_length(o, -1)));
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs));
    return normed(s, name, tensor_linear(o, weights, bias));
}

static tensor *grouped(struct scope *s, const char *name, tensor *o, int64_t groups, int64_t outputs)
{
    int64_t in = tensor_length(o, -1) / groups, out = outputs / groups;
    double bound = 1 / sqrt((double)in);
    tensor *weights = parameter(s, part_name(s, "%s.weights", name), init_uniform(-bound, bound), 3,
                                SHAPE(groups, in, out));
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 3, SHAPE(groups, 1, out));
    tensor *u = per_head_product(split_heads(o, groups), weights, false);
    u = tensor_add(u, tensor_reshape(bias, 2, SHAPE(groups, out)));
    if (option(s, "shuffle"))
        u = tensor_reshape(tensor_transpose(u, 2, 3), 4, SHAPE(o->shape[0], o->shape[1], groups, out));
    return merge_heads(normed(s, name, u));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = option_or(s, "inner", s->width), outputs = option_or(s, "outputs", s->width);
    struct plan plan = plan_of(s, inner, outputs);
    tensor *first = dense(s, "input_layer", x, inner), *o = first;
    for (int64_t i = 0; i < option(s, "depth"); i++) {
        const char *name = part_name(s, "dextra_layers.%lld", (long long)i);
        int64_t groups = plan.groups[i], next = plan.groups[i + 1];
        o = groups == 1 ? dense(s, name, o, plan.outputs[i]) : grouped(s, name, o, groups, plan.outputs[i]);
        o = merge_heads(tensor_concat(2, (tensor *[]){split_heads(first, next), split_heads(o, next)}, 3));
    }
    return dense(s, "output_layer", o, outputs);
}

static const char *validate(const struct scope *s)
{
    int64_t groups = option(s, "groups"), inner = option_or(s, "inner", s->width);
    if (groups & (groups - 1))
        return "groups must be a power of two";
    if (inner % groups || option_or(s, "outputs", s->width) % groups)
        return "inner channels and outputs must be divisible by groups";
    return option(s, "shuffle") && !option(s, "reduces") ? "only the form that reduces shuffles" : NULL;
}

KERNEL(expand_reduce_group_linear) = {
    .name = "expand-reduce-group-linear",
    .slot = SLOT_FFN,
    .variant = "define",
    .summary = "group linear maps that widen, and narrow, with the input mixed in after each",
    .options = OPTIONS(INTEGER_OPTION("depth", 4, 2, MOST_MAPS, "group linear maps"),
                       REAL_OPTION("expand", 2, 0.01, 64, "widest channels over width"),
                       INTEGER_OPTION("groups", 4, 1, 1024, "most groups of a map"),
                       INTEGER_OPTION("inner", 0, 0, 1 << 24,
                                      "channels that the input is projected to; 0: width"),
                       INTEGER_OPTION("outputs", 0, 0, 1 << 24, "channels of the result; 0: width"),
                       FLAG_OPTION("reduces", 0, "DExTra: groups and widths narrow again"),
                       FLAG_OPTION("shuffle", 0, "outputs of groups are interleaved")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
