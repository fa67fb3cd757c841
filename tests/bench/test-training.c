/* Small stacks trained on easy tasks: they learn, the same bits every time; and how a training is cut into
 * steps and tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "bench/recorder.h"
#include "bench/store.h"
#include "block/registry.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char attention[] =
    "{\"position\": {\"kernel\": \"rotary\"}, \"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, "
    "\"ffn\": {\"kernel\": \"mlp\"}, \"norm\": {\"kernel\": \"layernorm\"}}";
static const char recurrence[] = "{\"mixer\": {\"kernel\": \"gru\"}, \"norm\": {\"kernel\": \"layernorm\"}}";
static const char fourier[] =
    "{\"mixer\": {\"kernel\": \"fourier-transform\"}, \"norm\": {\"kernel\": \"layernorm\"}}";

static struct settings task_of(const char *name, const char *length)
{
    struct settings task;
    struct error error = ERROR_INIT;
    settings_init(&task, registry_find(name));
    assert_int_equal(settings_set_text(&task, "length", length, &error), STATUS_OK);
    return task;
}

static struct training small(const struct settings *task)
{
    return (struct training){.variant = "test",
                             .name = "task",
                             .settings = "{}",
                             .task = task,
                             .test = task,
                             .width = 16,
                             .batch = 16,
                             .steps = 100,
                             .layers = 1,
                             .test_sequences = 64,
                             .tests = 2,
                             .learning_rate = 0.01,
                             .seed = 1};
}

static void train(struct training *training, const char *text)
{
    struct error error = ERROR_INIT;
    struct composition composition;
    cJSON *document;
    assert_int_equal(json_parse("test", text, strlen(text), &document, &error), STATUS_OK);
    struct json_at root = json_root(document, "test");
    assert_int_equal(composition_parse(&root, &composition, &error), STATUS_OK);
    cJSON_Delete(document);
    if (training_run(training, &composition, &error))
        fail_msg("%s", error.message);
    composition_release(&composition);
}

static const struct training_point *last(const struct training *training)
{
    assert_true(training->point_count > 0);
    return &training->points[training->point_count - 1];
}

/* A recurrent state follows flips of a coin, on sequences twice as long too. */
static void a_recurrence_learns_parity(void **state)
{
    (void)state;
    struct settings task = task_of("state-tracking", "8"), longer = task_of("state-tracking", "16");
    struct training training = small(&task);
    training.test = &longer;
    training.steps = 200;
    train(&training, recurrence);
    assert_true(training.point_count == 2 && training.points[0].step == 100 &&
                training.points[1].step == 200);
    assert_true(last(&training)->accuracy > 0.95 && last(&training)->loss < training.points[0].loss);
    assert_true(training.causal && !training.stopped[0] && training.parameters > 0);
    training_release(&training);
    settings_release(&task);
    settings_release(&longer);
}

/* Two layers of attention recall values, with the same bits once more and for any number of threads. */
static void attention_learns_to_recall(void **state)
{
    (void)state;
    double losses[2];
    struct settings task = task_of("associative-recall", "8");
    struct error error = ERROR_INIT;
    assert_int_equal(settings_set_text(&task, "pairs", "2", &error), STATUS_OK);
    assert_int_equal(settings_set_text(&task, "vocabulary", "8", &error), STATUS_OK);
    for (int again = 0; again < 2; again++) {
        struct training training = small(&task);
        tensor_set_threads(again ? 2 : 1);
        training.layers = 2;
        training.width = 32;
        training.steps = 300;
        training.learning_rate = 0.005;
        train(&training, attention);
        assert_int_equal(training.layers, 2);
        assert_true(last(&training)->accuracy > 0.95);
        losses[again] = last(&training)->loss;
        training_release(&training);
    }
    assert_true(losses[0] == losses[1]);
    settings_release(&task);
}

static void a_summary_is_all_the_decoder_sees(void **state)
{
    (void)state;
    struct settings task = task_of("compression", "4");
    struct error error = ERROR_INIT;
    assert_int_equal(settings_set_text(&task, "vocabulary", "3", &error), STATUS_OK);
    struct training training = small(&task);
    training.width = 32;
    training.steps = 200;
    train(&training, recurrence);
    assert_true(last(&training)->accuracy > 0.9);
    training_release(&training);
    settings_release(&task);
}

static void the_rate_rises_and_falls(void **state)
{
    (void)state;
    const struct training training = {.steps = 100, .learning_rate = 0.5};
    assert_true(fabs(training_rate(&training, 0) - 0.05) < 1e-12);
    assert_true(fabs(training_rate(&training, 9) - 0.5) < 1e-12);
    assert_true(fabs(training_rate(&training, 10) - 0.5) < 1e-12);
    assert_true(fabs(training_rate(&training, 55) - 0.25) < 1e-12);
    for (int64_t done = 10; done < 99; done++)
        assert_true(training_rate(&training, done + 1) < training_rate(&training, done));
    assert_true(training_rate(&training, 99) > 0);
}

static bool stop_at_seven(void *argument, const struct training *training, int64_t done, double loss)
{
    (void)training;
    ++*(int *)argument;
    assert_true(isfinite(loss));
    return done < 7;
}

static void a_training_can_be_stopped(void **state)
{
    (void)state;
    int calls = 0;
    struct settings task = task_of("state-tracking", "8");
    struct training training = small(&task);
    training.progress = stop_at_seven;
    training.argument = &calls;
    train(&training, recurrence);
    assert_true(calls == 7 && training.point_count == 1 && last(&training)->step == 7);
    assert_string_equal(training.stopped, "after 7 of 100 steps the time was spent");
    training_release(&training);
    settings_release(&task);
}

static void numbers_that_are_not_finite_end_it(void **state)
{
    (void)state;
    struct settings task = task_of("state-tracking", "8");
    struct training training = small(&task);
    training.learning_rate = 1e30;
    train(&training, attention);
    assert_non_null(strstr(training.stopped, "not finite"));
    training_release(&training);
    settings_release(&task);
}

static void mixing_of_later_tokens_is_told(void **state)
{
    (void)state;
    struct settings task = task_of("in-context-recall", "9");
    struct training training = small(&task);
    training.steps = 1;
    training.tests = 1;
    train(&training, fourier);
    assert_false(training.causal);
    training_release(&training);
    settings_release(&task);
}

static int count_rows(sqlite3 *database)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM task_result WHERE accuracy >= 0", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void points_are_stored_or_none_is(void **state)
{
    (void)state;
    struct training_point points[] = {{1, 0.5, 1, 0.1}, {2, 0.75, 0.5, 0.2}, {3, 0, NAN, 0.3}};
    struct training training = {
        .variant = "gpt", .name = "task", .settings = "{}", .points = points, .point_count = 3};
    struct arena arena = ARENA_INIT;
    struct record record;
    struct error error = ERROR_INIT;
    sqlite3 *database;
    char *schema;
    size_t length, known;
    assert_int_equal(file_read(SCHEMA, 1 << 20, &schema, &length, &error), STATUS_OK);
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, schema, NULL, NULL, NULL), SQLITE_OK);
    record_trainings(&training, 1, 0, cJSON_CreateObject(), &arena, &record);
    assert_int_equal(record.test_count, 2); /* a loss that is not finite has no place */
    assert_string_equal(record.started_at, "1970-01-01T00:00:00Z");
    assert_int_equal(store_records(database, &record, 1, &known, &error), STATUS_OK);
    assert_int_equal(count_rows(database), 2);
    points[1].step = 1; /* nor has the same point twice */
    record_trainings(&training, 1, 0, cJSON_CreateObject(), &arena, &record);
    assert_int_equal(store_records(database, &record, 1, &known, &error), STATUS_OUTSIDE);
    assert_int_equal(count_rows(database), 2);
    sqlite3_close(database);
    arena_release(&arena);
    free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recurrence_learns_parity),
        cmocka_unit_test(attention_learns_to_recall),
        cmocka_unit_test(a_summary_is_all_the_decoder_sees),
        cmocka_unit_test(the_rate_rises_and_falls),
        cmocka_unit_test(a_training_can_be_stopped),
        cmocka_unit_test(numbers_that_are_not_finite_end_it),
        cmocka_unit_test(mixing_of_later_tokens_is_told),
        cmocka_unit_test(points_are_stored_or_none_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
