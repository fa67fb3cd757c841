#include "scholar/clock.h"
#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double monotonic(void *data)
{
    return read_clock(CLOCK_MONOTONIC);
}

static double wall(void *data)
{
    return read_clock(CLOCK_REALTIME);
}

static void sleep_for(void *data, double seconds)
{
    struct timespec span = {.tv_sec = (time_t)seconds};
    span.tv_nsec = (long)((seconds - (double)span.tv_sec) * 1e9);
    nanosleep(&span, NULL);
}

const struct scholar_clock system_clock = {monotonic, wall, sleep_for, NULL};

void timestamp_format(double wall_time, char timestamp[TIMESTAMP_SIZE])
{
    time_t seconds = (time_t)wall_time;
    struct tm utc;
    strftime(timestamp, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
}
