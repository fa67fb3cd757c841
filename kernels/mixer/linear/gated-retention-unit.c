/* The dense gated retention unit of DenseSSM (densemamba, section 3.3; WailordHe/DenseSSM DenseGAURetNet
 * layers).
 *
 *     q = silu(x Wq),  k = silu(x Wk) / sqrt(d),  (v, g) = silu(x Wh)
 *     k := RMSNorm(k + sum_{j in the layers before} silu(G_k(x)) * k_j),  v likewise,  G(x) = silu(x W1) W2
 *         hidden connection
 *     y = (RMSNorm_head(retain(q, k, v)) * g) Wo
 *         retention as in RetNet
 *
 * k_j and v_j are what the last `dense_layers` layers had before their own connection; the first layer has
 * none, and so no selection and no norm. `form` parallel divides rows by their absolute sum as the published
 * one does, which the norm undoes but for its epsilon. */
#include "block/kernel.h"
#include "retention.h"

/* x with the selected values that earlier layers left under `name`. */
static tensor *connect(struct scope *s, const char *name, tensor *x, tensor *value)
{
    int64_t middle = s->width / 32 > 0 ? s->width / 32 : 1, depth = option(s, "dense_layers");
    layer_leave(s, name, value);
    tensor *past = NULL;
    for (int layer = s->layer - 1; layer >= 0 && layer >= s->layer - depth; layer--) {
        tensor *earlier = layer_find(s, layer, name);
        if (earlier)
            past = past ? tensor_add(past, earlier) : earlier;
    }
    if (!past)
        return value;
    tensor *gate = tensor_silu(linear(s, part_name(s, "%s_select.fc1", name), x, middle, false));
    gate = tensor_silu(linear(s, part_name(s, "%s_select.fc2", name), gate, value->shape[2], false));
    value = tensor_add(value, tensor_multiply(gate, past));
    return rms_norm(s, part_name(s, "%s_norm", name), value, option_real(s, "epsilon"));
}

static int64_t value_width(const struct scope *s)
{
    return (int64_t)(option_real(s, "expand_v") * (double)s->width);
}

static tensor *table(struct scope *s, void (*fill)(const struct scope *, int, const int64_t *, real *),
                     int64_t length)
{
    tensor *values = tensor_constant(s->graph, NULL, 1, SHAPE(length));
    fill(s, 1, values->shape, values->data);
    return values;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), keys = option_or(s, "key_width", s->width / 2),
            values = value_width(s);
    tensor *q = tensor_silu(linear(s, "q_proj", x, keys, false));
    tensor *k = tensor_silu(linear(s, "k_proj", x, keys, false));
    k = tensor_scale(k, 1 / sqrt((double)keys / (double)heads));
    tensor *hidden = tensor_silu(linear(s, "to_hidden.0", x, 2 * values, false));
    tensor *v = tensor_slice(hidden, 2, 0, values), *gate = tensor_slice(hidden, 2, values, values);
    k = connect(s, "k", x, k);
    v = connect(s, "v", x, v);
    tensor *angle = table(s, fill_retention_angles, keys / heads),
           *decay = table(s, fill_retention_decays, heads);
    tensor *o = retain(s, split_heads(q, heads), split_heads(k, heads), split_heads(v, heads), angle, decay,
                       option_is(s, "form", "parallel"));
    o = merge_heads(rms_norm(s, "group_norm", o, option_real(s, "epsilon")));
    return linear(s, "to_out.0", tensor_multiply(o, gate), s->width, false);
}

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads"), keys = option_or(s, "key_width", s->width / 2);
    if (keys % heads || value_width(s) % heads)
        return "the key width and the value width must be divisible by heads";
    return keys / heads % 2 ? "a head needs an even number of key channels to turn" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 't' && option_is(s, "form", "parallel") ? "quadratic" : NULL;
}

KERNEL(gated_retention_unit) = {
    .name = "gated-retention-unit",
    .slot = SLOT_MIXER,
    .variant = "densemamba",
    .summary = "retention inside a gated unit, with selected keys and values of earlier layers added",
    .options =
        OPTIONS(INTEGER_OPTION("heads", 2, 1, 1024, "heads"),
                INTEGER_OPTION("key_width", 0, 0, 1 << 20, "channels of q and k; 0: half of the width"),
                REAL_OPTION("expand_v", 2, 0.01, 16, "value channels over width"),
                INTEGER_OPTION("dense_layers", 2, 0, 256, "layers before whose keys and values are added"),
                CHOICE_OPTION("form", "recurrent|parallel", "whether rows are divided by their absolute sum"),
                REAL_OPTION("epsilon", 1e-6, 0, 1, "of the norms")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "silu"},
                             {"output-gate", "yes"}, {"position", "rotary"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
