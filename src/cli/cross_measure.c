#include "cli/cross_measure.h"
#include "bench/clock.h"
#include "bench/machine.h"
#include "cli/output.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    COMPARISONS = 16, /* that an answer's budget is shared out among */
    ROUNDS = 8,       /* the least with which a range leaves an outlier out */
};

/* One answer under way. */
struct search {
    const struct cross_order *order;
    const struct cross_answer *answer;
    double budget_s;         /* of this answer */
    struct session *session; /* collects the measurements of all */
};

/* ---- One comparison ---- */

static enum status open_pair(const struct search *search, struct measurement *pair, int64_t length,
                             struct pool *pool, struct error *error)
{
    const struct cross_order *order = search->order;
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct measurement){.variant = order->timed->keys[i],
                                       .settings = order->timed->settings,
                                       .mode = search->answer->mode,
                                       .scope = search->answer->scope,
                                       .length = length,
                                       .width = order->width,
                                       .batch = order->batch};
        enum status status =
            measurement_open(&pair[i], &order->timed->compositions[i], pool, order->seed, error);
        if (status) {
            error_prefix(error, "'%s' at length %lld", pair[i].variant, (long long)length);
            for (; i >= 0; i--)
                measurement_close(&pair[i]);
            return status;
        }
    }
    return STATUS_OK;
}

/* Interleaved rounds of the two. */
static void run_pair(const struct search *search, struct measurement *pair)
{
    struct session session = *search->session;
    session.measurements = pair;
    session.count = 2;
    session.budget_s = search->budget_s / COMPARISONS;
    session.roofline_given = true;
    session.least_rounds = ROUNDS;
    session_run(&session);
    search->session->started = session.started;
    search->session->count += 2;
}

static void compare_medians(const struct measurement *pair, struct crossing_point *point)
{
    double low[2], high[2];
    for (int i = 0; i < 2; i++)
        measurement_median_range(&pair[i], &low[i], &high[i]);
    point->ratio = measurement_median(&pair[0]) / measurement_median(&pair[1]);
    point->low = low[0] / high[1];
    point->high = high[0] / low[1];
}

static enum status compare(void *argument, int64_t length, struct crossing_point *point, struct error *error)
{
    const struct search *search = argument;
    double start = clock_seconds();
    struct measurement *pair = &search->session->measurements[search->session->count];
    struct pool *pool = pool_create();
    progress_show("%s %s at length %lld", bench_mode_names[search->answer->mode],
                  bench_scope_names[search->answer->scope], (long long)length);
    enum status status = open_pair(search, pair, length, pool, error);
    if (!status) {
        run_pair(search, pair);
        compare_medians(pair, point);
        for (int i = 0; i < 2; i++) {
            point->bytes += measurement_bytes(&pair[i]) + pair[i].peak_bytes;
            measurement_release(&pair[i]);
        }
        point->cost_s = clock_seconds() - start;
    }
    pool_free(pool);
    return status;
}

/* ---- All answers ---- */

static enum status find_all(const struct cross_order *order, struct cross_answer *answers, size_t count,
                            struct session *session, struct error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct search search = {order, &answers[i], order->budget_s / (double)count, session};
        const struct crossing_search lengths = {.first = order->shortest,
                                                .last = order->longest,
                                                .budget_s = search.budget_s,
                                                .memory = machine_memory() / 2,
                                                .compare = compare,
                                                .argument = &search};
        struct error failure = ERROR_INIT;
        enum status status = crossing_find(&lengths, &answers[i].crossing, &failure);
        if (status && status != STATUS_USAGE) {
            *error = failure;
            return status;
        }
        answers[i].refused = status;
        if (status)
            answers[i].crossing.refusal = failure;
        found += !status;
    }
    if (found)
        return STATUS_OK;
    *error = answers[0].crossing.refusal;
    return error->status;
}

static int by_curve(const void *a, const void *b)
{
    const struct measurement *x = a, *y = b;
    if (x->mode != y->mode)
        return x->mode < y->mode ? -1 : 1;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    return (x->length > y->length) - (x->length < y->length);
}

enum status cross_measure(const struct cross_order *order, struct cross_answer *answers, size_t count,
                          struct session *session, struct error *error)
{
    size_t most = 2 * count * CROSSING_POINTS;
    *session = (struct session){.measurements = memory_allocate_zero(most, sizeof(struct measurement)),
                                .precision = 0.02,
                                .seed = order->seed};
    roofline_measure(&session->roofline);
    enum status status = find_all(order, answers, count, session, error);
    progress_end();
    if (status)
        return status;
    roofline_measure(&session->roofline);
    /* Pairs, not single measurements: the first variant stays before the second. */
    qsort(session->measurements, session->count / 2, 2 * sizeof *session->measurements, by_curve);
    return STATUS_OK;
}
