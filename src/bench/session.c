#include "bench/session.h"
#include "base/memory.h"
#include "bench/clock.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>

enum { ROUNDS_MINIMUM = 5, ROUNDS_MAXIMUM = 200 };

/* Fisher and Yates' shuffle; each round has an order of its own. */
static void shuffle(size_t *order, size_t count, uint64_t seed, uint64_t round)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random_integer(seed, round, i, i);
        size_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

static size_t least_rounds(const struct session *session)
{
    return session->least_rounds ? session->least_rounds : ROUNDS_MINIMUM;
}

static bool sure(const struct session *session, const struct measurement *m)
{
    return m->rounds >= least_rounds(session) &&
           measurement_spread(m) <= session->precision * measurement_median(m);
}

static void report(const struct session *session, double fraction)
{
    if (session->progress)
        session->progress(session->argument, fraction < 1 ? fraction : 1);
}

static void measure_roofline(struct session *session)
{
    if (!session->roofline_given)
        roofline_measure(&session->roofline);
}

void session_run(struct session *session)
{
    size_t *order = memory_allocate((session->count + 1) * sizeof *order);
    double start = clock_seconds();
    bool open = session->count > 0;
    session->started = session->started ? session->started : time(NULL);
    for (size_t i = 0; i < session->count; i++)
        order[i] = i;
    measure_roofline(session);
    for (uint64_t round = 0; open && round < ROUNDS_MAXIMUM; round++) {
        open = false;
        shuffle(order, session->count, session->seed, round);
        for (size_t i = 0; i < session->count; i++) {
            struct measurement *m = &session->measurements[order[i]];
            double spent = clock_seconds() - start;
            if (sure(session, m) || (m->rounds >= least_rounds(session) && spent > session->budget_s))
                continue;
            measurement_sample(m);
            open = true;
        }
        double by_time = (clock_seconds() - start) / session->budget_s,
               by_rounds = (double)(round + 1) / (double)least_rounds(session);
        report(session, by_time < by_rounds ? by_time : by_rounds);
        if (round == ROUNDS_MINIMUM / 2)
            measure_roofline(session);
    }
    measure_roofline(session);
    report(session, 1);
    free(order);
}

void session_close(struct session *session)
{
    for (size_t i = 0; i < session->count; i++)
        measurement_close(&session->measurements[i]);
    free(session->measurements);
    session->measurements = NULL;
    session->count = 0;
}

bool session_tie(const struct measurement *a, const struct measurement *b)
{
    double difference = fabs(measurement_median(a) - measurement_median(b));
    return difference <= measurement_spread(a) + measurement_spread(b);
}
