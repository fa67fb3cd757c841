/* The parallel Legendre memory unit (parallel-lmu; form of hrshtv/pytorch-lmu LMUFFT).
 *
 *     u_t = relu(W_u x_t + b_u)                                  one number a token
 *     m_t = A m_{t-1} + B u_t = sum_{s<=t} A^(t-s) B u_s
 *         N Legendre coefficients of the last theta tokens
 *     y_t = relu(W_h [m_t ; x_t] + b_h)
 *
 * Without feedback the memory is a convolution with the impulse responses A^l B, all N of them; a step runs
 * the recurrence. */
#include "block/system.h"
#include "legendre-memory.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t n = option(s, "state"), length = x->shape[1];
    tensor *A = buffer(s, "A", init_function(fill_legendre), 2, SHAPE(n, n));
    tensor *B = buffer(s, "B", init_function(fill_legendre), 2, SHAPE(n, 1));
    tensor *u = tensor_relu(linear(s, "W_u", x, 1, true)), *m;
    if (s->state)
        m = kept_recurrence(s, "m", A, tensor_multiply(u, tensor_reshape(B, 1, SHAPE(n))), 0);
    else
        m = tensor_long_convolution(tensor_repeat(u, 2, n), krylov(A, B, length), false);
    tensor *both = tensor_concat(2, (tensor *[]){m, x}, 2);
    return tensor_relu(linear(s, "W_h", both, option_or(s, "hidden", s->width), true));
}

KERNEL(parallel_legendre_memory) = {
    .name = "parallel-legendre-memory",
    .slot = SLOT_MIXER,
    .variant = "parallel-lmu",
    .summary = "Legendre coefficients of a sliding window without feedback, computed as a convolution",
    .options = OPTIONS(INTEGER_OPTION("state", 32, 1, LEGENDRE_MOST_STATES, "Legendre coefficients"),
                       REAL_OPTION("theta", 128, 1, 1e9, "tokens of the window"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 16, "channels of y; 0: width, as a block needs")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
