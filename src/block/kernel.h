/* kernel.h: what a kernel is and what it may use; with tensor/tensor.h the only header that files in kernels/
 * include.
 *
 * A kernel fills one slot of a block. Its forward form takes x [B, T, D] to y [B, T, D], D being the model's
 * width. Parameters, buffers and state are declared where they are used, by name: the first building of a
 * block meets the declarations and creates them. Names, shapes and layouts are the published
 * implementation's.
 *
 * The recurrent form is the same signature with a state: `step` is called with x [B, 1, D] (or a few tokens),
 * s->state set and s->position tokens seen before. Where forward already handles both (through state(),
 * cache_append(), short_convolution() and token_shift(), which read and write the state when there is one),
 * step = forward. A kernel without step is replayed over the tokens so far. */
#ifndef CLADE_BLOCK_KERNEL_H
#define CLADE_BLOCK_KERNEL_H

#include "tensor/tensor.h"

enum slot {
    SLOT_EMBEDDING,
    SLOT_POSITION,
    SLOT_MIXER,
    SLOT_FFN,
    SLOT_NORM,
    SLOT_RESIDUAL,
    SLOT_MEMORY,
    SLOT_PROCEDURE,
    SLOT_OBJECTIVE,
    SLOT_TASK,
    SLOT_COUNT
};
extern const char *const slot_names[SLOT_COUNT]; /* "embedding", "position", ... */

/* ---- Options ------------------------------------------------------------------------------------------- */

enum option_type { OPTION_END, OPTION_INTEGER, OPTION_REAL, OPTION_FLAG, OPTION_CHOICE, OPTION_LIST };

struct option {
    const char *name;
    enum option_type type;
    double initial, minimum,
        maximum;         /* a flag's initial is 0 or 1; minimum and maximum of a list's entries */
    const char *choices; /* of OPTION_CHOICE: "relu|gelu|silu", the first is the default; of
                            OPTION_LIST: the default, "8,8,8" or "" */
    const char *help;    /* a few words; says what 0 means where it means "derived" */
};
#define INTEGER_OPTION(name, initial, minimum, maximum, help)       \
    {                                                               \
        name, OPTION_INTEGER, initial, minimum, maximum, NULL, help \
    }
#define REAL_OPTION(name, initial, minimum, maximum, help)       \
    {                                                            \
        name, OPTION_REAL, initial, minimum, maximum, NULL, help \
    }
#define FLAG_OPTION(name, initial, help)             \
    {                                                \
        name, OPTION_FLAG, initial, 0, 1, NULL, help \
    }
#define CHOICE_OPTION(name, choices, help)          \
    {                                               \
        name, OPTION_CHOICE, 0, 0, 0, choices, help \
    }
#define LIST_OPTION(name, initial, minimum, maximum, help)    \
    {                                                         \
        name, OPTION_LIST, 0, minimum, maximum, initial, help \
    }
enum { OPTION_LIST_MAXIMUM = 128 }; /* entries */
#define OPTIONS(...) ((const struct option[]){__VA_ARGS__, {NULL, OPTION_END, 0, 0, 0, NULL, NULL}})

struct scope; /* a kernel being built: below */

/* Values of this kernel's options; asking for an option that the kernel does not have is a fault of the
 * kernel. */
int64_t option(const struct scope *s, const char *name); /* an integer, or a flag as 0 or 1 */
int64_t option_or(const struct scope *s, const char *name, int64_t otherwise); /* `otherwise` where it is 0 */
int64_t key_value_heads(const struct scope *s); /* option kv_heads, 0 meaning as many as heads */
int64_t head_dim(const struct scope *s); /* option head_dim; where there is none or it is 0: width / heads */
/* For `validate`: what is wrong with the option heads, whose channels follow from the width unless head_dim
 * is set, and with kv_heads where there is such an option; or NULL. */
const char *validate_heads(const struct scope *s);
/* For `character`: heads are "single-key-value" or "grouped-key-value" where there are fewer kv_heads; all
 * else is the list's (NULL). */
const char *heads_by_option(const struct scope *s, const char *name);
/* For `character`: causality is "bidirectional" where the option `causal` is off or `bidirectional` on,
 * whichever the kernel has; all else is the list's (NULL). */
const char *causality_by_option(const struct scope *s, const char *name);
int64_t option_width(const struct scope *s,
                     const char *name); /* a real option times the width, rounded down */
double option_real(const struct scope *s, const char *name);
const char *option_choice(const struct scope *s, const char *name);
bool option_is(const struct scope *s, const char *name, const char *choice);
const double *option_list(const struct scope *s, const char *name, int *count); /* numbers, as given */

/* ---- Kernels ------------------------------------------------------------------------------------------- */

/* A discrete trait, from the vocabulary of catalog/characters.json. */
struct character {
    const char *name, *state;
};
#define CHARACTERS(...) ((const struct character[]){__VA_ARGS__, {NULL, NULL}})

/* What a position kernel adds to an attention's scores: either may be NULL. */
struct score_bias {
    tensor *full;     /* broadcasts to [B, H, T, S] */
    tensor *distance; /* [H or 1, N], by distance from key to query: see attention_options */
};

/* What a model needs to know of a task. */
struct task_sizes {
    int64_t vocabulary; /* tokens */
    int64_t questions;  /* most places of a sequence at which something is asked */
    bool summary;       /* every answer is to be read off the model's output for the last token */
};

/* A sequence of a task: what a model reads, and what it should say at each place. */
struct task_sequence {
    int64_t length;
    real *ids;             /* [length]: to be filled with tokens */
    real *targets;         /* [length], -1 where nothing is asked: to be filled with the answers */
    uint64_t seed, number; /* name the sequence: all that is drawn depends on them alone */
    uint64_t drawn;
    struct arena *arena; /* for the length of one generate() */
};

struct kernel {
    const char *name; /* the file's name */
    enum slot slot;
    const char *variant;          /* catalogue key of the variant that originated it */
    const char *summary;          /* one line */
    const struct option *options; /* OPTIONS(...) or NULL */
    const struct character *characters;
    /* Overrides a character where it depends on options; NULL keeps the list's state. Optional. */
    const char *(*character)(const struct scope *s, const char *name);
    /* By how much of their size outputs for an entry of a batch may move with the other entries, as
     * published. NULL: not at all. */
    double (*batch_coupling)(const struct scope *s);
    /* NULL, or what is wrong with this combination of options and width, as one line. Optional. */
    const char *(*validate)(const struct scope *s);
    tensor *(*forward)(struct scope *s, tensor *x);
    tensor *(*step)(struct scope *s, tensor *x); /* NULL: replayed */
    /* Position kernels have these in place of forward; each is optional. */
    tensor *(*embed)(struct scope *s, tensor *x); /* adds to the stack's input [B, T, D] */
    tensor *(*rotate)(struct scope *s, tensor *x, bool is_key,
                      int64_t start); /* q or k [B, T, H, d], first position */
    /* The same for tokens at places of their own, T numbers that may be fractions; for rotations that depend
     * on the place alone. Optional.
     */
    tensor *(*rotate_to)(struct scope *s, tensor *x, const real *places);
    /* Whether a rotation depends on more than a token's place: on the number of tokens so far, start + T, or
     * on the first of the new ones. Then positioned_attention() caches keys as they were before and rotates
     * them all at every step. Optional. */
    bool (*rotates_anew)(const struct scope *s);
    struct score_bias (*bias)(struct scope *s, tensor *q, tensor *k,
                              int64_t offset); /* q's place among the keys */
    /* What is added to the scores of mixers over a grid, by the offset from key to query: [H, 2 rows - 1, 2
     * columns - 1] for offsets of less than `rows` rows and `columns` columns, from the most negative on.
     * Optional. */
    tensor *(*grid_bias)(struct scope *s, int64_t heads, int64_t rows, int64_t columns);
    /* Of an embedding kernel: it takes the input with its position added, not the one to which that is
     * added. */
    bool after_position;
    /* Embedding kernels: what is made of the stack's output, such as logits by the same table. Optional. */
    tensor *(*output)(struct scope *s, tensor *x);
    /* Residual kernels: x and the branch's output f(x) -> the layer's output; `branch` is 0 for the mixer, 1
     * for the ffn. */
    tensor *(*combine)(struct scope *s, tensor *x, tensor *branch_output, int branch);
    /* The factor of random initial weights of its layer's matrices, for methods that are an initialisation.
     * Optional. */
    double (*initial_scale)(const struct scope *s);
    /* Task kernels have these in place of forward, and an option `length`. */
    struct task_sizes (*sizes)(const struct scope *s);
    void (*generate)(const struct scope *s, struct task_sequence *sequence);
};

/* Defines the kernel that registry.c lists: KERNEL(gated_linear_attention) = {.name =
 * "gated-linear-attention", ...}; */
#define KERNEL(identifier)                          \
    extern const struct kernel kernel_##identifier; \
    const struct kernel kernel_##identifier

/* ---- The scope of a kernel ----------------------------------------------------------------------------- */

struct scope {
    struct graph *graph;
    const struct kernel *kernel;
    const struct settings *settings; /* values of the options */
    struct parameters *parameters;   /* of the whole block or stack */
    struct state *state;             /* NULL in the parallel form */
    const char *prefix;              /* before every name: "layers.0.mixer." or "" */
    const char *shared_prefix;       /* the same without the layer: "mixer." or "" */
    int64_t width;                   /* D */
    int64_t position;                /* tokens before x's first: 0 in the parallel form */
    int layer, layers;
    int branch;                   /* of a norm: 0 that of the mixer, 1 of the ffn */
    struct scope *position_scope; /* the block's position kernel, for mixers; NULL if none */
    struct inputs *inputs;        /* further inputs by name; NULL if none */
    tensor *memory;        /* [B, M, D] carried from earlier segments, for mixers under a memory; or NULL */
    int64_t memory_window; /* most keys that a mixer under this memory may see; 0: no bound */
    int pass; /* how often this layer was applied before in this call, under kernels that call it several times */
    tensor *memory_mask; /* [.., T, M + T], added to such a mixer's scores in place of causality; or NULL */
    bool
        memory_only; /* such a mixer's rows see the memory alone, not each other: a mask is then [.., T, M] */
    tensor
        *places; /* where the newest rows of [memory ; x] stand, constants [rows] or [B, rows], for rotations;
                         NULL: one after the other */
    struct carried *carried; /* from segment to segment: carry(); NULL outside by_segments() */
    tensor *layer_input;  /* what the layer got, before its norm, for residual kernels and mixers that gate it
                              themselves (these cannot be replayed); NULL for a kernel alone */
    tensor *branch_input; /* for residual kernels: what the branch got, after a norm in front of it */
    struct stack *stack;  /* the layers, for memory, procedure and objective kernels; or NULL */
};

/* How a parameter starts. */
struct init {
    enum { INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM, INIT_LINEAR, INIT_FUNCTION } kind;
    double a, b; /* value; standard deviation; low and high */
    void (*fill)(const struct scope *s, int rank, const int64_t *shape, real *values);
};
static inline struct init init_constant(double value)
{
    return (struct init){INIT_CONSTANT, value, 0, NULL};
}
static inline struct init init_normal(double deviation)
{
    return (struct init){INIT_NORMAL, deviation, 0, NULL};
}
static inline struct init init_uniform(double low, double high)
{
    return (struct init){INIT_UNIFORM, low, high, NULL};
}
/* Uniform in +-1 / sqrt(fan in), as torch's Linear and Conv1d; fan in is the product of all lengths but the
 * first. */
static inline struct init init_linear(void)
{
    return (struct init){INIT_LINEAR, 0, 0, NULL};
}
static inline struct init init_function(void (*fill)(const struct scope *, int, const int64_t *, real *))
{
    return (struct init){INIT_FUNCTION, 0, 0, fill};
}

/* A trained parameter, or a buffer that is stored but not trained. Same name, same tensor: a second use
 * shares it. */
tensor *parameter(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape);
/* One for all layers of a stack. */
tensor *shared_parameter(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape);
tensor *buffer(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape);

/* State of the recurrent form; only while s->state is set. state() gives the value (filled with `initial`
 * at first) as the step before or an earlier state_set() of this one left it, state_set() what it will be
 * after. */
tensor *state(struct scope *s, const char *name, double initial, int rank, const int64_t *shape);
void state_set(struct scope *s, const char *name, tensor *value);
/* The rows [B, n, ..] kept under `name` followed by the new ones [B, T, ..]. With limit > 0 the newest
 * `limit` rows are kept for the next call (the present call sees those kept so far and its own). Without a
 * state: the new rows. */
tensor *cache_append(struct scope *s, const char *name, tensor *rows, int64_t limit);
/* The new rows [B, T, ..] after those of the present block of `size` tokens so far, which are kept under
 * `name`: [B, s->position % size + T, ..]. Without a state: the new rows. */
tensor *rows_of_block(struct scope *s, const char *name, tensor *rows, int64_t size);
/* The rows that such a cache holds, where a call has none to append; NULL if there are none. */
tensor *cache_rows(struct scope *s, const char *name);

/* A further input of the reference or the caller, such as "mems"; NULL if it was not given. */
tensor *further_input(struct scope *s, const char *name);
/* Offers a further result under a name, in place of an earlier one: for references and tests. */
void further_output(struct scope *s, const char *name, tensor *value);

/* Memory, procedure and objective kernels: layer `layer` of the stack over x [B, T, D], with a memory [B, M,
 * D] or NULL. Its mixer gets this scope's memory_mask, memory_only, memory_window, places and pass as they
 * are now. */
tensor *layer_forward(struct scope *s, int layer, tensor *x, tensor *memory);
/* All layers, one after the other, without a memory; for an objective by the memory or procedure that wraps
 * them, if there is one: then it may not set masks or places, nor call layers itself. */
tensor *stack_forward(struct scope *s, tensor *x);
/* Objective kernels wrap all else and get the stack's bare input: x with its embedding and position, as the
 * stack takes it without an objective. What an objective draws at random in a training step is a further
 * input; without it the model runs as it is used later, or by a fixed choice that its header states. Rows
 * that are not scored are dropped; further results are further outputs. */
tensor *stack_embed(struct scope *s, tensor *x);
/* Whether the kernel is built alone, so that there are no layers for it to run. */
bool stands_alone(const struct scope *s);
/* The same option of this slot in another layer, for what differs by layer; `otherwise` where that layer
 * leaves the slot empty. One kernel serves the whole stack, so another kernel there is an error. */
int64_t layer_option(struct scope *s, int layer, const char *name, int64_t otherwise);

/* Cuts x [B, T, D] in segments of `length` tokens (the last may be shorter) and calls `segment` for one after
 * the other; y is what it returns, put together. From one to the next it, and the mixers of the layers that
 * it runs, carry values: carried() is what an earlier segment left under a name, or NULL, carry() leaves one.
 * It is a step as well: that runs the present segment again over its tokens so far, and keeps what a segment
 * carries once it is full, so `segment` gets the scope of the parallel form. */
tensor *by_segments(struct scope *s, tensor *x, int64_t length,
                    tensor *(*segment)(struct scope *s, tensor *x));
tensor *carried(struct scope *s, const char *name);
void carry(struct scope *s, const char *name, tensor *value);
/* The newest `count` rows of (before; x), or all where there are fewer; `before` may be NULL. NULL if there
 * are none. */
tensor *newest_rows(tensor *before, tensor *x, int64_t count);

/* Values that a layer leaves for later layers over the same tokens, by name; NULL if that layer has left
 * none. */
void layer_leave(struct scope *s, const char *name, tensor *value);
tensor *layer_find(struct scope *s, int layer, const char *name);

/* The recurrent form by the parallel one over all tokens so far: what a kernel without a step gets. */
tensor *replay_step(struct scope *s, tensor *x);
/* A step over several tokens by one token after the other, for kernels whose recurrence takes one: `one` is
 * called with x [B, 1, D] and keeps what it needs with state(), not in caches. */
tensor *step_by_token(struct scope *s, tensor *x, tensor *(*one)(struct scope *s, tensor *x));
/* For such a step: the newest `count` [B, count, ..] of the rows [B, 1, ..] that were given under `name`, the
 * last `limit` of which are kept; zeros where there were fewer. */
tensor *recent_rows(struct scope *s, const char *name, tensor *row, int64_t limit, int64_t count);
/* The sum of what every token of the groups of `group` tokens before the present one has added; `term` is
 * what the present token adds. */
tensor *sum_of_earlier_groups(struct scope *s, const char *name, tensor *term, int64_t group);

/* For tasks: a whole number from 0 to below - 1, each as likely; a number from 0 to 1, below 1. */
int64_t draw_below(struct task_sequence *sequence, int64_t below);
double draw_share(struct task_sequence *sequence);
/* `count` different numbers below `below`, in random order. */
const int64_t *draw_distinct(struct task_sequence *sequence, int64_t count, int64_t below);
/* Zeros for the task's own use. */
int64_t *sequence_numbers(struct task_sequence *sequence, int64_t count);

/* Stops the building with a message about this kernel's input or options. */
_Noreturn void kernel_fail(const struct scope *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "%s.%s" in the graph's arena: names of parts. */
const char *part_name(struct scope *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- Layers that most kernels share (layers.c, positions.c) -------------------------------------------- */

/* x W^T (+ b) with parameters NAME.weight [outputs, inputs] and NAME.bias [outputs]. */
tensor *linear(struct scope *s, const char *name, tensor *x, int64_t outputs, bool bias);
/* The same by a product of two thin maps, NAME_u.weight [rank, inputs] and NAME_v.weight [outputs, rank] with
 * its bias; rank 0: linear(). */
tensor *low_rank_linear(struct scope *s, const char *name, tensor *x, int64_t rank, int64_t outputs,
                        bool bias);
/* NAME.weight and NAME.bias [D]. */
tensor *layer_norm(struct scope *s, const char *name, tensor *x, double epsilon);
/* With stored mean and variance, NAME.running_mean and NAME.running_var [D], as in evaluation, so that
 * entries of a batch stay apart. */
tensor *batch_norm(struct scope *s, const char *name, tensor *x, double epsilon);
/* NAME.weight [D] */
tensor *rms_norm(struct scope *s, const char *name, tensor *x, double epsilon);
/* [B, T, H * d] <-> [B, T, H, d], heads in contiguous slices. */
tensor *split_heads(tensor *x, int64_t heads);
tensor *merge_heads(tensor *x);
/* x [B, T, C] through a depthwise causal convolution with parameters NAME.weight [C, 1, size] and, if asked,
 * NAME.bias [C]; keeps its last inputs in the state. */
tensor *short_convolution(struct scope *s, const char *name, tensor *x, int64_t size, bool bias);
/* tensor_causal_convolution with its last inputs kept under `name`. */
tensor *kept_convolution(struct scope *s, const char *name, tensor *x, tensor *weight, tensor *bias);
/* Pieces that are joined along an axis in the end, however many there are; begin with {0}, add at least
 * one. */
struct pieces {
    tensor **list;
    int count, room;
};
void add_piece(struct pieces *pieces, tensor *piece);
tensor *join_pieces(const struct pieces *pieces, int axis);
/* [B, T, G, d] -> [B, T, G * times, d]: each head stands in for `times` neighbours. */
tensor *repeat_heads(tensor *x, int64_t times);
/* The products of every two of the last axis' n entries: [.., n] -> [.., n^2], rank at most 4. */
tensor *outer_square(tensor *x);
/* 1 where column <= row + ahead, else 0: [rows, columns]. */
tensor *lower_triangle(struct graph *graph, int64_t rows, int64_t columns, int64_t ahead);
/* x [B, T, H, i] times a matrix for each head, [H, i, o] or transposed [H, o, i]: [B, T, H, o]. */
tensor *per_head_product(tensor *x, tensor *matrices, bool transposed);
/* exp(-|a_i - b_j|^2 / 2) for a [.., N, d], b [.., M, d]: [.., N, M]. */
tensor *gaussian_kernel(tensor *a, tensor *b);
/* The (pseudo-)inverse of a [.., N, N] by iterations from z: z (2 - a z) of order 2 (Newton, Schulz), or of
 * order 4, one of which is z (13 - a z (15 - a z (7 - a z))) / 4 (Razavi et al. 2014). */
tensor *iterated_inverse(tensor *a, tensor *z, int order, int64_t iterations);
/* c on the diagonal, else 0: [size, size]. */
tensor *scaled_identity(struct graph *graph, int64_t size, double c);
/* BitNet's linear map as MatMul-free LM has it: an RMS norm (NAME.norm.weight), activations rounded to 8 bits
 * per token, weights NAME.weight to -1, 0, 1 times their mean size; gradients pass straight through. */
tensor *ternary_linear(struct scope *s, const char *name, tensor *x, int64_t outputs);
/* x of the token before (zeros before the first), kept in the state under `name`. */
tensor *token_shift(struct scope *s, const char *name, tensor *x);
/* m x + (1 - m) before, with a parameter m NAME [1, 1, D]: RWKV's mixture of a token with the one before. */
tensor *token_mix(struct scope *s, const char *name, tensor *x, tensor *before);
/* The block's position kernel applied to q and k [B, T, H, d]; nothing happens without one. k may be longer,
 * by earlier tokens. For mixers that keep rotated keys: fails in a step if these would have to be rotated
 * anew. */
void rotate_query_and_key(struct scope *s, tensor **q, tensor **k);
/* x [B, S, H, d] turned as keys are, of which the newest `length` are the present tokens; in a step as
 * there. */
tensor *rotate_as_keys(struct scope *s, tensor *x, int64_t length);
/* q or k [B, T, H, d] turned by the block's position kernel as if its tokens stood at `places`, T numbers;
 * nothing happens without a rotation. Fails where the kernel can turn tokens to their true places only. */
tensor *rotate_to_places(struct scope *s, tensor *x, const real *places);
/* The same with all of them at one place. */
tensor *rotate_to_place(struct scope *s, tensor *x, double place);
/* tensor_attention of q over k and v (all [B, T, heads, d]) with the block's position kernel and, when there
 * is a state, the cache. Offset and biases are set here; a window that is causal keeps only what it needs. */
tensor *positioned_attention(struct scope *s, tensor *q, tensor *k, tensor *v,
                             struct attention_options options);
/* tensor_scan and tensor_scan_complex with their state kept under `name`. */
tensor *kept_scan(struct scope *s, const char *name, tensor *a, tensor *b);
tensor *kept_scan_complex(struct scope *s, const char *name, tensor *a, tensor *b);
/* The two sums of linear attention up to each token: values = sum_{s<=t} (q_t . k_s) v_s [B, T, H, e] and
 * weights = sum_{s<=t} q_t . k_s [B, T, H, 1], for features q, k [B, T, H, f] and v [B, T, H, e]; with
 * log_decay [B, T, H] (or NULL) what came before t is multiplied by exp(log_decay_t) first. Kept under `name`
 * when there is a state. */
struct linear_sums {
    tensor *values, *weights;
};
struct linear_sums kept_linear_sums(struct scope *s, const char *name, tensor *q, tensor *k, tensor *v,
                                    tensor *log_decay);
/* The same sums over all tokens, later ones included; and their values alone, q_t . (sum_s k_s v_s^T). */
struct linear_sums whole_linear_sums(tensor *q, tensor *k, tensor *v);
tensor *whole_linear_product(tensor *q, tensor *k, tensor *v);
/* m_t = max_{s<=t} (w_{s+1} + .. + w_t + k_s) for k [B, T, C] and w [C] or [B, T, C] <= 0 (NULL: 0), and
 * m_{t-1} at every t (-1e30 before the first); constants of the gradient, to which exponentials can be
 * relative without overflow. Kept under "maximum". */
struct running_maximum {
    tensor *maximum, *before;
    tensor *live; /* the maximum, with its gradient */
};
struct running_maximum kept_running_maximum(struct scope *s, tensor *k, tensor *w);
/* The running average of v with weights exp(k), sum_{s<=t} e^{(t-s) w + k_s} v_s / sum_{s<=t} e^{(t-s) w +
 * k_s}, as its two sums relative to e^maximum, so that no exponential overflows; k, v and w as there. The
 * maximum is a constant of the gradient, on which the quotient does not depend. `..._before` are those of the
 * token before (none: sums 0, maximum -1e30). */
struct running_average {
    tensor *values, *weights, *maximum;
    tensor *values_before, *weights_before, *maximum_before;
};
struct running_average kept_running_average(struct scope *s, tensor *k, tensor *v, tensor *w);
/* tensor_matrix_scan with its state kept under `name`. */
tensor *kept_matrix_scan(struct scope *s, const char *name, tensor *q, tensor *k, tensor *v,
                         struct matrix_scan_options options);

/* Scores of rows [B, H, T, S] by distance S - 1 .. 0 -> by key: row t moves T - 1 - t to the left. */
tensor *relative_shift(tensor *scores);
/* T5's learned bias by distance n = 0 .. length - 1 from key to query, [heads, length]: a row of table
 * [buckets, heads], own for the first half of the buckets, shared by geometrically growing ranges up to
 * max_distance for the rest (Raffel et al. 2020). */
tensor *bucketed_distance_bias(tensor *table, int64_t max_distance, int64_t length);
/* The same between tokens, [heads, rows, columns], for queries that are the last `rows` of `columns` tokens.
 * Without `causal` the second half of the buckets is for later keys. */
tensor *bucketed_bias(tensor *table, int64_t max_distance, bool causal, int64_t rows, int64_t columns);
int64_t distance_bucket(int64_t distance, int64_t buckets, int64_t max_distance);
/* x * gamma[i] + beta[i] for i = 0 .. count - 1, parameters NAME.gamma and NAME.beta [count, D]: how gated
 * attention units make queries and keys of one projection. */
void scaled_copies(struct scope *s, const char *name, tensor *x, int64_t count, tensor **copies);
/* The share of a normal distribution that lies below x. */
tensor *normal_distribution(tensor *x, double mean, double deviation);
/* The laplace function of gated attention units, (1 + erf((x - sqrt(1/2)) / (sqrt(1 / (4 pi)) sqrt 2))) / 2
 * (Ma et al. 2022, eq. 16). */
tensor *laplace_activation(tensor *x);

/* ---- Values that several kernels start from ------------------------------------------------------------ */

/* ALiBi's slope of a head, 2^(-8 (h + 1) / H) for a power of two of heads H; for others the slopes of the
 * power below, then every other one of twice as many. */
double alibi_slope(int64_t head, int64_t heads);
/* For init_function(): the slopes of shape[0] heads, and TransNormerLLM's, which fall to 1e-5 of them from
 * the first layer to the last. */
void fill_alibi_slopes(const struct scope *s, int rank, const int64_t *shape, real *values);
void fill_falling_slopes(const struct scope *s, int rank, const int64_t *shape, real *values);
/* The angles [count, pairs] by which rotary positions turn tokens `start` .. `start` + count - 1: position *
 * base^(-i / pairs). */
tensor *rotary_angles(struct scope *s, int64_t start, int64_t count, int64_t pairs, double base);
/* The same with frequencies of one's own, in radians a token. */
tensor *rotary_angles_of(struct scope *s, int64_t start, int64_t count, int64_t pairs,
                         double (*frequency)(const void *argument, int64_t pair), const void *argument);
/* The same for tokens at `places`, `count` numbers. */
tensor *rotary_angles_at(struct scope *s, const real *places, int64_t count, int64_t pairs,
                         double (*frequency)(const void *argument, int64_t pair), const void *argument);
/* The sinusoids of `count` places n = first, first + step, ..: [count, D], at channels 2 i and 2 i + 1 sin(n
 * w_i) and cos(n w_i) with w_i = base^(-2 i / D), or with `halves` (D even) all sines before all cosines.
 * Places beyond +-most count as it; 0: all as they are. */
struct sinusoids {
    int64_t first, step, most;
    double base;
    bool halves;
};
tensor *sinusoids(struct scope *s, int64_t count, struct sinusoids of);
/* For init_function(): 10000^(-i / n) over n pairs of channels. */
void fill_rotary_frequencies(const struct scope *s, int rank, const int64_t *shape, real *values);
/* Rows [from, from + count) of F^T (F F^T + ridge)^-1, [count, n], for the n functions at each of `points`
 * points, F [n, points]: what turns values at these rows' points into coefficients by ridge regression. In
 * double precision. */
void fill_ridge_regression(const struct scope *s, int64_t n, int64_t points, double ridge,
                           double (*function)(const struct scope *s, int64_t i, int64_t point), int64_t from,
                           int64_t count, real *values);
/* For init_function(): values whose softplus goes geometrically from 0.001 to 0.1, as Mamba's step sizes
 * start. */
void fill_step_biases(const struct scope *s, int rank, const int64_t *shape, real *values);

#endif
