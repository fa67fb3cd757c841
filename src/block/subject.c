#include "block/subject.h"
#include "base/memory.h"
#include "block/registry.h"
#include "tensor/operation.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED = 20231211,
    NOISE_STREAM = 1,
    FURTHER_STREAM = 2,
    INPUT_STREAM = 3,
    FURTHER_LENGTH = 7,
    SHORT = 8 /* tokens that options are brought down to */
};

/* ---- Sizes ---- */

static bool try_sizes(struct subject *subject, int64_t width, int64_t length)
{
    struct graph *graph = graph_create(subject->pool, false);
    struct inputs inputs = {0};
    if (subject->input) {
        inputs.names[0] = subject->input;
        inputs.values[0] = tensor_full(graph, 0, 3, SHAPE(1, FURTHER_LENGTH, width));
        inputs.count = 1;
    }
    struct block_options options = {
        .width = width, .alone = subject->alone, .seed = SEED, .inputs = &inputs, .length = length};
    block_free(subject->block);
    bool ok = block_create(&subject->composition, &options, &subject->block, &subject->error) == STATUS_OK;
    if (!ok && inputs.missing && !subject->input) {
        subject->input = inputs.missing;
        ok = try_sizes(subject, width, length);
        subject->input = ok ? subject->input : NULL;
    }
    graph_free(graph);
    subject->width = width;
    subject->length = length;
    return ok;
}

static bool find_sizes(struct subject *subject)
{
    static const int64_t widths[] = {40, 48, 24, 56, 32, 64, 96, 80, 128, 160, 192, 256, 384, 512, 768, 1024};
    static const int64_t lengths[] = {37, 36, 32, 64, 48, 25, 16};
    struct error first = ERROR_INIT;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
            if (try_sizes(subject, widths[j], lengths[i]))
                return true;
            if (!first.status)
                first = subject->error;
        }
    subject->error = first;
    return false;
}

/* Sets an option of one slot to SHORT tokens, unless the kernel then refuses the sizes. Layers with the same
 * value keep having the same: a kernel may need that. */
static void shorten(struct subject *subject, int layer, enum slot slot, int option)
{
    struct composition whole;
    const struct settings *settings = &subject->composition.layers[layer].slots[slot];
    const struct kernel *kernel = settings->kernel;
    double before = settings->values[option].number;
    if (kernel->options[option].type != OPTION_INTEGER || before <= SHORT ||
        kernel->options[option].minimum > SHORT)
        return;
    composition_copy(&whole, &subject->composition);
    for (int i = layer; i < subject->composition.count; i++) {
        const struct settings *other = &subject->composition.layers[i].slots[slot];
        if (other->kernel == kernel && other->values[option].number == before)
            other->values[option].number = SHORT;
    }
    if (!try_sizes(subject, subject->width, subject->length)) {
        composition_release(&subject->composition);
        composition_copy(&subject->composition, &whole);
        try_sizes(subject, subject->width, subject->length);
    }
    composition_release(&whole);
}

static void shorten_all(struct subject *subject)
{
    static const char *const counts_tokens[] = {"window", "segment", "memory", "recent",      "chunk",
                                                "block",  "bucket",  "group",  "span",        "local",
                                                "stride", "radius",  "limit",  "global_block"};
    for (int i = 0; i < subject->composition.count; i++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct kernel *kernel = subject->composition.layers[i].slots[slot].kernel;
            const struct option *options = kernel ? kernel->options : NULL;
            for (int option = 0; options && options[option].name; option++)
                for (size_t n = 0; n < sizeof counts_tokens / sizeof *counts_tokens; n++)
                    if (strcmp(options[option].name, counts_tokens[n]) == 0)
                        shorten(subject, i, (enum slot)slot, option);
        }
}

/* ---- Weights ---- */

/* Moves every trained weight by a tenth of itself, or from zero by a tenth: initial values often switch parts
 * off. */
static void perturb(struct subject *subject)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < subject->trained_count; i++) {
        struct parameter_entry *entry = subject->trained[i];
        int64_t size = parameter_size(entry);
        real *noise = memory_allocate((size_t)size * sizeof(real));
        random_fill_normal(SEED, NOISE_STREAM, offset, size, 0, 0.1, noise);
        for (int64_t j = 0; j < size; j++)
            entry->data[j] += entry->data[j] != 0 ? entry->data[j] * noise[j] : noise[j];
        offset += (uint64_t)size;
        free(noise);
    }
}

static void list_trained(struct subject *subject)
{
    const struct parameters *parameters = &subject->block->parameters;
    subject->trained = memory_allocate((parameters->count + 1) * sizeof *subject->trained);
    for (size_t i = 0; i < parameters->count; i++)
        if (parameters->entries[i]->trained)
            subject->trained[subject->trained_count++] = parameters->entries[i];
}

bool subject_create(struct subject *subject, const struct composition *composition, bool alone)
{
    *subject = (struct subject){.alone = alone, .pool = pool_create()};
    composition_copy(&subject->composition, composition);
    if (!find_sizes(subject))
        return false;
    shorten_all(subject);
    shorten_all(subject); /* again for what had to wait: a window may have to be whole chunks */
    list_trained(subject);
    perturb(subject);
    return true;
}

void subject_release(struct subject *subject)
{
    block_free(subject->block);
    pool_free(subject->pool);
    composition_release(&subject->composition);
    free(subject->trained);
    *subject = (struct subject){.alone = false};
}

/* ---- Characters ---- */

/* The state that one kernel declares, as a place in `order`; 0 if it declares none. */
static int declared(const struct subject *subject, int layer, enum slot slot, const char *name,
                    const char *const *order, const char **unknown)
{
    if (!subject->composition.layers[layer].slots[slot].kernel)
        return 0;
    struct scope scope = block_scope(subject->block, layer, slot);
    const char *state = kernel_character(&scope, name);
    for (int i = 0; state && order[i]; i++)
        if (strcmp(order[i], state) == 0)
            return i;
    if (!state)
        return 0;
    *unknown = state;
    return -1;
}

int subject_character(const struct subject *subject, const char *name, const char *const *order,
                      const char **unknown)
{
    *unknown = NULL;
    int first;
    enum slot wraps = block_wrapping_slot(subject->block, &first);
    if (wraps != SLOT_COUNT) {
        struct scope scope = block_scope(subject->block, first, wraps);
        if (kernel_character(&scope, name))
            return declared(subject, first, wraps, name, order, unknown);
    }
    int worst = 0;
    for (int layer = 0; layer < subject->composition.count; layer++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            int place = declared(subject, layer, (enum slot)slot, name, order, unknown);
            if (place < 0)
                return place;
            worst = place > worst ? place : worst;
        }
    return worst;
}

enum causality subject_causality(const struct subject *subject)
{
    static const char *const order[] = {"causal", "approximate", "bidirectional", NULL};
    const char *unknown;
    int place = subject_character(subject, "causality", order, &unknown);
    return place < 0 ? APPROXIMATE : (enum causality)place;
}

double subject_batch_coupling(const struct subject *subject)
{
    double largest = 0;
    for (int layer = 0; layer < subject->composition.count; layer++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct kernel *kernel = subject->composition.layers[layer].slots[slot].kernel;
            if (!kernel || !kernel->batch_coupling)
                continue;
            struct scope scope = block_scope(subject->block, layer, (enum slot)slot);
            largest = fmax(largest, kernel->batch_coupling(&scope));
        }
    return largest;
}

/* ---- Running ---- */

real *subject_input(const struct subject *subject, uint64_t seed, int64_t batch, int64_t length)
{
    int64_t size = batch * length * subject->width;
    real *x = memory_allocate(size_multiply((size_t)size, sizeof(real)));
    random_fill_normal(seed, INPUT_STREAM, 0, size, 0, 1, x);
    return x;
}

real *subject_seed(uint64_t seed, const tensor *y, int64_t rows)
{
    int64_t size = tensor_size(y), axis = tensor_length(y, 1), row = size / (tensor_length(y, 0) * axis);
    real *values = memory_allocate(size_multiply((size_t)size, sizeof(real)));
    random_fill_normal(seed, INPUT_STREAM, 0, size, 0, 1, values);
    for (int64_t i = 0; rows > 0 && i < size; i++)
        if (i / row % axis >= rows)
            values[i] = 0;
    return values;
}

void subject_further_input(const struct subject *subject, struct graph *graph, int64_t first_row,
                           int64_t batch, struct inputs *inputs)
{
    if (!subject->input)
        return;
    tensor *value = tensor_constant(graph, NULL, 3, SHAPE(batch, FURTHER_LENGTH, subject->width));
    uint64_t offset = (uint64_t)(first_row * FURTHER_LENGTH * subject->width);
    random_fill_normal(SEED, FURTHER_STREAM, offset, tensor_size(value), 0, 1, value->data);
    inputs->names[0] = subject->input;
    inputs->values[0] = value;
    inputs->count = 1;
}

struct evaluating {
    struct subject *subject;
    struct evaluation *evaluation;
};

static void collect_gradients(const struct subject *subject, struct evaluation *evaluation, const tensor *x)
{
    int64_t size = tensor_size(x), total = size;
    for (size_t i = 0; i < subject->trained_count; i++)
        total += parameter_size(subject->trained[i]);
    real *out = memory_allocate_zero((size_t)total, sizeof(real));
    evaluation->gradients = out;
    if (x->gradient)
        memcpy(out, x->gradient, (size_t)size * sizeof(real));
    out += size;
    for (size_t i = 0; i < subject->trained_count; i++) {
        const struct parameter_entry *entry = subject->trained[i];
        size = parameter_size(entry);
        if (entry->leaf && entry->leaf->gradient)
            memcpy(out, entry->leaf->gradient, (size_t)size * sizeof(real));
        out += size;
    }
}

static void evaluate(struct graph *graph, void *argument)
{
    struct evaluating *evaluating = argument;
    struct subject *subject = evaluating->subject;
    struct evaluation *e = evaluating->evaluation;
    struct inputs inputs = {0};
    subject_further_input(subject, graph, e->first_row, e->batch, &inputs);
    tensor *x = tensor_leaf(graph, (real *)e->x, 3, SHAPE(e->batch, e->length, subject->width), e->seed != 0);
    tensor *y = graph_keep(tensor_contiguous(block_forward(subject->block, x, &inputs)));
    e->rank = y->rank;
    memcpy(e->shape, y->shape, sizeof e->shape);
    e->cost = graph_cost(graph);
    if (!e->x)
        return;
    graph_run(graph);
    if (e->seed) {
        real *seed = subject_seed(e->seed, y, e->seed_rows);
        graph_seed(y, seed);
        free(seed);
        graph_backward(graph);
        collect_gradients(subject, e, x);
    }
    e->y = memory_copy(y->data, (size_t)tensor_size(y) * sizeof(real));
}

bool subject_evaluate(struct subject *subject, struct evaluation *evaluation)
{
    struct graph *graph = graph_create(subject->pool, evaluation->seed != 0);
    struct evaluating evaluating = {subject, evaluation};
    evaluation->y = evaluation->gradients = NULL;
    bool ok = graph_protect(graph, evaluate, &evaluating, &subject->error);
    graph_free(graph);
    return ok;
}

int64_t evaluation_size(const struct evaluation *evaluation)
{
    int64_t size = 1;
    for (int i = 0; i < evaluation->rank; i++)
        size *= evaluation->shape[i];
    return size;
}

/* ---- Stepping ---- */

void stepper_start(struct stepper *stepper, struct subject *subject, int64_t batch)
{
    *stepper = (struct stepper){subject, state_create(), batch, 0};
}

struct stepping {
    struct stepper *stepper;
    const real *x;
    int64_t rows;
    real *y;
    struct cost *cost;
};

static void step(struct graph *graph, void *argument)
{
    struct stepping *stepping = argument;
    struct stepper *stepper = stepping->stepper;
    struct subject *subject = stepper->subject;
    struct inputs inputs = {0};
    subject_further_input(subject, graph, 0, stepper->batch, &inputs);
    tensor *x = tensor_leaf(graph, (real *)stepping->x, 3,
                            SHAPE(stepper->batch, stepping->rows, subject->width), false);
    tensor *y = block_step(subject->block, x, stepper->state, stepper->position, &inputs);
    require(y->rank == 3 && y->shape[0] == stepper->batch && y->shape[1] == stepping->rows &&
                y->shape[2] == subject->width,
            y, "a step", "an output for each of its tokens");
    y = graph_keep(tensor_contiguous(y));
    if (stepping->cost)
        *stepping->cost = graph_cost(graph);
    if (!stepping->x)
        return;
    graph_run(graph);
    if (stepping->y)
        memcpy(stepping->y, y->data, (size_t)tensor_size(y) * sizeof(real));
    state_commit(stepper->state);
}

bool stepper_take(struct stepper *stepper, const real *x, int64_t rows, real *y, struct cost *cost)
{
    struct graph *graph = graph_create(stepper->subject->pool, false);
    struct stepping stepping = {stepper, x, rows, y, cost};
    bool ok = graph_protect(graph, step, &stepping, &stepper->subject->error);
    graph_free(graph);
    if (ok && x)
        stepper->position += rows;
    return ok;
}

void stepper_end(struct stepper *stepper)
{
    state_free(stepper->state);
    stepper->state = NULL;
}
