/* Recurrent cells: a list of instructions is interpreted for every token, over tiles of rows, forward and back. */
#include "tensor/recurrent_cell.h"
#include "tensor/blas.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    ROWS = 16,    /* of the batch in one iteration of a parallel loop */
    OUTPUTS = 64, /* rows of a matrix likewise, for its gradient */
    CELL_MAX = 512
};

enum kind {
    CELL_INPUT,
    CELL_PARAMETER,
    CELL_STATE,
    CELL_PRODUCT,
    CELL_UNARY,
    CELL_BINARY,
    CELL_PART,
    CELL_STOP
};

struct instruction {
    enum kind kind;
    int function; /* enum unary or binary */
    double p[2];
    int a, b;               /* vectors that it reads; a of a state: its update, -1 until there is one */
    int input;              /* the node's input with the values, matrix or initial state; -1: none */
    int64_t width;          /* of the result */
    int64_t heads, start;   /* of products and parts */
    bool by_token;          /* of products: a matrix for each token */
    int64_t column;         /* of the result in a token's trace, unless it lies in an input */
    int64_t gradient, sums; /* column of its gradient; of the gradient that is kept for all tokens */
};

struct recurrent_cell {
    struct graph *graph;
    int64_t batch, length;
    tensor *inputs[TENSOR_MAX_INPUTS];
    int input_count;
    int64_t columns, gradients, sums; /* widths of the traces */
    tensor *result;                   /* its further outputs: final states in order, then the trace */
    int output, states, count;
    struct instruction list[CELL_MAX];
};

/* ---- Writing a cell ---- */

static const char *const name = "recurrent cell";

struct recurrent_cell *recurrent_cell(struct graph *graph, int64_t batch, int64_t length)
{
    struct recurrent_cell *cell = arena_allocate(graph_arena(graph), sizeof *cell);
    cell->graph = graph;
    cell->batch = batch;
    cell->length = length;
    return cell;
}

/* The place of x among the node's inputs; a tensor that is there already is found again. */
static int attach(struct recurrent_cell *cell, tensor *x)
{
    x = tensor_contiguous(x);
    for (int i = 0; i < cell->input_count; i++)
        if (cell->inputs[i] == x)
            return i;
    require(cell->input_count < TENSOR_MAX_INPUTS, x, name, "fewer different inputs");
    cell->inputs[cell->input_count] = x;
    return cell->input_count++;
}

static int append(struct recurrent_cell *cell, struct instruction i)
{
    if (cell->count == CELL_MAX)
        graph_raise(cell->graph, STATUS_USAGE, "%s: more than %d operations", name, CELL_MAX);
    i.column = cell->columns;
    if (i.kind != CELL_INPUT && i.kind != CELL_PARAMETER)
        cell->columns += i.width;
    i.gradient = cell->gradients;
    cell->gradients += i.width;
    i.sums = cell->sums;
    if (i.kind == CELL_PRODUCT || i.kind == CELL_PARAMETER)
        cell->sums += i.width;
    cell->list[cell->count] = i;
    return cell->count++;
}

int cell_input(struct recurrent_cell *cell, tensor *x)
{
    require(x->rank == 3 && x->shape[0] == cell->batch && x->shape[1] == cell->length, x, name,
            "inputs [B, T, w] of the cell's batch and length");
    return append(cell,
                  (struct instruction){.kind = CELL_INPUT, .input = attach(cell, x), .width = x->shape[2]});
}

int cell_parameter(struct recurrent_cell *cell, tensor *v)
{
    return append(cell, (struct instruction){
                            .kind = CELL_PARAMETER, .input = attach(cell, v), .width = tensor_size(v)});
}

int cell_state(struct recurrent_cell *cell, int64_t width, tensor *initial)
{
    if (initial)
        require(tensor_size(initial) == cell->batch * width, initial, name,
                "an initial state of one token's shape");
    cell->states++;
    return append(cell, (struct instruction){.kind = CELL_STATE,
                                             .a = -1,
                                             .input = initial ? attach(cell, initial) : -1,
                                             .width = width});
}

static int64_t width_of(const struct recurrent_cell *cell, int vector)
{
    return cell->list[vector].width;
}

static void fit(const struct recurrent_cell *cell, bool fits, const char *what)
{
    if (!fits)
        graph_raise(cell->graph, STATUS_USAGE, "%s: %s", name, what);
}

void cell_update(struct recurrent_cell *cell, int state, int value)
{
    fit(cell, cell->list[state].kind == CELL_STATE && width_of(cell, state) == width_of(cell, value),
        "a state and its update differ in width");
    cell->list[state].a = value;
}

int cell_product(struct recurrent_cell *cell, int a, tensor *w)
{
    int64_t heads = w->rank == 3 ? w->shape[0] : 1;
    require((w->rank == 2 || w->rank == 3) && w->shape[w->rank - 1] * heads == width_of(cell, a) &&
                cell->list[a].kind != CELL_PARAMETER,
            w, name, "a matrix [o, i] or [H, o, i] for the width of the vector");
    return append(cell, (struct instruction){.kind = CELL_PRODUCT,
                                             .a = a,
                                             .input = attach(cell, w),
                                             .heads = heads,
                                             .width = w->shape[w->rank - 2] * heads});
}

int cell_token_product(struct recurrent_cell *cell, int a, tensor *w)
{
    require(w->rank == 3 && w->shape[0] == cell->length && w->shape[2] == width_of(cell, a) &&
                cell->list[a].kind != CELL_PARAMETER && !w->needs_gradient,
            w, name, "constant matrices [T, o, i] for the width of the vector");
    return append(cell, (struct instruction){.kind = CELL_PRODUCT,
                                             .a = a,
                                             .input = attach(cell, w),
                                             .heads = 1,
                                             .by_token = true,
                                             .width = w->shape[1]});
}

int cell_unary(struct recurrent_cell *cell, enum unary function, int a)
{
    return append(cell,
                  (struct instruction){
                      .kind = CELL_UNARY, .function = (int)function, .a = a, .width = width_of(cell, a)});
}

int cell_affine(struct recurrent_cell *cell, int a, double scale, double shift)
{
    return append(cell, (struct instruction){.kind = CELL_UNARY,
                                             .function = UNARY_affine,
                                             .p = {scale, shift},
                                             .a = a,
                                             .width = width_of(cell, a)});
}

int cell_binary(struct recurrent_cell *cell, enum binary function, int a, int b)
{
    fit(cell, width_of(cell, a) == width_of(cell, b), "vectors of different widths");
    return append(
        cell,
        (struct instruction){
            .kind = CELL_BINARY, .function = (int)function, .a = a, .b = b, .width = width_of(cell, a)});
}

int cell_part(struct recurrent_cell *cell, int a, int heads, int part, int parts)
{
    int64_t width = width_of(cell, a) / parts;
    fit(cell, width * parts == width_of(cell, a) && width % heads == 0, "parts of unequal widths");
    return append(
        cell, (struct instruction){
                  .kind = CELL_PART, .a = a, .width = width, .heads = heads, .start = part * width / heads});
}

int cell_stop(struct recurrent_cell *cell, int a)
{
    return append(cell, (struct instruction){.kind = CELL_STOP, .a = a, .width = width_of(cell, a)});
}

/* ---- Running it ---- */

/* One run; the trace has [B, held, columns]: all tokens if backward follows, else the newest two. */
struct run {
    const struct recurrent_cell *cell;
    tensor *const *inputs; /* the node's */
    real *trace;
    int64_t held;
};

/* Rows [first, first + count) of the batch at token t. */
struct tile {
    int64_t first, count, t;
};

static const struct recurrent_cell *cell_of(const tensor *y)
{
    return *(struct recurrent_cell *const *)y->attributes;
}

/* A vector of the first row; that of the next row lies value_step() further. */
static real *value_of(const struct run *r, int vector, int64_t row, int64_t t)
{
    const struct instruction *i = &r->cell->list[vector];
    if (i->kind == CELL_PARAMETER)
        return r->inputs[i->input]->data;
    if (i->kind == CELL_INPUT)
        return r->inputs[i->input]->data + (row * r->cell->length + t) * i->width;
    return r->trace + (row * r->held + t % r->held) * r->cell->columns + i->column;
}

static int64_t value_step(const struct run *r, int vector)
{
    const struct instruction *i = &r->cell->list[vector];
    if (i->kind == CELL_PARAMETER)
        return 0;
    return i->kind == CELL_INPUT ? r->cell->length * i->width : r->held * r->cell->columns;
}

static double work_of(const struct recurrent_cell *cell)
{
    double work = 0;
    for (int n = 0; n < cell->count; n++) {
        const struct instruction *i = &cell->list[n];
        if (i->kind == CELL_PRODUCT)
            work +=
                2.0 * (double)tensor_size(cell->inputs[i->input]) / (double)(i->by_token ? cell->length : 1);
        else if (i->kind == CELL_UNARY || i->kind == CELL_BINARY)
            work += (double)i->width;
    }
    return work * (double)(cell->batch * cell->length);
}

static int64_t tile_count(const struct recurrent_cell *cell)
{
    return (cell->batch + ROWS - 1) / ROWS;
}

static struct tile tile_at(const struct recurrent_cell *cell, int64_t number)
{
    int64_t first = number * ROWS;
    return (struct tile){first, cell->batch - first < ROWS ? cell->batch - first : ROWS, 0};
}

/* to [count, o] = W from [count, i] (transposed: to [count, i] += W^T from), for every head. */
static void multiply(const struct instruction *i, const tensor *w, bool transposed, const struct tile *tile,
                     const real *from, int64_t from_step, real *to, int64_t step)
{
    int64_t count = tile->count;
    int64_t outputs = w->shape[w->rank - 2], inputs = w->shape[w->rank - 1];
    for (int64_t h = 0; h < i->heads; h++) {
        const real *matrix = w->data + (i->by_token ? tile->t : h) * outputs * inputs,
                   *x = from + h * (transposed ? outputs : inputs);
        real *y = to + h * (transposed ? inputs : outputs), keep = transposed ? 1 : 0;
        if (count == 1)
            gemv(transposed, outputs, inputs, 1, matrix, inputs, x, keep, y);
        else
            gemm(false, !transposed, count, transposed ? inputs : outputs, transposed ? outputs : inputs, 1,
                 x, from_step, matrix, inputs, keep, y, step);
    }
}

static void compute_row(const struct run *r, int number, int64_t row, int64_t t)
{
    const struct instruction *i = &r->cell->list[number];
    real *y = value_of(r, number, row, t);
    const real *a = NULL;
    if (i->kind != CELL_STATE)
        a = value_of(r, i->a, row, t);
    else if (t > 0)
        a = value_of(r, i->a, row, t - 1);
    else if (i->input >= 0)
        a = r->inputs[i->input]->data + row * i->width;
    if (i->kind == CELL_UNARY) {
        pointwise_loops()->unary[i->function](i->width, a, y, i->p);
    } else if (i->kind == CELL_BINARY) {
        pointwise_loops()->binary[i->function](i->width, a, 1, value_of(r, i->b, row, t), 1, y);
    } else if (i->kind == CELL_PART) {
        int64_t size = i->width / i->heads, whole = r->cell->list[i->a].width / i->heads;
        for (int64_t h = 0; h < i->heads; h++)
            memcpy(y + h * size, a + h * whole + i->start, (size_t)size * sizeof *y);
    } else if (a) {
        memcpy(y, a, (size_t)i->width * sizeof *y);
    } else {
        memset(y, 0, (size_t)i->width * sizeof *y);
    }
}

static void compute_token(const struct run *r, struct tile tile)
{
    for (int n = 0; n < r->cell->count; n++) {
        const struct instruction *i = &r->cell->list[n];
        if (i->kind == CELL_PRODUCT)
            multiply(i, r->inputs[i->input], false, &tile, value_of(r, i->a, tile.first, tile.t),
                     value_step(r, i->a), value_of(r, n, tile.first, tile.t), value_step(r, n));
        else if (i->kind != CELL_INPUT && i->kind != CELL_PARAMETER)
            for (int64_t row = tile.first; row < tile.first + tile.count; row++)
                compute_row(r, n, row, tile.t);
    }
}

static void hand_out_finals(const struct run *r, tensor *y, struct tile tile)
{
    int number = 1;
    for (int n = 0; n < r->cell->count; n++) {
        const struct instruction *i = &r->cell->list[n];
        if (i->kind != CELL_STATE)
            continue;
        real *final = node_output(y, number++)->data;
        for (int64_t row = tile.first; row < tile.first + tile.count; row++)
            memcpy(final + row * i->width, value_of(r, i->a, row, r->cell->length - 1),
                   (size_t)i->width * sizeof *final);
    }
}

static void cell_forward(tensor *y)
{
    const struct recurrent_cell *cell = cell_of(y);
    int64_t width = width_of(cell, cell->output);
    struct run r = {cell, y->inputs, NULL, y->needs_gradient ? cell->length : 2};
    real *scratch = NULL;
    if (y->needs_gradient)
        r.trace = node_output(y, cell->states + 1)->data;
    else
        r.trace = scratch = scratch_take(cell->graph, (size_t)(cell->batch * r.held * cell->columns));
#pragma omp parallel for num_threads(threads_for(work_of(cell))) schedule(static)
    for (int64_t number = 0; number < tile_count(cell); number++) {
        struct tile tile = tile_at(cell, number);
        for (tile.t = 0; tile.t < cell->length; tile.t++) {
            compute_token(&r, tile);
            for (int64_t row = tile.first; row < tile.first + tile.count; row++)
                memcpy(y->data + (row * cell->length + tile.t) * width,
                       value_of(&r, cell->output, row, tile.t), (size_t)width * sizeof *y->data);
        }
        hand_out_finals(&r, y, tile);
    }
    if (scratch)
        scratch_give(cell->graph, scratch);
}

/* ---- Backward through time ---- */

struct sweep {
    struct run run;
    real *
        gradient; /* [B, 2, gradients]: of the present token's vectors; of the states that it read, for the token before */
    real *sums;                      /* [B, T, sums] */
    real *inputs[TENSOR_MAX_INPUTS]; /* the node's input gradients; NULL where there are none */
};

static real *gradient_of(const struct sweep *s, int vector, int64_t row)
{
    return s->gradient + row * 2 * s->run.cell->gradients + s->run.cell->list[vector].gradient;
}

static real *carried(const struct sweep *s, int state, int64_t row)
{
    return gradient_of(s, state, row) + s->run.cell->gradients;
}

static void add(int64_t n, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* What reaches a token's vectors from outside and from the token after. */
static void start_token(const struct sweep *s, const tensor *y, struct tile tile)
{
    const struct recurrent_cell *cell = s->run.cell;
    const real *dy = output_gradient(y);
    int64_t width = width_of(cell, cell->output);
    for (int64_t row = tile.first; row < tile.first + tile.count; row++) {
        memset(gradient_of(s, 0, row), 0, (size_t)cell->gradients * sizeof *s->gradient);
        if (dy)
            add(width, dy + (row * cell->length + tile.t) * width, gradient_of(s, cell->output, row));
        int number = 1;
        for (int n = 0; n < cell->count; n++) {
            const struct instruction *i = &cell->list[n];
            if (i->kind != CELL_STATE)
                continue;
            const real *last = output_gradient(node_output((tensor *)y, number++));
            if (tile.t < cell->length - 1)
                add(i->width, carried(s, n, row), gradient_of(s, i->a, row));
            else if (last)
                add(i->width, last + row * i->width, gradient_of(s, i->a, row));
        }
    }
}

static void pass_row_back(const struct sweep *s, int number, int64_t row, int64_t t)
{
    const struct run *r = &s->run;
    const struct instruction *i = &r->cell->list[number];
    const real *g = gradient_of(s, number, row);
    if (i->kind == CELL_INPUT) {
        if (s->inputs[i->input])
            add(i->width, g, s->inputs[i->input] + (row * r->cell->length + t) * i->width);
    } else if (i->kind == CELL_STATE) {
        memcpy(carried(s, number, row), g, (size_t)i->width * sizeof *g);
        if (t == 0 && i->input >= 0 && s->inputs[i->input])
            add(i->width, g, s->inputs[i->input] + row * i->width);
    } else if (i->kind == CELL_PARAMETER || i->kind == CELL_PRODUCT) {
        memcpy(s->sums + (row * r->cell->length + t) * r->cell->sums + i->sums, g,
               (size_t)i->width * sizeof *g);
    } else if (i->kind == CELL_UNARY) {
        pointwise_loops()->unary_backward[i->function](i->width, value_of(r, i->a, row, t),
                                                       value_of(r, number, row, t), g,
                                                       gradient_of(s, i->a, row), i->p);
    } else if (i->kind == CELL_BINARY) {
        const real *a = value_of(r, i->a, row, t), *b = value_of(r, i->b, row, t);
        pointwise_loops()->binary_backward[i->function](i->width, a, 1, b, 1, g, gradient_of(s, i->a, row),
                                                        NULL);
        pointwise_loops()->binary_backward[i->function](i->width, a, 1, b, 1, g, NULL,
                                                        gradient_of(s, i->b, row));
    } else if (i->kind == CELL_PART) {
        int64_t size = i->width / i->heads, whole = r->cell->list[i->a].width / i->heads;
        for (int64_t h = 0; h < i->heads; h++)
            add(size, g + h * size, gradient_of(s, i->a, row) + h * whole + i->start);
    }
}

static void pass_token_back(const struct sweep *s, struct tile tile)
{
    const struct recurrent_cell *cell = s->run.cell;
    for (int n = cell->count - 1; n >= 0; n--) {
        const struct instruction *i = &cell->list[n];
        if (i->kind == CELL_PRODUCT)
            multiply(i, s->run.inputs[i->input], true, &tile, gradient_of(s, n, tile.first),
                     2 * cell->gradients, gradient_of(s, i->a, tile.first), 2 * cell->gradients);
        for (int64_t row = tile.first; row < tile.first + tile.count; row++)
            pass_row_back(s, n, row, tile.t);
    }
}

/* dW += sum over all tokens of the product's gradient times the vector that it read. */
static void collect_matrix(const struct sweep *s, const struct instruction *i)
{
    const struct recurrent_cell *cell = s->run.cell;
    const tensor *w = s->run.inputs[i->input];
    int64_t outputs = w->shape[w->rank - 2], inputs = w->shape[w->rank - 1];
    int64_t pieces = (outputs + OUTPUTS - 1) / OUTPUTS;
    int64_t tokens = cell->batch * cell->length,
            step = cell->list[i->a].kind == CELL_INPUT ? cell->list[i->a].width : cell->columns;
    const real *read = value_of(&s->run, i->a, 0, 0);
#pragma omp parallel for num_threads(threads_for(work_of(cell))) schedule(static)
    for (int64_t task = 0; task < i->heads * pieces; task++) {
        int64_t h = task / pieces, first = task % pieces * OUTPUTS;
        int64_t count = outputs - first < OUTPUTS ? outputs - first : OUTPUTS;
        gemm(true, false, count, inputs, tokens, 1, s->sums + i->sums + h * outputs + first, cell->sums,
             read + h * inputs, step, 1, s->inputs[i->input] + (h * outputs + first) * inputs, inputs);
    }
}

static void cell_backward(tensor *y)
{
    const struct recurrent_cell *cell = cell_of(y);
    int64_t tokens = cell->batch * cell->length;
    struct sweep s = {
        .run = {cell, y->inputs, node_output(y, cell->states + 1)->data, cell->length},
        .gradient = scratch_take(cell->graph, (size_t)(cell->batch * 2 * cell->gradients)),
        .sums = scratch_take(cell->graph, (size_t)(tokens * cell->sums) + 1),
    };
    for (int i = 0; i < cell->input_count; i++)
        s.inputs[i] = input_gradient(y, i);
#pragma omp parallel for num_threads(threads_for(2 * work_of(cell))) schedule(static)
    for (int64_t number = 0; number < tile_count(cell); number++) {
        struct tile tile = tile_at(cell, number);
        for (tile.t = cell->length - 1; tile.t >= 0; tile.t--) {
            start_token(&s, y, tile);
            pass_token_back(&s, tile);
        }
    }
    for (int n = 0; n < cell->count; n++) {
        const struct instruction *i = &cell->list[n];
        if ((i->kind != CELL_PRODUCT && i->kind != CELL_PARAMETER) || !s.inputs[i->input])
            continue;
        if (i->kind == CELL_PRODUCT)
            collect_matrix(&s, i);
        for (int64_t t = 0; t < tokens && i->kind == CELL_PARAMETER; t++)
            add(i->width, s.sums + t * cell->sums + i->sums, s.inputs[i->input]);
    }
    scratch_give(cell->graph, s.sums);
    scratch_give(cell->graph, s.gradient);
}

static const struct operation cell_operation = {"recurrent cell", cell_forward, cell_backward,
                                                ((1u << TENSOR_MAX_INPUTS) - 1) | SAVES_OUTPUT, false};

tensor *cell_run(struct recurrent_cell *cell, int output)
{
    fit(cell, cell->length > 0 && cell->input_count > 0, "needs an input and a token");
    cell->output = output;
    tensor *y =
        node_create(cell->graph, &cell_operation, 3, SHAPE(cell->batch, cell->length, width_of(cell, output)),
                    cell->input_count, cell->inputs, &cell, sizeof cell);
    for (int n = 0; n < cell->count; n++) {
        fit(cell, cell->list[n].kind != CELL_STATE || cell->list[n].a >= 0, "a state has no update");
        if (cell->list[n].kind == CELL_STATE)
            node_add_output(y, 3, SHAPE(cell->batch, 1, cell->list[n].width));
    }
    if (y->needs_gradient)
        node_add_output(y, 3, SHAPE(cell->batch, cell->length, cell->columns));
    node_count(y, work_of(cell), -1);
    cell->result = y;
    return y;
}

tensor *cell_final(const struct recurrent_cell *cell, int state)
{
    int number = 0;
    for (int n = 0; n <= state; n++)
        number += cell->list[n].kind == CELL_STATE;
    return node_output(cell->result, number);
}
