/* recorder.h: sessions and trainings as records. */
#ifndef CLADE_BENCH_RECORDER_H
#define CLADE_BENCH_RECORDER_H

#include "bench/record.h"
#include "bench/session.h"
#include "bench/training.h"

/* The record of a session on this machine, with a new name. `options` says what was asked for and is deleted;
 * texts are the arena's or the session's. */
void record_session(const struct session *session, cJSON *options, struct arena *arena,
                    struct record *record);
/* The same of trainings that began at a time: every test whose loss is finite. */
void record_trainings(const struct training *trainings, size_t count, time_t started, cJSON *options,
                      struct arena *arena, struct record *record);

#endif
