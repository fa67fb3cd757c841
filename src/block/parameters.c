#include "block/parameters.h"
#include "base/memory.h"
#include "block/scope.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void parameters_init(struct parameters *parameters, uint64_t seed)
{
    memset(parameters, 0, sizeof *parameters);
    parameters->seed = seed;
}

void parameters_release(struct parameters *parameters)
{
    HASH_CLEAR(hh, parameters->by_name);
    for (size_t i = 0; i < parameters->count; i++) {
        free(parameters->entries[i]->name);
        free(parameters->entries[i]->data);
        free(parameters->entries[i]);
    }
    free(parameters->entries);
    memset(parameters, 0, sizeof *parameters);
}

void parameters_new_graph(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->count; i++)
        parameters->entries[i]->leaf = NULL;
}

struct parameter_entry *parameters_find(const struct parameters *parameters, const char *name)
{
    struct parameter_entry *entry;
    HASH_FIND_STR(parameters->by_name, name, entry);
    return entry;
}

int64_t parameter_size(const struct parameter_entry *entry)
{
    int64_t size = 1;
    for (int i = 0; i < entry->rank; i++)
        size *= entry->shape[i];
    return size;
}

int64_t parameters_size(const struct parameters *parameters)
{
    int64_t size = 0;
    for (size_t i = 0; i < parameters->count; i++)
        if (parameters->entries[i]->trained)
            size += parameter_size(parameters->entries[i]);
    return size;
}

/* The stream of random numbers is the name's, so that values do not depend on the order of declarations. */
static uint64_t stream_of(const char *name)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}

/* By what a layer's residual kernel multiplies the random matrices of its mixer and ffn. */
static double initial_scale(const struct scope *s, const struct parameter_entry *entry)
{
    bool branch = s->kernel->slot == SLOT_MIXER || s->kernel->slot == SLOT_FFN;
    return branch && s->stack && entry->rank > 1 ? layer_initial_scale(s) : 1;
}

static void fill(const struct scope *s, struct parameter_entry *entry, struct init init)
{
    int64_t size = parameter_size(entry);
    double scale = initial_scale(s, entry);
    uint64_t seed = s->parameters->seed, stream = stream_of(entry->name);
    double bound;
    switch (init.kind) {
    case INIT_CONSTANT:
        for (int64_t i = 0; i < size; i++)
            entry->data[i] = (real)init.a;
        break;
    case INIT_NORMAL:
        random_fill_normal(seed, stream, 0, size, 0, scale * init.a, entry->data);
        break;
    case INIT_UNIFORM:
        random_fill_uniform(seed, stream, 0, size, init.a, init.b, entry->data);
        break;
    case INIT_LINEAR:
        bound = size ? scale / sqrt((double)size / (double)entry->shape[0]) : 0;
        random_fill_uniform(seed, stream, 0, size, -bound, bound, entry->data);
        break;
    case INIT_FUNCTION:
        init.fill(s, entry->rank, entry->shape, entry->data);
        break;
    }
}

static struct parameter_entry *create(struct scope *s, const char *name, struct init init, int rank,
                                      const int64_t *shape, bool trained)
{
    struct parameters *parameters = s->parameters;
    struct parameter_entry *entry = memory_allocate_zero(1, sizeof *entry);
    entry->name = memory_copy_string(name);
    entry->rank = rank;
    memcpy(entry->shape, shape, (size_t)rank * sizeof *shape);
    entry->trained = trained;
    entry->data = memory_allocate_aligned(64, size_multiply((size_t)parameter_size(entry), sizeof(real)));
    if (parameters->count == parameters->capacity) {
        parameters->capacity = parameters->capacity ? 2 * parameters->capacity : 16;
        parameters->entries =
            memory_resize(parameters->entries, parameters->capacity * sizeof *parameters->entries);
    }
    parameters->entries[parameters->count++] = entry;
    HASH_ADD_KEYPTR(hh, parameters->by_name, entry->name, strlen(entry->name), entry);
    fill(s, entry, init);
    return entry;
}

static tensor *declare(struct scope *s, const char *prefix, const char *name, struct init init, int rank,
                       const int64_t *shape, bool trained)
{
    const char *full = part_name(s, "%s%s", prefix, name);
    for (int i = 0; i < rank; i++)
        if (shape[i] < 1)
            kernel_fail(s, "parameter '%s' would have a length of %lld", full, (long long)shape[i]);
    struct parameter_entry *entry = parameters_find(s->parameters, full);
    if (!entry && s->parameters->frozen)
        kernel_fail(s, "parameter '%s' appears only for this input", full);
    if (!entry)
        entry = create(s, full, init, rank, shape, trained);
    if (entry->rank != rank || memcmp(entry->shape, shape, (size_t)rank * sizeof *shape) != 0)
        kernel_fail(s, "parameter '%s' is asked for in two shapes", full);
    if (!entry->leaf)
        entry->leaf = tensor_leaf(s->graph, entry->data, rank, shape, trained);
    return entry->leaf;
}

tensor *parameter(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape)
{
    return declare(s, s->prefix, name, init, rank, shape, true);
}

tensor *shared_parameter(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape)
{
    return declare(s, s->shared_prefix, name, init, rank, shape, true);
}

tensor *buffer(struct scope *s, const char *name, struct init init, int rank, const int64_t *shape)
{
    return declare(s, s->prefix, name, init, rank, shape, false);
}
