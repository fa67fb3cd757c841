/* clock.h: seconds of a clock that no time service adjusts. */
#ifndef CLADE_BENCH_CLOCK_H
#define CLADE_BENCH_CLOCK_H

#include <time.h>

static inline double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
