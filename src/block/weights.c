#include "block/weights.h"
#include "base/memory.h"
#include "base/suggest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weights_shape_text(int rank, const int64_t *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %lld" : "%lld", (long long)shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
}

static enum status left_over(const struct parameters *parameters, const char *stored, const char *name,
                             struct error *error)
{
    const char **names = memory_allocate((parameters->count + 1) * sizeof *names);
    for (size_t i = 0; i < parameters->count; i++)
        names[i] = parameters->entries[i]->name;
    const char *near = suggest_name(name, names, parameters->count);
    error_set(error, STATUS_USAGE, "weight '%s' is left over: there is no parameter '%s'%s%s%s", stored, name,
              near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    free(names);
    return error->status;
}

static enum status load_one(struct parameter_entry *entry, const struct named_array *stored,
                            struct error *error)
{
    char theirs[128], ours[128];
    weights_shape_text(stored->array.rank, stored->array.shape, theirs, sizeof theirs);
    weights_shape_text(entry->rank, entry->shape, ours, sizeof ours);
    bool scalar = stored->array.rank == 0 && entry->rank == 1 && entry->shape[0] == 1;
    if (!scalar && strcmp(theirs, ours) != 0)
        return error_set(error, STATUS_USAGE, "weight '%s' has the shape %s, the parameter '%s' %s",
                         stored->name, theirs, entry->name, ours);
    memcpy(entry->data, stored->array.data, (size_t)parameter_size(entry) * sizeof(real));
    return STATUS_OK;
}

static size_t place_of(const struct parameters *parameters, const struct parameter_entry *entry)
{
    size_t i = 0;
    while (parameters->entries[i] != entry)
        i++;
    return i;
}

enum status weights_load(struct parameters *parameters, const struct tensor_file *file, weights_name *name,
                         void *argument, struct error *error)
{
    const char **filled_by = memory_allocate_zero(parameters->count + 1, sizeof *filled_by);
    enum status status = STATUS_OK;
    for (int i = 0; i < file->count && !status; i++) {
        const struct named_array *stored = &file->arrays[i];
        const char *ours = name ? name(argument, stored->name) : stored->name;
        if (!ours)
            continue;
        struct parameter_entry *entry = parameters_find(parameters, ours);
        if (!entry) {
            status = left_over(parameters, stored->name, ours, error);
            continue;
        }
        const char **by = &filled_by[place_of(parameters, entry)];
        if (*by)
            status = error_set(error, STATUS_USAGE, "weights '%s' and '%s' are both the parameter '%s'", *by,
                               stored->name, ours);
        else
            status = load_one(entry, stored, error);
        *by = stored->name;
    }
    for (size_t i = 0; i < parameters->count && !status; i++)
        if (!filled_by[i])
            status = error_set(error, STATUS_USAGE, "no weight is given for the parameter '%s'",
                               parameters->entries[i]->name);
    free(filled_by);
    return status;
}
