#include "block/reference.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "block/reference_map.h"
#include "block/weights.h"
#include "tensor/npy.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef CLADE_DOUBLE
static const double output_limit = 1e-6, gradient_limit = 1e-6;
#else
static const double output_limit = 1e-5, gradient_limit = 1e-4;
#endif

enum { CASE_JSON_MAXIMUM = 1 << 24, NAME_MAXIMUM = 256 };

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

/* ---- The run of a case: its files, the block, and the graph ---- */

/* An input or output of the case. */
struct slot_array {
    const char *published;
    char name[NAME_MAXIMUM]; /* ours */
    struct array array;
    struct array
        gradient; /* of an input: dNAME.npy; of an output: r_NAME.npy; without data if there is none */
    tensor *tensor;
};

struct run {
    const struct reference_entry *entry;
    const struct reference_case *reference;
    struct error *error;
    struct slot_array inputs[INPUTS_MAXIMUM], outputs[INPUTS_MAXIMUM];
    int input_count, output_count;
    struct array zeros; /* in place of an input that the set does not have */
    int main_input;     /* -1 if there is none */
    struct tensor_file weights, gradients;
    struct block_options options;
    struct block *block;
    struct pool *pool;
    struct graph *graph;
    struct inputs further;
    bool backward;
    struct reference_result *result;
    double largest_gradient; /* norm, in the reference */
};

static void release_slots(struct slot_array *slots, int count)
{
    for (int i = 0; i < count; i++) {
        array_release(&slots[i].array);
        array_release(&slots[i].gradient);
    }
}

static void run_release(struct run *run)
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

/* ---- Reading ---- */

static char *case_path(const struct run *run, const char *before, const char *name, const char *after)
{
    char file[2 * NAME_MAXIMUM];
    snprintf(file, sizeof file, "%s%s%s", before, name, after);
    return path_join(run->reference->directory, file);
}

static enum status read_array(const struct run *run, const char *before, const char *name,
                              struct array *array)
{
    char *path = case_path(run, before, name, ".npy");
    enum status status = npy_read(path, array, run->error);
    free(path);
    return status;
}

static bool case_has(const struct run *run, const char *before, const char *name, const char *after)
{
    char *path = case_path(run, before, name, after);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

/* Merges axes past the third into it: our channels are one axis. */
static void merge_axes(struct array *array)
{
    for (; array->rank > 3; array->rank--)
        array->shape[2] *= array->shape[array->rank - 1];
}

static enum status read_slots(struct run *run, const char *member, const cJSON *map, bool is_input,
                              struct slot_array *slots, int *count)
{
    struct json_at root = json_root(run->reference->document, run->reference->directory),
                   at = json_member(&root, member);
    enum status status = json_object(&at, run->error);
    for (const cJSON *value = status ? NULL : at.value->child; value && !status; value = value->next) {
        struct slot_array *slot = &slots[*count];
        if (*count == INPUTS_MAXIMUM)
            return error_set(run->error, STATUS_USAGE, "%s: more than %d %s", run->reference->directory,
                             INPUTS_MAXIMUM, member);
        if (!reference_map_name(map, value->string, slot->name, sizeof slot->name))
            continue;
        slot->published = value->string;
        if ((status = read_array(run, "", value->string, &slot->array)))
            return status;
        ++*count;
        const char *before = is_input ? "d" : "r_";
        if (case_has(run, before, value->string, ".npy"))
            status = read_array(run, before, value->string, &slot->gradient);
        else if (!is_input && strcmp(slot->name, "y") == 0 && case_has(run, "r", "", ".npy"))
            status = read_array(run, "r", "", &slot->gradient);
        if (slot->gradient.data && array_size(&slot->gradient) != array_size(&slot->array))
            return error_set(run->error, STATUS_OUTSIDE, "%s: the gradient of '%s' has another shape",
                             run->reference->directory, value->string);
        run->backward |= !is_input && slot->gradient.data;
    }
    return status;
}

static enum status read_tensors(struct run *run, const char *name, struct tensor_file *file)
{
    char *path = case_path(run, name, "", ".safetensors");
    enum status status = safetensors_read(path, file, run->error);
    free(path);
    return status;
}

static enum status read_files(struct run *run)
{
    enum status status;
    if ((status = read_slots(run, "inputs", run->entry->inputs, true, run->inputs, &run->input_count)) ||
        (status = read_slots(run, "outputs", run->entry->outputs, false, run->outputs, &run->output_count)) ||
        (status = read_tensors(run, "weights", &run->weights)))
        return status;
    if (run->backward && case_has(run, "grads", "", ".safetensors"))
        status = read_tensors(run, "grads", &run->gradients);
    return status;
}

/* ---- Building ---- */

/* Finds "x", or makes zeros in its place, which need the width that the config says. */
static void choose_main_input(struct run *run)
{
    run->main_input = -1;
    for (int i = 0; i < run->input_count; i++)
        if (strcmp(run->inputs[i].name, "x") == 0)
            run->main_input = i;
    if (run->main_input >= 0)
        merge_axes(&run->inputs[run->main_input].array);
}

static const struct array *main_array(struct run *run)
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
static void record_inputs(struct graph *graph, struct run *run)
{
    run->further = (struct inputs){0};
    for (int i = 0; i < run->input_count; i++) {
        struct slot_array *input = &run->inputs[i];
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

static enum status create_block(struct run *run)
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

/* Our name of a published weight; false if it is ignored. A single layer has no "layers.0." before its names.
 */
static bool weight_name(const struct run *run, const char *published, char name[NAME_MAXIMUM])
{
    static const char first_layer[] = "layers.0.";
    bool wanted = reference_map_name(run->entry->weights, published, name, NAME_MAXIMUM);
    if (wanted && run->block->layers == 1 && strncmp(name, first_layer, strlen(first_layer)) == 0)
        memmove(name, name + strlen(first_layer), strlen(name + strlen(first_layer)) + 1);
    return wanted;
}

struct naming {
    const struct run *run;
    char name[NAME_MAXIMUM];
};

static const char *our_name(void *argument, const char *published)
{
    struct naming *naming = argument;
    return weight_name(naming->run, published, naming->name) ? naming->name : NULL;
}

static enum status load_weights(struct run *run)
{
    struct naming naming = {.run = run};
    return weights_load(&run->block->parameters, &run->weights, our_name, &naming, run->error);
}

/* ---- Running ---- */

static tensor *find_output(struct run *run, const char *name, tensor *y)
{
    if (strcmp(name, "y") == 0)
        return y;
    for (int i = 0; i < run->further.output_count; i++)
        if (strcmp(run->further.output_names[i], name) == 0)
            return run->further.outputs[i];
    return NULL;
}

static bool same_shape(const tensor *x, const struct array *array)
{
    struct array merged = *array;
    merged.data = NULL;
    for (int pass = 0; pass < 2; pass++) {
        if (x->rank == merged.rank && memcmp(x->shape, merged.shape, (size_t)x->rank * sizeof(int64_t)) == 0)
            return true;
        merge_axes(&merged);
    }
    return false;
}

static void match_outputs(struct run *run, tensor *y)
{
    for (int i = 0; i < run->output_count; i++) {
        struct slot_array *output = &run->outputs[i];
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
    struct run *run = argument;
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
    struct run *run = argument;
    for (int i = 0; i < run->output_count; i++)
        if (run->outputs[i].gradient.data)
            graph_seed(run->outputs[i].tensor, run->outputs[i].gradient.data);
    graph_backward(graph);
}

/* ---- Comparing ---- */

/* |ours - reference| and |reference|; `ours` NULL stands for zeros. */
static void measure(const real *ours, const struct array *reference, double *difference, double *norm)
{
    double difference_squares = 0, squares = 0;
    for (int64_t i = 0, n = array_size(reference); i < n; i++) {
        double r = (double)reference->data[i], d = (ours ? (double)ours[i] : 0) - r;
        difference_squares += d * d;
        squares += r * r;
    }
    *difference = sqrt(difference_squares);
    *norm = sqrt(squares);
}

static void add_error(struct run *run, char *name, bool gradient, double error)
{
    struct reference_result *result = run->result;
    double limit = gradient ? gradient_limit : output_limit;
    result->errors = memory_resize(result->errors, (result->count + 1) * sizeof *result->errors);
    result->errors[result->count++] = (struct reference_error){name, error, limit, gradient};
    result->passed &= error <= limit; /* false for NaN */
}

/* "dx" of an input, "d(q_proj.weight)" of a weight. */
static char *gradient_name(const char *published, bool is_weight)
{
    char name[NAME_MAXIMUM + 8];
    snprintf(name, sizeof name, is_weight ? "d(%s)" : "d%s", published);
    return memory_copy_string(name);
}

static void compare_outputs(struct run *run)
{
    for (int i = 0; i < run->output_count; i++) {
        const struct slot_array *output = &run->outputs[i];
        double difference, norm;
        measure(output->tensor->data, &output->array, &difference, &norm);
        add_error(run, memory_copy_string(output->published), false,
                  norm > 0 ? difference / norm : difference);
    }
}

static void find_largest_gradient(struct run *run)
{
    double ignored, norm;
    for (int i = 0; i < run->input_count; i++)
        if (run->inputs[i].gradient.data) {
            measure(NULL, &run->inputs[i].gradient, &ignored, &norm);
            run->largest_gradient = fmax(run->largest_gradient, norm);
        }
    for (int i = 0; i < run->gradients.count; i++) {
        measure(NULL, &run->gradients.arrays[i].array, &ignored, &norm);
        run->largest_gradient = fmax(run->largest_gradient, norm);
    }
}

static void compare_gradient(struct run *run, char *name, const real *ours, const struct array *reference)
{
    double difference, norm;
    measure(ours, reference, &difference, &norm);
    bool rounding = norm <= 1e-6 * run->largest_gradient;
    add_error(run, name, true, difference / (rounding ? fmax(1, run->largest_gradient) : norm));
}

static enum status compare_weight_gradient(struct run *run, const struct named_array *gradient)
{
    char name[NAME_MAXIMUM];
    if (!weight_name(run, gradient->name, name))
        return STATUS_OK;
    const struct parameter_entry *entry = parameters_find(&run->block->parameters, name);
    if (!entry)
        return error_set(run->error, STATUS_USAGE,
                         "the gradient of '%s' is left over: there is no parameter '%s'", gradient->name,
                         name);
    if (!entry->trained)
        return error_set(run->error, STATUS_USAGE,
                         "'%s' is trained in the publication, but the kernel has '%s' as a buffer",
                         gradient->name, name);
    if (array_size(&gradient->array) != parameter_size(entry))
        return error_set(run->error, STATUS_USAGE, "the gradient of '%s' has another shape than the weight",
                         gradient->name);
    compare_gradient(run, gradient_name(gradient->name, true), entry->leaf ? entry->leaf->gradient : NULL,
                     &gradient->array);
    return STATUS_OK;
}

/* Parameters that the publication's output does not depend on must not get a gradient from ours. */
static void compare_missing_gradients(struct run *run)
{
    const cJSON *list =
        cJSON_GetObjectItemCaseSensitive(run->reference->document, "parameters_without_gradient");
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char name[NAME_MAXIMUM];
        if (!cJSON_IsString(item) || !weight_name(run, item->valuestring, name))
            continue;
        const struct parameter_entry *entry = parameters_find(&run->block->parameters, name);
        double squares = 0;
        if (entry && entry->leaf && entry->leaf->gradient)
            for (int64_t i = 0; i < parameter_size(entry); i++)
                squares += (double)entry->leaf->gradient[i] * (double)entry->leaf->gradient[i];
        add_error(run, gradient_name(item->valuestring, true), true,
                  sqrt(squares) / fmax(1, run->largest_gradient));
    }
}

static enum status compare_gradients(struct run *run)
{
    enum status status = STATUS_OK;
    find_largest_gradient(run);
    for (int i = 0; i < run->input_count; i++) {
        const struct slot_array *input = &run->inputs[i];
        if (input->gradient.data && input->tensor)
            compare_gradient(run, gradient_name(input->published, false), input->tensor->gradient,
                             &input->gradient);
    }
    for (int i = 0; i < run->gradients.count && !status; i++)
        status = compare_weight_gradient(run, &run->gradients.arrays[i]);
    if (!status)
        compare_missing_gradients(run);
    return status;
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

static enum status run_case(struct run *run)
{
    enum status status;
    if ((status = read_files(run)))
        return status;
    choose_main_input(run);
    if ((status = create_block(run)) || (status = load_weights(run)))
        return status;
    run->graph = graph_create(run->pool, run->backward);
    if (!graph_protect(run->graph, record_run, run, run->error))
        return run->error->status;
    compare_outputs(run);
    if (!run->backward)
        return STATUS_OK;
    if (!graph_protect(run->graph, run_backward, run, run->error))
        return run->error->status;
    return compare_gradients(run);
}

enum status reference_check(const struct reference_entry *entry, const struct reference_case *reference,
                            struct reference_result *result, struct error *error)
{
    struct run run = {.entry = entry, .reference = reference, .error = error, .result = result};
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
