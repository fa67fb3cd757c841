#include "tensor/matrix_chunk.h"

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
    if (series->data && leads_group(run, series))
        chunk->streams[chunk->stream_count++] = (struct stream){
            series_at(series, run, token), sweep->reverse ? -series->token : series->token, width};
}

/* Fetches this block's tokens of the next chunk into the second-level cache, the first being full of the
 * present one, and spread over the panels: asked for all at once, memory would be waited for. A quarter
 * faster on long sequences. */
static void fetch_ahead(const struct run *run, int block, int64_t panel)
{
    const struct chunk *chunk = &run->chunk;
    int64_t first = chunk->tokens + block * SCAN_BLOCK, left = run->sweep->length - chunk->start - first;
    int64_t line = 64 / (int64_t)sizeof(real), place = panel * line, apart = run->panels * line;
    for (int i = 0; i < chunk->stream_count; i++) {
        const struct stream *stream = &chunk->streams[i];
        const real *row = stream->first + first * stream->step;
        for (int64_t t = 0; t < SCAN_BLOCK && t < left; t++, row += stream->step)
            for (int64_t j = place; j < stream->width; j += apart)
                __builtin_prefetch(row + j, 0, 2);
    }
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

/* The same for vectors over rows, which heads of a group that follow one another find as the first has left
 * them, unless decays per row have been multiplied on. */
static void point_for_group(const struct run *run, const struct series *series, const real **at)
{
    bool found = run->head > run->first_head && !leads_group(run, series);
    if (!found || run->sweep->decay == DECAY_ROWS || !series->data)
        point(run, series, at);
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

static void find_vectors(struct run *run, int64_t start)
{
    const struct sweep *sweep = run->sweep;
    struct chunk *chunk = &run->chunk;
    chunk->start = start;
    chunk->tokens = chunk_length(sweep, start);
    chunk->stream_count = 0;
    for (int r = 0; r < sweep->reads; r++) {
        stream(run, &sweep->read[r], sweep->rows);
        point_for_group(run, &sweep->read[r], chunk->read[r]);
        if (sweep->own[r].data)
            point(run, &sweep->own[r], chunk->own[r]);
        point_to_write(run, &sweep->result[r], chunk->result[r]);
        stream(run, &sweep->result[r], sweep->lanes);
        if (sweep->clock.data)
            stream(run, &sweep->own[r], sweep->lanes);
    }
    for (int w = 0; w < sweep->writes; w++) {
        stream(run, &sweep->write[w], sweep->rows);
        stream(run, &sweep->value[w], sweep->lanes);
        point_for_group(run, &sweep->write[w], chunk->write[w]);
        point(run, &sweep->value[w], chunk->value[w]);
    }
    if (sweep->decay == DECAY_ROWS || sweep->decay == DECAY_LANES)
        stream(run, &sweep->log_decay, sweep->decay == DECAY_ROWS ? sweep->rows : sweep->lanes);
    if (sweep->decay != DECAY_NONE)
        point_to_decays(run);
    if (sweep->beta.data) {
        const real *beta[CHUNK];
        point(run, &sweep->beta, beta);
        for (int64_t n = 0; n < CHUNK; n++)
            chunk->beta[n] = beta[n][0];
    }
    if (!sweep->clock_scalar)
        stream(run, &sweep->clock, sweep->lanes);
    point_to_write(run, &sweep->clock, chunk->clock);
    for (int64_t n = 0; sweep->clock.data && n < chunk->tokens; n++)
        chunk->clock[n] += run->part * sweep->clock_part;
    point_to_write(run, &sweep->error, chunk->error);
    point_to_write(run, &sweep->dr, chunk->dr);
    point_to_write(run, &sweep->dv, chunk->dv);
    point_to_write(run, &sweep->dbeta, chunk->dbeta);
}

/* Products of a block's vectors over rows; with a decay per row the vectors take on its factors. */
static void pair_block(struct run *run, int block)
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
    for (int w = 0; factors && w < sweep->writes; w++)
        loops->scale_writes(sweep->rows, stride, factors, chunk->write[w] + at,
                            run->scaled[1][w] + at * stride);
}

/* Heads of one group, which follow one another, have the same products unless something of each head's enters
 * them. */
static bool paired_already(const struct run *run)
{
    const struct sweep *sweep = run->sweep;
    for (int i = 0; i < 2; i++)
        if ((i < sweep->reads && sweep->read[i].group == 1) ||
            (i < sweep->writes && sweep->write[i].group == 1))
            return false;
    return sweep->decay != DECAY_ROWS && !(sweep->bonus && sweep->bonus_on_rows) &&
           run->chunk.paired == run->chunk.read[0][0];
}

/* A whole chunk's products of tokens cost more than a block's. They are worth it for heads that share them,
 * and where there are many lanes to save passes over. */
enum { LANES_FOR_PRODUCTS = 128 };

/* One factor a token or none, and none of what the sweeps of a gradient ask for besides. */
static bool passes_jointly(const struct sweep *sweep)
{
    bool plain = sweep->rule == SWEEP_LINEAR && sweep->reads == 1 && sweep->writes == 1 &&
                 !sweep->read_first && !sweep->bonus && !sweep->clock.data;
    bool shared = sweep->read[0].group > 1 && sweep->write[0].group > 1;
    return plain && (sweep->decay == DECAY_NONE || sweep->decay == DECAY_SCALAR) &&
           (shared || sweep->lanes >= LANES_FOR_PRODUCTS);
}

static void pair_tokens(struct run *run)
{
    struct chunk *chunk = &run->chunk;
    if (chunk->joint)
        run->joint_loops->products(run->sweep->rows, chunk->read[0], chunk->write[0], &chunk->joint_products);
    else
        for (int block = 0; block * SCAN_BLOCK < chunk->tokens; block++)
            pair_block(run, block);
}

void chunk_load(struct run *run, int64_t start)
{
    const struct sweep *sweep = run->sweep;
    struct chunk *chunk = &run->chunk;
    find_vectors(run, start);
    chunk->joint = passes_jointly(sweep);
    if (!paired_already(run))
        pair_tokens(run);
    if (chunk->joint && sweep->decay == DECAY_SCALAR)
        run->joint_loops->decay(chunk->log_decay, sweep->beta.data ? chunk->beta : NULL,
                                &chunk->joint_products, &chunk->joint_pairs, &chunk->joint_factors);
    chunk->paired = chunk->read[0][0];
    for (int64_t n = 0; sweep->decay == DECAY_ROWS && n < CHUNK; n++)
        for (int i = 0; i < 2; i++) {
            chunk->read[i][n] = run->scaled[0][i] + n * run->stride;
            chunk->write[i][n] = run->scaled[1][i] + n * run->stride;
        }
}

/* ---- A panel of the state over a chunk ---- */

static int block_count(const struct chunk *chunk)
{
    return (int)((chunk->tokens + SCAN_BLOCK - 1) / SCAN_BLOCK);
}

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

/* All tokens of a chunk at once. Values are read and results written where they lie, where they fill the
 * panel. */
static void pass_jointly(const struct run *run, struct panel *panel, int64_t first)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_lane_loops *loops = run->lane_loops;
    const struct chunk *chunk = &run->chunk;
    int64_t lanes = panel_lanes(run, first), width = run->loops->panel;
    int blocks = block_count(chunk);
    real value_scale = scale_or_1(sweep->value_scale[0]), scale = scale_or_1(sweep->read_scale[0]);
    bool copied = lanes < width || value_scale != 1;
    bool apart = lanes < width || scale != 1 || sweep->add || chunk->tokens < CHUNK || !sweep->result[0].data;
    const real *x[CHUNK];
    real *out[CHUNK];
    for (int n = 0; n < CHUNK; n++) {
        x[n] = copied ? panel->x[0] + n * width : chunk->value[0][n] + first;
        out[n] = apart ? panel->out[0] + n * width : chunk->result[0][n] + first;
    }
    if (copied)
        loops->gather(CHUNK, first, lanes, value_scale, chunk->value[0], panel->x[0]);
    const struct joint_factors *factors = sweep->decay == DECAY_SCALAR ? &chunk->joint_factors : NULL;
    real *state = panel_at(run, first);
    for (int block = 0; block < blocks / 2; block++)
        fetch_ahead(run, block, panel->number);
    run->joint_loops->read(sweep->rows, chunk->tokens, state, chunk->read[0], factors ? factors->until : NULL,
                           factors ? &chunk->joint_pairs : &chunk->joint_products, x, out);
    for (int block = blocks / 2; block < blocks; block++)
        fetch_ahead(run, block, panel->number);
    run->joint_loops->write(sweep->rows, chunk->tokens, state, factors, chunk->write[0], x);
    if (apart && sweep->result[0].data)
        loops->emit(chunk->tokens, first, lanes, panel->out[0], scale, NULL, chunk->value[0], NULL,
                    sweep->add, chunk->result[0]);
}

static void emit_panel(struct run *run, const struct panel *panel, int64_t first, int64_t lanes)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_lane_loops *loops = run->lane_loops;
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
        bool add = sweep->clock_add || r > 0 || (sweep->clock_scalar && first > run->first_lane);
        if (sweep->own[r].data && sweep->clock.data)
            loops->clock(chunk->tokens, first, lanes, sweep->clock_scalar, panel->out[r],
                         scale * sweep->clock_scale, chunk->own[r], add, chunk->clock);
    }
    if (sweep->bonus_gradient)
        loops->weight_gradient(
            chunk->tokens, first, lanes, chunk->diagonal, scale_or_1(sweep->read_scale[0]), chunk->value[0],
            chunk->own[0], sweep->bonus_gradient + (run->batch * sweep->heads + run->head) * sweep->lanes);
}

void chunk_pass(struct run *run, struct panel *panel, int64_t first)
{
    const struct sweep *sweep = run->sweep;
    const struct matrix_lane_loops *loops = run->lane_loops;
    struct chunk *chunk = &run->chunk;
    if (chunk->joint) {
        pass_jointly(run, panel, first);
        return;
    }
    int64_t lanes = panel_lanes(run, first);
    int blocks = block_count(chunk);
    for (int w = 0; w < sweep->writes; w++)
        if (w == 0 || sweep->rule == SWEEP_LINEAR) /* else it is found on the way */
            loops->gather(blocks * SCAN_BLOCK, first, lanes, scale_or_1(sweep->value_scale[w]),
                          chunk->value[w], panel->x[w]);
    if (sweep->decay == DECAY_LANES || sweep->decay == DECAY_SCALAR)
        loops->lane_factors(blocks * SCAN_BLOCK, first, lanes, sweep->decay == DECAY_SCALAR, chunk->log_decay,
                            panel->factors);
    for (int block = 0; block < blocks; block++) {
        fetch_ahead(run, block, panel->number);
        advance_block(run, panel, panel_at(run, first), block);
    }
    emit_panel(run, panel, first, lanes);
}
