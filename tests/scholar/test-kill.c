/* The program, killed in the middle of fetching the whole catalogue, time after time:
 *
 *   test-scholar-kill CLADE [INTERVAL [KILLS]]
 *
 * Whatever was stored is never asked for again, nothing is lost, and requests keep their distance across the
 * kills. With the interval that the service permits, 1.1 s, this takes some six minutes; the figures are
 * printed. */
#include "fixture.h"
#include "scholar/clock.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 20 }; /* references an answer, so that some papers have several */

static const char *program = NULL, *interval = "0.004";
static int kills = 10;

struct place {
    char folder[64], database[96];
    struct graph graph;
    struct server server;
};

static pid_t start(const char *database, const char *endpoint)
{
    pid_t process = fork();
    if (process == 0) {
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(nothing, STDOUT_FILENO);
        execl(program, program, "fetch", "--db", database, "--endpoint", endpoint, "--interval", interval,
              "--accept", "--backoff", "0.01", (char *)NULL);
        _exit(127);
    }
    assert_true(process > 0);
    return process;
}

/* True if it ended by itself, which it must have done well. */
static bool ended(pid_t process, int options)
{
    int status;
    if (waitpid(process, &status, options) != process)
        return false;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return false;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

static char *query(const char *database, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *select;
    char *rows = NULL;
    size_t length;
    FILE *stream = open_memstream(&rows, &length);
    assert_int_equal(sqlite3_open_v2(database, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &select, NULL), SQLITE_OK);
    while (sqlite3_step(select) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(select); i++)
            fprintf(stream, "%s%c", (const char *)sqlite3_column_text(select, i),
                    i + 1 < sqlite3_column_count(select) ? '|' : '\n');
    sqlite3_finalize(select);
    sqlite3_close(handle);
    fclose(stream);
    return rows;
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/clade-test-kill-XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->database, sizeof place->database, "%s/clade.db", place->folder);
    struct catalog *catalog;
    struct catalog_options options = {.database = place->database};
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    catalog_close(catalog);
    graph_read(place->database, &place->graph);
    server_start(&place->server, "", &place->graph, PAGE);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[128];
    server_stop(&place->server);
    graph_free(&place->graph);
    snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
    int result = system(command);
    free(place);
    return result;
}

/* The requests whose answers are stored: "GET /paper/..." and "POST /paper/batch?...". */
static bool is_stored(const char *stored, const struct logged_request *request)
{
    const char *path = request->target + strlen("/graph/v1");
    char line[4200];
    bool post = strcmp(request->method, "POST") == 0; /* its body follows the path in the database */
    snprintf(line, sizeof line, "\n%s %s%s", request->method, path, post ? " {" : "\n");
    return strstr(stored, line) != NULL;
}

/* Requests after the first `from` whose answers were stored by then. */
static size_t repeated(const struct place *place, const char *stored, size_t from)
{
    size_t count, found = 0;
    struct logged_request *requests = server_log(&place->server, &count);
    for (size_t i = from; i < count; i++)
        found += is_stored(stored, &requests[i]);
    free(requests);
    return found;
}

static size_t request_count(const struct place *place)
{
    return server_count(&place->server, "*");
}

/* Each link of the graph once, as it should be stored. */
static char *expected_links(const struct graph *graph)
{
    char *rows = NULL;
    size_t length;
    FILE *stream = open_memstream(&rows, &length);
    for (size_t i = 0; i < graph->count; i++)
        for (size_t j = 0; j < graph->papers[i].reference_count; j++) {
            size_t cited = graph->papers[i].references[j];
            fprintf(stream, "%s|%s|%u|%d|%d\n", graph->papers[i].key, graph->papers[cited].key,
                    graph->papers[i].intents[j], graph_influential(i, cited), graph_contexts(i, cited));
        }
    fclose(stream);
    return rows;
}

static void report_figures(const struct place *place, size_t distinct, size_t kills_done, size_t again)
{
    size_t count;
    struct logged_request *requests = server_log(&place->server, &count);
    double least = 1e9;
    for (size_t i = 1; i < count; i++)
        if (requests[i].time - requests[i - 1].time < least)
            least = requests[i].time - requests[i - 1].time;
    printf("# %zu papers, %zu answers, %zu kills: %zu requests, %zu of stored answers, %zu of answers in "
           "flight at a kill;"
           " least distance %.4f s at an interval of %s s\n",
           place->graph.count, distinct, kills_done, count, again, count - distinct - again, least, interval);
    assert_true(least >= atof(interval));
    free(requests);
}

static void ten_kills_lose_nothing_and_repeat_nothing(void **state)
{
    struct place *place = *state;
    size_t done = 0, again = 0,
           requests = place->graph.count + 60; /* about; what is left decides when to kill */
    srand(1);
    for (int i = 0; i < kills; i++) {
        size_t before = request_count(place);
        char *stored = query(place->database, "SELECT '' UNION ALL SELECT request FROM scholar_response");
        pid_t process = start(place->database, place->server.endpoint);
        /* somewhere in the next stretch, at any moment of a request's life */
        size_t left = requests > before ? requests - before : 0, stretch = left / (size_t)(kills - i + 1) + 1;
        size_t target = before + 1 + (size_t)rand() % (2 * stretch);
        bool finished = false;
        while (request_count(place) < target && !(finished = ended(process, WNOHANG)))
            usleep(500);
        if (finished) {
            again += repeated(place, stored, before);
            free(stored);
            break;
        }
        usleep((useconds_t)(rand() % (int)(1e6 * atof(interval) + 1000)));
        kill(process, SIGKILL);
        if (!ended(process, 0))
            done++;
        again += repeated(place, stored, before);
        free(stored);
        char *sound = query(place->database, "PRAGMA integrity_check");
        assert_string_equal(sound, "ok\n");
        free(sound);
    }
    size_t before = request_count(place);
    char *stored = query(place->database, "SELECT '' UNION ALL SELECT request FROM scholar_response");
    assert_true(ended(start(place->database, place->server.endpoint), 0));
    again += repeated(place, stored, before);
    free(stored);

    assert_true(done >= (size_t)kills / 2);
    assert_int_equal(again, 0);
    char *links =
        query(place->database, "SELECT citing, cited, methodology + 2 * background + 4 * result, influential,"
                               " contexts FROM fetched_link ORDER BY citing, cited");
    char *expected = expected_links(&place->graph);
    assert_string_equal(links, expected);
    char *states =
        query(place->database, "SELECT count(*) FROM scholar_paper WHERE state IN ('complete', 'empty')");
    assert_int_equal(atoi(states), place->graph.count);
    char *answers = query(place->database, "SELECT count(*) FROM scholar_response");
    size_t distinct = (size_t)atoll(answers), sent = request_count(place);
    assert_true(sent <= distinct + done); /* a kill costs the request in flight at most */
    report_figures(place, distinct, done, again);
    before = sent;
    assert_true(ended(start(place->database, place->server.endpoint), 0));
    assert_int_equal(request_count(place), before);
    free(links);
    free(expected);
    free(states);
    free(answers);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_kills_lose_nothing_and_repeat_nothing, setup, teardown),
    };
    if (argc < 2)
        return 2;
    program = argv[1];
    interval = argc > 2 ? argv[2] : interval;
    kills = argc > 3 ? atoi(argv[3]) : kills;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
