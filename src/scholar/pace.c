#include "scholar/pace.h"
#include "catalog/database.h"
#include <math.h>
#include <stddef.h>

static const double slice = 0.1; /* seconds between two looks at the stop flag */

static double now(const struct pace *pace)
{
    return pace->clock->monotonic(pace->clock->data);
}

enum status pace_open(struct pace *pace, struct error *error)
{
    struct statement select =
        statement_start(pace->database,
                        "SELECT (julianday(not_before) - julianday('1970-01-01')) * 86400"
                        " FROM scholar_service WHERE endpoint = ?1",
                        error);
    statement_bind_text(&select, 1, pace->endpoint);
    pace->not_before = now(pace);
    if (statement_step(&select)) {
        double wait = statement_real(&select, 0) - pace->clock->wall(pace->clock->data);
        if (wait > 0)
            pace->not_before += fmin(wait, LONGEST_PAUSE);
    }
    return statement_finish(&select);
}

enum status pace_delay(struct pace *pace, double seconds, struct error *error)
{
    seconds = fmin(fmax(seconds, 0), LONGEST_PAUSE);
    pace->not_before = now(pace) + seconds;
    struct statement insert = statement_start(pace->database,
                                              "INSERT OR REPLACE INTO scholar_service (endpoint, not_before)"
                                              " VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', ?2, 'unixepoch'))",
                                              error);
    statement_bind_text(&insert, 1, pace->endpoint);
    /* a millisecond more, for the text is cut to whole ones */
    statement_bind_real(&insert, 2, pace->clock->wall(pace->clock->data) + seconds + 1e-3);
    statement_run(&insert);
    return statement_finish(&insert);
}

static enum status wait_for_turn(struct pace *pace, struct error *error)
{
    for (double rest; (rest = pace->not_before - now(pace)) > 0;) {
        if (pace->stop && *pace->stop)
            break;
        if (pace->tick)
            pace->tick(pace->data, rest);
        pace->clock->sleep(pace->clock->data, fmin(rest, slice));
    }
    return pace->stop && *pace->stop ? error_set(error, STATUS_OUTSIDE, "interrupted") : STATUS_OK;
}

enum status pace_take(struct pace *pace, struct error *error)
{
    double turn = fmax(pace->not_before, now(pace));
    if (turn >= pace->deadline) {
        char timestamp[TIMESTAMP_SIZE];
        double wait = turn - now(pace);
        timestamp_format(pace->clock->wall(pace->clock->data) + wait, timestamp);
        return wait > 2 * pace->interval
                   ? error_set(error, STATUS_OUTSIDE,
                               "the service is to be left alone until %s, which is past the limit of time",
                               timestamp)
                   : error_set(error, STATUS_OUTSIDE, "the limit of time is reached");
    }
    enum status status = wait_for_turn(pace, error);
    return status ? status : pace_delay(pace, pace->interval, error);
}
