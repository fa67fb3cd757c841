#include "tensor/broadcast.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    TILE = 4096,     /* entries that one iteration of a parallel loop computes */
    PIECE = 2048,    /* entries of a row that a sum is made over at once */
    SUMMED = 1 << 16 /* entries that one partial sum covers */
};

static int64_t pieces_of(int64_t length, int64_t piece)
{
    return (length + piece - 1) / piece;
}

static int64_t piece_length(int64_t length, int64_t start, int64_t piece)
{
    return length - start < piece ? length - start : piece;
}

tensor *with_even_rows(tensor *x, int rank, const int64_t *shape)
{
    int last = rank - 1;
    while (last > 0 && shape[last] == 1)
        last--;
    int axis = last - (rank - x->rank);
    bool even = axis < 0 || x->shape[axis] == 1 || x->stride[axis] == 1;
    return even ? x : tensor_contiguous(x);
}

struct space space_of(const tensor *y)
{
    struct space space = {.rank = 0};
    int operands = 1 + y->input_count;
    for (int i = 0; i < y->rank; i++) {
        if (y->shape[i] == 1)
            continue;
        int64_t step[SPACE_OPERANDS] = {y->stride[i]};
        for (int o = 1; o < operands; o++) {
            const tensor *x = y->inputs[o - 1];
            int axis = i - (y->rank - x->rank);
            step[o] = axis < 0 || x->shape[axis] == 1 ? 0 : x->stride[axis];
        }
        int last = space.rank - 1;
        bool even = last >= 0;
        for (int o = 0; even && o < operands; o++)
            even = space.stride[o][last] == step[o] * y->shape[i];
        if (even)
            space.shape[last] *= y->shape[i];
        else
            space.shape[last = space.rank++] = y->shape[i];
        for (int o = 0; o < operands; o++)
            space.stride[o][last] = step[o];
    }
    if (space.rank == 0) { /* one entry */
        space.shape[space.rank++] = 1;
        for (int o = 0; o < operands; o++)
            space.stride[o][0] = 1;
    }
    space.row_length = space.shape[space.rank - 1];
    space.rows = 1;
    for (int i = 0; i < space.rank - 1; i++)
        space.rows *= space.shape[i];
    for (int o = 0; o < operands; o++)
        space.step[o] = space.stride[o][space.rank - 1];
    return space;
}

/* ---- Walking over some of the axes before the last ---- */

struct walk {
    const struct space *space;
    int rank;
    int axes[TENSOR_MAX_RANK];
    int64_t index[TENSOR_MAX_RANK];
    int64_t count;
    int64_t offset[SPACE_OPERANDS]; /* at the present place */
};

static struct walk walk_over(const struct space *space, unsigned axes)
{
    struct walk walk = {.space = space, .count = 1};
    for (int i = 0; i < space->rank - 1; i++)
        if (axes >> i & 1) {
            walk.axes[walk.rank++] = i;
            walk.count *= space->shape[i];
        }
    return walk;
}

static void walk_to(struct walk *walk, int64_t place)
{
    memset(walk->offset, 0, sizeof walk->offset);
    for (int i = walk->rank - 1; i >= 0; i--) {
        int axis = walk->axes[i];
        walk->index[i] = place % walk->space->shape[axis];
        place /= walk->space->shape[axis];
        for (int o = 0; o < SPACE_OPERANDS; o++)
            walk->offset[o] += walk->index[i] * walk->space->stride[o][axis];
    }
}

static void walk_on(struct walk *walk)
{
    for (int i = walk->rank - 1; i >= 0; i--) {
        int axis = walk->axes[i];
        int64_t steps = ++walk->index[i] < walk->space->shape[axis] ? 1 : 1 - walk->space->shape[axis];
        for (int o = 0; o < SPACE_OPERANDS; o++)
            walk->offset[o] += steps * walk->space->stride[o][axis];
        if (steps == 1)
            return;
        walk->index[i] = 0;
    }
}

void space_each_row(const tensor *y, const struct space *space, row_body body)
{
    double work = 4.0 * (double)space->rows * (double)space->row_length;
    int64_t pieces = pieces_of(space->row_length, TILE);
    int64_t rows_per_tile = pieces > 1 ? 1 : TILE / (space->row_length ? space->row_length : 1);
    int64_t tiles = pieces_of(space->rows, rows_per_tile) * pieces;
#pragma omp parallel for num_threads(threads_for(work)) schedule(static)
    for (int64_t tile = 0; tile < tiles; tile++) {
        int64_t row = tile / pieces * rows_per_tile, start = tile % pieces * TILE;
        int64_t rows = piece_length(space->rows, row, rows_per_tile);
        struct walk walk = walk_over(space, ~0u);
        walk_to(&walk, row);
        for (int64_t i = 0; i < rows; i++, walk_on(&walk)) {
            int64_t offset[SPACE_OPERANDS];
            for (int o = 0; o < SPACE_OPERANDS; o++)
                offset[o] = walk.offset[o] + start * space->step[o];
            body(y, space, offset, piece_length(space->row_length, start, TILE));
        }
    }
}

/* ---- Sums over the axes along which an operand repeats ---- */

bool space_repeats(const struct space *space, int operand)
{
    for (int i = 0; i < space->rank; i++)
        if (space->stride[operand][i] == 0)
            return true;
    return false;
}

/* The operand has an entry for each place of the kept axes (and each of the row, unless it repeats along it).
 * A task sums a block of the summed places for some kept places and a piece of the row, into a row of `parts`
 * of its own if there are several blocks. */
struct collection {
    const tensor *y;
    const struct space *space;
    int operand;
    sum_body body;
    struct walk kept, summed;
    bool row_kept;
    int64_t pieces;        /* of a row */
    int64_t entries;       /* of the operand, each once */
    int64_t summed_places; /* rows to sum, or pieces of rows when these are summed too */
    int64_t block_length, blocks;
    int64_t places_per_task; /* kept ones */
};

static struct collection collection_of(const tensor *y, const struct space *space, int operand, sum_body body)
{
    struct collection c = {.y = y, .space = space, .operand = operand, .body = body};
    unsigned summed = 0;
    for (int i = 0; i < space->rank - 1; i++)
        if (space->stride[operand][i] == 0)
            summed |= 1u << i;
    c.kept = walk_over(space, ~summed);
    c.summed = walk_over(space, summed);
    c.row_kept = space->step[operand] != 0;
    c.pieces = pieces_of(space->row_length, PIECE);
    c.entries = c.kept.count * (c.row_kept ? space->row_length : 1);
    c.summed_places = c.summed.count * (c.row_kept ? 1 : c.pieces);
    int64_t at_once = space->row_length < PIECE ? space->row_length : PIECE;
    c.block_length = SUMMED / (at_once ? at_once : 1);
    c.blocks = pieces_of(c.summed_places, c.block_length);
    int64_t place_work = at_once * (c.blocks > 1 ? c.block_length : c.summed_places);
    c.places_per_task = place_work < TILE ? TILE / (place_work ? place_work : 1) : 1;
    return c;
}

/* Sums one block at a kept place and, if the row is kept, for its entries from `start` on. */
static void sum_block(const struct collection *c, const int64_t *kept_offset, int64_t start, int64_t block,
                      real *sum)
{
    struct walk summed = c->summed;
    int64_t first = block * c->block_length, pieces = c->row_kept ? 1 : c->pieces;
    int64_t count = piece_length(c->summed_places, first, c->block_length);
    walk_to(&summed, first / pieces);
    int64_t piece = first % pieces;
    for (int64_t i = 0; i < count; i++) {
        int64_t from = c->row_kept ? start : piece * PIECE, offset[SPACE_OPERANDS];
        for (int o = 0; o < SPACE_OPERANDS; o++)
            offset[o] = kept_offset[o] + summed.offset[o] + from * c->space->step[o];
        c->body(c->y, c->space, offset, piece_length(c->space->row_length, from, PIECE), sum);
        if (++piece == pieces) {
            piece = 0;
            walk_on(&summed);
        }
    }
}

/* Sums for one task into parts, or straight into the gradient if parts is NULL. */
static void sum_places(const struct collection *c, int64_t first, int64_t start, int64_t block, real *parts,
                       real *gradient)
{
    int64_t length = c->row_kept ? c->space->row_length : 1;
    struct walk kept = c->kept;
    walk_to(&kept, first);
    for (int64_t i = 0, count = piece_length(kept.count, first, c->places_per_task); i < count;
         i++, walk_on(&kept)) {
        real *sum = parts ? parts + block * c->entries + (first + i) * length + start
                          : gradient + kept.offset[c->operand] + start * c->space->step[c->operand];
        sum_block(c, kept.offset, start, block, sum);
    }
}

/* gradient += the rows of parts, in order. */
static void add_parts(const struct collection *c, const real *parts, real *gradient)
{
    struct walk kept = c->kept;
    int64_t length = c->row_kept ? c->space->row_length : 1;
    walk_to(&kept, 0);
    for (int64_t place = 0; place < kept.count; place++, walk_on(&kept))
        for (int64_t block = 0; block < c->blocks; block++)
            row_loops()->add(length, parts + block * c->entries + place * length,
                             gradient + kept.offset[c->operand]);
}

void space_collect(const tensor *y, const struct space *space, int operand, sum_body body, real *gradient)
{
    struct collection c = collection_of(y, space, operand, body);
    if (c.entries == 0 || c.summed_places == 0)
        return;
    real *parts = NULL;
    if (c.blocks > 1) {
        parts = scratch_take(y->graph, (size_t)(c.blocks * c.entries));
        memset(parts, 0, (size_t)(c.blocks * c.entries) * sizeof(real));
    }
    double work = 4.0 * (double)space->rows * (double)space->row_length;
    int64_t row_pieces = c.row_kept ? c.pieces : 1, groups = pieces_of(c.kept.count, c.places_per_task);
#pragma omp parallel for num_threads(threads_for(work)) schedule(static)
    for (int64_t task = 0; task < c.blocks * groups * row_pieces; task++)
        sum_places(&c, task / row_pieces % groups * c.places_per_task, task % row_pieces * PIECE,
                   task / row_pieces / groups, parts, gradient);
    if (parts) {
        add_parts(&c, parts, gradient);
        scratch_give(y->graph, parts);
    }
}

void broadcast_shape(int *rank, int64_t *shape, const tensor *x, const char *name)
{
    int64_t wide[TENSOR_MAX_RANK];
    int wide_rank = *rank > x->rank ? *rank : x->rank;
    for (int i = 0; i < wide_rank; i++) {
        int ia = i - (wide_rank - *rank), ib = i - (wide_rank - x->rank);
        int64_t na = ia < 0 ? 1 : shape[ia], nb = ib < 0 ? 1 : x->shape[ib];
        require(na == nb || na == 1 || nb == 1, x, name, "a shape that broadcasts with the other operand's");
        wide[i] = na == 1 ? nb : na;
    }
    *rank = wide_rank;
    memcpy(shape, wide, sizeof(int64_t) * (size_t)wide_rank);
}
