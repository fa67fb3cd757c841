#include "cli/bench_measure.h"
#include "bench/machine.h"
#include <stdio.h>
#include <stdlib.h>

/* Measurements that are opened and run together. */
struct group {
    const struct plan *plan;
    const struct timed *timed;
    struct session *session; /* of all groups */
    struct pool *pool;
    size_t first;        /* of the session's measurements */
    size_t bytes, limit; /* held by the open ones, and how much starts a new group */
    size_t cases;        /* in all, to share the budget by */
};

static enum status open_one(struct group *group, struct measurement setting, size_t key, struct error *error)
{
    struct session *session = group->session;
    struct measurement *m = &session->measurements[session->count];
    struct error refusal = ERROR_INIT;
    *m = setting;
    m->variant = group->timed->keys[key];
    if (!measurement_open(m, &group->timed->compositions[key], group->pool, session->seed, &refusal)) {
        group->bytes += measurement_bytes(m);
        session->count++;
        return STATUS_OK;
    }
    measurement_close(m);
    if (group->plan->key_count == 1) {
        *error = refusal;
        return error_prefix(error, "'%s' at length %lld", m->variant, (long long)m->length);
    }
    fprintf(stderr, "clade: '%s' is not timed at length %lld: %s\n", m->variant, (long long)m->length,
            refusal.message);
    return STATUS_OK;
}

static void run_group(struct group *group)
{
    struct session *all = group->session, part = *all;
    part.measurements += group->first;
    part.count -= group->first;
    part.budget_s *= (double)part.count / (double)group->cases;
    session_run(&part);
    for (size_t i = 0; i < part.count; i++)
        measurement_release(&part.measurements[i]);
    all->roofline = part.roofline;
    all->started = part.started;
    group->first = all->count;
    group->bytes = 0;
}

/* All variants in one setting. */
static enum status open_setting(struct group *group, size_t mode, size_t scope, size_t width, size_t length,
                                struct error *error)
{
    const struct plan *plan = group->plan;
    const struct measurement setting = {.settings = group->timed->settings,
                                        .mode = plan->modes[mode],
                                        .scope = plan->scopes[scope],
                                        .width = plan->widths.values[width],
                                        .length = plan->lengths.values[length],
                                        .batch = plan->batch};
    enum status status = STATUS_OK;
    for (size_t key = 0; key < plan->key_count && !status; key++)
        if (!group->timed->dropped[key] && plan_has(plan, mode, width, length, key))
            status = open_one(group, setting, key, error);
    if (!status && group->bytes + pool_used(group->pool) > group->limit)
        run_group(group);
    return status;
}

enum status bench_measure(const struct plan *plan, const struct timed *timed, struct session *session,
                          struct error *error)
{
    size_t most = plan_cases(plan) * plan->scope_count;
    *session = (struct session){.measurements = memory_allocate_zero(most, sizeof(struct measurement)),
                                .budget_s = plan->budget_s,
                                .precision = 0.02,
                                .seed = plan->seed,
                                .progress = timed_progress};
    struct group group = {.plan = plan,
                          .timed = timed,
                          .session = session,
                          .pool = pool_create(),
                          .limit = machine_memory() / 4,
                          .cases = (plan->end_case - plan->first_case) * plan->scope_count};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < plan_settings(plan) * plan->scope_count && !status; i++) {
        size_t length = i % plan->lengths.count, width = i / plan->lengths.count % plan->widths.count;
        size_t scope = i / plan->lengths.count / plan->widths.count % plan->scope_count;
        size_t mode = i / plan->lengths.count / plan->widths.count / plan->scope_count;
        status = open_setting(&group, mode, scope, width, length, error);
    }
    if (!status && session->count > group.first)
        run_group(&group);
    if (!status && session->count == 0)
        status = error_set(error, STATUS_USAGE, "no variant takes this setting");
    for (size_t i = 0; i < session->count; i++)
        measurement_release(&session->measurements[i]);
    pool_free(group.pool);
    return status;
}
