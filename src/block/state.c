#include "block/state.h"
#include "base/memory.h"
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    char *name;
    int rank;
    int64_t shape[TENSOR_MAX_RANK]; /* a cache's axis 1 is not used */
    real *data;
    tensor *next;         /* of a value: what it becomes at the commit */
    real *copy;           /* of that for the time of a commit, if it is another entry's value as it was */
    bool resizes, filled; /* of a value that state_replace() makes: its shape follows; whether there is one */
    /* Caches: `rows` live rows from `start` on in room for `capacity`, per batch entry; `added` since the
     * commit. */
    bool is_cache;
    int64_t start, rows, capacity, added, limit;
    UT_hash_handle hh;
};

struct state {
    struct entry *entries;
};

struct state *state_create(void)
{
    return memory_allocate_zero(1, sizeof(struct state));
}

void state_free(struct state *state)
{
    if (!state)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, state->entries, entry, next)
    {
        HASH_DEL(state->entries, entry);
        free(entry->name);
        free(entry->data);
        free(entry);
    }
    free(state);
}

static struct entry *find(struct scope *s, const char *name)
{
    struct entry *entry;
    HASH_FIND_STR(s->state->entries, name, entry);
    return entry;
}

static struct entry *create(struct scope *s, const char *name, int rank, const int64_t *shape)
{
    struct entry *entry = memory_allocate_zero(1, sizeof *entry);
    entry->name = memory_copy_string(name);
    entry->rank = rank;
    memcpy(entry->shape, shape, (size_t)rank * sizeof *shape);
    HASH_ADD_KEYPTR(hh, s->state->entries, entry->name, strlen(entry->name), entry);
    return entry;
}

static int64_t value_size(const struct entry *entry)
{
    int64_t size = 1;
    for (int i = 0; i < entry->rank; i++)
        size *= entry->shape[i];
    return size;
}

static int64_t row_size(const struct entry *entry)
{
    int64_t size = 1;
    for (int i = 2; i < entry->rank; i++)
        size *= entry->shape[i];
    return size;
}

/* A layer that is applied several times has states for each. */
static const char *full_name(struct scope *s, const char *name)
{
    return s->pass ? part_name(s, "pass.%d.%s%s", s->pass, s->prefix, name)
                   : part_name(s, "%s%s", s->prefix, name);
}

/* ---- Values ---- */

tensor *state(struct scope *s, const char *name, double initial, int rank, const int64_t *shape)
{
    const char *full = full_name(s, name);
    struct entry *entry = find(s, full);
    if (!entry) {
        entry = create(s, full, rank, shape);
        int64_t size = value_size(entry);
        entry->data = memory_allocate_aligned(64, size_multiply((size_t)size, sizeof(real)));
        for (int64_t i = 0; i < size; i++)
            entry->data[i] = (real)initial;
    }
    if (entry->rank != rank || memcmp(entry->shape, shape, (size_t)rank * sizeof *shape) != 0)
        kernel_fail(s, "the state '%s' was kept for another shape (another batch size?)", full);
    if (entry->next)
        return entry->next;
    return tensor_leaf(s->graph, entry->data, rank, shape, false);
}

void state_set(struct scope *s, const char *name, tensor *value)
{
    const char *full = full_name(s, name);
    struct entry *entry = find(s, full);
    if (!entry || tensor_size(value) != value_size(entry))
        BUG("kernel %s sets the state '%s' without having read it, or in another shape", s->kernel->name,
            full);
    entry->next = graph_keep(tensor_contiguous(value));
}

/* ---- Values whose shape may change from step to step ---- */

tensor *state_find(struct scope *s, const char *name)
{
    struct entry *entry = find(s, name);
    return entry && entry->filled ? tensor_leaf(s->graph, entry->data, entry->rank, entry->shape, false)
                                  : NULL;
}

void state_replace(struct scope *s, const char *name, tensor *value)
{
    struct entry *entry = find(s, name);
    if (!entry) {
        entry = create(s, name, value->rank, value->shape);
        size_t bytes = size_multiply((size_t)value_size(entry), sizeof(real));
        entry->data = memory_allocate_aligned(64, bytes);
        memset(entry->data, 0, bytes);
        entry->resizes = true;
    }
    entry->next = graph_keep(tensor_contiguous(value));
}

/* ---- Caches ---- */

struct append {
    int64_t offset; /* of the first new row of batch entry 0, in elements */
};

static void append_forward(tensor *y)
{
    const tensor *rows = y->inputs[0], *memory = y->inputs[1];
    const struct append *append = y->attributes;
    strided_copy(rows->rank, rows->shape, memory->data + append->offset, memory->stride, rows->data,
                 rows->stride, false);
}

static const struct operation append_operation = {"cache_append", append_forward, NULL, 0, false};

/* Makes room for `more` rows behind the live ones: moves them to the front of the memory, or to a larger one.
 */
static void make_room(struct entry *entry, int64_t more)
{
    if (entry->start + entry->rows + more <= entry->capacity)
        return;
    int64_t capacity = entry->capacity, needed = 2 * (entry->rows + more);
    if (capacity < needed)
        capacity = needed < 16 ? 16 : needed;
    size_t row_bytes = (size_t)row_size(entry) * sizeof(real);
    real *data = memory_allocate_aligned(64, size_multiply((size_t)(entry->shape[0] * capacity), row_bytes));
    for (int64_t b = 0; b < entry->shape[0] && entry->rows; b++)
        memcpy((char *)data + (size_t)(b * capacity) * row_bytes,
               (char *)entry->data + (size_t)(b * entry->capacity + entry->start) * row_bytes,
               (size_t)entry->rows * row_bytes);
    free(entry->data);
    entry->data = data;
    entry->capacity = capacity;
    entry->start = 0;
}

tensor *cache_rows(struct scope *s, const char *name)
{
    struct entry *entry = s->state ? find(s, full_name(s, name)) : NULL;
    if (!entry || entry->rows == 0)
        return NULL;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, entry->shape, sizeof shape);
    shape[1] = entry->capacity;
    return tensor_slice(tensor_leaf(s->graph, entry->data, entry->rank, shape, false), 1, entry->start,
                        entry->rows);
}

tensor *cache_append(struct scope *s, const char *name, tensor *rows, int64_t limit)
{
    if (!s->state)
        return rows;
    const char *full = full_name(s, name);
    struct entry *entry = find(s, full);
    if (!entry) {
        entry = create(s, full, rows->rank, rows->shape);
        entry->is_cache = true;
    }
    if (entry->rank != rows->rank || entry->shape[0] != rows->shape[0] ||
        memcmp(entry->shape + 2, rows->shape + 2, (size_t)(rows->rank - 2) * sizeof(int64_t)) != 0)
        kernel_fail(s, "the cache '%s' holds rows of another shape than %s", full, shape_text(rows));
    if (entry->added)
        BUG("kernel %s appends to the cache '%s' twice in one step", s->kernel->name, full);
    int64_t count = rows->shape[1], row = row_size(entry);
    entry->limit = limit;
    entry->added = count;
    make_room(entry, count);
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, rows->shape, sizeof shape);
    shape[1] = entry->capacity;
    tensor *memory = tensor_leaf(s->graph, entry->data, rows->rank, shape, false);
    shape[1] = entry->rows + count;
    struct append append = {(entry->start + entry->rows) * row};
    tensor *inputs[] = {rows, memory};
    tensor *all = node_write(memory, &append_operation, rows->rank, shape, memory->stride, entry->start * row,
                             2, inputs, &append, sizeof append);
    return graph_keep(all); /* rows are written also where only later steps read them */
}

void state_begin(struct state *state)
{
    for (struct entry *entry = state->entries; entry; entry = entry->hh.next) {
        entry->next = NULL;
        entry->added = 0;
    }
}

static bool holds(const struct entry *entry, const real *data)
{
    return !entry->is_cache && data >= entry->data && data < entry->data + value_size(entry);
}

/* Saves what becomes of an entry where that is the value of another one, which may be replaced before it. */
static void copy_borrowed(struct state *state)
{
    for (struct entry *entry = state->entries; entry; entry = entry->hh.next)
        for (struct entry *other = state->entries; entry->next && !entry->copy && other;
             other = other->hh.next)
            if (other != entry && holds(other, entry->next->data)) {
                size_t bytes = (size_t)tensor_size(entry->next) * sizeof(real);
                entry->copy = memcpy(memory_allocate(bytes), entry->next->data, bytes);
            }
}

/* Takes over an entry's new value, which has another size than the one before. The graph must not run
 * again. */
static void resize(struct entry *entry)
{
    size_t bytes = (size_t)tensor_size(entry->next) * sizeof(real);
    real *data = memcpy(memory_allocate_aligned(64, bytes), entry->next->data, bytes);
    free(entry->data);
    entry->data = data;
}

static void take_over(struct entry *entry, bool repeated)
{
    const real *source = entry->copy ? entry->copy : entry->next->data;
    if (tensor_size(entry->next) == value_size(entry))
        memcpy(entry->data, source, (size_t)value_size(entry) * sizeof(real));
    else if (!repeated)
        resize(entry);
    if (!repeated && entry->resizes) {
        entry->filled = true;
        entry->rank = entry->next->rank;
        memcpy(entry->shape, entry->next->shape, sizeof entry->shape);
    }
}

static void take_over_all(struct state *state, bool repeated)
{
    copy_borrowed(state);
    for (struct entry *entry = state->entries; entry; entry = entry->hh.next) {
        if (entry->next)
            take_over(entry, repeated);
        free(entry->copy);
        entry->copy = NULL;
    }
}

void state_repeat(struct state *state)
{
    take_over_all(state, true);
}

void state_commit(struct state *state)
{
    take_over_all(state, false);
    for (struct entry *entry = state->entries; entry; entry = entry->hh.next) {
        entry->next = NULL;
        entry->rows += entry->added;
        entry->added = 0;
        if (entry->limit > 0 && entry->rows > entry->limit) {
            entry->start += entry->rows - entry->limit;
            entry->rows = entry->limit;
        }
    }
}

size_t state_bytes(const struct state *state)
{
    size_t bytes = 0;
    for (const struct entry *entry = state->entries; entry; entry = entry->hh.next)
        bytes += sizeof(real) * (size_t)(entry->is_cache ? entry->shape[0] * entry->rows * row_size(entry)
                                                         : value_size(entry));
    return bytes;
}
