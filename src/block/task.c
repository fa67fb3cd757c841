#include "block/task.h"
#include "base/memory.h"
#include "tensor/random.h"

static struct scope scope_of(const struct settings *task)
{
    return (struct scope){.kernel = task->kernel, .settings = task, .prefix = "", .shared_prefix = ""};
}

enum status task_validate(const struct settings *task, struct error *error)
{
    struct scope s = scope_of(task);
    if (!task->kernel->generate)
        return error_set(error, STATUS_USAGE, "kernel '%s' is no task but fills the slot %s",
                         task->kernel->name, slot_names[task->kernel->slot]);
    const char *wrong = task->kernel->validate ? task->kernel->validate(&s) : NULL;
    return wrong ? error_set(error, STATUS_USAGE, "task '%s': %s", task->kernel->name, wrong) : STATUS_OK;
}

int64_t task_length(const struct settings *task)
{
    struct scope s = scope_of(task);
    return option(&s, "length");
}

struct task_sizes task_sizes(const struct settings *task)
{
    struct scope s = scope_of(task);
    return task->kernel->sizes(&s);
}

void task_fill(const struct settings *task, uint64_t seed, uint64_t first, int64_t count, real *ids,
               real *targets)
{
    struct scope s = scope_of(task);
    struct arena arena = ARENA_INIT;
    int64_t length = task_length(task);
    for (int64_t i = 0; i < count * length; i++)
        targets[i] = -1;
    for (int64_t i = 0; i < count; i++) {
        struct task_sequence sequence = {.length = length,
                                         .ids = ids + i * length,
                                         .targets = targets + i * length,
                                         .seed = seed,
                                         .number = first + (uint64_t)i,
                                         .arena = &arena};
        task->kernel->generate(&s, &sequence);
        arena_release(&arena);
    }
}

/* ---- What tasks draw ---- */

int64_t draw_below(struct task_sequence *sequence, int64_t below)
{
    return (int64_t)random_integer(sequence->seed, sequence->number, sequence->drawn++, (uint64_t)below);
}

double draw_share(struct task_sequence *sequence)
{
    return (double)draw_below(sequence, (int64_t)1 << 53) / (double)((int64_t)1 << 53);
}

int64_t *sequence_numbers(struct task_sequence *sequence, int64_t count)
{
    return arena_allocate(sequence->arena, size_multiply((size_t)count + 1, sizeof(int64_t)));
}

static bool among(const int64_t *numbers, int64_t count, int64_t number)
{
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* Floyd's choice of a set, then Fisher and Yates' shuffle. */
const int64_t *draw_distinct(struct task_sequence *sequence, int64_t count, int64_t below)
{
    int64_t *chosen = sequence_numbers(sequence, count);
    for (int64_t i = 0; i < count; i++) {
        int64_t last = below - count + i, one = draw_below(sequence, last + 1);
        chosen[i] = among(chosen, i, one) ? last : one;
    }
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = draw_below(sequence, i + 1), kept = chosen[i];
        chosen[i] = chosen[j];
        chosen[j] = kept;
    }
    return chosen;
}
