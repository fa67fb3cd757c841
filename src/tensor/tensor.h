/* tensor.h: arrays, a recorded graph with reverse mode, and the primitives that kernels are made of.
 *
 * A primitive records a node and returns it at once; nothing is computed until graph_run(). That lets the
 * graph free or reuse each buffer after its last reader, count operations without doing them, and run the
 * same recording many times. Every primitive has a backward form.
 *
 * Shapes have 1 to 6 dimensions, the last one contiguous unless a view says otherwise. Views (reshape of a
 * contiguous tensor, slice, permute) share storage. B is batch, T and S are lengths in tokens, H heads, D a
 * width.
 *
 * A primitive given shapes that do not fit raises: it stops the building of the graph and returns control,
 * with a message, to the enclosing graph_protect(). So kernels need no error paths. Indices are whole numbers
 * stored as reals; they and comparisons carry no gradient.
 *
 * Nodes belong to their graph; kernels free nothing. */
#ifndef CLADE_TENSOR_TENSOR_H
#define CLADE_TENSOR_TENSOR_H

#include "base/error.h"
#include "tensor/real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 6
#define TENSOR_MAX_INPUTS 10

struct graph;
struct operation;

typedef struct tensor {
    struct graph *graph;
    const struct operation *operation; /* NULL for a leaf */
    struct tensor *inputs[TENSOR_MAX_INPUTS];
    int input_count;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    int64_t stride[TENSOR_MAX_RANK]; /* in elements */
    struct tensor *base;             /* the node that owns the storage: itself unless this is a view */
    int64_t offset;                  /* elements from the start of the base's storage */
    real *data;                      /* first element; NULL until run, and again after the last reader */
    real *gradient;                  /* same layout as data; NULL until backward needs it */
    bool needs_gradient;
    bool keep;                  /* data outlives the run: set by graph_keep() */
    int pending;                /* readers of the storage still to run (counted on the base) */
    int index;                  /* place on the tape */
    void *attributes;           /* the operation's own parameters; lives in the graph's arena */
    struct tensor *next_output; /* further results of the same operation (final state, indices) */
} tensor;

/* ---- Graph --------------------------------------------------------------------------------------------- */

/* Buffers in sizes, kept for reuse from run to run, with a count of what is in use. */
struct pool;
struct pool *pool_create(void);
void pool_free(struct pool *pool);
size_t pool_used(const struct pool *pool); /* bytes in use now */
size_t pool_peak(const struct pool *pool); /* most bytes in use at once since pool_reset_peak() */
void pool_reset_peak(struct pool *pool);

struct graph *graph_create(struct pool *pool, bool gradients); /* without gradients buffers are freed early */
void graph_free(struct graph *graph);                          /* NULL is fine */

/* Runs body(graph, argument). False, with `error` set, if a primitive or graph_raise() in it raised. */
bool graph_protect(struct graph *graph, void (*body)(struct graph *graph, void *argument), void *argument,
                   struct error *error);
_Noreturn void graph_raise(struct graph *graph, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

tensor *graph_keep(tensor *value); /* its data stays readable after graph_run(); returns it */
/* Computes every kept node; may be called again after leaves changed. Raises if a value is none that its
 * operation can take (an index outside its axis): where such values can come from outside, run inside
 * graph_protect(). The graph can be run again after that. */
void graph_run(struct graph *graph);
/* After graph_run(): gradients of sum(seed * output) for every leaf with needs_gradient. `seed` has output's
 * shape, row-major; several outputs are seeded before one graph_backward(). Leaf gradients start from zero at
 * each graph_run(); one run serves one backward, which frees what it has used. */
void graph_seed(tensor *output, const real *seed);
void graph_backward(struct graph *graph);
/* Before anything is recorded: values at which gradients end (stopped ones, indices, comparisons) are in
 * every run those of the first. So differences between runs measure the function that backward
 * differentiates, also where a value of another function stands in its place (tensor_straight_through). For
 * checks of gradients. */
void graph_hold(struct graph *graph);
bool graph_holds(const struct graph *graph);

/* What the graph's primitives do: multiply-adds count two. Bytes are those a primitive must move: its inputs
 * and outputs once. Known before anything runs; after a run it is without what that run left out
 * (tensor_guard). */
struct cost {
    double flops, bytes;                   /* forward */
    double backward_flops, backward_bytes; /* backward */
};
struct cost graph_cost(const struct graph *graph);
size_t graph_node_count(const struct graph *graph);
/* With timing on, graph_run() and graph_backward() measure how long everything but the products with weight
 * matrices (leaves, or matrices computed from leaves alone) took: the core of an operation without its
 * projections. graph_run() starts from zero. */
void graph_time_nodes(struct graph *graph, bool on);
double graph_core_seconds(const struct graph *graph);

/* How many threads the primitives use; results are the same bits for any number. 0 means the machine's cores.
 */
void tensor_set_threads(int threads);
int tensor_threads(void);

/* ---- Leaves -------------------------------------------------------------------------------------------- */

/* `data` is row-major, belongs to the caller and must outlive the graph; it may change between runs. */
tensor *tensor_leaf(struct graph *graph, real *data, int rank, const int64_t *shape, bool needs_gradient);
tensor *tensor_constant(struct graph *graph, const real *values, int rank, const int64_t *shape); /* copied */
tensor *tensor_full(struct graph *graph, double value, int rank, const int64_t *shape);
tensor *tensor_scalar(struct graph *graph, double value);                              /* shape [1] */
tensor *tensor_range(struct graph *graph, int64_t start, int64_t length, double step); /* [length] */
#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

int64_t tensor_size(const tensor *x);             /* number of elements */
int64_t tensor_length(const tensor *x, int axis); /* negative axes count from the end */
bool tensor_is_contiguous(const tensor *x);

/* ---- Views and copies ---------------------------------------------------------------------------------- */

tensor *tensor_reshape(tensor *x, int rank,
                       const int64_t *shape);       /* one length may be -1; copies if it must */
tensor *tensor_permute(tensor *x, const int *axes); /* `axes` has x->rank entries */
tensor *tensor_transpose(tensor *x, int a, int b);
tensor *tensor_slice(tensor *x, int axis, int64_t start, int64_t length); /* start < 0 counts from the end */
tensor *tensor_slice_step(tensor *x, int axis, int64_t start, int64_t length, int64_t step);
tensor *tensor_contiguous(tensor *x);
tensor *tensor_concat(int count, tensor *const *parts, int axis);
tensor *tensor_pad(tensor *x, int axis, int64_t before, int64_t after, double value);
tensor *tensor_repeat(tensor *x, int axis, int64_t times);            /* the whole axis again: abc abc */
tensor *tensor_repeat_interleave(tensor *x, int axis, int64_t times); /* each entry again: aabbcc */
tensor *tensor_broadcast(tensor *x, int rank, const int64_t *shape);  /* copied to the larger shape */
tensor *tensor_roll(tensor *x, int axis, int64_t shift); /* y[i] = x[i - shift], around the end */
tensor *tensor_flip(tensor *x, int axis);
tensor *tensor_shift(tensor *x, int axis, int64_t by); /* y[i] = x[i - by], zeros enter */
/* Overlapping windows along an axis: [.., N, ..] -> [.., count, size, ..], count = (N - size) / step + 1. */
tensor *tensor_windows(tensor *x, int axis, int64_t size, int64_t step);
tensor *tensor_stop_gradient(tensor *x);
/* Work that is left out when it would change nothing: what is recorded between tensor_guard() and the first
 * tensor_guarded() of its guard is not computed in a run in which `condition`, which has no gradient, is zero
 * everywhere. tensor_guarded() is `made`, which the region computes, or where it was left out `otherwise`, of
 * the same shape. Nothing else may read what the region records. */
tensor *tensor_guard(tensor *condition);
tensor *tensor_guarded(tensor *guard, tensor *made, tensor *otherwise);
tensor *tensor_straight_through(tensor *forward, tensor *backward); /* value of one, gradient to the other */

/* ---- Pointwise: shapes broadcast from the last axis, as in numpy
 * ------------------------------------------- */

tensor *tensor_add(tensor *a, tensor *b);
tensor *tensor_subtract(tensor *a, tensor *b);
tensor *tensor_multiply(tensor *a, tensor *b);
tensor *tensor_divide(tensor *a, tensor *b);
tensor *tensor_maximum(tensor *a, tensor *b);
tensor *tensor_minimum(tensor *a, tensor *b);
tensor *tensor_power(tensor *a, tensor *b);   /* a > 0 */
tensor *tensor_greater(tensor *a, tensor *b); /* 1 where a > b, else 0 */
tensor *tensor_equal(tensor *a, tensor *b);
tensor *tensor_where(tensor *condition, tensor *a, tensor *b); /* a where condition is not 0 */
tensor *tensor_affine(tensor *x, double scale, double shift);  /* scale x + shift */
tensor *tensor_scale(tensor *x, double scale);

tensor *tensor_negate(tensor *x);
tensor *tensor_exp(tensor *x);
tensor *tensor_expm1(tensor *x);
tensor *tensor_log(tensor *x);
tensor *tensor_log1p(tensor *x);
tensor *tensor_sqrt(tensor *x);
tensor *tensor_reciprocal_sqrt(tensor *x);
tensor *tensor_reciprocal(tensor *x);
tensor *tensor_square(tensor *x);
tensor *tensor_absolute(tensor *x);
tensor *tensor_sign(tensor *x);
tensor *tensor_sin(tensor *x);
tensor *tensor_cos(tensor *x);
tensor *tensor_tanh(tensor *x);
tensor *tensor_arctan(tensor *x);
tensor *tensor_sigmoid(tensor *x);
tensor *tensor_log_sigmoid(tensor *x);
tensor *tensor_softplus(tensor *x);
tensor *tensor_silu(tensor *x);
tensor *tensor_relu(tensor *x);
tensor *tensor_gelu(tensor *x);      /* x Phi(x), with erf */
tensor *tensor_gelu_tanh(tensor *x); /* the tanh form of GPT-2 */
tensor *tensor_elu(tensor *x);       /* x, or exp(x) - 1 below 0 */
tensor *tensor_leaky_relu(tensor *x, double slope);
tensor *tensor_erf(tensor *x);
tensor *tensor_floor(tensor *x); /* no gradient */
tensor *tensor_round(tensor *x); /* to even, no gradient */
tensor *tensor_clamp(tensor *x, double low, double high);
tensor *tensor_raise(tensor *x, double exponent); /* x^exponent; x >= 0 unless the exponent is whole */
/* By name: identity relu relu2 gelu gelu_tanh silu sigmoid tanh elu elu+1 elu+2 leaky_relu softplus
 * log_sigmoid exp; raises on another. */
tensor *tensor_activation(tensor *x, const char *name);

/* ---- Reductions: the axis stays with length 1
 * ------------------------------------------------------------------ */

tensor *tensor_sum(tensor *x, int axis);
tensor *tensor_mean(tensor *x, int axis);
tensor *tensor_max(tensor *x, int axis);
tensor *tensor_min(tensor *x, int axis);
tensor *tensor_variance(tensor *x, int axis); /* divided by n */
tensor *tensor_log_sum_exp(tensor *x, int axis);
tensor *tensor_sum_all(tensor *x); /* [1] */
tensor *tensor_cumulative_sum(tensor *x, int axis);
tensor *tensor_cumulative_product(tensor *x, int axis);
tensor *tensor_cumulative_max(tensor *x, int axis);
tensor *tensor_log_cumulative_sum_exp(tensor *x, int axis);
tensor *tensor_softmax(tensor *x, int axis); /* -inf entries weigh 0; a row of them gives zeros */
tensor *tensor_log_softmax(tensor *x, int axis);
/* Over the last axis; weight and bias [D] or NULL. */
tensor *tensor_layer_norm(tensor *x, tensor *weight, tensor *bias, double epsilon);
tensor *tensor_rms_norm(tensor *x, tensor *weight, double epsilon);
tensor *tensor_l2_norm(tensor *x, double epsilon);     /* x / sqrt(sum x^2 + epsilon) */
tensor *tensor_l2_norm_max(tensor *x, double epsilon); /* x / max(|x|, epsilon), as torch's normalize */

/* ---- Order and indices --------------------------------------------------------------------------------- */

/* Descending, ties to the lower index; over the last axis. *indices may be NULL. Gradients flow to the
 * chosen. */
tensor *tensor_top_k(tensor *x, int64_t k, tensor **indices);
tensor *tensor_sort(tensor *x, bool descending, tensor **indices); /* stable, last axis */
tensor *tensor_argmax(tensor *x, int axis);                        /* axis kept with length 1 */
tensor *tensor_one_hot(tensor *indices, int64_t classes);          /* [..] -> [.., classes] */
/* y[.., i, ..] = x[.., indices[.., i, ..], ..]: indices have x's rank and, but for `axis`, lengths equal to
 * x's or 1. */
tensor *tensor_gather(tensor *x, int axis, tensor *indices);
/* Rows of x [N, ..] by indices [..]: -> [.., x's other axes]. Embedding look-up. */
tensor *tensor_rows(tensor *x, tensor *indices);
/* Sums of rows of table [N, D] that are chosen by indices [.., K], with weights [.., K]: [.., D]; and
 * products of such rows with vectors x [.., D]: [.., K]. Time and memory do not grow with N. */
tensor *tensor_chosen_sum(tensor *table, tensor *indices, tensor *weights);
tensor *tensor_chosen_products(tensor *table, tensor *indices, tensor *x);
/* y[b, t] = sum_k weights[b, t, k] x[b, (t + distances[k]) mod T] for x [B, T, C], weights [B, T, K], K at
 * most 64. */
tensor *tensor_ring_sum(tensor *x, tensor *weights, const int64_t *distances);
/* The adjoint of gather: zeros of the given length along axis, source added at indices. */
tensor *tensor_scatter_add(tensor *source, int axis, tensor *indices, int64_t length);

/* ---- Products ------------------------------------------------------------------------------------------ */

/* [.., M, K] x [.., K, N] -> [.., M, N]; leading axes broadcast; *_t read the operand transposed. */
tensor *tensor_matmul(tensor *a, tensor *b);
tensor *tensor_matmul_nt(tensor *a, tensor *b); /* a b^T with b [.., N, K] */
tensor *tensor_matmul_tn(tensor *a, tensor *b); /* a^T b with a [.., K, M] */
tensor *tensor_linear(tensor *x, tensor *weight,
                      tensor *bias); /* x [.., I], weight [O, I], bias [O] or NULL */

/* a^-1 b for a [.., N, N] and b [.., N, M]; leading axes broadcast. A singular matrix gives infinities or
 * NaN. */
tensor *tensor_solve(tensor *a, tensor *b);

/* ---- Attention ----------------------------------------------------------------------------------------- */

struct attention_options {
    double scale;   /* 0 means 1 / sqrt(d) */
    bool causal;    /* query t sees key s <= t + offset */
    int64_t offset; /* position of query 0 among the keys, 0 or more; query t stands at t + offset */
    int64_t window; /* > 0: only keys less than `window` away (causal: the newest, its own included) */
    /* > 0: only keys of the query's block of this many positions, of the look_backward blocks before it and
     * of the look_forward blocks after it (which causal hides). */
    int64_t block, look_backward, look_forward;
    int64_t start; /* position of key 0 in the sequence, from which blocks are counted; -offset or more */
    int64_t sinks; /* the first `sinks` keys are visible whatever window and block say; causal holds */
    /* > 0: sink n sums up positions n sink_span to (n + 1) sink_span - 1 of the sequence, and only later ones
     * see it, with sink_inclusive the last of these too. */
    int64_t sink_span;
    bool sink_inclusive;
    double soft_cap; /* > 0: scaled scores become soft_cap tanh(score / soft_cap), before biases */
    tensor *bias;    /* added to the scores, broadcast to [B, H, T, S]; -inf masks; may be NULL */
    /* [H or 1, N] or [B, H, T, N]: entry min(t + offset - s, N - 1) is added; causal only. */
    tensor *distance_bias;
    tensor *sink_logits; /* [H]: a further score that takes weight and has no value; may be NULL */
    /* NULL, or where to put the log of the sum of the exponentials of each row's scores, [B, H, T], with its
     * gradient; +infinity for a row that sees nothing. */
    tensor **log_sum;
};

/* softmax(q k^T scale + biases) v for q [B, T, H, d], k [B, S, G, d], v [B, S, G, dv] with G dividing H
 * (query head h reads key head h / (H / G)): [B, T, H, dv]. Tiled with an online softmax: no T x S buffer.
 * Rows that see nothing are zero. Rabe & Staats 2021; Dao et al. 2022. */
tensor *tensor_attention(tensor *q, tensor *k, tensor *v, const struct attention_options *options);

/* Attention over the union of keys that `count` attentions saw apart, from their results [B, T, H, d] and log
 * sums [B, H, T]: exact, a key that several of them saw counting as often. */
tensor *tensor_join_attention(int count, tensor *const *parts, tensor *const *log_sums);

/* Block-sparse attention: the T queries in blocks of `query_block`, the S keys in blocks of `key_block` (the
 * last may be shorter); a block of queries sees the blocks of keys that its list names. */
struct sparse_attention_options {
    double scale; /* 0 means 1 / sqrt(d) */
    int64_t query_block, key_block;
    bool causal;      /* query t sees key s <= t + offset only */
    int64_t offset;   /* position of query 0 among the keys; may be negative */
    tensor **log_sum; /* as attention_options' */
};

/* softmax(q k^T scale) v over the listed keys for q [B, T, H, d], k [B, S, G, d], v [B, S, G, dv]: [B, T, H,
 * dv]; lists [B or 1, H or 1, blocks of queries, L] of numbers of key blocks, a negative one standing for
 * none. One that is named twice counts twice. Rows that see nothing are zero. Time and memory grow with the
 * number of listed pairs. */
tensor *tensor_sparse_attention(tensor *q, tensor *k, tensor *v, tensor *lists,
                                const struct sparse_attention_options *options);

/* Attention within buckets, q [B, T, H, d], k [B, S, H, d] and v [B, S, H, dv]: [B, T, H, dv]. A query sees
 * the keys of its own bucket; buckets are whole numbers, [B or 1, H or 1, T] and [B or 1, H or 1, S], and a
 * negative one is none: its queries see nothing, its keys are not seen. Rows that see nothing are zero. Time
 * grows with the pairs that share a bucket, wherever they stand. Pagliardini et al. 2023. */
struct bucket_attention_options {
    double scale;    /* 0 means 1 / sqrt(d) */
    int64_t buckets; /* how many there are; operations are counted as if all were equally full */
    bool causal;     /* query t sees key s <= t + offset only */
    int64_t offset;  /* may be negative: -1 hides a query's own key */
};
tensor *tensor_bucket_attention(tensor *q, tensor *k, tensor *v, tensor *query_buckets, tensor *key_buckets,
                                const struct bucket_attention_options *options);

/* prod_i sin(z_i) / z_i with z_i = rate (q_ti - k_si), 1 at z_i = 0, for q [B, H, T, d], k [B, H, S, d] and
 * rate [1]: [B, H, T, S]. */
tensor *tensor_sinc_product(tensor *q, tensor *k, tensor *rate);

/* ---- Recurrences --------------------------------------------------------------------------------------- */

/* h_t = a_t h_{t-1} + b_t along axis 1 of b [B, T, ..]. `a` broadcasts to b's shape. `initial` has b's shape
 * with length 1 on axis 1, or is NULL for zero. *final, if not NULL, receives h_T, shaped like initial. */
tensor *tensor_scan(tensor *a, tensor *b, tensor *initial, tensor **final);
/* The same for complex numbers: the last axis of a, b and initial is (real part, imaginary part). */
tensor *tensor_scan_complex(tensor *a, tensor *b, tensor *initial, tensor **final);
/* y_t = q_t . z_t with z_t = keep_t z_{t-1} + k_t [B, T, H, 1]: the sums of weights of linear attention, for
 * q and k [B, T, H, d] and keep [B, T, H, 1] or NULL for 1; z before the first token and after the last [B,
 * 1, H, d], or NULL. */
tensor *tensor_scan_product(tensor *q, tensor *keep, tensor *k, tensor *initial, tensor **final);
/* h_t = f(W h_{t-1} + b_t) for b [B, T, S] and W [S, S], or [T, S, S] with a matrix for each step; f is tanh
 * on the first `squashed` channels and nothing on the others. One token after the other. `initial` and *final
 * are [B, 1, S] or NULL. */
tensor *tensor_recurrence(tensor *w, tensor *b, int64_t squashed, tensor *initial, tensor **final);

/* A matrix state S [d, e] per head, read by a query:
 *     S_t = diag(decay_t) S_{t-1} + k_t v_t^T                                                  without beta
 *     S_t = diag(decay_t) S_{t-1} + beta_t k_t (v_t - (diag(decay_t) S_{t-1})^T k_t)^T         with beta (delta rule)
 *     y_t = scale S_t^T q_t
 * q, k [B, T, H or G, d], v [B, T, H or G, e]; y [B, T, H, e], H being the larger number of heads and G one
 * smaller (queries and keys shared, as Mamba-2's groups, or values); head h reads head h / (H / G) of those
 * that have G. */
struct matrix_scan_options {
    double scale; /* multiplies q; 0 means 1 */
    /* NULL: none; [H]: fixed per head; [B, T, H]: scalar; [B, T, H or G, d]: per key channel; <= 0. */
    tensor *log_decay;
    tensor *beta;     /* NULL or [B, T, H] */
    tensor *strength; /* NULL or [B, T, H]: multiplies v; not with beta or bonus */
    /* NULL or [H, d]: y_t = scale (S_{t-1} + diag(bonus) k_t v_t^T)^T q_t, as RWKV-6: the query reads the
     * state before decay and update, the present token weighted by bonus; not with beta. */
    tensor *bonus;
    tensor *initial; /* NULL or [B, H, d, e] */
    tensor **final;  /* NULL, or where to put the last state [B, H, d, e] */
};
tensor *tensor_matrix_scan(tensor *q, tensor *k, tensor *v, const struct matrix_scan_options *options);

/* Selective scan (Mamba, Gu & Dao 2023, eq. 2 with the published discretisation): for channel c and state n
 *     h_t[c, n] = exp(delta_t[c] A[c, n]) h_{t-1}[c, n] + delta_t[c] B_t[n] x_t[c],  y_t[c] = sum_n C_t[n]
 * h_t[c, n] x, delta [B, T, C]; A [C, N]; Bt, Ct [B, T, N]; initial NULL or [B, C, N]; *final [B, C, N]. */
tensor *tensor_selective_scan(tensor *x, tensor *delta, tensor *A, tensor *Bt, tensor *Ct, tensor *initial,
                              tensor **final);

/* Fast weights W [d, d] of each head that program themselves by the delta rule. A token's program p_t is (q,
 * k, v, b) [3 d + 1], to which the output before adds its part:
 *     p'_t = p_t + tanh(o_{t-1}) M,  or without a mix M  p'_t = p_t + (o_{t-1}, 0, 0, 0)
 *     W_t = W_{t-1} + sigmoid(b') (v' - W_{t-1} softmax(k')) softmax(k')^T,  o_t = W_t softmax(q') + z_t
 * program [B, T, H, 3 d + 1] -> o [B, T, H, d]. One token after the other. */
struct self_delta_options {
    tensor *mix;             /* M [H, d, 3 d + 1] or NULL */
    tensor *added;           /* z [B, T, H, d] or NULL */
    tensor *initial_weights; /* W_0^T [B, H, d, d] or NULL for zero */
    tensor *initial_output;  /* o_0 [B, 1, H, d] or NULL for zero */
    tensor **final_weights;  /* NULL, or where to put W_T^T [B, H, d, d], a row for each entry of k */
};
tensor *tensor_self_delta(tensor *program, const struct self_delta_options *options);

/* The diagonal recurrence of online regression (Liu et al. 2024): for channel c and state n
 *     h_t[c, n] = (1 - delta_t[c] k_t[n]^2) h_{t-1}[c, n] + delta_t[c] u_t[c] k_t[n],  y_t[c] = sum_n q_t[n] h_t[c, n]
 * u, delta [B, T, C]; k, q [B, T, N]; initial NULL or [B, C, N]; *final [B, C, N]. */
tensor *tensor_regression_scan(tensor *u, tensor *delta, tensor *k, tensor *q, tensor *initial,
                               tensor **final);

/* HiPPO's scaled Legendre memory (Gu et al. 2020, theorem 2 and proposition 3). With A = diag(a) - the part
 * of b b^T below its diagonal
 *     c_t = (1 - (1 - ahead) A / t)^-1 ((1 + ahead A / t) c_{t-1} + b x_t / t)   for t = before + 1, before + 2, ..
 * a system for each channel: x [B, T, C], a and b [N], which have no gradients, c [B, T, N, C]; ahead from 0
 * to 1; initial and *final [B, 1, N, C] or NULL. Time grows with N, not with its square. */
tensor *tensor_legendre_scan(tensor *x, tensor *a, tensor *b, double ahead, int64_t before, tensor *initial,
                             tensor **final);

/* Leaky integrate-and-fire neurons along axis 1 of x [B, T, C]: v_t = keep v'_{t-1} + gain x_t, s_t = 1 where
 * v_t >= threshold, else 0, and v'_t = (1 - s_t) v_t. Gives s, and v in *potential unless that is NULL. The
 * derivative of s is taken to be that of arctan(pi / 2 slope (v - threshold)) / pi (Fang et al. 2021). */
struct spike_options {
    double keep, gain, threshold, slope;
    bool detached;   /* no gradient passes through s in v' */
    tensor *initial; /* NULL or v'_0 [B, 1, C] */
};
tensor *tensor_spikes(tensor *x, const struct spike_options *options, tensor **potential);

/* ---- Convolutions and transforms ----------------------------------------------------------------------- */

/* Depthwise causal: y[b, t, c] = bias[c] + sum_j w[c, j] x[b, t - K + 1 + j, c], zeros (or `previous` [B, K -
 * 1, C]) before the start. x [B, T, C], weight [C, K], bias [C] or NULL. */
tensor *tensor_causal_convolution(tensor *x, tensor *weight, tensor *bias, tensor *previous);
/* Depthwise causal with a kernel as long as the sequence: y[b, t, c] = sum_{j <= t} kernel[c, j] x[b, t - j,
 * c]. x [B, T, C], kernel [C, L] (or [B, C, L]), or with C = 1 one for all channels; by FFT. `circular` wraps
 * instead, with L = T. */
tensor *tensor_long_convolution(tensor *x, tensor *kernel, bool circular);
/* The same with a kernel whose first `ahead` < T taps are for later tokens: y[b, t, c] = sum_j kernel[c, j]
 * x[b, t + ahead - j, c]. Takes no longer than a causal one. */
tensor *tensor_two_sided_convolution(tensor *x, tensor *kernel, int64_t ahead);
/* Real sequence -> half spectrum along an axis, as (real, imaginary) in a new last axis of length 2:
 * [.., N, ..] -> [.., N / 2 + 1, .., 2]. Unnormalised; the inverse divides by N. */
tensor *tensor_fourier(tensor *x, int axis);
tensor *tensor_inverse_fourier(tensor *spectrum, int axis, int64_t length);
/* Complex transform along an axis of [.., 2]; unnormalised, `inverse` divides by N. */
tensor *tensor_fourier_complex(tensor *x, int axis, bool inverse);
/* z_i = sin(factor f (W_i z_{i-1} + b_i)) for i = 0 .. layers - 1, the last of them: [rows, hidden], from z
 * [rows, channels], f [hidden] and the layers' W [hidden, channels before] and b [hidden]; in double
 * precision throughout. At most 14 layers. */
tensor *tensor_sine_network(tensor *z, tensor *frequency, double factor, int64_t layers,
                            tensor *const *weights, tensor *const *biases);
/* The spectrum [H, M, L / 2 + 1, 2] of the kernel of L taps K[l] = C A'^l B' when C (1 - A'^L) is given for C
 * [H, M, N, 2]: A' and B' by the bilinear rule with steps exp(log_dt) [H] from diag(A) - P P^*, A [H, N, 2],
 * P [H, R, N, 2], B [H, N, 2], of each of which there are the conjugates as well. In double precision
 * throughout. R at most 8, M at most 64. */
tensor *tensor_structured_spectrum(tensor *log_dt, tensor *A, tensor *B, tensor *P, tensor *C,
                                   int64_t length);
tensor *tensor_complex_multiply(tensor *a, tensor *b); /* last axis (real, imaginary); broadcasts */

/* Rotary application. x [B, T, H, d]; angles [T, r / 2] with r <= d even; the rest of d passes through. Pairs
 * are (2i, 2i + 1) when interleaved, else (i, i + r / 2). Su et al. 2021. */
tensor *tensor_rotary(tensor *x, tensor *angles, bool interleaved);

/* ---- Losses -------------------------------------------------------------------------------------------- */

/* Mean over rows whose target is >= 0 of -log softmax(logits)[target]: logits [.., V], targets [..] -> [1]; 0
 * if there are no such rows. A target of V or more fails the run. */
tensor *tensor_cross_entropy(tensor *logits, tensor *targets);

#endif
