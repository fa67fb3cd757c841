#include "bench/training.h"
#include "base/memory.h"
#include "bench/clock.h"
#include "block/adamw.h"
#include "block/model.h"
#include "block/subject.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double warm_up = 0.1; /* share of the steps */

/* A graph over one batch of a task, recorded once and run for each batch. */
struct lesson {
    struct model *model;
    const struct settings *task;
    int64_t batch, length, questions;
    real *ids, *answers; /* [batch, length] */
    real *places,
        *targets; /* [batch, questions]: where something is asked, and the answers; -1 where fewer are */
    struct graph *graph;
    tensor *logits, *loss;
};

struct course {
    struct training *training;
    struct pool *pool;
    struct model *model;
    struct adamw *adamw;
    struct lesson lesson, test;
};

double training_rate(const struct training *training, int64_t done)
{
    double steps = (double)training->steps, warm = ceil(warm_up * steps), step = (double)done;
    if (step < warm)
        return training->learning_rate * (step + 1) / warm;
    return training->learning_rate * (1 + cos(M_PI * (step - warm) / (steps - warm))) / 2;
}

/* ---- One batch ---- */

static void record(struct graph *graph, void *argument)
{
    struct lesson *lesson = argument;
    int64_t questions = lesson->batch * lesson->questions;
    tensor *ids = tensor_leaf(graph, lesson->ids, 2, SHAPE(lesson->batch, lesson->length), false);
    tensor *places = tensor_leaf(graph, lesson->places, 1, SHAPE(questions), false);
    tensor *targets = tensor_leaf(graph, lesson->targets, 1, SHAPE(questions), false);
    lesson->logits = graph_keep(model_logits_at(lesson->model, ids, places));
    lesson->loss = graph_keep(tensor_cross_entropy(lesson->logits, targets));
}

static real *numbers(int64_t count)
{
    return memory_allocate_zero((size_t)count, sizeof(real));
}

static enum status lesson_open(struct lesson *lesson, struct course *course, const struct settings *task,
                               bool gradients, struct error *error)
{
    int64_t batch = course->training->batch, length = task_length(task),
            questions = task_sizes(task).questions;
    *lesson = (struct lesson){.model = course->model,
                              .task = task,
                              .batch = batch,
                              .length = length,
                              .questions = questions,
                              .ids = numbers(batch * length),
                              .answers = numbers(batch * length),
                              .places = numbers(batch * questions),
                              .targets = numbers(batch * questions),
                              .graph = graph_create(course->pool, gradients)};
    return graph_protect(lesson->graph, record, lesson, error) ? STATUS_OK : error->status;
}

static void lesson_close(struct lesson *lesson)
{
    graph_free(lesson->graph);
    free(lesson->ids);
    free(lesson->answers);
    free(lesson->places);
    free(lesson->targets);
}

static void run_forward(struct graph *graph, void *argument)
{
    graph_run(graph);
}

/* The sequences from `first` on through the model. */
static enum status lesson_run(struct lesson *lesson, uint64_t seed, uint64_t first, struct error *error)
{
    task_fill(lesson->task, seed, first, lesson->batch, lesson->ids, lesson->answers);
    for (int64_t i = 0; i < lesson->batch; i++) {
        int64_t asked = 0, row = i * lesson->questions;
        for (int64_t t = i * lesson->length; t < (i + 1) * lesson->length; t++) {
            if (!(lesson->answers[t] >= 0))
                continue;
            lesson->places[row + asked] = (real)t;
            lesson->targets[row + asked++] = lesson->answers[t];
        }
        for (; asked < lesson->questions; asked++)
            lesson->targets[row + asked] = -1;
    }
    return graph_protect(lesson->graph, run_forward, NULL, error) ? STATUS_OK : error->status;
}

/* ---- Steps and tests ---- */

static enum status step(struct course *course, int64_t done, struct error *error)
{
    static const real one = 1;
    struct lesson *lesson = &course->lesson;
    const struct training *training = course->training;
    enum status status =
        lesson_run(lesson, training->seed, (uint64_t)done * (uint64_t)training->batch, error);
    if (status)
        return status;
    graph_seed(lesson->loss, &one);
    graph_backward(lesson->graph);
    adamw_set_rate(course->adamw, training_rate(training, done));
    return adamw_step(course->adamw, error);
}

/* Whether the largest logit is the target's: the first of equal ones, and none if one is not a number. */
static bool answered(const real *logits, int64_t count, int64_t target)
{
    for (int64_t i = 0; i < count; i++)
        if (!(i < target ? logits[i] < logits[target] : logits[i] <= logits[target]))
            return false;
    return true;
}

static enum status test(struct course *course, struct training_point *point, struct error *error)
{
    struct lesson *lesson = &course->test;
    const struct training *training = course->training;
    int64_t classes = course->model->options.vocabulary, asked = 0, right = 0;
    double loss = 0;
    for (int64_t first = 0; first < training->test_sequences; first += training->batch) {
        enum status status = lesson_run(lesson, training->seed, TASK_TEST + (uint64_t)first, error);
        if (status)
            return status;
        int64_t here = 0;
        for (int64_t i = 0; i < lesson->batch * lesson->questions; i++) {
            int64_t target = (int64_t)lesson->targets[i];
            here += target >= 0;
            right += target >= 0 && answered(lesson->logits->data + i * classes, classes, target);
        }
        loss += (double)lesson->loss->data[0] * (double)here;
        asked += here;
    }
    point->accuracy = asked ? (double)right / (double)asked : 0;
    point->loss = asked ? loss / (double)asked : 0;
    return STATUS_OK;
}

static enum status add_point(struct course *course, int64_t done, double seconds, struct error *error)
{
    struct training *training = course->training;
    struct training_point *point = &training->points[training->point_count];
    *point = (struct training_point){.step = done, .seconds = seconds};
    enum status status = test(course, point, error);
    training->point_count += !status;
    return status;
}

/* Whether a test is due: the n-th of N after n / N of the steps. */
static bool test_due(const struct training *training, int64_t done)
{
    return done * training->tests / training->steps > (done - 1) * training->tests / training->steps;
}

static enum status run_steps(struct course *course, struct error *error)
{
    struct training *training = course->training;
    double seconds = 0;
    for (int64_t done = 0; done < training->steps; done++) {
        double start = clock_seconds();
        enum status status = step(course, done, error);
        seconds += clock_seconds() - start;
        if (status)
            return status;
        bool stop = training->progress && !training->progress(training->argument, training, done + 1,
                                                              (double)course->lesson.loss->data[0]);
        if ((stop || test_due(training, done + 1)) && (status = add_point(course, done + 1, seconds, error)))
            return status;
        if (stop && done + 1 < training->steps) {
            snprintf(training->stopped, sizeof training->stopped,
                     "after %lld of %lld steps the time was spent", (long long)(done + 1),
                     (long long)training->steps);
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}

/* ---- The whole ---- */

static enum status make_model(struct course *course, const struct composition *original, struct error *error)
{
    struct training *training = course->training;
    struct composition composition;
    struct task_sizes sizes = task_sizes(training->task);
    int64_t length = task_length(training->task), test_length = task_length(training->test);
    composition_copy(&composition, original);
    composition_set_length(&composition, test_length > length ? test_length : length);
    struct model_options options = {
        .block = {.width = training->width,
                  .repeats = (training->layers + composition.count - 1) / composition.count,
                  .seed = training->seed},
        .vocabulary = sizes.vocabulary,
        .summary = sizes.summary};
    enum status status = model_create(&composition, &options, &course->model, error);
    composition_release(&composition);
    return status;
}

static enum status open_course(struct course *course, const struct composition *composition,
                               struct error *error)
{
    struct training *training = course->training;
    enum status status = make_model(course, composition, error);
    if (status)
        return status;
    struct block *block = course->model->block;
    training->layers = block->layers;
    training->parameters = parameters_size(&block->parameters);
    training->causal =
        subject_causality(&(struct subject){.composition = block->composition, .block = block}) == CAUSAL;
    /* the gradients are those of the graph recorded last */
    status = lesson_open(&course->test, course, training->test, false, error);
    if (!status)
        status = lesson_open(&course->lesson, course, training->task, true, error);
    course->adamw = adamw_create(&block->parameters, adamw_defaults());
    return status;
}

enum status training_run(struct training *training, const struct composition *composition,
                         struct error *error)
{
    struct course course = {.training = training, .pool = pool_create()};
    enum status status = open_course(&course, composition, error);
    training->points = memory_allocate_zero((size_t)training->tests + 1, sizeof *training->points);
    if (!status) {
        struct error ended = ERROR_INIT;
        if (run_steps(&course, &ended))
            snprintf(training->stopped, sizeof training->stopped, "%s", ended.message);
    }
    adamw_free(course.adamw);
    lesson_close(&course.test);
    lesson_close(&course.lesson);
    if (course.model)
        parameters_new_graph(&course.model->block->parameters);
    model_free(course.model);
    pool_free(course.pool);
    return status;
}

void training_release(struct training *training)
{
    free(training->points);
    training->points = NULL;
    training->point_count = 0;
}
