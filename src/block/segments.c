/* Sequences cut in segments, and what is carried from one to the next. */
#include "block/scope.h"
#include "block/state.h"
#include "tensor/operation.h"
#include <string.h>

struct value {
    const char *name; /* with the prefix */
    tensor *value;
    struct value *next;
};

struct carried {
    struct value *first; /* newest first: a name's newest value holds */
    struct scope
        *step; /* with the state that holds what earlier steps have carried; NULL in the parallel form */
};

static tensor *find(struct value *list, const char *name)
{
    for (; list; list = list->next)
        if (strcmp(list->name, name) == 0)
            return list->value;
    return NULL;
}

tensor *carried(struct scope *s, const char *name)
{
    const char *full = part_name(s, "%s%s", s->prefix, name);
    tensor *value = find(s->carried->first, full);
    return value || !s->carried->step ? value : state_find(s->carried->step, full);
}

void carry(struct scope *s, const char *name, tensor *value)
{
    struct value *entry = arena_allocate(graph_arena(s->graph), sizeof *entry);
    *entry = (struct value){part_name(s, "%s%s", s->prefix, name), value, s->carried->first};
    s->carried->first = entry;
}

tensor *newest_rows(tensor *before, tensor *x, int64_t count)
{
    tensor *all = before ? tensor_concat(2, (tensor *[]){before, x}, 1) : x;
    int64_t rows = all->shape[1] < count ? all->shape[1] : count;
    return rows ? tensor_slice(all, 1, all->shape[1] - rows, rows) : NULL;
}

tensor *by_segments(struct scope *s, tensor *x, int64_t length,
                    tensor *(*segment)(struct scope *s, tensor *x))
{
    struct carried *list = arena_allocate(graph_arena(s->graph), sizeof *list);
    *list = (struct carried){NULL, s->state ? s : NULL};
    struct scope parallel = scope_parallel(s);
    parallel.carried = s->carried = list; /* so that the caller can read what the last segment left */
    const char *rows_name = part_name(s, "%ssegment", s->prefix);
    int64_t inside = s->position % length; /* tokens of the present segment in earlier steps */
    tensor *rows = inside ? state_find(s, rows_name) : NULL;
    struct pieces parts = {0};
    for (int64_t start = 0, count; start < x->shape[1]; start += count) {
        int64_t left = x->shape[1] - start;
        count = left < length - inside ? left : length - inside;
        tensor *new_rows = tensor_slice(x, 1, start, count);
        rows = inside ? tensor_concat(2, (tensor *[]){rows, new_rows}, 1) : new_rows;
        struct value *before = list->first;
        add_piece(&parts, tensor_slice(segment(&parallel, rows), 1, inside, count));
        inside = (inside + count) % length;
        if (inside && s->state)
            list->first = before;
    }
    if (s->state && inside)
        state_replace(s, rows_name, rows);
    for (struct value *entry = s->state ? list->first : NULL; entry; entry = entry->next)
        if (find(list->first, entry->name) == entry->value)
            state_replace(s, entry->name, entry->value);
    return join_pieces(&parts, 1);
}
