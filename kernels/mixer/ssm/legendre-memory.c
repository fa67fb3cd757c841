/* The Legendre memory unit (lmu; form of hrshtv/pytorch-lmu LMU).
 *
 *     u_t = e_x x_t + e_h h_{t-1} + e_m m_{t-1}                  one number a token
 *     m_t = A m_{t-1} + B u_t
 *         N Legendre coefficients of the last theta tokens
 *     h_t = tanh(W_x x_t + W_h h_{t-1} + W_m m_t),  y_t = h_t
 *
 * Put together (h, m) is one recurrence with a full matrix, squashed in h. It goes token by token, in
 * training too. */
#include "legendre-memory.h"
#include "block/system.h"
#include <math.h>

static tensor *constant_map(struct scope *s, const char *name, const char *learned, int64_t rows,
                            int64_t columns)
{
    struct init start = init_function(fill_legendre);
    return option(s, learned) ? parameter(s, name, start, 2, SHAPE(rows, columns))
                              : buffer(s, name, start, 2, SHAPE(rows, columns));
}

static tensor *encoder(struct scope *s, const char *name, int64_t columns, double deviation)
{
    return parameter(s, name, init_normal(deviation), 2, SHAPE(1, columns));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, hidden = option_or(s, "hidden", width), n = option(s, "state");
    double deviation = sqrt(1.0 / (double)hidden);
    tensor *e_x = encoder(s, "cell.e_x", width, sqrt(1.0 / (double)width));
    tensor *e_h = encoder(s, "cell.e_h", hidden, deviation), *e_m = encoder(s, "cell.e_m", n, 0);
    tensor *W_x = parameter(s, "cell.W_x", init_normal(deviation), 2, SHAPE(hidden, width));
    tensor *W_h = parameter(s, "cell.W_h", init_normal(deviation), 2, SHAPE(hidden, hidden));
    tensor *W_m = parameter(s, "cell.W_m", init_normal(deviation), 2, SHAPE(hidden, n));
    tensor *A = constant_map(s, "cell.A", "learn_a", n, n), *B = constant_map(s, "cell.B", "learn_b", n, 1);

    tensor *memory =
        tensor_concat(2, (tensor *[]){tensor_matmul(B, e_h), tensor_add(A, tensor_matmul(B, e_m))}, 1);
    tensor *own = tensor_pad(W_h, 1, 0, n, 0);
    tensor *rows = tensor_add(own, tensor_matmul(W_m, memory));
    tensor *recurrent = tensor_concat(2, (tensor *[]){rows, memory}, 0);
    tensor *written = tensor_matmul(B, e_x);
    tensor *input = tensor_concat(2, (tensor *[]){tensor_add(W_x, tensor_matmul(W_m, written)), written}, 0);
    tensor *both = kept_recurrence(s, "state", recurrent, tensor_linear(x, input, NULL), hidden);
    return tensor_slice(both, 2, 0, hidden);
}

KERNEL(legendre_memory) = {
    .name = "legendre-memory",
    .slot = SLOT_MIXER,
    .variant = "lmu",
    .summary = "a recurrent cell coupled to a linear memory of Legendre coefficients of a sliding window",
    .options = OPTIONS(INTEGER_OPTION("state", 32, 1, LEGENDRE_MOST_STATES, "Legendre coefficients"),
                       REAL_OPTION("theta", 128, 1, 1e9, "tokens of the window"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 16, "channels of h; 0: width, as a block needs"),
                       FLAG_OPTION("learn_a", 0, "A is trained"), FLAG_OPTION("learn_b", 0, "B is trained")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "overwrite"},
                             {"decay", "fixed"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
