/* A whole session over small blocks: what is measured, counted, ordered and stored. Times themselves are not
 * tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "bench/recorder.h"
#include "bench/store.h"
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const char attention_block[] =
    "{\"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, \"norm\": {\"kernel\": \"rmsnorm\"}}";
static const char linear_block[] =
    "{\"mixer\": {\"kernel\": \"linear-attention\", \"heads\": 2}, \"norm\": {\"kernel\": \"rmsnorm\"}}";

static void parse(const char *text, struct composition *composition)
{
    struct error error = ERROR_INIT;
    cJSON *document;
    assert_int_equal(json_parse("test", text, strlen(text), &document, &error), STATUS_OK);
    struct json_at root = json_root(document, "test");
    assert_int_equal(composition_parse(&root, composition, &error), STATUS_OK);
    cJSON_Delete(document);
}

static void open_one(struct measurement *m, const char *composition_text, struct pool *pool)
{
    struct composition composition;
    struct error error = ERROR_INIT;
    parse(composition_text, &composition);
    m->variant = "test";
    m->settings = "{}";
    m->width = 16;
    m->batch = 1;
    if (measurement_open(m, &composition, pool, 1, &error))
        fail_msg("%s", error.message);
    composition_release(&composition);
}

static void state_grows_with_the_cache_and_not_with_a_matrix(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct measurement m[4] = {{.mode = MODE_DECODE, .length = 8},
                               {.mode = MODE_DECODE, .length = 16},
                               {.mode = MODE_DECODE, .length = 8},
                               {.mode = MODE_DECODE, .length = 16}};
    for (int i = 0; i < 4; i++)
        open_one(&m[i], i < 2 ? attention_block : linear_block, pool);
    assert_true(m[1].state_bytes == 2 * m[0].state_bytes);
    assert_true(m[3].state_bytes == m[2].state_bytes && m[2].state_bytes > 0);
    for (int i = 0; i < 4; i++)
        measurement_close(&m[i]);
    pool_free(pool);
}

static void training_counts_more_than_prefill(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct measurement prefill = {.mode = MODE_PREFILL, .length = 8},
                       train = {.mode = MODE_TRAIN, .length = 8};
    open_one(&prefill, attention_block, pool);
    open_one(&train, attention_block, pool);
    assert_true(train.flops > 2 * prefill.flops);
    assert_true(train.compulsory_bytes > prefill.compulsory_bytes);
    assert_int_equal(prefill.parameters, 4 * 16 * 16 + 16);
    measurement_close(&prefill);
    measurement_close(&train);
    pool_free(pool);
}

static void every_measurement_gets_its_rounds_and_is_stored(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct measurement m[2] = {{.mode = MODE_PREFILL, .length = 8}, {.mode = MODE_TRAIN, .length = 8}};
    struct session session = {.measurements = m, .count = 2, .budget_s = 0, .precision = 0.02, .seed = 1};
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    struct record record;
    size_t known;
    sqlite3 *database;
    char *message = NULL;
    open_one(&m[0], attention_block, pool);
    open_one(&m[1], attention_block, pool);
    session_run(&session);
    assert_true(m[0].rounds >= 5 && m[1].rounds >= 5);
    assert_true(measurement_median(&m[0]) > 0 && measurement_spread(&m[0]) >= 0);
    assert_true(session.roofline.gflops > 0 && session.roofline.gbytes_per_s > 0);
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    record_session(&session, cJSON_CreateObject(), &arena, &record);
    assert_int_equal(store_records(database, &record, 1, &known, &error), STATUS_OUTSIDE); /* no tables */
    char *schema;
    size_t length;
    error = (struct error)ERROR_INIT;
    assert_int_equal(file_read(SCHEMA, 1 << 20, &schema, &length, &error), STATUS_OK);
    assert_int_equal(sqlite3_exec(database, schema, NULL, NULL, &message), SQLITE_OK);
    assert_int_equal(store_records(database, &record, 1, &known, &error), STATUS_OK);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM latest_run WHERE median_s > 0", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 2);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    arena_release(&arena);
    free(schema);
    measurement_close(&m[0]);
    measurement_close(&m[1]);
    pool_free(pool);
}

static void overlapping_spreads_are_a_tie(void **state)
{
    (void)state;
    double near[] = {1.0, 1.1, 1.2}, close[] = {1.05, 1.15, 1.25}, far[] = {2.0, 2.0, 2.0};
    const struct measurement a = {.seconds = near, .rounds = 3}, b = {.seconds = close, .rounds = 3};
    const struct measurement c = {.seconds = far, .rounds = 3};
    assert_true(session_tie(&a, &b));
    assert_false(session_tie(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_grows_with_the_cache_and_not_with_a_matrix),
        cmocka_unit_test(training_counts_more_than_prefill),
        cmocka_unit_test(every_measurement_gets_its_rounds_and_is_stored),
        cmocka_unit_test(overlapping_spreads_are_a_tie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
