/* The Hamburger (hamburger; Gsunshine/Enjoy-Hamburger HamburgerV1 with VQ2D, CD2D and NMF2D): between two
 * linear maps the tokens are rebuilt from a few bases, which a solver finds anew for each sequence. With X =
 * act(x Wl) [T, D] and bases D_0 [R, D],
 *
 *     C = softmax(t X D^T), then `iterations` times
 *         nmf   C <- C * X D^T / (C D D^T),  D <- D * C^T X / (C^T C D)   X = relu(.) >= 0;  t = 1
 *         vq    C = softmax(t cos(X, D)) over its sum over tokens,  D = C^T X          t = 100
 *         cd    the same with D of unit length, compared as it is
 *     y = C' D Wu      C': for nmf one step more; vq softmax(t cos(X, D)); cd X D^T (D D^T + 0.1)^-1
 *
 * The gradient is the published one-step gradient: it flows through C' alone. D_0 is fixed (the code's
 * RAND_INIT off; its online update during evaluation is left out), and so is the batch norm behind Wu, whose
 * place the block's norm takes. `heads` cuts channels into groups with bases of their own. */
#include "block/kernel.h"

static tensor *over(tensor *numerator, tensor *denominator)
{
    return tensor_divide(numerator, tensor_affine(denominator, 1, 1e-6));
}

/* softmax over the bases of t times the cosines of the rows of x and D, or, without `unit`, of their
 * products. */
static tensor *soft_choice(tensor *x, tensor *D, double t, bool unit)
{
    return tensor_softmax(tensor_scale(tensor_matmul_nt(x, unit ? tensor_l2_norm_max(D, 1e-6) : D), t), 3);
}

/* One step of non-negative factorisation for C. */
static tensor *multiplied(tensor *x, tensor *D, tensor *C)
{
    tensor *denominator = tensor_matmul(C, tensor_matmul_nt(D, D));
    return tensor_multiply(C, over(tensor_matmul_nt(x, D), denominator));
}

static tensor *rebuilt(struct scope *s, tensor *x, tensor *D)
{
    bool nmf = option_is(s, "form", "nmf"), vq = option_is(s, "form", "vq");
    double t = nmf ? 1 : option_real(s, "temperature");
    tensor *fixed = tensor_stop_gradient(x), *direction = tensor_l2_norm_max(fixed, 1e-12);
    tensor *C = soft_choice(fixed, D, t, false);
    for (int64_t i = 0; i < option(s, "iterations"); i++) {
        if (nmf) {
            C = multiplied(fixed, D, C);
            tensor *denominator = tensor_matmul(tensor_matmul_tn(C, C), D);
            D = tensor_multiply(D, over(tensor_matmul_tn(C, fixed), denominator));
            continue;
        }
        C = soft_choice(direction, D, t, vq);
        D = tensor_matmul_tn(over(C, tensor_sum(C, 2)), fixed);
        D = vq ? D : tensor_l2_norm_max(D, 1e-6);
    }
    if (nmf) {
        C = multiplied(x, D, C);
    } else if (vq) {
        tensor *norm = tensor_sqrt(tensor_sum(tensor_square(fixed), 3));
        C = soft_choice(over(x, norm), D, t, true);
    } else {
        tensor *gram = tensor_add(tensor_matmul_nt(D, D), scaled_identity(s->graph, option(s, "bases"), 0.1));
        return tensor_matmul(x, tensor_matmul(tensor_transpose(D, 2, 3), tensor_solve(gram, D)));
    }
    return tensor_matmul(C, D);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t groups = option(s, "heads"), hidden = option_or(s, "hidden", s->width), d = hidden / groups;
    bool nmf = option_is(s, "form", "nmf");
    tensor *z = linear(s, "lower_bread", x, hidden, true);
    z = tensor_transpose(split_heads(nmf ? tensor_relu(z) : z, groups), 1, 2); /* [B, S, T, d] */
    struct init init = nmf ? init_uniform(0, 1) : init_normal(1);
    tensor *D = buffer(s, "bases", init, 3, SHAPE(groups, d, option(s, "bases")));
    D = tensor_reshape(tensor_transpose(D, 1, 2), 4, SHAPE(1, groups, option(s, "bases"), d));
    z = rebuilt(s, z, tensor_l2_norm_max(D, 1e-12));
    return linear(s, "upper_bread", merge_heads(tensor_transpose(z, 1, 2)), s->width, false);
}

static const char *validate(const struct scope *s)
{
    return option_or(s, "hidden", s->width) % option(s, "heads") ? "hidden is not divisible by heads" : NULL;
}

KERNEL(matrix_decomposition) = {
    .name = "matrix-decomposition",
    .slot = SLOT_MIXER,
    .variant = "hamburger",
    .summary =
        "tokens rebuilt from a few bases that an iterative factorisation finds, with a one-step gradient",
    .options = OPTIONS(CHOICE_OPTION("form", "nmf|vq|cd",
                                     "non-negative, vector-quantized or concept decomposition"),
                       INTEGER_OPTION("bases", 64, 1, 1 << 16, "bases of a group"),
                       INTEGER_OPTION("iterations", 6, 0, 256, "of the solver"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels that are decomposed; 0: width"),
                       INTEGER_OPTION("heads", 1, 1, 1024, "groups of channels"),
                       REAL_OPTION("temperature", 100, 1e-6, 1e6, "inverse, of vq's and cd's softmax")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "other"}, {"heads", "single"},
                             {"visibility", "landmark"}, {"state", "none"}, {"output-gate", "no"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
