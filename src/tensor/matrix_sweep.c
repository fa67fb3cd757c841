#include "tensor/matrix_sweep.h"
#include "tensor/matrix_chunk.h"
#include "tensor/vector_math.h"
#include <omp.h>
#include <string.h>

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

/* One row of the last state, from a panel. */
static void store_row(const struct run *run, const real *from, int64_t i, int64_t lane, real *to)
{
    const struct sweep *sweep = run->sweep;
    int64_t lanes = panel_lanes(run, lane), step = sweep->last.lane;
    /* In reverse a token is left by the decay before it, so the first one's is still to come. */
    bool decays = sweep->reverse && !sweep->read_first && sweep->length > 0;
    if (step == 1 && !decays && !sweep->add) {
        memcpy(to, from, (size_t)lanes * sizeof *to);
        return;
    }
    for (int64_t j = 0; j < lanes; j++) {
        real value = decays ? decay_at(run, 0, i, lane + j) * from[j] : from[j];
        to[j * step] = sweep->add ? to[j * step] + value : value;
    }
}

static void store_state(const struct run *run)
{
    const struct matrices *last = &run->sweep->last;
    if (!last->data)
        return;
    real *target = matrix_of(run, last);
    int64_t panel = run->loops->panel;
    for (int64_t lane = run->first_lane; lane < run->last_lane; lane += panel)
        for (int64_t i = 0; i < run->sweep->rows; i++)
            store_row(run, panel_at(run, lane) + i * panel, i, lane,
                      target + i * last->row + lane * last->lane);
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
    run->chunk.paired = NULL;
    for (int64_t head = run->first_head; head < run->last_head; head++) {
        select_head(run, head);
        load_state(run);
    }
    for (int64_t start = 0; start < sweep->length; start += run->chunk.tokens)
        for (int64_t head = run->first_head; head < run->last_head; head++) {
            select_head(run, head);
            keep_or_meet(run, start);
            chunk_load(run, start);
            panel.number = 0;
            for (int64_t lane = run->first_lane; lane < run->last_lane; lane += run->loops->panel) {
                chunk_pass(run, &panel, lane);
                panel.number++;
            }
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

/* How the work is cut into tiles, each with the same heads' part of the lanes, and where a tile's arrays lie
 * in its scratch. */
struct plan {
    int64_t parts, part_lanes, heads, tiles_a_batch, tiles;
    int64_t stride, state_size, kept_size;
    int64_t zeros, scaled, factors, fold, kept, size;
};

enum { STATE_BYTES = 1 << 19 }; /* of the second-level cache, for a tile's states */

/* As many heads a tile as leave one for each thread, while their states stay in the cache. Heads do not
 * depend on one another, so this changes no result. */
static int64_t heads_of_tile(const struct sweep *sweep, int64_t group, int64_t parts, int threads,
                             int64_t state)
{
    int64_t places = sweep->heads / group, each = sweep->batches * places * parts / threads;
    int64_t fit = STATE_BYTES / (int64_t)sizeof(real) / (state * group);
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
                      .joint_loops = matrix_joint_loops(),
                      .lane_loops = matrix_lane_loops(),
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
    run.panels = (run.last_lane - run.first_lane + run.loops->panel - 1) / run.loops->panel;
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
