#include "bench/recorder.h"
#include "bench/machine.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* A random (version 4) UUID. */
static const char *new_uuid(struct arena *arena)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        BUG("no random bytes");
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    char *text = arena_allocate(arena, 37);
    for (int i = 0, o = 0; i < 16; i++)
        o += snprintf(text + o, (size_t)(37 - o), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                      bytes[i]);
    return text;
}

static const char *utc(time_t when, struct arena *arena)
{
    enum { SIZE = 32 };
    struct tm parts;
    char *text = arena_allocate(arena, SIZE);
    strftime(text, SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &parts));
    return text;
}

/* An object that nobody else has. */
static const char *take_object(cJSON *object, struct arena *arena)
{
    const char *text = record_object(object, arena);
    cJSON_Delete(object);
    return text;
}

static struct record_result result_of(const struct session *session, const struct measurement *m)
{
    double median = measurement_median(m);
    return (struct record_result){
        .variant = m->variant,
        .scope = bench_scope_names[m->scope],
        .mode = bench_mode_names[m->mode],
        .settings = m->settings,
        .length = m->length,
        .width = m->width,
        .batch = m->batch,
        .rounds = (int64_t)m->rounds,
        .parameters = m->parameters,
        .state_bytes = (int64_t)m->state_bytes,
        .peak_bytes = (int64_t)m->peak_bytes,
        .median_s = median,
        .spread_s = measurement_spread(m),
        .flops = m->flops,
        .bytes = m->bytes,
        .roofline_fraction = roofline_seconds(&session->roofline, m->flops, m->compulsory_bytes) / median,
    };
}

/* What records of all kinds have. */
static struct record new_record(time_t started, cJSON *options, struct arena *arena)
{
    return (struct record){
        .uuid = new_uuid(arena),
        .started_at = utc(started, arena),
        .machine = take_object(machine_describe(), arena),
        .build = take_object(machine_build(), arena),
        .options = take_object(options, arena),
        .precision = REAL_NAME,
        .threads = tensor_threads(),
        .gflops = NAN,
        .gbytes_per_s = NAN,
    };
}

void record_session(const struct session *session, cJSON *options, struct arena *arena, struct record *record)
{
    *record = new_record(session->started, options, arena);
    record->gflops = session->roofline.gflops;
    record->gbytes_per_s = session->roofline.gbytes_per_s;
    record->results = arena_allocate(arena, size_multiply(session->count + 1, sizeof *record->results));
    record->count = session->count;
    for (size_t i = 0; i < session->count; i++)
        record->results[i] = result_of(session, &session->measurements[i]);
}

static struct record_test test_of(const struct training *training, const struct training_point *point)
{
    return (struct record_test){.task = training->name,
                                .variant = training->variant,
                                .settings = training->settings,
                                .seed = (int64_t)training->seed,
                                .step = point->step,
                                .parameters = training->parameters,
                                .accuracy = point->accuracy,
                                .loss = point->loss,
                                .seconds = point->seconds};
}

void record_trainings(const struct training *trainings, size_t count, time_t started, cJSON *options,
                      struct arena *arena, struct record *record)
{
    *record = new_record(started, options, arena);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < trainings[i].point_count; j++) {
            if (!isfinite(trainings[i].points[j].loss))
                continue;
            record->tests = arena_extend(arena, record->tests, record->test_count, sizeof *record->tests);
            record->tests[record->test_count++] = test_of(&trainings[i], &trainings[i].points[j]);
        }
}
