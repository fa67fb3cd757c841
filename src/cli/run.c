/* run.c: `clade run`: a variant over an input, with stored weights. */
#include "base/fields.h"
#include "base/file.h"
#include "block/block.h"
#include "block/registry.h"
#include "block/weights.h"
#include "cli/cli.h"
#include "cli/compose.h"
#include "cli/output.h"
#include "tensor/npy.h"
#include <stdio.h>
#include <string.h>

struct running {
    struct command_line *line;
    struct composition composition;
    struct block *block;
    struct array x, y;
    struct array further[INPUTS_MAXIMUM];
    struct inputs inputs; /* names; tensors in the graph being built */
    struct state *state;  /* of the recurrent form */
    int64_t first, rows;  /* of the tokens that the present graph takes */
};

static void release(struct running *running, struct pool *pool)
{
    state_free(running->state);
    block_free(running->block);
    composition_release(&running->composition);
    array_release(&running->x);
    array_release(&running->y);
    for (int i = 0; i < running->inputs.count; i++)
        array_release(&running->further[i]);
    pool_free(pool);
}

/* ---- What is given ---- */

static enum status read_composition(struct running *running, struct error *error)
{
    struct command_line *line = running->line;
    size_t count;
    const char *const *settings = command_texts(line, "set", &count);
    int *unused = arena_allocate(&line->arena, (count + 1) * sizeof *unused);
    const char *slot_name = command_text(line, "slot");
    enum slot slot;
    enum status status = slot_name ? slot_parse(slot_name, &slot, error) : STATUS_OK;
    if (status || (status = command_block(line, line->operands[0], &running->composition, error)))
        return status;
    if (slot_name && (status = composition_only(&running->composition, NULL, slot, error)))
        return status;
    if ((status = command_settings(line, &running->composition, unused, error)))
        return status;
    for (size_t i = 0; i < count; i++)
        if (unused[i])
            return error_set(error, STATUS_USAGE, "no kernel of '%.100s' has the option of '--set %.200s'",
                             line->operands[0], settings[i]);
    return STATUS_OK;
}

/* The further inputs, each NAME=FILE. */
static enum status read_further(struct running *running, struct error *error)
{
    size_t count;
    const char *const *given = command_texts(running->line, "with", &count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(given[i], '=');
        if (!equals || equals == given[i] || i == INPUTS_MAXIMUM)
            return error_set(error, STATUS_USAGE,
                             "option '--with' is NAME=FILE, at most %d times, not '%.200s'", INPUTS_MAXIMUM,
                             given[i]);
        enum status status = npy_read(equals + 1, &running->further[i], error);
        if (status)
            return status;
        running->inputs.names[running->inputs.count++] =
            arena_format(&running->line->arena, "%.*s", (int)(equals - given[i]), given[i]);
    }
    return STATUS_OK;
}

static enum status read_input(struct running *running, struct error *error)
{
    const char *path = command_text(running->line, "input");
    enum status status = npy_read(path, &running->x, error);
    if (status)
        return status;
    if (running->x.rank != 3 || array_size(&running->x) == 0)
        return error_set(error, STATUS_USAGE, "%s: expected an array [batch, tokens, width] with elements",
                         path);
    return read_further(running, error);
}

/* ---- Running ---- */

static void record_further(struct graph *graph, struct running *running)
{
    for (int i = 0; i < running->inputs.count; i++)
        running->inputs.values[i] = tensor_leaf(graph, running->further[i].data, running->further[i].rank,
                                                running->further[i].shape, false);
    running->inputs.output_count = 0;
}

static void record_shapes(struct graph *graph, void *argument)
{
    record_further(graph, argument);
}

static enum status create_block(struct running *running, struct pool *pool, struct error *error)
{
    struct block_options options = {.width = running->x.shape[2],
                                    .repeats = (int)command_integer(running->line, "layers", 1),
                                    .alone = command_given(running->line, "slot"),
                                    .seed = (uint64_t)command_integer(running->line, "seed", 0),
                                    .inputs = &running->inputs,
                                    .length = running->x.shape[1]};
    struct graph *graph = graph_create(pool, false);
    enum status status = graph_protect(graph, record_shapes, running, error)
                             ? block_create(&running->composition, &options, &running->block, error)
                             : error->status;
    graph_free(graph);
    const char *path = command_text(running->line, "weights");
    struct tensor_file file;
    if (status || !path || (status = safetensors_read(path, &file, error)))
        return status;
    if ((status = weights_load(&running->block->parameters, &file, NULL, NULL, error)))
        error_prefix(error, "%s", path);
    tensor_file_release(&file);
    return status;
}

/* Copies rows of a batch: [batch, count, row] at `first` of [batch, length, row]. */
static void copy_rows(real *to, int64_t to_length, int64_t to_first, const real *from, int64_t from_length,
                      int64_t from_first, int64_t batch, int64_t count, int64_t row)
{
    for (int64_t b = 0; b < batch; b++)
        memcpy(to + (b * to_length + to_first) * row, from + (b * from_length + from_first) * row,
               (size_t)(count * row) * sizeof(real));
}

static void record(struct graph *graph, void *argument)
{
    struct running *running = argument;
    const struct array *x = &running->x;
    int64_t batch = x->shape[0], width = x->shape[2], rows = running->rows;
    record_further(graph, running);
    tensor *part = tensor_constant(graph, NULL, 3, SHAPE(batch, rows, width));
    copy_rows(part->data, rows, 0, x->data, x->shape[1], running->first, batch, rows, width);
    tensor *y = running->state
                    ? block_step(running->block, part, running->state, running->first, &running->inputs)
                    : block_forward(running->block, part, &running->inputs);
    y = graph_keep(tensor_contiguous(y));
    graph_run(graph);
    if (!running->y.data) {
        int64_t shape[TENSOR_MAX_RANK];
        memcpy(shape, y->shape, sizeof shape);
        shape[1] = running->state ? x->shape[1] : shape[1];
        array_allocate(&running->y, y->rank, shape);
    }
    if (!running->state) {
        memcpy(running->y.data, y->data, (size_t)tensor_size(y) * sizeof(real));
        return;
    }
    copy_rows(running->y.data, x->shape[1], running->first, y->data, rows, 0, batch, rows,
              tensor_size(y) / (batch * rows));
    state_commit(running->state);
}

static enum status run_graphs(struct running *running, struct pool *pool, struct error *error)
{
    bool step = command_given(running->line, "step");
    running->rows = step ? 1 : running->x.shape[1];
    running->state = step ? state_create() : NULL;
    for (running->first = 0; running->first < running->x.shape[1]; running->first += running->rows) {
        struct graph *graph = graph_create(pool, false);
        bool ok = graph_protect(graph, record, running, error);
        graph_free(graph);
        if (!ok)
            return error->status;
    }
    return STATUS_OK;
}

static enum status report(struct running *running, struct error *error)
{
    if (!running->line->json)
        return STATUS_OK;
    cJSON *document = cJSON_CreateObject(), *shape = cJSON_AddArrayToObject(document, "shape");
    for (int i = 0; i < running->y.rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)running->y.shape[i]));
    json_set_number(document, "parameters", (double)parameters_size(&running->block->parameters));
    return print_json(document, error);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct running running = {.line = line};
    struct pool *pool = pool_create();
    const char *output = command_text(line, "output");
    enum status status = STATUS_OK;
    if (!command_given(line, "input") || !output)
        status = error_set(error, STATUS_USAGE, "'run' needs --input and --output");
    if (!status)
        status = read_composition(&running, error);
    if (!status)
        status = read_input(&running, error);
    if (!status)
        status = create_block(&running, pool, error);
    if (!status)
        status = run_graphs(&running, pool, error);
    if (!status)
        status = npy_write(output, &running.y, error);
    if (!status)
        status = report(&running, error);
    release(&running, pool);
    return status;
}

const struct command command_run = {
    .name = "run",
    .operands = "KEY",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_VARIANT,
    .summary = "compute a variant's block over an input",
    .about = "Reads x [batch, tokens, width] from a .npy file and writes y. Weights come from a safetensors "
             "file that names "
             "every parameter, as mixer.q_proj.weight, norm_1.weight, ffn.up_proj.weight (layers.0.mixer... "
             "in a stack); "
             "without one they are the initial ones of the seed. With --slot the kernel of one slot runs "
             "alone, under its "
             "own names, which are those of the published code.",
    .json = "{shape, parameters}: what was written, and how many numbers are trained",
    .options = OPTION_TABLE(
        {.name = "input",
         .letter = 'i',
         .type = VALUE_TEXT,
         .value = "FILE",
         .completion = COMPLETE_FILE,
         .help = "the input, .npy; - is standard input"},
        {.name = "output",
         .letter = 'o',
         .type = VALUE_TEXT,
         .value = "FILE",
         .completion = COMPLETE_FILE,
         .help = "where y goes, .npy; - is standard output"},
        {.name = "weights",
         .letter = 'w',
         .type = VALUE_TEXT,
         .value = "FILE",
         .completion = COMPLETE_FILE,
         .help = "the parameters, .safetensors"},
        {.name = "with",
         .type = VALUE_TEXT,
         .value = "NAME=FILE",
         .repeated = true,
         .help = "a further input, such as mems"},
        {.name = "set",
         .letter = 's',
         .type = VALUE_TEXT,
         .value = "OPTION=VALUE",
         .repeated = true,
         .help = "an option of a kernel, as heads=4 or mixer.heads=4"},
        {.name = "slot", .type = VALUE_TEXT, .value = "SLOT", .help = "only the kernel of this slot"},
        {.name = "layers",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 1,
         .maximum = 256,
         .help = "how often the block is repeated"},
        {.name = "seed",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 0,
         .maximum = 9007199254740991.0,
         .help = "of the initial weights"},
        {.name = "step", .type = VALUE_NONE, .help = "token by token, in the recurrent form"}),
    .examples = EXAMPLES(
        {"clade run gla --set heads=2 --weights w.safetensors --input x.npy --output y.npy", "One block."},
        {"clade run mamba --slot mixer --weights w.safetensors -i x.npy -o y.npy --step",
         "The mixer alone, as it decodes."}),
    .run = run,
};
