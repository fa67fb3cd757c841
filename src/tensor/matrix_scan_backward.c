/* Gradients of tensor_matrix_scan(), each from a sweep over the state S or over its gradient G, seen with d
 * or with e as lanes:
 *     linear:      dq = S dy    dk = G v    dv = G^T k
 *     delta rule:  u = beta (v - (S')^T k) again, with S' the decayed S before its update; du = G^T k;
 *                  dr = -beta du    dv = beta du    dbeta = du . (v - (S')^T k)
 *                  dq = S dy        dk = G u + S' dr
 * For the decays let c_t be the sum of log_decay up to t. A query sees its own c_t, and so does, in the delta
 * rule, a key that reads; a key that writes sees -c_t: dc = q dq + k (S' dr) - k (G u), where what a token
 * does to itself cancels and is left out to begin with. d log_decay is the sum of dc from t on. As that
 * gathers rounding errors, every 32nd is taken instead from what it is in full, decay_t S_{t-1} G summed over
 * e; so is the last, which needs no share of the last state then. */
#include "tensor/loops/matrix_lanes.h"
#include "tensor/matrix_scan.h"
#include <string.h>

/* What the sweeps need, and where their results go; NULL where nothing is wanted. */
struct gradients {
    struct series q, k, v, dy;        /* values */
    struct series dq, dk, dv, dbeta;  /* gradients */
    struct series u, dr;              /* of the delta rule, scratch; u holds the errors at first */
    struct matrices dfinal, dinitial; /* with e as rows */
    real *clock;                      /* scratch, dc as [parts, B, H, T + 1, width]; token t's is row t + 1 */
    real *marks;                      /* scratch, [parts, B, H, marks, width] */
    real *bonus;                      /* scratch, [B, H, d] */
    int64_t width, mark_count, parts; /* width: d, or 1 for a decay per head */
    real scale;
};

static int64_t group_of(const tensor *y, enum scan_input input)
{
    const struct matrix_scan *scan = y->attributes;
    return scan->heads / scan_input(y, input)->shape[2];
}

static struct series clock_rows(const tensor *y, const struct gradients *gradients, int64_t first)
{
    const struct matrix_scan *scan = y->attributes;
    int64_t width = gradients->width, head = (y->shape[1] + 1) * width;
    return (struct series){gradients->clock ? gradients->clock + first * width : NULL, scan->heads * head,
                           width, head, 1};
}

static struct series mark_rows(const tensor *y, const struct gradients *gradients)
{
    const struct matrix_scan *scan = y->attributes;
    int64_t width = gradients->width, head = gradients->mark_count * width;
    return (struct series){gradients->marks, scan->heads * head, width, head, 1};
}

static int64_t part_of(const tensor *y, const struct gradients *gradients, int64_t rows)
{
    const struct matrix_scan *scan = y->attributes;
    return gradients->width > 1 ? 0
                                : y->shape[0] * scan->heads * rows; /* else each part has its own columns */
}

static void use_clock(const tensor *y, const struct gradients *gradients, real scale, bool add,
                      struct sweep *sweep)
{
    /* A bonus's query sees c_{t - 1}. */
    sweep->clock = clock_rows(y, gradients, sweep->read_first && !sweep->reverse ? 0 : 1);
    sweep->clock_scale = scale;
    sweep->clock_add = add;
    sweep->clock_scalar = gradients->width == 1;
    sweep->clock_part = part_of(y, gradients, y->shape[1] + 1);
    sweep->marks = mark_rows(y, gradients);
    sweep->marks_part = part_of(y, gradients, gradients->mark_count);
    sweep->mark = gradients->marks;
}

/* e = v - (S')^T k */
static void find_errors(const tensor *y, const struct gradients *gradients)
{
    const tensor *initial = scan_input(y, SCAN_INITIAL);
    struct sweep sweep = scan_sweep(y, true);
    sweep.rule = SWEEP_DELTA;
    sweep.read[0] = sweep.write[0] = gradients->k;
    sweep.value[0] = gradients->v;
    sweep.result[0] = gradients->u;
    if (initial)
        sweep.first = scan_matrices(y, initial->stride, true, initial->data);
    sweep_run(1, &sweep, 1, y->graph);
}

/* du by a sweep over G; with it dv, dbeta, dr and u. */
static void find_updates(const tensor *y, const struct gradients *gradients)
{
    struct sweep sweep = scan_sweep(y, true);
    sweep.rule = SWEEP_DELTA_BACKWARD;
    sweep.reverse = true;
    sweep.writes = 2;
    sweep.read[0] = sweep.write[1] = gradients->k;
    sweep.write[0] = gradients->q;
    sweep.value[0] = gradients->dy;
    sweep.value_scale[0] = gradients->scale;
    sweep.error = gradients->u;
    sweep.dr = gradients->dr;
    sweep.dv = gradients->dv;
    sweep.dbeta = gradients->dbeta;
    sweep.first = gradients->dfinal;
    sweep.first.row = gradients->dfinal.lane;
    sweep.first.lane = gradients->dfinal.row;
    sweep_run(1, &sweep, group_of(y, SCAN_V), y->graph);
}

/* dv = G^T k, of the linear rule. */
static void find_dv(const tensor *y, const struct gradients *gradients)
{
    struct sweep sweep = scan_sweep(y, true);
    sweep.reverse = true;
    sweep.add = true;
    sweep.read[0] = gradients->k;
    sweep.write[0] = gradients->q;
    sweep.value[0] = gradients->dy;
    sweep.value_scale[0] = gradients->scale;
    sweep.result[0] = gradients->dv;
    sweep.first = gradients->dfinal;
    sweep.first.row = gradients->dfinal.lane;
    sweep.first.lane = gradients->dfinal.row;
    sweep_run(1, &sweep, group_of(y, SCAN_V), y->graph);
}

/* dq = S dy, the part S' dr of dk, and their shares of dc. */
static struct sweep dq_sweep(const tensor *y, const struct gradients *gradients)
{
    const tensor *initial = scan_input(y, SCAN_INITIAL);
    bool delta = gradients->u.data;
    struct sweep sweep = scan_sweep(y, false);
    sweep.add = true;
    sweep.read[0] = gradients->dy;
    sweep.read_scale[0] = gradients->scale;
    sweep.write[0] = delta ? gradients->u : gradients->v;
    sweep.value[0] = gradients->k;
    sweep.result[0] = gradients->dq;
    sweep.own[0] = gradients->q;
    if (delta) {
        sweep.reads = 2;
        sweep.read[1] = gradients->dr;
        sweep.result[1] = gradients->dk;
        sweep.own[1] = gradients->k;
    }
    if (initial)
        sweep.first = scan_matrices(y, initial->stride, false, initial->data);
    sweep.bonus_gradient = gradients->bonus;
    use_clock(y, gradients, 1, false, &sweep);
    return sweep;
}

/* dk = G v (or u), its share of dc, and the gradient of the initial state. */
static struct sweep dk_sweep(const tensor *y, const struct gradients *gradients)
{
    bool delta = gradients->u.data;
    struct sweep sweep = scan_sweep(y, false);
    sweep.reverse = true;
    sweep.add = true;
    sweep.read[0] = delta ? gradients->u : gradients->v;
    sweep.write[0] = gradients->dy;
    sweep.value[0] = gradients->q;
    sweep.value_scale[0] = gradients->scale;
    if (delta) {
        sweep.writes = 2;
        sweep.write[1] = gradients->dr;
        sweep.value[1] = gradients->k;
    }
    sweep.result[0] = gradients->dk;
    sweep.own[0] = gradients->k;
    sweep.first = gradients->dfinal;
    sweep.last = gradients->dinitial;
    use_clock(y, gradients, -1, true, &sweep);
    return sweep;
}

/* ---- From dc to the decays, and from per-batch to the bonus ---- */

enum { COLUMNS = 64 };

/* d log_decay of one head and some of its columns; summed in double, as the decays of all tokens may share a
 * parameter. */
static void sum_clock(const tensor *y, const struct gradients *gradients, int64_t batch, int64_t head,
                      int64_t column, const struct series *target)
{
    const struct matrix_lane_loops *loops = matrix_lane_loops();
    struct series clock = clock_rows(y, gradients, 1), marks = mark_rows(y, gradients);
    int64_t T = y->shape[1], number, clock_part = part_of(y, gradients, T + 1);
    int64_t marks_part = part_of(y, gradients, gradients->mark_count);
    int64_t columns = gradients->width - column < COLUMNS ? gradients->width - column : COLUMNS;
    double sum[COLUMNS];
    for (int64_t t = T - 1; t >= 0; t--) {
        bool marked = sweep_marked(T, t, &number);
        if (marked)
            memset(sum, 0, sizeof sum);
        for (int64_t part = 0; part < gradients->parts; part++)
            loops->add_wide(columns,
                            column + (marked ? marks.data + batch * marks.batch + number * marks.token +
                                                   head * marks.head + part * marks_part
                                             : clock.data + batch * clock.batch + t * clock.token +
                                                   head * clock.head + part * clock_part),
                            sum);
        loops->add_narrow(columns, sum,
                          target->data + batch * target->batch + t * target->token +
                              head / target->group * target->head + column);
    }
}

static void find_decay_gradient(tensor *y, const struct gradients *gradients)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *decay = scan_input(y, SCAN_DECAY);
    struct series target = scan_series(y, SCAN_DECAY, input_gradient(y, scan->place[SCAN_DECAY]));
    int64_t batches = y->shape[0], blocks = (gradients->width + COLUMNS - 1) / COLUMNS;
    int64_t places = scan->heads / target.group;
    bool fixed = decay->rank == 1; /* then all batch entries and tokens add to one number */
    int64_t tiles = (fixed ? 1 : batches) * places * blocks;
    double work = (double)(batches * scan->heads * y->shape[1] * gradients->width * gradients->parts);
#pragma omp parallel for num_threads(threads_for(work)) schedule(static)
    for (int64_t tile = 0; tile < tiles; tile++) {
        int64_t column = tile % blocks * COLUMNS, place = tile / blocks % places,
                batch = tile / blocks / places;
        for (int64_t head = place * target.group; head < (place + 1) * target.group; head++)
            for (int64_t b = fixed ? 0 : batch; b < (fixed ? batches : batch + 1); b++)
                sum_clock(y, gradients, b, head, column, &target);
    }
}

static void find_bonus_gradient(tensor *y, const struct gradients *gradients)
{
    const struct matrix_scan *scan = y->attributes;
    real *target = input_gradient(y, scan->place[SCAN_BONUS]);
    int64_t size = tensor_size(scan_input(y, SCAN_BONUS));
    for (int64_t b = 0; b < y->shape[0]; b++)
        for (int64_t i = 0; i < size; i++)
            target[i] += gradients->bonus[b * size + i];
}

/* ---- All of them ---- */

static real *gradient_place(tensor *y, enum scan_input input)
{
    const struct matrix_scan *scan = y->attributes;
    return scan->place[input] < 0 ? NULL : input_gradient(y, scan->place[input]);
}

static real *zeroed_scratch(struct graph *graph, int64_t count)
{
    real *scratch = scratch_take(graph, (size_t)count);
    memset(scratch, 0, (size_t)count * sizeof(real));
    return scratch;
}

static void run_sweeps(tensor *y, const struct gradients *gradients)
{
    bool delta = gradients->u.data;
    if (delta) {
        find_errors(y, gradients);
        find_updates(y, gradients);
    } else if (gradients->dv.data) {
        find_dv(y, gradients);
    }
    struct sweep sweeps[2];
    int count = 0;
    if (gradients->dq.data || gradients->clock || gradients->bonus || (delta && gradients->dk.data))
        sweeps[count++] = dq_sweep(y, gradients);
    if (gradients->dk.data || gradients->clock || gradients->dinitial.data)
        sweeps[count++] = dk_sweep(y, gradients);
    int64_t q = group_of(y, SCAN_Q), k = group_of(y, SCAN_K);
    if (count)
        sweep_run(count, sweeps, q > k ? q : k, y->graph);
}

/* What the delta rule and the gradients of decays and bonus are worked out in. */
static void take_scratch(tensor *y, struct gradients *gradients)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *decay = scan_input(y, SCAN_DECAY);
    int64_t heads = y->shape[0] * scan->heads, T = y->shape[1], d = scan_input(y, SCAN_K)->shape[3];
    if (scan_input(y, SCAN_BETA)) {
        gradients->u = scan_output_series(y, scratch_take(y->graph, (size_t)tensor_size(y)));
        gradients->dr = scan_output_series(y, scratch_take(y->graph, (size_t)tensor_size(y)));
    }
    if (gradient_place(y, SCAN_BONUS))
        gradients->bonus = zeroed_scratch(y->graph, heads * d);
    if (!gradient_place(y, SCAN_DECAY))
        return;
    int64_t q = group_of(y, SCAN_Q), k = group_of(y, SCAN_K), number;
    sweep_marked(T, 0, &number);
    gradients->mark_count = number + 1;
    gradients->width = decay->rank == 4 ? d : 1;
    gradients->parts = decay->rank == 4 ? 1 : sweep_parts(d, q > k ? q : k);
    heads *= gradients->parts * gradients->width;
    gradients->clock = scratch_take(y->graph, (size_t)(heads * (T + 1)));
    gradients->marks = zeroed_scratch(y->graph, heads * gradients->mark_count);
}

void matrix_scan_backward(tensor *y)
{
    const struct matrix_scan *scan = y->attributes;
    const tensor *initial = scan_input(y, SCAN_INITIAL);
    struct gradients gradients = {
        .q = scan_series(y, SCAN_Q, scan_input(y, SCAN_Q)->data),
        .k = scan_series(y, SCAN_K, scan_input(y, SCAN_K)->data),
        .v = scan_series(y, SCAN_V, scan_input(y, SCAN_V)->data),
        .dy = scan_output_series(y, (real *)output_gradient(y)),
        .dq = scan_series(y, SCAN_Q, gradient_place(y, SCAN_Q)),
        .dk = scan_series(y, SCAN_K, gradient_place(y, SCAN_K)),
        .dv = scan_series(y, SCAN_V, gradient_place(y, SCAN_V)),
        .dbeta = scan_series(y, SCAN_BETA, gradient_place(y, SCAN_BETA)),
        .scale = scan->scale,
    };
    if (scan->final) {
        const tensor *final = node_output(y, 1);
        gradients.dfinal = scan_matrices(y, final->stride, false, (real *)output_gradient(final));
    }
    if (initial)
        gradients.dinitial = scan_matrices(y, initial->stride, false, gradient_place(y, SCAN_INITIAL));
    take_scratch(y, &gradients);
    run_sweeps(y, &gradients);
    if (gradients.clock)
        find_decay_gradient(y, &gradients);
    if (gradients.bonus)
        find_bonus_gradient(y, &gradients);
    scratch_give(y->graph, gradients.marks);
    scratch_give(y->graph, gradients.clock);
    scratch_give(y->graph, gradients.bonus);
    scratch_give(y->graph, gradients.dr.data);
    scratch_give(y->graph, gradients.u.data);
}
