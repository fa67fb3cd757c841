#include "block/reference.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "block/reference_map.h"
#include "block/reference_run.h"
#include "block/weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_JSON_MAXIMUM = 1 << 24 };

enum status reference_case_open(const char *directory, struct reference_case *reference, struct error *error)
{
    *reference = (struct reference_case){NULL};
    char *path = path_join(directory, "case.json");
    enum status status = json_parse_file(path, CASE_JSON_MAXIMUM, &reference->document, error);
    if (!status) {
        struct json_at root = json_root(reference->document, path), key = json_member(&root, "key");
        status = json_string(&key, &reference->key, error);
    }
    free(path);
    reference->directory = memory_copy_string(directory);
    if (status)
        reference_case_close(reference);
    return status;
}

void reference_case_close(struct reference_case *reference)
{
    cJSON_Delete(reference->document);
    free(reference->directory);
    *reference = (struct reference_case){NULL};
}

/* ---- A run: the block and the graph ---- */

static void release_slots(struct case_array *slots, int count)
{
    for (int i = 0; i < count; i++) {
        array_release(&slots[i].array);
        array_release(&slots[i].gradient);
    }
}

static void run_release(struct reference_run *run)
{
    graph_free(run->graph);
    pool_free(run->pool);
    block_free(run->block);
    release_slots(run->inputs, run->input_count);
    release_slots(run->outputs, run->output_count);
    array_release(&run->zeros);
    tensor_file_release(&run->weights);
    tensor_file_release(&run->gradients);
}

/* ---- Building ---- */

/* Finds "x", or makes zeros in its place, which need the width that the config says. */
static void choose_main_input(struct reference_run *run)
{
    run->main_input = -1;
    for (int i = 0; i < run->input_count; i++)
        if (strcmp(run->inputs[i].name, "x") == 0)
            run->main_input = i;
    if (run->main_input >= 0)
        merge_axes(&run->inputs[run->main_input].array);
}

static const struct array *main_array(struct reference_run *run)
{
    if (run->main_input >= 0)
        return &run->inputs[run->main_input].array;
    if (!run->zeros.data) {
        const struct array *first = run->input_count ? &run->inputs[0].array : NULL;
        int64_t batch = first && first->rank > 0 ? first->shape[0] : 1;
        int64_t length = first && first->rank > 1 ? first->shape[1] : 1;
        array_allocate(&run->zeros, 3, SHAPE(batch, length, run->options.width));
        memset(run->zeros.data, 0, (size_t)array_size(&run->zeros) * sizeof(real));
    }
    return &run->zeros;
}

/* Records the inputs in the graph; an input without elements is one that is not given. */
static void record_inputs(struct graph *graph, struct reference_run *run)
{
    run->further = (struct inputs){0};
    for (int i = 0; i < run->input_count; i++) {
        struct case_array *input = &run->inputs[i];
        if (array_size(&input->array) == 0)
            continue;
        input->tensor = tensor_leaf(graph, input->array.data, input->array.rank, input->array.shape,
                                    input->gradient.data != NULL);
        if (i == run->main_input)
            continue;
        run->further.names[run->further.count] = input->name;
        run->further.values[run->further.count++] = input->tensor;
    }
}

static void record_shapes(struct graph *graph, void *argument)
{
    record_inputs(graph, argument);
}

static enum status create_block(struct reference_run *run)
{
    struct json_at root = json_root(run->reference->document, run->reference->directory),
                   config = json_member(&root, "config");
    struct composition composition;
    const struct array *x = run->main_input >= 0 ? &run->inputs[run->main_input].array : NULL;
    if (x && x->rank != 3)
        return error_set(run->error, STATUS_USAGE, "the input '%s' has %d axes instead of [B, T, D]",
                         run->inputs[run->main_input].published, x->rank);
    enum status status = json_object(&config, run->error);
    if (!status)
        status = reference_map_config(run->entry, &config, x ? x->shape[2] : 0, &composition, &run->options,
                                      run->error);
    if (status)
        return status;
    run->options.batch = main_array(run)->shape[0];
    run->options.length = main_array(run)->shape[1];
    struct graph *graph = graph_create(run->pool, false);
    if (!graph_protect(graph, record_shapes, run, run->error)) {
        status = run->error->status;
    } else {
        run->options.inputs = &run->further;
        status = block_create(&composition, &run->options, &run->block, run->error);
    }
    graph_free(graph);
    composition_release(&composition);
    return status;
}

/* ---- Weights ---- */

struct naming {
    const struct reference_run *run;
    char name[NAME_MAXIMUM];
};

static const char *our_name(void *argument, const char *published)
{
    struct naming *naming = argument;
    return reference_weight_name(naming->run, published, naming->name) ? naming->name : NULL;
}

static enum status load_weights(struct reference_run *run)
{
    struct naming naming = {.run = run};
    return weights_load(&run->block->parameters, &run->weights, our_name, &naming, run->error);
}

/* ---- Running ---- */

static tensor *find_output(struct reference_run *run, const char *name, tensor *y)
{
    if (strcmp(name, "y") == 0)
        return y;
    for (int i = 0; i < run->further.output_count; i++)
        if (strcmp(run->further.output_names[i], name) == 0)
            return run->further.outputs[i];
    return NULL;
}

/* Axes past the third are merged; [B, N], one vector of a sequence, is our [B, 1, N]. */
static bool same_shape(const tensor *x, const struct array *array)
{
    struct array merged = *array;
    merged.data = NULL;
    if (x->rank == 3 && array->rank == 2)
        return x->shape[0] == array->shape[0] && x->shape[1] == 1 && x->shape[2] == array->shape[1];
    for (int pass = 0; pass < 2; pass++) {
        if (x->rank == merged.rank && memcmp(x->shape, merged.shape, (size_t)x->rank * sizeof(int64_t)) == 0)
            return true;
        merge_axes(&merged);
    }
    return false;
}

static void match_outputs(struct reference_run *run, tensor *y)
{
    for (int i = 0; i < run->output_count; i++) {
        struct case_array *output = &run->outputs[i];
        output->tensor = find_output(run, output->name, y);
        if (!output->tensor)
            graph_raise(run->graph, STATUS_USAGE, "the kernel offers no output '%s' (for '%s')", output->name,
                        output->published);
        if (!same_shape(output->tensor, &output->array)) {
            char ours[128], theirs[128];
            weights_shape_text(output->tensor->rank, output->tensor->shape, ours, sizeof ours);
            weights_shape_text(output->array.rank, output->array.shape, theirs, sizeof theirs);
            graph_raise(run->graph, STATUS_USAGE, "output '%s' has the shape %s instead of %s",
                        output->published, ours, theirs);
        }
        output->tensor = graph_keep(tensor_contiguous(output->tensor));
    }
}

static void record_run(struct graph *graph, void *argument)
{
    struct reference_run *run = argument;
    const struct array *x = main_array(run);
    record_inputs(graph, run);
    tensor *input = run->main_input >= 0 ? run->inputs[run->main_input].tensor
                                         : tensor_leaf(graph, x->data, x->rank, x->shape, false);
    if (!input)
        graph_raise(graph, STATUS_USAGE, "the input has no elements");
    match_outputs(run, block_forward(run->block, input, &run->further));
    for (int i = 0; i < run->further.count; i++)
        if (!run->further.used[i])
            graph_raise(graph, STATUS_USAGE, "the kernel does not read the input '%s'",
                        run->further.names[i]);
    graph_run(graph);
}

static void run_backward(struct graph *graph, void *argument)
{
    struct reference_run *run = argument;
    for (int i = 0; i < run->output_count; i++)
        if (run->outputs[i].gradient.data)
            graph_seed(run->outputs[i].tensor, run->outputs[i].gradient.data);
    graph_backward(graph);
}

/* ---- The result ---- */

static void describe(struct reference_result *result)
{
    struct text text;
    text_init(&text, sizeof result->detail - 1);
    const struct reference_error *largest[2] = {NULL, NULL}; /* of the outputs, of the gradients */
    for (size_t i = 0; i < result->count; i++) {
        const struct reference_error *e = &result->errors[i];
        if (!(e->error <= e->limit) && text.length < sizeof result->detail - NAME_MAXIMUM - 80)
            text_format(&text, "%s%s: error %.2g over %.2g", text.length ? "; " : "", e->name, e->error,
                        e->limit);
        if (!largest[e->gradient] || e->error > largest[e->gradient]->error)
            largest[e->gradient] = e;
    }
    for (int kind = 0; result->passed && kind < 2; kind++)
        if (largest[kind])
            text_format(&text, "%s%s %.2g", text.length ? ", " : "largest errors: ", largest[kind]->name,
                        largest[kind]->error);
    snprintf(result->detail, sizeof result->detail, "%s", text_string(&text));
    text_release(&text);
}

void reference_result_release(struct reference_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        free(result->errors[i].name);
    free(result->errors);
    *result = (struct reference_result){false};
}

static enum status run_case(struct reference_run *run)
{
    enum status status;
    if ((status = reference_run_read(run)))
        return status;
    choose_main_input(run);
    if ((status = create_block(run)) || (status = load_weights(run)))
        return status;
    run->graph = graph_create(run->pool, run->backward);
    if (!graph_protect(run->graph, record_run, run, run->error))
        return run->error->status;
    reference_compare_outputs(run);
    if (!run->backward)
        return STATUS_OK;
    if (!graph_protect(run->graph, run_backward, run, run->error))
        return run->error->status;
    return reference_compare_gradients(run);
}

enum status reference_check(const struct reference_entry *entry, const struct reference_case *reference,
                            struct reference_result *result, struct error *error)
{
    struct reference_run run = {.entry = entry, .reference = reference, .error = error, .result = result};
    *result = (struct reference_result){.passed = true};
    run.pool = pool_create();
    enum status status = run_case(&run);
    run_release(&run);
    if (status)
        reference_result_release(result);
    else
        describe(result);
    return status;
}
