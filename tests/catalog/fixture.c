#include "fixture.h"
#include "base/file.h"
#include "base/text.h"
#include "catalog/database.h"
#include <unistd.h>

/* Without the syncs of file_write(), which would be most of the tests' time. */
static void write_quickly(const char *path, const char *data, size_t length)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void copy_folder(const char *from, const char *to)
{
    struct error error = ERROR_INIT;
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(directory_create(to, &error), STATUS_OK);
    assert_int_equal(directory_list(from, "", &names, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        char *source = path_join(from, names[i]), *target = path_join(to, names[i]), *data;
        size_t length;
        if (strchr(names[i], '.')) {
            assert_int_equal(file_read(source, 1 << 20, &data, &length, &error), STATUS_OK);
            write_quickly(target, data, length);
            free(data);
        } else {
            copy_folder(source, target);
        }
        free(source);
        free(target);
    }
    names_free(names, count);
}

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char folder[] = "/tmp/clade-test-catalog-XXXXXX";
    if (!mkdtemp(folder))
        return -1;
    fixture->folder = strdup(folder);
    fixture->catalogue = path_join(folder, "catalog");
    fixture->database = path_join(folder, "clade.db");
    copy_folder(CLADE_TEST_DATA "/catalog", fixture->catalogue);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    int result = system(command);
    arena_release(&fixture->arena);
    free(fixture->folder);
    free(fixture->catalogue);
    free(fixture->database);
    free(fixture);
    return result;
}

static const char *attention_state(const struct catalog_kernel *kernel, const char *options,
                                   const char *character)
{
    return strcmp(character, "decay") == 0 && strstr(options, "\"decay\": \"fixed\"") ? "fixed" : NULL;
}

#define TRAITS(...) (const struct kernel_trait[]){__VA_ARGS__}, 2
const struct catalog_kernel fixture_kernels[] = {
    {"attention", "mixer", "transformer", TRAITS({"mixing", "attention"}, {"decay", "none"}),
     attention_state},
    {"retention", "mixer", "retnet", TRAITS({"mixing", "matrix-state"}, {"decay", "fixed"}), NULL},
    {"gated-linear-attention", "mixer", "gla",
     TRAITS({"mixing", "matrix-state"}, {"decay", "data-dependent"}), NULL},
    {"mlp", "ffn", NULL, NULL, 0, NULL},
    {"gated-mlp", "ffn", NULL, NULL, 0, NULL},
    {"layernorm", "norm", NULL, NULL, 0, NULL},
    {"rmsnorm", "norm", NULL, NULL, 0, NULL},
};
const size_t fixture_kernel_count = sizeof fixture_kernels / sizeof *fixture_kernels;

struct catalog_options fixture_options(const struct fixture *fixture)
{
    return (struct catalog_options){fixture->database, fixture->catalogue, fixture_kernels,
                                    fixture_kernel_count};
}

struct catalog *fixture_open(struct fixture *fixture)
{
    struct catalog_options options = fixture_options(fixture);
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    enum status status = catalog_open(&options, &catalog, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    assert_non_null(catalog);
    return catalog;
}

void fixture_refused(struct fixture *fixture, enum status status, const char *message)
{
    struct catalog_options options = fixture_options(fixture);
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_open(&options, &catalog, &error), status);
    assert_int_equal(error.status, status);
    assert_null(catalog);
    const char *found = error.message;
    size_t folder = strlen(fixture->catalogue);
    if (strncmp(found, fixture->catalogue, folder) == 0)
        found += folder + 1;
    assert_string_equal(found, message);
}

void fixture_write(struct fixture *fixture, const char *name, const char *text)
{
    char *path = path_join(fixture->catalogue, name);
    write_quickly(path, text, strlen(text));
    free(path);
}

void fixture_edit(struct fixture *fixture, const char *name, const char *from, const char *to)
{
    struct error error = ERROR_INIT;
    char *path = path_join(fixture->catalogue, name), *data;
    size_t length;
    assert_int_equal(file_read(path, 1 << 20, &data, &length, &error), STATUS_OK);
    char *at = strstr(data, from);
    assert_non_null(at);
    struct text text;
    text_init(&text, 1 << 20);
    text_append_bytes(&text, data, (size_t)(at - data));
    text_format(&text, "%s%s", to, at + strlen(from));
    write_quickly(path, text.data, text.length);
    text_release(&text);
    free(data);
    free(path);
}

void fixture_remove(struct fixture *fixture, const char *name)
{
    char *path = path_join(fixture->catalogue, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

int64_t fixture_integer(sqlite3 *database, const char *sql)
{
    struct error error = ERROR_INIT;
    struct statement statement = statement_start(database, sql, &error);
    bool found = statement_step(&statement);
    assert_string_equal(error.message, "");
    assert_true(found);
    int64_t value = statement_integer(&statement, 0);
    statement_finish(&statement);
    return value;
}

const char *fixture_text(struct fixture *fixture, sqlite3 *database, const char *sql)
{
    struct error error = ERROR_INIT;
    struct statement statement = statement_start(database, sql, &error);
    bool found = statement_step(&statement);
    assert_string_equal(error.message, "");
    assert_true(found);
    const char *text = statement_text(&statement, 0, &fixture->arena);
    statement_finish(&statement);
    return text;
}

const char *fixture_dump(struct fixture *fixture, sqlite3 *database)
{
    static const char *const tables[] = {
        "SELECT * FROM family",        "SELECT * FROM variant_card",
        "SELECT * FROM author",        "SELECT * FROM code_link",
        "SELECT * FROM seed_row",      "SELECT * FROM slot",
        "SELECT * FROM descent",       "SELECT * FROM reference",
        "SELECT * FROM suite_member",  "SELECT * FROM kernel",
        "SELECT * FROM trait",         "SELECT * FROM character_state",
        "SELECT * FROM snapshot_link", "SELECT * FROM variant_search ORDER BY key"};
    struct text dump;
    text_init(&dump, 1 << 24);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct error error = ERROR_INIT;
        struct statement statement = statement_start(database, tables[i], &error);
        while (statement_step(&statement)) {
            for (int column = 0; column < sqlite3_column_count(statement.handle); column++) {
                const char *text = statement_text(&statement, column, &fixture->arena);
                text_format(&dump, "%s|", text ? text : "NULL");
            }
            text_append(&dump, "\n");
        }
        assert_int_equal(statement_finish(&statement), STATUS_OK);
    }
    const char *copy = arena_copy_string(&fixture->arena, text_string(&dump));
    text_release(&dump);
    return copy;
}
