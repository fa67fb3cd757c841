/* clock.h: the time as the client sees it. A structure, so that tests wait for hours in no time. */
#ifndef CLADE_SCHOLAR_CLOCK_H
#define CLADE_SCHOLAR_CLOCK_H

struct scholar_clock {
    double (*monotonic)(void *data);           /* seconds, never set back */
    double (*wall)(void *data);                /* seconds since 1970, UTC */
    void (*sleep)(void *data, double seconds); /* may return early, at a signal */
    void *data;
};

extern const struct scholar_clock system_clock;

/* "2026-11-25T18:52:45Z" */
enum { TIMESTAMP_SIZE = 32 };
void timestamp_format(double wall, char timestamp[TIMESTAMP_SIZE]);

#endif
