/* Recurrent cells: a list of instructions is interpreted for every token, over tiles of rows, forward and
 * back. */
#include "tensor/recurrent_cell_run.h"

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

double cell_work(const struct recurrent_cell *cell)
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
    node_count(y, cell_work(cell), -1);
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
