/* Recurrences with a matrix state: linear attention with any decay, and the delta rule. */
#include "tensor/matrix_scan.h"
#include "tensor/loops/matrix_step.h"
#include <omp.h>

const tensor *scan_input(const tensor *y, enum scan_input input)
{
    const struct matrix_scan *scan = y->attributes;
    return scan->place[input] < 0 ? NULL : y->inputs[scan->place[input]];
}

struct series scan_series(const tensor *y, enum scan_input input, real *data)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *x = scan_input(y, input);
    if (!x)
        return (struct series){NULL};
    if (x->rank == 1) /* a fixed decay per head */
        return (struct series){data, 0, 0, x->stride[0], 1};
    return (struct series){data, x->stride[0], x->stride[1], x->stride[2], scan->heads / x->shape[2]};
}

struct series scan_output_series(const tensor *y, real *data)
{
    return (struct series){data, y->stride[0], y->stride[1], y->stride[2], 1};
}

struct matrices scan_matrices(const tensor *y, const int64_t *stride, bool key_rows, real *data)
{
    return (struct matrices){data, stride[0], stride[1], stride[key_rows ? 2 : 3], stride[key_rows ? 3 : 2]};
}

struct sweep scan_sweep(const tensor *y, bool key_rows)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *k = scan_input(y, SCAN_K), *v = scan_input(y, SCAN_V), *decay = scan_input(y, SCAN_DECAY);
    const tensor *beta = scan_input(y, SCAN_BETA), *bonus = scan_input(y, SCAN_BONUS);
    struct sweep sweep = {
        .batches = y->shape[0],
        .heads = scan->heads,
        .length = y->shape[1],
        .rows = key_rows ? k->shape[3] : v->shape[3],
        .lanes = key_rows ? v->shape[3] : k->shape[3],
        .reads = 1,
        .writes = 1,
        .read_first = bonus != NULL,
        .bonus = bonus ? bonus->data : NULL,
        .bonus_on_rows = key_rows,
        .log_decay = scan_series(y, SCAN_DECAY, decay ? decay->data : NULL),
        .beta = scan_series(y, SCAN_BETA, beta ? beta->data : NULL),
    };
    if (decay)
        sweep.decay = decay->rank < 4 ? DECAY_SCALAR : key_rows ? DECAY_ROWS : DECAY_LANES;
    return sweep;
}

/* A single token: from one state in memory to the next. */
static void step_forward(tensor *y)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *initial = scan_input(y, SCAN_INITIAL), *final = scan->final ? node_output(y, 1) : NULL;
    const tensor *decay = scan_input(y, SCAN_DECAY), *bonus = scan_input(y, SCAN_BONUS);
    int64_t H = scan->heads, d = scan_input(y, SCAN_K)->shape[3], e = y->shape[3], heads = y->shape[0] * H;
    struct series series[SCAN_INPUTS];
    for (int i = 0; i <= SCAN_BETA; i++)
        series[i] = scan_series(y, i, scan_input(y, i) ? scan_input(y, i)->data : NULL);
    int threads = threads_for(6.0 * (double)(heads * d * e));
    int64_t room = 3 * d + e;
    real *scratch = scratch_take(y->graph, (size_t)(threads * room));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < heads; at++) {
        const real *of[SCAN_INPUTS] = {NULL};
        int64_t b = at / H, h = at % H;
        for (int i = 0; i <= SCAN_BETA; i++)
            if (series[i].data)
                of[i] = series[i].data + b * series[i].batch + h / series[i].group * series[i].head;
        struct matrix_step step = {
            .rows = d,
            .lanes = e,
            .q = of[SCAN_Q],
            .k = of[SCAN_K],
            .v = of[SCAN_V],
            .log_decay = of[SCAN_DECAY],
            .scalar_decay = decay && decay->rank < 4,
            .beta = of[SCAN_BETA],
            .delta = scan->delta,
            .bonus = bonus ? bonus->data + h * d : NULL,
            .scale = scan->scale,
            .first = initial ? initial->data + b * initial->stride[0] + h * initial->stride[1] : NULL,
            .first_stride = initial ? initial->stride[2] : 0,
            .last = final ? final->data + at * d * e : NULL,
            .y = y->data + at * e,
            .scratch = scratch + omp_get_thread_num() * room,
        };
        matrix_step_loops()->step(&step);
    }
    scratch_give(y->graph, scratch);
}

static void matrix_scan_forward(tensor *y)
{
    const struct matrix_scan *scan = y->attributes;
    if (y->shape[1] == 1) {
        step_forward(y);
        return;
    }
    const tensor *initial = scan_input(y, SCAN_INITIAL);
    struct sweep sweep = scan_sweep(y, true);
    struct series q = scan_series(y, SCAN_Q, scan_input(y, SCAN_Q)->data);
    int query = 0;
    sweep.write[0] = scan_series(y, SCAN_K, scan_input(y, SCAN_K)->data);
    sweep.value[0] = scan_series(y, SCAN_V, scan_input(y, SCAN_V)->data);
    if (scan->delta) {
        sweep.rule = SWEEP_DELTA;
        sweep.read[0] = sweep.write[0];
        sweep.reads = 2;
        query = 1;
    }
    sweep.read[query] = q;
    sweep.read_scale[query] = scan->scale;
    sweep.result[query] = scan_output_series(y, y->data);
    if (initial)
        sweep.first = scan_matrices(y, initial->stride, true, initial->data);
    if (scan->final) {
        tensor *final = node_output(y, 1);
        sweep.last = scan_matrices(y, final->stride, true, final->data);
    }
    sweep_run(1, &sweep, 1, y->graph);
}

static const struct operation matrix_scan_operation = {"matrix scan", matrix_scan_forward,
                                                       matrix_scan_backward, (1u << SCAN_INPUTS) - 1, false};

/* ---- Recording ---- */

static bool starts_with(const tensor *x, int64_t B, int64_t T)
{
    return x->shape[0] == B && x->shape[1] == T;
}

/* q, k, v and a decay per key channel have the largest number of heads or all the same smaller one. */
static void require_heads(const tensor *const *inputs, int64_t heads)
{
    int64_t fewer = heads;
    for (int i = 0; i <= SCAN_DECAY; i++) {
        if (!inputs[i] || inputs[i]->rank < 4 || inputs[i]->shape[2] == heads)
            continue;
        static const char *const names[] = {"queries", "keys", "values", "log_decay"};
        int64_t given = inputs[i]->shape[2];
        if (given <= 0 || heads % given || (fewer != heads && given != fewer))
            graph_raise(inputs[i]->graph, STATUS_USAGE,
                        "matrix_scan %s: expected H or G heads, of %lld and %s, got %s", names[i],
                        (long long)heads, fewer == heads ? "a divisor of it" : "the others' smaller number",
                        shape_text(inputs[i]));
        fewer = given;
    }
}

static void require_shapes(const struct matrix_scan_options *options, const tensor *q, const tensor *k,
                           const tensor *v, int64_t heads)
{
    int64_t B = q->shape[0], T = q->shape[1], d = q->shape[3], e = v->shape[3];
    const tensor *decay = options->log_decay, *beta = options->beta, *bonus = options->bonus;
    const tensor *initial = options->initial, *strength = options->strength;
    require(d > 0 && heads > 0, q, "matrix_scan queries", "[B, T, H or G, d] with d and H above 0");
    require(starts_with(k, B, T) && k->shape[3] == d, k, "matrix_scan keys",
            "the batch, length and width of the queries");
    require(starts_with(v, B, T) && e > 0, v, "matrix_scan values", "the batch and length of the queries");
    bool per_head = decay && decay->rank == 1 && decay->shape[0] == heads;
    bool scalar = decay && decay->rank == 3 && starts_with(decay, B, T) && decay->shape[2] == heads;
    bool per_key = decay && decay->rank == 4 && starts_with(decay, B, T) && decay->shape[3] == d;
    require(!decay || per_head || scalar || per_key, decay, "matrix_scan log_decay",
            "[H], [B, T, H] or [B, T, H or G, d]");
    require_heads((const tensor *const[]){q, k, v, decay}, heads);
    require(!beta || (beta->rank == 3 && starts_with(beta, B, T) && beta->shape[2] == heads), beta,
            "matrix_scan beta", "[B, T, H]");
    require(!bonus || (bonus->rank == 2 && bonus->shape[0] == heads && bonus->shape[1] == d), bonus,
            "matrix_scan bonus", "[H, d]");
    require(!bonus || !beta, bonus, "matrix_scan bonus", "none with the delta rule");
    require(!strength || (strength->rank == 3 && starts_with(strength, B, T) && strength->shape[2] == heads),
            strength, "matrix_scan strength", "[B, T, H]");
    require(!strength || (!beta && !bonus), strength, "matrix_scan strength", "none with beta or bonus");
    require(!initial || (initial->rank == 4 && starts_with(initial, B, heads) && initial->shape[2] == d &&
                         initial->shape[3] == e),
            initial, "matrix_scan initial state", "[B, H, d, e]");
}

/* Multiply-adds of one head and token, in units of d e: update and query, the decay, the delta rule's
 * reading. */
static double steps(const struct matrix_scan_options *options)
{
    return 4 + (options->log_decay ? 1 : 0) + (options->beta ? 2 : 0);
}

/* Where a chunk passes at once (passes_jointly() in matrix_chunk.c), the strength costs nothing among the
 * factors that its products take on anyway. */
static bool joins_strength(const struct matrix_scan_options *options, const tensor *q, const tensor *k,
                           const tensor *v, int64_t heads)
{
    const tensor *decay = options->log_decay;
    bool gradients = q->needs_gradient || k->needs_gradient || v->needs_gradient ||
                     options->strength->needs_gradient || (decay && decay->needs_gradient) ||
                     (options->initial && options->initial->needs_gradient);
    return !gradients && decay && decay->rank < 4 && q->shape[2] < heads && k->shape[2] < heads;
}

tensor *tensor_matrix_scan(tensor *q, tensor *k, tensor *v, const struct matrix_scan_options *options)
{
    require(q->rank == 4, q, "matrix_scan queries", "[B, T, H or G, d]");
    require(k->rank == 4, k, "matrix_scan keys", "[B, T, H or G, d]");
    require(v->rank == 4, v, "matrix_scan values", "[B, T, H or G, e]");
    int64_t heads = q->shape[2] > v->shape[2] ? q->shape[2] : v->shape[2];
    heads = k->shape[2] > heads ? k->shape[2] : heads;
    require_shapes(options, q, k, v, heads);

    struct matrix_scan scan = {.heads = heads, .scale = (real)(options->scale ? options->scale : 1)};
    scan.delta = options->beta != NULL;
    scan.final = options->final != NULL;
    int64_t B = q->shape[0], T = q->shape[1], d = q->shape[3], e = v->shape[3];
    tensor *strength = options->strength;
    if (strength && !joins_strength(options, q, k, v, heads)) {
        v = tensor_multiply(v, tensor_reshape(strength, 4, SHAPE(B, T, heads, 1)));
        strength = NULL;
    }
    tensor *given[SCAN_INPUTS] = {with_contiguous_rows(q),
                                  with_contiguous_rows(k),
                                  with_contiguous_rows(v),
                                  options->log_decay,
                                  strength ? strength : options->beta,
                                  options->bonus,
                                  options->initial};
    if (given[SCAN_INITIAL])
        given[SCAN_INITIAL] = with_contiguous_rows(given[SCAN_INITIAL]);
    if (given[SCAN_DECAY] && given[SCAN_DECAY]->rank == 4)
        given[SCAN_DECAY] = with_contiguous_rows(given[SCAN_DECAY]);
    if (given[SCAN_BONUS])
        given[SCAN_BONUS] = tensor_contiguous(given[SCAN_BONUS]);
    tensor *inputs[SCAN_INPUTS];
    int count = 0;
    for (int i = 0; i < SCAN_INPUTS; i++) {
        scan.place[i] = given[i] ? count : -1;
        if (given[i])
            inputs[count++] = given[i];
    }
    tensor *y = node_create(q->graph, &matrix_scan_operation, 4, SHAPE(B, T, heads, e), count, inputs, &scan,
                            sizeof scan);
    node_count(y, steps(options) * (double)(B * T * heads) * (double)(d * e), -1);
    if (options->final)
        *options->final = node_add_output(y, 4, SHAPE(B, heads, d, e));
    return y;
}
