#include "block/block.h"
#include "base/memory.h"
#include "block/registry.h"
#include "tensor/operation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One building: what all its scopes share. */
struct stack {
    struct block *block;
    struct state *state;
    int64_t position;
    struct inputs *inputs;
    int64_t memory_window;
    int pass;
    tensor *memory_mask;
    bool memory_only;
    tensor *places;
    struct carried *carried;
    tensor *layer_input; /* of the layer being built; NULL for a kernel alone */
    struct left **left;  /* what layers left for later ones, newest first */
};

struct left {
    const char *name;
    int layer;
    tensor *value;
    struct left *next;
};

static const struct layer_composition *layer_at(const struct block *block, int layer)
{
    return &block->composition.layers[layer % block->composition.count];
}

static bool filled(const struct block *block, int layer, enum slot slot)
{
    return layer_at(block, layer)->slots[slot].kernel != NULL;
}

struct scope block_scope(const struct block *block, int layer, enum slot slot)
{
    const struct settings *settings = &layer_at(block, layer)->slots[slot];
    return (struct scope){.kernel = settings->kernel,
                          .settings = settings,
                          .width = block->options.width,
                          .layer = layer,
                          .layers = block->layers,
                          .prefix = "",
                          .shared_prefix = ""};
}

/* The scope of one slot of one layer in the present building. `name` stands before its parameters. */
static struct scope *open_scope(struct stack *stack, struct graph *graph, int layer, enum slot slot,
                                const char *name)
{
    struct block *block = stack->block;
    struct scope *s = arena_allocate(graph_arena(graph), sizeof *s);
    *s = block_scope(block, layer, slot);
    s->graph = graph;
    s->parameters = &block->parameters;
    s->state = stack->state;
    s->position = stack->position;
    s->inputs = stack->inputs;
    s->stack = stack;
    s->carried = stack->carried;
    s->layer_input = stack->layer_input;
    s->pass = stack->pass;
    if (block->options.alone)
        s->prefix = s->shared_prefix = "";
    else if (block->layers > 1)
        s->prefix = arena_format(graph_arena(graph), "layers.%d.%s.", layer, name);
    else
        s->prefix = arena_format(graph_arena(graph), "%s.", name);
    if (!block->options.alone)
        s->shared_prefix = arena_format(graph_arena(graph), "%s.", name);
    const char *wrong = s->kernel->validate ? s->kernel->validate(s) : NULL;
    if (wrong)
        kernel_fail(s, "%s", wrong);
    return s;
}

struct scope scope_parallel(const struct scope *s)
{
    struct scope parallel = *s;
    parallel.state = NULL;
    parallel.position = 0;
    parallel.layer_input = NULL;
    if (parallel.position_scope) {
        struct scope *position = arena_allocate(graph_arena(s->graph), sizeof *position);
        *position = *parallel.position_scope;
        position->state = NULL;
        position->position = 0;
        parallel.position_scope = position;
    }
    return parallel;
}

tensor *replay_step(struct scope *s, tensor *x)
{
    tensor *history = cache_append(s, "history", x, 0);
    struct scope parallel = scope_parallel(s);
    tensor *y = s->kernel->forward(&parallel, history);
    return tensor_slice(y, 1, y->shape[1] - x->shape[1], x->shape[1]);
}

static tensor *call(struct scope *s, tensor *x)
{
    if (!s->kernel->forward)
        kernel_fail(s, "it cannot stand alone in the slot %s", slot_names[s->kernel->slot]);
    if (!s->state)
        return s->kernel->forward(s, x);
    return kernel_has_step(s) ? s->kernel->step(s, x) : replay_step(s, x);
}

static tensor *normalize(struct stack *stack, int layer, int branch, tensor *x)
{
    if (!filled(stack->block, layer, SLOT_NORM))
        return x;
    const char *name = branch ? "norm_2" : "norm_1";
    struct scope *s = open_scope(stack, x->graph, layer, SLOT_NORM, name);
    s->branch = branch;
    return call(s, x);
}

static tensor *combine(struct stack *stack, int layer, int branch, tensor *x, tensor *input, tensor *output)
{
    if (!filled(stack->block, layer, SLOT_RESIDUAL))
        return tensor_add(x, output);
    const char *name = branch ? "residual_2" : "residual_1";
    struct scope *s = open_scope(stack, x->graph, layer, SLOT_RESIDUAL, name);
    s->branch_input = input;
    return s->kernel->combine(s, x, output, branch);
}

/* The mixer's scope with its position kernel and memory. */
static tensor *call_slot(struct stack *stack, int layer, enum slot slot, tensor *x, tensor *memory)
{
    struct scope *s = open_scope(stack, x->graph, layer, slot, slot_names[slot]);
    s->memory = memory;
    s->memory_window = stack->memory_window;
    s->memory_mask = stack->memory_mask;
    s->memory_only = stack->memory_only;
    s->places = stack->places;
    if (slot != SLOT_FFN && filled(stack->block, layer, SLOT_POSITION)) {
        s->position_scope = open_scope(stack, x->graph, layer, SLOT_POSITION, "position");
        s->position_scope->memory = memory;
    }
    return call(s, x);
}

static tensor *branch(struct stack *stack, int layer, enum slot slot, int number, tensor *x, tensor *memory)
{
    enum placement placement = layer_at(stack->block, layer)->placement;
    bool before =
        placement == PLACEMENT_PRE || placement == PLACEMENT_PRE_FINAL || placement == PLACEMENT_SANDWICH;
    bool inside = placement == PLACEMENT_SANDWICH || placement == PLACEMENT_BRANCH_POST;
    if (before && memory)
        memory = normalize(stack, layer, number, memory);
    tensor *input = before ? normalize(stack, layer, number, x) : x;
    tensor *output = call_slot(stack, layer, slot, input, memory);
    if (inside)
        output = normalize(stack, layer, number, output);
    tensor *y = combine(stack, layer, number, x, input, output);
    return placement == PLACEMENT_POST ? normalize(stack, layer, number, y) : y;
}

/* The slot that mixes positions: a procedure stands in the mixer's place where there is no mixer. */
static enum slot mixing_slot(const struct block *block, int layer)
{
    return filled(block, layer, SLOT_MIXER) ? SLOT_MIXER : SLOT_PROCEDURE;
}

static tensor *build_layer(struct stack *stack, int layer, tensor *x, tensor *memory)
{
    struct block *block = stack->block;
    enum slot mixing = mixing_slot(block, layer);
    stack->layer_input = x;
    if (filled(block, layer, mixing))
        x = branch(stack, layer, mixing, 0, x, memory);
    if (filled(block, layer, SLOT_FFN))
        x = branch(stack, layer, SLOT_FFN, 1, x, NULL);
    return x;
}

/* The stack as a kernel that wraps it sees it now. */
static struct stack *wrapped_stack(struct scope *s)
{
    struct stack *stack = arena_allocate(graph_arena(s->graph), sizeof *stack);
    *stack = *s->stack;
    stack->state = s->state; /* a kernel that replays has none: then its layers have none */
    stack->position = s->state ? s->position : 0;
    stack->memory_window = s->memory_window;
    stack->pass = s->pass;
    stack->memory_mask = s->memory_mask;
    stack->memory_only = s->memory_only;
    stack->places = s->places;
    stack->carried = s->carried;
    return stack;
}

/* The first layer that has this slot filled, or -1. */
static int first_filled(const struct block *block, enum slot slot)
{
    int layer = 0;
    while (layer < block->layers && !filled(block, layer, slot))
        layer++;
    return layer < block->layers ? layer : -1;
}

/* The same without an objective. */
static enum slot inner_wrapping_slot(const struct block *block, int *layer)
{
    *layer = first_filled(block, SLOT_MEMORY);
    if (*layer >= 0)
        return SLOT_MEMORY;
    *layer = 0;
    return filled(block, 0, SLOT_PROCEDURE) && filled(block, 0, SLOT_MIXER) ? SLOT_PROCEDURE : SLOT_COUNT;
}

/* Fails where an objective would pass over the kernel that wraps the layers. */
static void require_bare_layers(struct scope *s)
{
    const struct block *block = s->stack->block;
    int layer;
    enum slot slot = inner_wrapping_slot(block, &layer);
    if (s->kernel->slot == SLOT_OBJECTIVE && slot != SLOT_COUNT)
        kernel_fail(s, "it says what each row sees or where it stands, which the %s '%s' would not hear of",
                    slot_names[slot], layer_at(block, layer)->slots[slot].kernel->name);
}

tensor *layer_forward(struct scope *s, int layer, tensor *x, tensor *memory)
{
    require_bare_layers(s);
    return build_layer(wrapped_stack(s), layer, x, memory);
}

static tensor *call_wrapping(struct stack *stack, enum slot slot, int layer, tensor *x)
{
    struct scope *s = open_scope(stack, x->graph, layer, slot, slot_names[slot]);
    s->prefix = s->shared_prefix; /* it is there once for all layers */
    return call(s, x);
}

bool block_ends_normed(const struct block *block)
{
    return layer_at(block, block->layers - 1)->placement == PLACEMENT_PRE_FINAL;
}

/* The norm after the last layer, where its placement asks for one: the first of one more layer. */
static tensor *normalize_last(struct stack *stack, tensor *x)
{
    int last = stack->block->layers - 1;
    if (!block_ends_normed(stack->block) || !filled(stack->block, last, SLOT_NORM))
        return x;
    struct scope *s = open_scope(stack, x->graph, last, SLOT_NORM, "norm_1");
    s->prefix = arena_format(graph_arena(x->graph), "layers.%d.norm_1.", last + 1);
    return call(s, x);
}

/* All layers, by the memory or procedure that wraps them if there is one and it is not this one's own. */
static tensor *run_layers(struct stack *stack, tensor *x, bool unwrapped)
{
    int first;
    enum slot wrapping = unwrapped ? SLOT_COUNT : inner_wrapping_slot(stack->block, &first);
    if (wrapping != SLOT_COUNT)
        return normalize_last(stack, call_wrapping(stack, wrapping, first, x));
    for (int layer = 0; layer < stack->block->layers; layer++)
        x = build_layer(stack, layer, x, NULL);
    return unwrapped ? x : normalize_last(stack, x);
}

tensor *stack_forward(struct scope *s, tensor *x)
{
    if (s->memory_mask || s->places)
        require_bare_layers(s);
    return run_layers(wrapped_stack(s), x, s->kernel->slot != SLOT_OBJECTIVE);
}

static tensor *embed(struct stack *stack, tensor *x)
{
    struct block *block = stack->block;
    const struct kernel *embedding = layer_at(block, 0)->slots[SLOT_EMBEDDING].kernel;
    if (embedding && !embedding->after_position)
        x = call_slot(stack, 0, SLOT_EMBEDDING, x, NULL);
    if (filled(block, 0, SLOT_POSITION)) {
        struct scope *s = open_scope(stack, x->graph, 0, SLOT_POSITION, "position");
        if (s->kernel->embed)
            x = s->kernel->embed(s, x);
    }
    if (embedding && embedding->after_position)
        x = call_slot(stack, 0, SLOT_EMBEDDING, x, NULL);
    return x;
}

tensor *stack_embed(struct scope *s, tensor *x)
{
    return embed(wrapped_stack(s), x);
}

double layer_initial_scale(const struct scope *s)
{
    struct scope residual = block_scope(s->stack->block, s->layer, SLOT_RESIDUAL);
    return residual.kernel && residual.kernel->initial_scale ? residual.kernel->initial_scale(&residual) : 1;
}

bool stands_alone(const struct scope *s)
{
    return s->stack->block->options.alone;
}

int64_t layer_option(struct scope *s, int layer, const char *name, int64_t otherwise)
{
    struct scope other = block_scope(s->stack->block, layer, s->kernel->slot);
    if (!other.kernel)
        return otherwise;
    if (other.kernel != s->kernel)
        kernel_fail(s, "layer %d has '%s' in its place, but one serves all layers", layer,
                    other.kernel->name);
    return option(&other, name);
}

void layer_leave(struct scope *s, const char *name, tensor *value)
{
    struct left *left = arena_allocate(graph_arena(s->graph), sizeof *left), **first = s->stack->left;
    *left = (struct left){name, s->layer, value, *first};
    *first = left;
}

tensor *layer_find(struct scope *s, int layer, const char *name)
{
    for (struct left *left = *s->stack->left; left; left = left->next)
        if (left->layer == layer && strcmp(left->name, name) == 0)
            return left->value;
    return NULL;
}

enum slot block_wrapping_slot(const struct block *block, int *layer)
{
    *layer = first_filled(block, SLOT_OBJECTIVE);
    return *layer >= 0 ? SLOT_OBJECTIVE : inner_wrapping_slot(block, layer);
}

static tensor *build_alone(struct stack *stack, tensor *x)
{
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        if (slot != SLOT_POSITION && filled(stack->block, 0, (enum slot)slot))
            return call_slot(stack, 0, (enum slot)slot, x, NULL);
    graph_raise(x->graph, STATUS_USAGE, "a position encoding cannot run without a mixer");
}

/* In a graph that the parameters are bound to. */
static tensor *build_bound(struct block *block, tensor *x, struct state *state, int64_t position,
                           struct inputs *inputs)
{
    struct stack *stack = arena_allocate(graph_arena(x->graph), sizeof *stack);
    *stack = (struct stack){block, state, position, inputs};
    stack->left = arena_allocate(graph_arena(x->graph), sizeof *stack->left);
    *stack->left = NULL;
    require(x->rank == 3 && x->shape[2] == block->options.width, x, "block",
            "an input [B, T, D] of the block's width");
    if (block->options.alone)
        return build_alone(stack, x);
    int first = first_filled(block, SLOT_OBJECTIVE);
    if (first >= 0)
        return call_wrapping(stack, SLOT_OBJECTIVE, first, x);
    x = run_layers(stack, embed(stack, x), false);
    const struct kernel *embedding = layer_at(block, 0)->slots[SLOT_EMBEDDING].kernel;
    if (!embedding || !embedding->output)
        return x;
    return embedding->output(open_scope(stack, x->graph, 0, SLOT_EMBEDDING, slot_names[SLOT_EMBEDDING]), x);
}

static tensor *build(struct block *block, tensor *x, struct state *state, int64_t position,
                     struct inputs *inputs)
{
    parameters_new_graph(&block->parameters);
    return build_bound(block, x, state, position, inputs);
}

tensor *block_continue(struct block *block, tensor *x)
{
    return build_bound(block, x, NULL, 0, NULL);
}

tensor *block_forward(struct block *block, tensor *x, struct inputs *inputs)
{
    return build(block, x, NULL, 0, inputs);
}

tensor *block_step(struct block *block, tensor *x, struct state *state, int64_t position,
                   struct inputs *inputs)
{
    state_begin(state);
    return build(block, x, state, position, inputs);
}

bool block_has_step(const struct block *block)
{
    for (int layer = 0; layer < block->layers; layer++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct kernel *kernel = layer_at(block, layer)->slots[slot].kernel;
            if (!kernel || !kernel->forward)
                continue;
            struct scope scope = block_scope(block, layer, (enum slot)slot);
            if (!kernel_has_step(&scope))
                return false;
        }
    return true;
}

/* ---- Creation: a first building over a few tokens declares the parameters ---- */

enum { FIRST_LENGTH = 4 };

struct first_building {
    struct block *block;
    struct inputs inputs;
};

static void first_building(struct graph *graph, void *argument)
{
    struct first_building *first = argument;
    struct block *block = first->block;
    int64_t length = block->options.length > 0 ? block->options.length : FIRST_LENGTH;
    int64_t batch = block->options.batch;
    tensor *x = tensor_full(graph, 0, 3, SHAPE(batch ? batch : 1, length, block->options.width));
    struct inputs *inputs = &first->inputs;
    if (block->options.inputs)
        for (int i = 0; i < block->options.inputs->count; i++) {
            const tensor *given = block->options.inputs->values[i];
            int64_t shape[TENSOR_MAX_RANK];
            memcpy(shape, given->shape, sizeof shape);
            shape[0] = batch ? shape[0] : 1;
            inputs->names[i] = block->options.inputs->names[i];
            inputs->values[i] = tensor_full(graph, 0, given->rank, shape);
            inputs->count++;
        }
    block_forward(block, x, inputs);
}

enum status block_create(const struct composition *composition, const struct block_options *options,
                         struct block **created, struct error *error)
{
    struct block *block = memory_allocate_zero(1, sizeof *block);
    composition_copy(&block->composition, composition);
    parameters_init(&block->parameters, options->seed);
    block->options = *options;
    block->layers = composition->count * (options->repeats > 0 ? options->repeats : 1);
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    struct first_building first = {.block = block};
    enum status status = STATUS_OK;
    if (options->width < 1)
        status =
            error_set(error, STATUS_USAGE, "the width is at least 1, not %lld", (long long)options->width);
    else if (!graph_protect(graph, first_building, &first, error))
        status = error->status;
    graph_free(graph);
    pool_free(pool);
    if (options->inputs)
        options->inputs->missing = first.inputs.missing;
    block->options.inputs = NULL;
    block->parameters.frozen = true;
    parameters_new_graph(&block->parameters);
    *created = block;
    if (status) {
        block_free(block);
        *created = NULL;
    }
    return status;
}

void block_free(struct block *block)
{
    if (!block)
        return;
    composition_release(&block->composition);
    parameters_release(&block->parameters);
    free(block);
}
