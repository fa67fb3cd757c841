/* Reading the files of a reference case, and their names. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "block/reference_map.h"
#include "block/reference_run.h"
#include "tensor/npy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *case_path(const struct reference_run *run, const char *before, const char *name,
                       const char *after)
{
    char file[2 * NAME_MAXIMUM];
    snprintf(file, sizeof file, "%s%s%s", before, name, after);
    return path_join(run->reference->directory, file);
}

static enum status read_array(const struct reference_run *run, const char *before, const char *name,
                              struct array *array)
{
    char *path = case_path(run, before, name, ".npy");
    enum status status = npy_read(path, array, run->error);
    free(path);
    return status;
}

static bool case_has(const struct reference_run *run, const char *before, const char *name, const char *after)
{
    char *path = case_path(run, before, name, after);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

void merge_axes(struct array *array)
{
    for (; array->rank > 3; array->rank--)
        array->shape[2] *= array->shape[array->rank - 1];
}

/* [B, D, ..] into [B, T, D], T the product of the other lengths. */
static void move_channels_last(struct array *array)
{
    if (array->rank < 3 || !array->data)
        return;
    struct array moved;
    int64_t batch = array->shape[0], width = array->shape[1], length = 1;
    for (int i = 2; i < array->rank; i++)
        length *= array->shape[i];
    array_allocate(&moved, 3, SHAPE(batch, length, width));
    for (int64_t b = 0; b < batch; b++)
        for (int64_t t = 0; t < length; t++)
            for (int64_t c = 0; c < width; c++)
                moved.data[(b * length + t) * width + c] = array->data[(b * width + c) * length + t];
    array_release(array);
    *array = moved;
}

static enum status read_slots(struct reference_run *run, const char *member, const cJSON *map, bool is_input,
                              struct case_array *slots, int *count)
{
    struct json_at root = json_root(run->reference->document, run->reference->directory),
                   at = json_member(&root, member);
    enum status status = json_object(&at, run->error);
    for (const cJSON *value = status ? NULL : at.value->child; value && !status; value = value->next) {
        struct case_array *slot = &slots[*count];
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
        if (reference_map_flag(map, value->string, "channels_first")) {
            move_channels_last(&slot->array);
            move_channels_last(&slot->gradient);
        }
        run->backward |= !is_input && slot->gradient.data;
    }
    return status;
}

/* [rows, columns] into [columns, rows] */
static void transpose(struct array *array)
{
    struct array turned;
    int64_t rows = array->shape[0], columns = array->shape[1];
    array_allocate(&turned, 2, SHAPE(columns, rows));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            turned.data[j * rows + i] = array->data[i * columns + j];
    array_release(array);
    *array = turned;
}

/* Weights or their gradients, as matrices and turned as ours lie where the map says so. */
static enum status read_tensors(struct reference_run *run, const char *name, struct tensor_file *file)
{
    char *path = case_path(run, name, "", ".safetensors");
    enum status status = safetensors_read(path, file, run->error);
    free(path);
    for (int i = 0; i < file->count; i++) {
        struct array *array = &file->arrays[i].array;
        if (reference_map_flag(run->entry->weights, file->arrays[i].name, "matrix"))
            for (; array->rank > 2; array->rank--)
                array->shape[1] *= array->shape[array->rank - 1];
        if (array->rank == 2 && reference_map_flag(run->entry->weights, file->arrays[i].name, "transposed"))
            transpose(array);
    }
    return status;
}

/* Weights that the map says are further inputs, such as a fixed draw of what is random, become inputs. */
static enum status move_inputs(struct reference_run *run)
{
    struct tensor_file *file = &run->weights;
    int kept = 0;
    for (int i = 0; i < file->count; i++) {
        struct named_array *stored = &file->arrays[i];
        if (!reference_map_flag(run->entry->weights, stored->name, "input")) {
            file->arrays[kept++] = *stored;
            continue;
        }
        if (run->input_count == INPUTS_MAXIMUM)
            return error_set(run->error, STATUS_USAGE, "%s: more than %d inputs", run->reference->directory,
                             INPUTS_MAXIMUM);
        struct case_array *input = &run->inputs[run->input_count++];
        reference_map_name(run->entry->weights, stored->name, input->name, sizeof input->name);
        input->published = input->name;
        input->array = stored->array;
    }
    file->count = kept;
    return STATUS_OK;
}

enum status reference_run_read(struct reference_run *run)
{
    enum status status;
    if ((status = read_slots(run, "inputs", run->entry->inputs, true, run->inputs, &run->input_count)) ||
        (status = read_slots(run, "outputs", run->entry->outputs, false, run->outputs, &run->output_count)) ||
        (status = read_tensors(run, "weights", &run->weights)) || (status = move_inputs(run)))
        return status;
    if (run->backward && case_has(run, "grads", "", ".safetensors"))
        status = read_tensors(run, "grads", &run->gradients);
    return status;
}

bool reference_weight_name(const struct reference_run *run, const char *published, char name[NAME_MAXIMUM])
{
    static const char first_layer[] = "layers.0.";
    bool wanted = reference_map_name(run->entry->weights, published, name, NAME_MAXIMUM);
    bool own = parameters_find(&run->block->parameters, name); /* of a kernel that has layers inside */
    if (wanted && !own && run->block->layers == 1 && strncmp(name, first_layer, strlen(first_layer)) == 0)
        memmove(name, name + sizeof first_layer - 1, strlen(name) - (sizeof first_layer - 1) + 1);
    return wanted;
}
