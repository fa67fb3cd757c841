#include "cli/bench_plan.h"
#include <stdio.h>
#include <string.h>

enum status plan_read(struct command_line *line, struct plan *plan, struct error *error)
{
    *plan = (struct plan){.batch = command_integer(line, "batch", 1),
                          .budget_s = command_real(line, "budget", 10),
                          .seed = (uint64_t)command_integer(line, "seed", 1)};
    plan->scopes[plan->scope_count++] = SCOPE_BLOCK;
    if (command_given(line, "operation"))
        plan->scopes[plan->scope_count++] = SCOPE_OPERATION;
    enum status status = command_quantities(line, "length", "256,1k", LONGEST_INPUT, &plan->lengths, error);
    if (!status)
        status = command_quantities(line, "width", "256", WIDEST_INPUT, &plan->widths, error);
    if (!status)
        status = timed_modes(line, plan->modes, &plan->mode_count, error);
    if (!status)
        status = timed_keys(line, 0, &plan->keys, &plan->key_count, error);
    plan->end_case = plan_cases(plan);
    return status;
}

size_t plan_settings(const struct plan *plan)
{
    return plan->mode_count * plan->widths.count * plan->lengths.count;
}

size_t plan_cases(const struct plan *plan)
{
    return plan_settings(plan) * plan->key_count;
}

enum status plan_check_parts(const struct plan *plan, int64_t parts, struct error *error)
{
    size_t cases = plan_cases(plan);
    if ((size_t)parts <= cases)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE, "there are fewer cases (%zu) than shards (%lld)", cases,
                     (long long)parts);
}

enum status plan_take_part(struct plan *plan, const char *part, struct error *error)
{
    unsigned long long number, parts;
    int end = 0;
    size_t cases = plan_cases(plan);
    if (sscanf(part, "%9llu/%9llu%n", &number, &parts, &end) != 2 || part[end] || strpbrk(part, "+- \t\n") ||
        number < 1 || number > parts)
        return error_set(error, STATUS_USAGE, "a shard is i/n, as 3/16, with i from 1 to n, not '%.64s'",
                         part);
    enum status status = plan_check_parts(plan, (int64_t)parts, error);
    if (status)
        return status;
    plan->first_case = (size_t)(number - 1) * cases / (size_t)parts;
    plan->end_case = (size_t)number * cases / (size_t)parts;
    return STATUS_OK;
}

static bool in_part(const struct plan *plan, size_t setting, size_t key)
{
    size_t number = setting * plan->key_count + key;
    return number >= plan->first_case && number < plan->end_case;
}

bool plan_has(const struct plan *plan, size_t mode, size_t width, size_t length, size_t key)
{
    return in_part(plan, (mode * plan->widths.count + width) * plan->lengths.count + length, key);
}

bool plan_has_key(const struct plan *plan, size_t key)
{
    for (size_t setting = 0; setting < plan_settings(plan); setting++)
        if (in_part(plan, setting, key))
            return true;
    return false;
}
