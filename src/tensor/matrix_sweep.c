#include "tensor/matrix_sweep.h"
#include "tensor/loops/matrix_scan.h"
#include "tensor/vector_math.h"
#include <omp.h>
#include <string.h>

/* Tokens whose vectors are prepared together; then each panel of the state in turn passes over all of them,
 * so that it stays in the nearest cache. */
enum { CHUNK = 16, BLOCKS = CHUNK / SCAN_BLOCK };

/* A series that is to be read, from the chunk's first token on. */
struct stream {
    const real *first;
    int64_t step, width;
};

struct chunk {
    int64_t start, tokens; /* in the order of the sweep */
    const real *read[2][CHUNK], *write[2][CHUNK], *value[2][CHUNK], *log_decay[CHUNK], *own[2][CHUNK];
    real *result[2][CHUNK], *clock[CHUNK], *error[CHUNK], *dr[CHUNK], *dv[CHUNK], *dbeta[CHUNK];
    struct scan_pairs pairs[BLOCKS][2];
    real beta[CHUNK], diagonal[CHUNK];
    struct stream streams[8];
    int stream_count;
};

/* One head's sweep over some of the lanes. */
struct run {
    const struct sweep *sweep;
    const struct matrix_scan_loops *loops;
    int64_t batch, first_head, last_head, head, first_lane, last_lane, part;
    real *states, *state;  /* of all its heads, and of the present one: panels of [rows, panel] */
    real *all_kept, *kept; /* with marks: states of an earlier sweep */
    int64_t state_size, kept_size;
    real *scaled[2][2];           /* with DECAY_ROWS: reads and writes times their factors, [CHUNK, stride] */
    real *factors, *fold[BLOCKS]; /* with DECAY_ROWS */
    const real *zeros;            /* as long as a vector over rows or lanes */
    int64_t stride;
    struct chunk chunk;
};

/* A panel's vectors for the tokens of a chunk. */
struct panel {
    _Alignas(64) real out[2][CHUNK * SCAN_PANEL_MAX], x[2][CHUNK * SCAN_PANEL_MAX],
        factors[CHUNK * SCAN_PANEL_MAX], fold[SCAN_PANEL_MAX];
};

static real *series_at(const struct series *series, const struct run *run, int64_t token)
{
    return series->data + run->batch * series->batch + token * series->token +
           run->head / series->group * series->head;
}

/* The panel that begins with this lane. */
static real *panel_at(const struct run *run, int64_t lane)
{
    return run->state + (lane - run->first_lane) * run->sweep->rows;
}

static int64_t panel_lanes(const struct run *run, int64_t lane)
{
    return run->last_lane - lane < run->loops->panel ? run->last_lane - lane : run->loops->panel;
}

static real scale_or_1(real scale)
{
    return scale != 0 ? scale : 1;
}

/* ---- A chunk's vectors ---- */

static void stream(struct run *run, const struct series *series, int64_t width)
{
    const struct sweep *sweep = run->sweep;
    struct chunk *chunk = &run->chunk;
    int64_t token = sweep->reverse ? sweep->length - 1 - chunk->start : chunk->start;
    if (series->data)
        chunk->streams[chunk->stream_count++] = (struct stream){
            series_at(series, run, token), sweep->reverse ? -series->token : series->token, width};
}

/* Fetches this block's tokens of the next chunk, spread over the panels: memory answers while they are worked on, which
 * it would not if they were asked for all at once (long sequences: a sixth faster). */
static void fetch_ahead(const struct run *run, int block, int64_t lane)
{
    const struct chunk *chunk = &run->chunk;
    int64_t line = 64 / (int64_t)sizeof(real), first = chunk->tokens + block * SCAN_BLOCK,
            panel = run->loops->panel;
    int64_t number = (lane - run->first_lane) / panel,
            panels = (run->last_lane - run->first_lane + panel - 1) / panel;
    int64_t left = run->sweep->length - chunk->start - first;
    for (int i = 0; i < chunk->stream_count; i++)
        for (int64_t t = 0; t < SCAN_BLOCK && t < left; t++)
            for (int64_t j = number * line; j < chunk->streams[i].width; j += panels * line)
                __builtin_prefetch(chunk->streams[i].first + (first + t) * chunk->streams[i].step + j);
}

/* Sets at[n] for the n-th token of the chunk; zeros stand for a missing series and for tokens past the end.
 */
static void point(const struct run *run, const struct series *series, const real **at)
{
    const struct sweep *sweep = run->sweep;
    int64_t start = run->chunk.start, tokens = series->data ? run->chunk.tokens : 0;
    int64_t step = sweep->reverse ? -series->token : series->token;
    const real *first =
        tokens ? series_at(series, run, sweep->reverse ? sweep->length - 1 - start : start) : NULL;
    for (int64_t n = 0; n < tokens; n++)
        at[n] = first + n * step;
    for (int64_t n = tokens; n < CHUNK; n++)
        at[n] = run->zeros;
}

static void point_to_write(const struct run *run, const struct series *series, real **at)
{
    if (series->data)
        point(run, series, (const real **)at);
}

/* The decay on the way from the token before: in reverse, that is the one before's own, unless reading comes
 * first. */
static void point_to_decays(struct run *run)
{
    const struct sweep *sweep = run->sweep;
    struct chunk *chunk = &run->chunk;
    point(run, &sweep->log_decay, chunk->log_decay);
    if (!sweep->reverse || sweep->read_first)
        return;
    for (int64_t n = 0; n < chunk->tokens; n++)
        chunk->log_decay[n] += sweep->log_decay.token;
    if (chunk->start == 0)
        chunk->log_decay[0] = run->zeros;
}

/* Chunks end at marks, in order before the token, in reverse where its decay is next to be applied. */
static int64_t chunk_length(const struct sweep *sweep, int64_t start)
{
    int64_t left = sweep->length - start, offset = 0;
    if (sweep->mark)
        offset = !sweep->reverse ? sweep->length - 1 : sweep->read_first ? 0 : 1;
    int64_t length = CHUNK - (start - offset % CHUNK + CHUNK) % CHUNK;
    return length < left ? length : left;
}

static void load_chunk(struct run *run, int64_t start)
{
    const struct sweep *sweep = run->sweep;
    struct chunk *chunk = &run->chunk;
    chunk->start = start;
    chunk->tokens = chunk_length(sweep, start);
    chunk->stream_count = 0;
    for (int r = 0; r < sweep->reads; r++) {
        stream(run, &sweep->read[r], sweep->rows);
        point(run, &sweep->read[r], chunk->read[r]);
        point(run, &sweep->own[r], chunk->own[r]);
        point_to_write(run, &sweep->result[r], chunk->result[r]);
    }
    for (int w = 0; w < sweep->writes; w++) {
        stream(run, &sweep->write[w], sweep->rows);
        stream(run, &sweep->value[w], sweep->lanes);
        point(run, &sweep->write[w], chunk->write[w]);
        point(run, &sweep->value[w], chunk->value[w]);
    }
    if (sweep->decay == DECAY_ROWS || sweep->decay == DECAY_LANES)
        stream(run, &sweep->log_decay, sweep->decay == DECAY_ROWS ? sweep->rows : sweep->lanes);
    if (sweep->decay != DECAY_NONE)
        point_to_decays(run);
    if (sweep->rule != SWEEP_LINEAR) {
        const real *beta[CHUNK];
        point(run, &sweep->beta, beta);
        for (int64_t n = 0; n < CHUNK; n++)
            chunk->beta[n] = beta[n][0];
    }
    point_to_write(run, &sweep->clock, chunk->clock);
    for (int64_t n = 0; sweep->clock.data && n < chunk->tokens; n++)
        chunk->clock[n] += run->part * sweep->clock_part;
    point_to_write(run, &sweep->error, chunk->error);
    point_to_write(run, &sweep->dr, chunk->dr);
    point_to_write(run, &sweep->dv, chunk->dv);
    point_to_write(run, &sweep->dbeta, chunk->dbeta);
}

/* Products of the tokens' vectors over rows; with a decay per row the vectors take on its factors. */
static void prepare_block(struct run *run, int block)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_scan_loops *loops = run->loops;
    struct chunk *chunk = &run->chunk;
    int64_t at = block * SCAN_BLOCK, stride = run->stride;
    real *factors = sweep->decay == DECAY_ROWS ? run->factors : NULL;
    if (factors)
        loops->row_factors(sweep->rows, stride, chunk->log_decay + at, factors, run->fold[block]);
    const real *weight = sweep->bonus && sweep->bonus_on_rows ? sweep->bonus + run->head * sweep->rows : NULL;
    for (int r = 0; r < sweep->reads; r++)
        for (int w = 0; w < sweep->writes; w++)
            loops->pairs(sweep->rows, stride, factors, sweep->read_first, weight, chunk->read[r] + at,
                         chunk->write[w] + at, factors ? run->scaled[0][r] + at * stride : NULL,
                         &chunk->pairs[block][r * sweep->writes + w]);
    for (int t = 0; t < SCAN_BLOCK; t++)
        chunk->diagonal[at + t] = scale_or_1(sweep->value_scale[0]) * chunk->pairs[block][0].of[t][t];
    if (!factors)
        return;
    for (int w = 0; w < sweep->writes; w++)
        loops->scale_writes(sweep->rows, stride, factors, chunk->write[w] + at,
                            run->scaled[1][w] + at * stride);
    for (int t = 0; t < SCAN_BLOCK; t++)
        for (int i = 0; i < 2; i++) {
            chunk->read[i][at + t] = run->scaled[0][i] + (at + t) * stride;
            chunk->write[i][at + t] = run->scaled[1][i] + (at + t) * stride;
        }
}

/* ---- A panel of the state over a chunk ---- */

static void advance_block(const struct run *run, struct panel *panel, real *state, int block)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_scan_loops *loops = run->loops;
    const struct chunk *chunk = &run->chunk;
    int64_t at = block * SCAN_BLOCK, lane = at * loops->panel;
    bool lanes = sweep->decay == DECAY_LANES || sweep->decay == DECAY_SCALAR;
    const real *factors = lanes ? panel->factors + lane : NULL;
    real *out[2] = {panel->out[0] + lane, panel->out[1] + lane},
         *x[2] = {panel->x[0] + lane, panel->x[1] + lane};
    for (int r = 0; r < sweep->reads; r++)
        loops->read(sweep->rows, state, chunk->read[r] + at, out[r]);
    if (sweep->rule == SWEEP_LINEAR)
        loops->linear(sweep->reads, sweep->writes, factors, sweep->read_first, chunk->pairs[block], out, x,
                      panel->fold);
    else if (sweep->rule == SWEEP_DELTA)
        loops->delta(sweep->reads, factors, chunk->beta + at, chunk->pairs[block], out, x[0], panel->fold);
    else
        loops->delta_backward(factors, chunk->beta + at, chunk->pairs[block], out[0], x, panel->fold);
    for (int w = 0; w < sweep->writes; w++)
        loops->write(sweep->rows, state, w == 0 && sweep->decay == DECAY_ROWS ? run->fold[block] : NULL,
                     w == 0 && lanes ? panel->fold : NULL, chunk->write[w] + at, x[w]);
}

static void emit_panel(struct run *run, const struct panel *panel, int64_t first, int64_t lanes)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_scan_loops *loops = run->loops;
    struct chunk *chunk = &run->chunk;
    if (sweep->rule == SWEEP_DELTA_BACKWARD)
        loops->delta_gradients(chunk->tokens, first, lanes, panel->out[0], chunk->beta, chunk->error,
                               chunk->dr, sweep->dv.data ? chunk->dv : NULL,
                               sweep->dbeta.data ? chunk->dbeta : NULL);
    for (int r = 0; r < sweep->reads; r++) {
        real scale = scale_or_1(sweep->read_scale[r]);
        const real *diagonal = sweep->rule == SWEEP_LINEAR && r == 0 ? chunk->diagonal : NULL;
        const real *weight =
            sweep->bonus && !sweep->bonus_on_rows ? sweep->bonus + run->head * sweep->lanes : NULL;
        if (sweep->result[r].data)
            loops->emit(chunk->tokens, first, lanes, panel->out[r], scale, diagonal, chunk->value[0],
                        diagonal ? weight : NULL, sweep->add, chunk->result[r]);
        if (sweep->own[r].data && sweep->clock.data)
            loops->clock(chunk->tokens, first, lanes, sweep->clock_scalar, panel->out[r],
                         scale * sweep->clock_scale, chunk->own[r], chunk->clock);
    }
    if (sweep->bonus_gradient)
        loops->weight_gradient(
            chunk->tokens, first, lanes, chunk->diagonal, scale_or_1(sweep->read_scale[0]), chunk->value[0],
            chunk->own[0], sweep->bonus_gradient + (run->batch * sweep->heads + run->head) * sweep->lanes);
}

static void advance_panel(struct run *run, struct panel *panel, int64_t first)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_scan_loops *loops = run->loops;
    struct chunk *chunk = &run->chunk;
    int64_t lanes = panel_lanes(run, first);
    int blocks = (int)((chunk->tokens + SCAN_BLOCK - 1) / SCAN_BLOCK);
    for (int w = 0; w < sweep->writes; w++)
        if (w == 0 || sweep->rule == SWEEP_LINEAR) /* else it is found on the way */
            loops->gather(blocks * SCAN_BLOCK, first, lanes, scale_or_1(sweep->value_scale[w]),
                          chunk->value[w], panel->x[w]);
    if (sweep->decay == DECAY_LANES || sweep->decay == DECAY_SCALAR)
        loops->lane_factors(blocks * SCAN_BLOCK, first, lanes, sweep->decay == DECAY_SCALAR, chunk->log_decay,
                            panel->factors);
    for (int block = 0; block < blocks; block++) {
        fetch_ahead(run, block, first);
        advance_block(run, panel, panel_at(run, first), block);
    }
    emit_panel(run, panel, first, lanes);
}

/* ---- The state before and after ---- */

static real *matrix_of(const struct run *run, const struct matrices *matrices)
{
    return matrices->data + run->batch * matrices->batch + run->head * matrices->head;
}

static void load_state(struct run *run)
{
    const struct matrices *first = &run->sweep->first;
    int64_t panel = run->loops->panel;
    memset(run->state, 0, (size_t)run->state_size * sizeof(real));
    if (!first->data)
        return;
    const real *source = matrix_of(run, first);
    for (int64_t lane = run->first_lane; lane < run->last_lane; lane += panel)
        for (int64_t i = 0, lanes = panel_lanes(run, lane); i < run->sweep->rows; i++) {
            const real *from = source + i * first->row + lane * first->lane;
            for (int64_t j = 0; j < lanes; j++)
                panel_at(run, lane)[i * panel + j] = from[j * first->lane];
        }
}

/* The decay of a token for an entry of the state. */
static real decay_at(const struct run *run, int64_t token, int64_t i, int64_t j)
{
    const struct sweep *sweep = run->sweep;
    if (sweep->decay == DECAY_NONE)
        return 1;
    const real *log_decay = series_at(&sweep->log_decay, run, token);
    return real_exp(log_decay[sweep->decay == DECAY_ROWS ? i : sweep->decay == DECAY_LANES ? j : 0]);
}

static void store_state(const struct run *run)
{
    const struct sweep *sweep = run->sweep;
    const struct matrices *last = &sweep->last;
    if (!last->data)
        return;
    real *target = matrix_of(run, last);
    int64_t panel = run->loops->panel;
    /* In reverse a token is left by the decay before it, so the first one's is still to come. */
    bool decays = sweep->reverse && !sweep->read_first && sweep->length > 0;
    for (int64_t lane = run->first_lane; lane < run->last_lane; lane += panel)
        for (int64_t i = 0, lanes = panel_lanes(run, lane); i < sweep->rows; i++) {
            real *to = target + i * last->row + lane * last->lane;
            const real *from = panel_at(run, lane) + i * panel;
            for (int64_t j = 0; j < lanes; j++) {
                real value = decays ? decay_at(run, 0, i, lane + j) * from[j] : from[j];
                to[j * last->lane] = sweep->add ? to[j * last->lane] + value : value;
            }
        }
}

/* Before the token at `start` in the sweep's order. */
static void keep_or_meet(struct run *run, int64_t start)
{
    const struct sweep *sweep = run->sweep;
    int64_t token = !sweep->reverse ? start : sweep->length - start - (sweep->read_first ? 1 : 0), number;
    if (!sweep->mark || !sweep_marked(sweep->length, token, &number))
        return;
    int64_t size = run->state_size, panel = run->loops->panel;
    real *kept = run->kept + number * size;
    if (!sweep->reverse) {
        memcpy(kept, run->state, (size_t)size * sizeof(real));
        return;
    }
    real *mark = series_at(&sweep->marks, run, number) + run->part * sweep->marks_part, sum[SCAN_PANEL_MAX];
    for (int64_t lane = run->first_lane; lane < run->last_lane; lane += panel) {
        run->loops->meet(sweep->rows, panel_at(run, lane), kept + (panel_at(run, lane) - run->state), sum);
        for (int64_t j = 0, lanes = panel_lanes(run, lane); j < lanes; j++)
            mark[sweep->clock_scalar ? 0 : lane + j] += decay_at(run, token, 0, lane + j) * sum[j];
    }
}

/* ---- Runs ---- */

static void select_head(struct run *run, int64_t head)
{
    run->head = head;
    run->state = run->states + (head - run->first_head) * run->state_size;
    run->kept = run->all_kept + (head - run->first_head) * run->kept_size;
}

/* A chunk of one head after the other, so that vectors that lie side by side are read together. */
static void run_heads(struct run *run)
{
    const struct sweep *sweep = run->sweep;
    struct panel panel;
    for (int64_t head = run->first_head; head < run->last_head; head++) {
        select_head(run, head);
        load_state(run);
    }
    for (int64_t start = 0; start < sweep->length; start += run->chunk.tokens)
        for (int64_t head = run->first_head; head < run->last_head; head++) {
            select_head(run, head);
            keep_or_meet(run, start);
            load_chunk(run, start);
            for (int block = 0; block * SCAN_BLOCK < run->chunk.tokens; block++)
                prepare_block(run, block);
            for (int64_t lane = run->first_lane; lane < run->last_lane; lane += run->loops->panel)
                advance_panel(run, &panel, lane);
        }
    for (int64_t head = run->first_head; head < run->last_head; head++) {
        select_head(run, head);
        keep_or_meet(run, sweep->length);
        store_state(run);
    }
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* How the work is cut into tiles, each with the same heads' part of the lanes, and where a tile's arrays lie in its
 * scratch. */
struct plan {
    int64_t parts, part_lanes, heads, tiles_a_batch, tiles;
    int64_t stride, state_size, kept_size;
    int64_t zeros, scaled, factors, fold, kept, size;
};

/* As many heads a tile as leave one for each thread, while their states stay in the second-level cache. Heads do not
 * depend on one another, so this changes no result. */
static int64_t heads_of_tile(const struct sweep *sweep, int64_t group, int64_t parts, int threads,
                             int64_t state)
{
    int64_t places = sweep->heads / group, each = sweep->batches * places * parts / threads;
    int64_t fit = (1 << 19) / (int64_t)sizeof(real) / (state * group);
    each = each < fit ? each : fit;
    each = each < places ? each : places;
    return group * (each > 1 ? each : 1);
}

static struct plan plan_of(const struct sweep *sweep, int64_t group, int threads)
{
    int64_t panel = matrix_scan_loops()->panel, marks = 0;
    struct plan plan = {.parts = sweep_parts(sweep->lanes, group)};
    if (sweep->dbeta.data) /* a sum over all lanes */
        plan.parts = 1;
    plan.part_lanes = plan.parts > 1 ? panel : sweep->lanes;
    plan.state_size = round_up(round_up(plan.part_lanes, panel) * sweep->rows, 16);
    plan.heads = heads_of_tile(sweep, group, plan.parts, threads, plan.state_size);
    plan.tiles_a_batch = (sweep->heads + plan.heads - 1) / plan.heads * plan.parts;
    plan.tiles = sweep->batches * plan.tiles_a_batch;
    if (sweep->mark && sweep->length)
        sweep_marked(sweep->length, 0, &marks);
    plan.kept_size = sweep->mark ? (marks + 1) * plan.state_size : 0;

    bool rows = sweep->decay == DECAY_ROWS;
    plan.stride = round_up(sweep->rows, 16);
    plan.zeros = plan.heads * plan.state_size;
    plan.scaled = plan.zeros + round_up(sweep->rows > sweep->lanes ? sweep->rows : sweep->lanes, 16);
    plan.factors = plan.scaled + (rows ? 4 * CHUNK * plan.stride : 0);
    plan.fold = plan.factors + (rows ? SCAN_BLOCK * plan.stride : 0);
    plan.kept = plan.fold + (rows ? BLOCKS * plan.stride : 0);
    plan.size = plan.kept + plan.heads * plan.kept_size;
    return plan;
}

static struct run run_of(const struct sweep *sweep, const struct plan *plan, int64_t tile, real *scratch)
{
    struct run run = {.sweep = sweep,
                      .loops = matrix_scan_loops(),
                      .batch = tile / plan->tiles_a_batch,
                      .part = tile % plan->parts,
                      .first_head = tile % plan->tiles_a_batch / plan->parts * plan->heads,
                      .states = scratch,
                      .all_kept = scratch + plan->kept,
                      .zeros = scratch + plan->zeros,
                      .factors = scratch + plan->factors,
                      .stride = plan->stride,
                      .state_size = plan->state_size,
                      .kept_size = plan->kept_size};
    run.last_head = run.first_head + plan->heads < sweep->heads ? run.first_head + plan->heads : sweep->heads;
    run.first_lane = run.part * plan->part_lanes;
    run.last_lane =
        run.first_lane + plan->part_lanes < sweep->lanes ? run.first_lane + plan->part_lanes : sweep->lanes;
    memset(scratch + plan->zeros, 0, (size_t)(plan->scaled - plan->zeros) * sizeof(real));
    for (int i = 0; i < 4; i++)
        run.scaled[i / 2][i % 2] = scratch + plan->scaled + i * CHUNK * plan->stride;
    for (int block = 0; block < BLOCKS; block++)
        run.fold[block] = scratch + plan->fold + block * plan->stride;
    return run;
}

int64_t sweep_parts(int64_t lanes, int64_t group)
{
    int64_t panel = matrix_scan_loops()->panel;
    return group == 1 ? 1 : (lanes + panel - 1) / panel;
}

/* Of sweeps that run together, rows, lanes and the kind of decay are the same. */
void sweep_run(int count, const struct sweep *sweeps, int64_t group, struct graph *graph)
{
    double work = (double)sweeps->batches * (double)sweeps->heads * (double)sweeps->length *
                  (double)sweeps->rows * (double)sweeps->lanes;
    int threads = threads_for(work);
    struct plan plan = plan_of(sweeps, group, threads);
    real *scratch = scratch_take(graph, (size_t)(threads * plan.size));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t tile = 0; tile < plan.tiles; tile++) {
        struct run run = run_of(sweeps, &plan, tile, scratch + omp_get_thread_num() * plan.size);
        for (int i = 0; i < count; i++) {
            run.sweep = &sweeps[i];
            run_heads(&run);
        }
    }
    scratch_give(graph, scratch);
}
