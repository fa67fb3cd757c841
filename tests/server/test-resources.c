/* What stands at which path. */
#include "base/json.h"
#include "client.h"

static void open_resources(struct service *service, void **state)
{
    struct error error = ERROR_INIT;
    *service = (struct service){.fixture = *state};
    service->catalog = fixture_open(service->fixture);
    assert_int_equal(resources_open(service->catalog, NULL, &service->resources, &error), STATUS_OK);
}

static void close_resources(struct service *service)
{
    resources_close(service->resources);
    catalog_close(service->catalog);
}

static enum status get(struct service *service, const char *path, struct resource *resource,
                       struct error *error)
{
    struct target target;
    *error = (struct error)ERROR_INIT;
    assert_null(target_parse(path, strlen(path), &service->fixture->arena, &target));
    return resources_get(service->resources, &target, &service->fixture->arena, resource, error);
}

static cJSON *document_at(struct service *service, const char *path)
{
    struct resource resource;
    struct error error;
    cJSON *document;
    enum status status = get(service, path, &resource, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    assert_string_equal(resource.type, "application/json");
    assert_int_equal(json_parse(path, resource.body, resource.length, &document, &error), STATUS_OK);
    return document;
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Every path answers, with strict JSON where it says so. */
static void test_all_paths(void **state)
{
    struct service service;
    struct error error = ERROR_INIT;
    const char **paths;
    size_t count, documents = 0, pictures = 0;
    open_resources(&service, state);
    assert_int_equal(resources_paths(service.resources, &service.fixture->arena, &paths, &count, &error),
                     STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        struct resource resource;
        const char *path = arena_format(&service.fixture->arena, "/%s", paths[i]);
        if (strstr(path, "/tree/character"))
            continue; /* the small catalogue has too few characters */
        enum status status = get(&service, path, &resource, &error);
        assert_string_equal(error.message, "");
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(strlen(resource.body), resource.length);
        if (strcmp(resource.type, "application/json") == 0) {
            cJSON_Delete(document_at(&service, path));
            documents++;
        }
        pictures += strcmp(resource.type, "image/svg+xml") == 0;
    }
    assert_true(documents > 20);
    assert_true(pictures >= 2);
    close_resources(&service);
}

static void test_documents(void **state)
{
    struct service service;
    open_resources(&service, state);
    cJSON *card = document_at(&service, "/api/variants/gla.json");
    assert_string_equal(text_of(card, "key"), "gla");
    cJSON_Delete(card);
    cJSON *line = document_at(&service, "/api/lineage/gla.json?depth=1");
    assert_string_equal(text_of(line, "direction"), "ancestors");
    cJSON_Delete(line);
    line = document_at(&service, "/api/lineage/retnet.json?direction=descendants");
    assert_string_equal(text_of(line, "direction"), "descendants");
    cJSON_Delete(line);
    cJSON *pair = document_at(&service, "/api/diff/retnet/gla.json");
    assert_string_equal(text_of(cJSON_GetObjectItem(pair, "a"), "key"), "retnet");
    assert_string_equal(text_of(cJSON_GetObjectItem(pair, "b"), "key"), "gla");
    cJSON_Delete(pair);
    cJSON *tree = document_at(&service, "/api/tree/descent.json");
    assert_string_equal(text_of(tree, "method"), "descent");
    cJSON_Delete(tree);
    cJSON *kernel = document_at(&service, "/api/kernels/gated-linear-attention.json");
    assert_string_equal(text_of(kernel, "slot"), "mixer");
    assert_non_null(strstr(text_of(kernel, "notes"), "diag(alpha_t)"));
    cJSON_Delete(kernel);
    close_resources(&service);
}

static void test_filters(void **state)
{
    struct service service;
    open_resources(&service, state);
    cJSON *all = document_at(&service, "/api/list.json");
    cJSON *some = document_at(&service, "/api/list.json?text=gated&since=2023");
    cJSON *none = document_at(&service, "/api/list.json?text=nothing-has-this");
    assert_true(cJSON_GetArraySize(some) > 0);
    assert_true(cJSON_GetArraySize(some) < cJSON_GetArraySize(all));
    assert_int_equal(cJSON_GetArraySize(none), 0);
    cJSON_Delete(all);
    cJSON_Delete(some);
    cJSON_Delete(none);
    close_resources(&service);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *path, *message;
        enum status status;
    } cases[] = {
        {"/nothing", "there is nothing at this path", STATUS_NO},
        {"/api", "there is nothing at this path", STATUS_NO},
        {"/api/variants", "there is nothing at this path", STATUS_NO},
        {"/api/variants/gla", "there is nothing at this path", STATUS_NO},
        {"/api/variants/.json", "there is nothing at this path", STATUS_NO},
        {"/api/variants/gla.json/x", "there is nothing at this path", STATUS_NO},
        {"/index.html/x", "there is nothing at this path", STATUS_NO},
        {"/package.json", "there is nothing at this path", STATUS_NO},
        {"/api/variants/glaa.json", "unknown variant 'glaa': did you mean 'gla'?", STATUS_NO},
        {"/api/diff/gla/retnt.json", "unknown variant 'retnt': did you mean 'retnet'?", STATUS_NO},
        {"/api/kernels/rotry.json", "unknown kernel 'rotry': did you mean 'rotary'?", STATUS_NO},
        {"/api/tree/decent.svg", "unknown method 'decent': did you mean 'descent'?", STATUS_NO},
        {"/api/list.json?kind=bloc", "unknown kind 'bloc': did you mean 'block'?", STATUS_USAGE},
        {"/api/list.json?since=1e9", "'since' is a number from 1 to 9999, not '1e9'", STATUS_USAGE},
        {"/api/list.json?since=", "'since' is a number from 1 to 9999, not ''", STATUS_USAGE},
        {"/api/list.json?state=none", "'state' goes with 'character'", STATUS_USAGE},
        {"/api/about.json?a=1", "unknown parameter 'a': there are none", STATUS_USAGE},
        {"/api/runs.json?a=1", "unknown parameter 'a': there are variant", STATUS_USAGE},
        {"/api/lineage/gla.json?depth=-1", "'depth' is a number from 0 to 10000, not '-1'", STATUS_USAGE},
        {"/api/lineage/gla.json?direction=up", "'direction' is ancestors or descendants, not 'up'",
         STATUS_USAGE},
    };
    struct service service;
    open_resources(&service, state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct resource resource;
        struct error error;
        assert_int_equal(get(&service, cases[i].path, &resource, &error), cases[i].status);
        assert_string_equal(error.message, cases[i].message);
    }
    close_resources(&service);
}

/* Words of SQL and of full-text search are words. */
static void test_injection(void **state)
{
    static const char *const texts[] = {
        "'",
        "%22",
        "%22%22",
        "--",
        "%3B+DROP+TABLE+variant",
        "NEAR(a+b)",
        "key:gla",
        "^gla",
        "*",
        "a+OR+b",
        "AND",
        "(",
        ")",
        "%7B",
        "gla*",
        "-gla",
        "%25",
        "_",
        "%5C",
        "0x41",
        "NULL",
        "%E2%80%AE",
        "%F0%9F%90%8D",
        "'+OR+1%3D1",
        "+",
        "%09x",
    };
    static const char *const names[] = {"text", "slot", "kernel", "character", "family", "kind"};
    struct service service;
    open_resources(&service, state);
    const char *before = fixture_dump(service.fixture, catalog_database(service.catalog));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            struct target target;
            struct resource resource;
            struct error error = ERROR_INIT;
            const char *path =
                arena_format(&service.fixture->arena, "/api/list.json?%s=%s", names[j], texts[i]);
            if (target_parse(path, strlen(path), &service.fixture->arena, &target))
                continue;
            enum status status =
                resources_get(service.resources, &target, &service.fixture->arena, &resource, &error);
            assert_int_not_equal(status, STATUS_OUTSIDE);
            assert_true(j > 0 || status == STATUS_OK);
        }
    assert_string_equal(fixture_dump(service.fixture, catalog_database(service.catalog)), before);
    close_resources(&service);
}

/* What another program writes is seen, without a restart. */
static void test_changes(void **state)
{
    struct service service;
    open_resources(&service, state);
    cJSON *runs = document_at(&service, "/api/runs.json");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(runs, "results")), 0);
    cJSON_Delete(runs);
    cJSON_Delete(document_at(&service, "/api/tree/descent.json"));
    sqlite3 *other;
    assert_int_equal(sqlite3_open(service.fixture->database, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            other,
            "INSERT INTO benchmark_run VALUES (1, 'u', '2026-01-01T00:00:00Z', '{\"processor\": \"p\"}', 2,"
            " 'single', '{}', '{}', 100, 10);"
            "INSERT INTO benchmark_result VALUES (1, 'gla', 'block', 'prefill', 256, 256, 1, '{}', 5, 0.25,"
            " 0.01, 1e9, 1e8, 1000, 0, 4096, 0.5);"
            "UPDATE variant SET name = 'Another' WHERE key = 'gla';",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(other);
    runs = document_at(&service, "/api/runs.json?variant=gla");
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(runs, "results"), 0);
    assert_string_equal(text_of(result, "variant"), "gla");
    assert_true(cJSON_GetObjectItem(result, "median_s")->valuedouble == 0.25);
    const cJSON *run = cJSON_GetArrayItem(cJSON_GetObjectItem(runs, "runs"), 0);
    assert_string_equal(text_of(run, "run"), text_of(result, "run"));
    assert_string_equal(text_of(cJSON_GetObjectItem(run, "machine"), "processor"), "p");
    cJSON_Delete(runs);
    cJSON *tree = document_at(&service, "/api/tree/descent.json");
    char *text = cJSON_Print(tree);
    assert_non_null(strstr(text, "Another"));
    free(text);
    cJSON_Delete(tree);
    close_resources(&service);
}

static void test_no_page(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct resources *resources = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(resources_open(catalog, "/nowhere", &resources, &error), STATUS_OUTSIDE);
    assert_null(resources);
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_all_paths), WITH_FIXTURE(test_documents), WITH_FIXTURE(test_filters),
        WITH_FIXTURE(test_refusals),  WITH_FIXTURE(test_injection), WITH_FIXTURE(test_changes),
        WITH_FIXTURE(test_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
