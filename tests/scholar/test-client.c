/* The client against a server that fails: what is asked again and when, what is not, and who sees the key. */
#include "fixture.h"
#include "scholar/pace.h"
#include "scholar/transport.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- asking ---- */

struct session {
    struct fixture *fixture;
    struct client_options options;
    struct client *client;
    size_t reads; /* bodies that were offered to read() */
};

static struct session open_session(struct fixture *fixture)
{
    struct session session = {.fixture = fixture};
    struct error error = ERROR_INIT;
    session.options = (struct client_options){.database = catalog_database(fixture->catalog),
                                              .endpoint = fixture->server.endpoint,
                                              .user_agent = "clade-test",
                                              .interval = 1.1,
                                              .backoff = 2,
                                              .timeout = 5,
                                              .time = 3600,
                                              .clock = &fixture->clock,
                                              .stop = &fixture->stop};
    assert_int_equal(client_open(&session.options, &session.client, &error), STATUS_OK);
    return session;
}

/* The same with other options. */
static void reopen(struct session *session)
{
    struct error error = ERROR_INIT;
    client_close(session->client);
    session->client = NULL;
    client_open(&session->options, &session->client, &error);
    assert_string_equal(error.message, "");
}

/* A good body starts with "good". */
static enum status read_body(void *context, const char *body, size_t length, struct error *error)
{
    struct session *session = context;
    session->reads++;
    assert_int_equal(strlen(body), length);
    return strncmp(body, "good", 4) == 0 ? STATUS_OK : error_set(error, STATUS_OUTSIDE, "thing: bad body");
}

static enum client_outcome ask(struct session *session, const char *path, struct client_answer *answer,
                               struct error *error)
{
    struct client_request request = {.name = "thing", .path = path, .read = read_body, .context = session};
    *error = (struct error)ERROR_INIT;
    return client_ask(session->client, &request, answer, error);
}

/* Asks and expects an outcome, the message of it, and the number of requests that reached the server. */
static void expect(struct session *session, const char *path, enum client_outcome outcome,
                   const char *message, size_t requests)
{
    struct client_answer answer;
    struct error error;
    size_t before = server_count(&session->fixture->server, "*");
    assert_int_equal(ask(session, path, &answer, &error), outcome);
    assert_string_equal(error.message, message);
    assert_int_equal(server_count(&session->fixture->server, "*") - before, requests);
}

static void expect_good(struct session *session, const char *path, size_t requests)
{
    expect(session, path, CLIENT_ANSWERED, "", requests);
}

static struct session serve(struct fixture *fixture, const char *scenario)
{
    fixture_serve(fixture, scenario);
    return open_session(fixture);
}

/* ---- failures that may pass ---- */

static void each_failure_that_may_pass_is_tried_again(void **state)
{
    static const int statuses[] = {408, 429, 500, 502, 503, 504, 522, 524};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char scenario[200];
        snprintf(scenario, sizeof scenario,
                 "on *\ntimes 2\nstatus %d\nfile error-500.json\non *\nbody good\n", statuses[i]);
        struct session session = serve(fixture, scenario);
        expect_good(&session, "/x", 3);
        assert_int_equal(client_counts(session.client).repeats, 2);
        client_close(session.client);
    }
}

static void failures_that_stay_are_not(void **state)
{
    struct session session =
        serve(*state, "on *gone*\nstatus 410\nfile error-paper.json\non *odd*\nstatus 304\n"
                      "on *none*\nstatus 404\nfile error-paper.json\non *\nstatus 400\n");
    expect(&session, "/gone", CLIENT_FAILED, "thing: HTTP 410: Paper with id ARXIV:1706.03762v1 not found",
           1);
    expect(&session, "/odd", CLIENT_FAILED, "thing: HTTP 304", 1);
    expect_good(&session, "/none", 1);
    expect_good(&session, "/bad", 1);
    assert_int_equal(session.reads, 0);
    client_close(session.client);
}

static void pauses_double_and_vary(void **state)
{
    struct fixture *fixture = *state;
    double longest = 0, shortest = 1e9;
    for (int i = 0; i < 20; i++) {
        struct session session = serve(fixture, "on *\ntimes 4\nstatus 500\non *\nbody good\n");
        double before = fixture->skipped;
        expect_good(&session, "/x", 5);
        double waited = fixture->skipped - before;
        longest = waited > longest ? waited : longest;
        shortest = waited < shortest ? waited : shortest;
        client_close(session.client);
    }
    /* 2 + 4 + 8 + 16 s, each by a half to one and a half, after the turn of the call before */
    assert_true(shortest > 14 && longest < 47);
    assert_true(longest - shortest > 1);
}

static void retry_after_takes_the_place_of_the_pause(void **state)
{
    struct fixture *fixture = *state;
    struct session session =
        serve(fixture,
              "on *\ntimes 1\nstatus 429\nheader Retry-After: 500\nfile error-429.json\non *\nbody good\n");
    double before = fixture->skipped;
    expect_good(&session, "/x", 2);
    assert_true(fixture->skipped - before > 499 && fixture->skipped - before < 503);
    client_close(session.client);
}

static void retry_after_may_be_a_date(void **state)
{
    struct fixture *fixture = *state;
    char scenario[300], date[64];
    time_t later = time(NULL) + 100;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&later));
    snprintf(scenario, sizeof scenario,
             "on *\ntimes 1\nstatus 503\nheader Retry-After: %s\non *\nbody good\n", date);
    struct session session = serve(fixture, scenario);
    double before = fixture->skipped;
    expect_good(&session, "/x", 2);
    assert_true(fixture->skipped - before > 95 && fixture->skipped - before < 104);
    client_close(session.client);
}

static void nonsense_in_retry_after_is_ignored(void **state)
{
    static const char *const values[] = {"soon", "-5", "0", "Thu, 01 Jan 1970 00:00:00 GMT", ""};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char scenario[200];
        snprintf(scenario, sizeof scenario,
                 "on *\ntimes 1\nstatus 429\nheader Retry-After: %s\non *\nbody good\n", values[i]);
        struct session session = serve(fixture, scenario);
        double before = fixture->skipped;
        expect_good(&session, "/x", 2);
        assert_true(fixture->skipped - before > 0.9 && fixture->skipped - before < 5);
        client_close(session.client);
    }
}

static void a_pause_past_the_limit_of_time_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct session session = serve(fixture, "on *\nstatus 429\nheader Retry-After: 99999999999\n");
    double before = fixture->skipped;
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_STOPPED);
    assert_non_null(strstr(error.message, "the service is to be left alone until 20"));
    assert_true(fixture->skipped - before < 2);
    client_close(session.client);
}

static void what_a_service_demands_holds_for_the_next_process_too(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct session session =
        serve(fixture, "on *\ntimes 1\nstatus 429\nheader Retry-After: 7200\non *\nbody good\n");
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_STOPPED);
    reopen(&session);
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_STOPPED);
    assert_int_equal(server_count(&fixture->server, "*"), 1);
    session.options.time = 1e5;
    reopen(&session);
    double before = fixture->skipped;
    expect_good(&session, "/x", 1);
    assert_true(fixture->skipped - before > LONGEST_PAUSE - 5 &&
                fixture->skipped - before < LONGEST_PAUSE + 5);
    client_close(session.client);
}

static void a_clock_that_was_set_back_costs_an_hour_at_most(void **state)
{
    struct fixture *fixture = *state;
    struct session session = serve(fixture, "on *\nbody good\n");
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO scholar_service VALUES ('%s', '2999-01-01T00:00:00.000Z')",
             fixture->server.endpoint);
    fixture_run(fixture, sql);
    session.options.time = 1e5;
    reopen(&session);
    double before = fixture->skipped;
    expect_good(&session, "/x", 1);
    assert_true(fixture->skipped - before <= LONGEST_PAUSE + 1);
    client_close(session.client);
}

static void a_request_is_given_up_after_some_tries(void **state)
{
    struct session session = serve(*state, "on *down*\nstatus 503\nfile error-503.html\non *\nbody good\n");
    expect(&session, "/down", CLIENT_FAILED, "thing: HTTP 503", CLIENT_TRIES);
    expect_good(&session, "/x", 1);
    client_close(session.client);
}

static void a_service_that_fails_again_and_again_is_left_alone(void **state)
{
    struct session session = serve(*state, "on *\nstatus 504\nfile error-504.json\n");
    for (int i = 1; i < CLIENT_PATIENCE; i++)
        expect(&session, "/x", CLIENT_FAILED, "thing: HTTP 504: Endpoint request timed out", CLIENT_TRIES);
    expect(&session, "/x", CLIENT_STOPPED,
           "the service does not answer: thing: HTTP 504: Endpoint request timed out", CLIENT_TRIES);
    client_close(session.client);
}

static void failures_between_answers_do_not_add_up(void **state)
{
    struct session session = serve(*state, "on *down*\nstatus 410\non *\nbody good\n");
    for (int i = 0; i < 2 * CLIENT_PATIENCE; i++) {
        expect(&session, "/down", CLIENT_FAILED, "thing: HTTP 410", 1);
        expect_good(&session, "/x", 1);
    }
    client_close(session.client);
}

static void all_of_it_ends_in_time(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct session session = serve(fixture, "on *\nstatus 503\n");
    session.options.time = 10;
    reopen(&session);
    double before = fixture->skipped;
    while (ask(&session, "/x", &answer, &error) == CLIENT_FAILED)
        ;
    assert_true(fixture->skipped - before < 10.5);
    client_close(session.client);
}

/* ---- connections and bodies ---- */

static void a_silent_server_is_not_waited_for(void **state)
{
    struct client_answer answer;
    struct error error;
    struct session session = serve(*state, "on *\ntimes 1\ndelay 0.6\nbody good\non *\nbody good\n");
    session.options.timeout = 0.3;
    reopen(&session);
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_ANSWERED);
    assert_true(client_counts(session.client).repeats >= 1);
    client_close(session.client);
}

static void a_server_that_is_not_there_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct session session = serve(fixture, "");
    server_stop(&fixture->server);
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_FAILED);
    assert_string_equal(error.message, "thing: Couldn't connect to server");
    client_close(session.client);
}

static void an_answer_cut_anywhere_is_asked_for_again(void **state)
{
    struct fixture *fixture = *state;
    struct text scenario;
    enum { CUTS = 17, APART = 7 }; /* through the head, about 110 bytes, and the body */
    text_init(&scenario, 1 << 20);
    for (int i = 0; i < CUTS; i++)
        text_format(&scenario,
                    "on *\ntimes 1\nbody good and whole and long enough\ncut %d\non *\ntimes 1\nbody good\n",
                    i * APART);
    struct session session = serve(fixture, text_string(&scenario));
    for (int i = 0; i < CUTS; i++)
        expect_good(&session, "/x", 2);
    client_close(session.client);
    text_release(&scenario);
}

static void a_length_that_is_wrong_is_noticed(void **state)
{
    struct session session =
        serve(*state, "on *\ntimes 1\nbody good\nclaim 400\non *\ntimes 1\nbody bad body\nclaim 3\n"
                      "on *\nbody good\n");
    expect_good(&session, "/x", 3);
    client_close(session.client);
}

static void a_body_that_cannot_be_read_is_asked_for_again(void **state)
{
    struct session session =
        serve(*state, "on *odd*\nfile error-503.html\non *\ntimes 1\nbody {\non *\nbody good\n");
    expect_good(&session, "/x", 2);
    assert_int_equal(session.reads, 2);
    expect(&session, "/odd", CLIENT_FAILED, "thing: bad body", CLIENT_TRIES);
    client_close(session.client);
}

static void a_huge_body_is_refused_once(void **state)
{
    struct session session = serve(*state, "on *\nfill 13000000\n");
    expect(&session, "/x", CLIENT_FAILED, "thing: the answer is larger than 12 MiB", 1);
    assert_int_equal(session.reads, 0);
    client_close(session.client);
}

static void so_is_one_that_is_small_until_it_is_unpacked(void **state)
{
    struct session session = serve(*state, "on *\nbomb 20000000\n");
    expect(&session, "/x", CLIENT_FAILED, "thing: the answer is larger than 12 MiB", 1);
    client_close(session.client);
}

static void a_body_that_does_not_unpack_is_asked_for_again(void **state)
{
    struct session session =
        serve(*state, "on *\ntimes 1\nheader Content-Encoding: gzip\nbody good\non *\nbody good\n");
    expect_good(&session, "/x", 2);
    client_close(session.client);
}

static void an_answer_that_is_no_http_is_a_failure(void **state)
{
    struct session session = serve(*state, "on *\ntimes 2\ncut 4\nbody good\non *\nbody good\n");
    expect_good(&session, "/x", 3);
    client_close(session.client);
}

/* ---- redirections ---- */

static void redirections_are_followed(void **state)
{
    struct session session =
        serve(*state, "on */first\nstatus 302\nheader Location: second\n"
                      "on */second\nstatus 308\nheader Location: /third\non */third\nbody good\n");
    expect_good(&session, "/first", 3);
    client_close(session.client);
}

static void a_post_stays_one_unless_it_is_sent_to_see_something_else(void **state)
{
    struct fixture *fixture = *state;
    struct session session = serve(fixture, "on POST */first\nstatus 307\nheader Location: /second\n"
                                            "on POST */second\nstatus 303\nheader Location: /third\n"
                                            "on GET */third\nbody good\non *\nstatus 410\n");
    struct client_answer answer;
    struct error error = ERROR_INIT;
    struct client_request request = {
        .name = "thing", .path = "/first", .json = "{}", .read = read_body, .context = &session};
    assert_int_equal(client_ask(session.client, &request, &answer, &error), CLIENT_ANSWERED);
    client_close(session.client);
}

static void but_not_in_a_circle(void **state)
{
    struct session session = serve(*state, "on *\nstatus 301\nheader Location: /again\n");
    expect(&session, "/x", CLIENT_FAILED, "thing: redirected again and again", 1 + CLIENT_REDIRECTS);
    client_close(session.client);
}

static void nor_to_anything_but_http(void **state)
{
    static const char *const targets[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/",
                                          "javascript:alert(1)"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char scenario[200];
        snprintf(scenario, sizeof scenario, "on *\nstatus 302\nheader Location: %s\n", targets[i]);
        struct session session = serve(fixture, scenario);
        expect(&session, "/x", CLIENT_FAILED, "thing: redirected to what is not a URL of http or https", 1);
        client_close(session.client);
    }
}

static void a_redirection_to_nowhere_is_a_failure(void **state)
{
    struct session session = serve(*state, "on *\nstatus 302\n");
    expect(&session, "/x", CLIENT_FAILED, "thing: HTTP 302", 1);
    client_close(session.client);
}

/* ---- the key ---- */

static void set_key(struct session *session, const char *key)
{
    session->options.key = key;
    reopen(session);
}

/* The keys that the server saw, in order, with spaces between. */
static const char *keys_seen(struct fixture *fixture)
{
    size_t count;
    struct logged_request *requests = server_log(&fixture->server, &count);
    const char *keys = "";
    for (size_t i = 0; i < count; i++)
        keys = arena_format(&fixture->arena, "%s%s%s", keys, i ? " " : "", requests[i].key);
    free(requests);
    return keys;
}

static void the_key_is_sent_if_there_is_one(void **state)
{
    struct fixture *fixture = *state;
    struct session session = serve(fixture, "on *\nbody good\n");
    expect_good(&session, "/x", 1);
    set_key(&session, "");
    expect_good(&session, "/x", 1);
    set_key(&session, "secret");
    expect_good(&session, "/x", 1);
    assert_string_equal(keys_seen(fixture), "- - secret");
    client_close(session.client);
}

static void the_key_stays_with_its_host(void **state)
{
    struct fixture *fixture = *state;
    struct session session =
        serve(fixture,
              "on */here\nstatus 307\nheader Location: /there\n"
              "on */there\nstatus 307\nheader Location: http://localhost:{port}/back\n"
              "on */back\nstatus 307\nheader Location: http://127.0.0.1:{port}/end\non */end\nbody good\n");
    set_key(&session, "secret");
    expect_good(&session, "/here", 4);
    assert_string_equal(keys_seen(fixture), "secret secret - -");
    client_close(session.client);
}

static void a_refused_key_ends_everything(void **state)
{
    struct session session = serve(*state, "on *\nstatus 403\nfile error-403.json\n");
    set_key(&session, "secret");
    expect(&session, "/x", CLIENT_STOPPED, "the service refuses the key: thing: HTTP 403: Forbidden", 1);
    set_key(&session, NULL);
    expect(&session, "/x", CLIENT_STOPPED, "the service refuses us: thing: HTTP 403: Forbidden", 1);
    client_close(session.client);
}

static void refused_open(struct session *session, const char *endpoint, const char *key, const char *message)
{
    struct client *client = NULL;
    struct error error = ERROR_INIT;
    struct client_options options = session->options;
    options.endpoint = endpoint;
    options.key = key;
    assert_int_equal(client_open(&options, &client, &error), STATUS_USAGE);
    assert_null(client);
    assert_memory_equal(error.message, message, strlen(message));
    if (key)
        assert_null(strstr(error.message, key));
}

static void a_key_or_an_endpoint_that_cannot_be_is_refused(void **state)
{
    struct session session = serve(*state, "");
    refused_open(&session, session.options.endpoint, "a\r\nHost: b",
                 "the key (S2_API_KEY) has a character that keys do not have");
    refused_open(&session, session.options.endpoint, "a b", "the key (S2_API_KEY) has");
    refused_open(&session, "http://example.org", "secret",
                 "the key (S2_API_KEY) is not sent to 'http://example.org' in the clear");
    refused_open(&session, "http://127.evil.example", "secret", "the key (S2_API_KEY) is not sent");
    refused_open(&session, "file:///etc/passwd", NULL, "an endpoint is a URL");
    refused_open(&session, "http://user:word@example.org/", NULL, "an endpoint is a URL");
    refused_open(&session, "https://example.org/?a=b", NULL, "an endpoint is a URL");
    refused_open(&session, "nonsense", NULL, "an endpoint is a URL");
    refused_open(&session, "", NULL, "an endpoint is a URL");
    client_close(session.client);
}

/* ---- pace ---- */

static void requests_keep_their_distance(void **state)
{
    struct fixture *fixture = *state;
    struct session session = serve(fixture, "on *\ntimes 2\nstatus 500\non *\nbody good\n");
    size_t count;
    session.options.clock = &system_clock;
    session.options.interval = session.options.backoff = 0.05;
    reopen(&session);
    for (int i = 0; i < 4; i++) {
        struct client_answer answer;
        struct error error;
        ask(&session, "/x", &answer, &error);
        reopen(&session); /* another process would not know of the last request but for the database */
    }
    client_close(session.client);
    struct logged_request *requests = server_log(&fixture->server, &count);
    assert_int_equal(count, 6);
    for (size_t i = 1; i < count; i++)
        assert_true(requests[i].time - requests[i - 1].time >= 0.05);
    free(requests);
}

static void a_person_does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct session session = serve(fixture, "on *\nbody good\n");
    fixture->stop = 1;
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_STOPPED);
    assert_string_equal(error.message, "interrupted");
    assert_int_equal(server_count(&fixture->server, "*"), 0);
    client_close(session.client);
}

static void stop_in_flight(void *data, double remaining)
{
    struct session *session = data;
    session->fixture->stop = remaining == 0; /* not while waiting for the turn */
}

static void not_for_an_answer_either(void **state)
{
    struct fixture *fixture = *state;
    struct client_answer answer;
    struct error error;
    struct timespec start, end;
    struct session session = serve(fixture, "on *\ndelay 4\nbody good\n");
    session.options.tick = stop_in_flight;
    session.options.data = &session;
    reopen(&session);
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(ask(&session, "/x", &answer, &error), CLIENT_STOPPED);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_string_equal(error.message, "interrupted");
    assert_true(end.tv_sec - start.tv_sec < 3);
    client_close(session.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(each_failure_that_may_pass_is_tried_again),
        WITH_FIXTURE(failures_that_stay_are_not),
        WITH_FIXTURE(pauses_double_and_vary),
        WITH_FIXTURE(retry_after_takes_the_place_of_the_pause),
        WITH_FIXTURE(retry_after_may_be_a_date),
        WITH_FIXTURE(nonsense_in_retry_after_is_ignored),
        WITH_FIXTURE(a_pause_past_the_limit_of_time_is_not_waited_for),
        WITH_FIXTURE(what_a_service_demands_holds_for_the_next_process_too),
        WITH_FIXTURE(a_clock_that_was_set_back_costs_an_hour_at_most),
        WITH_FIXTURE(a_request_is_given_up_after_some_tries),
        WITH_FIXTURE(a_service_that_fails_again_and_again_is_left_alone),
        WITH_FIXTURE(failures_between_answers_do_not_add_up),
        WITH_FIXTURE(all_of_it_ends_in_time),
        WITH_FIXTURE(a_silent_server_is_not_waited_for),
        WITH_FIXTURE(a_server_that_is_not_there_is_a_failure),
        WITH_FIXTURE(an_answer_cut_anywhere_is_asked_for_again),
        WITH_FIXTURE(a_length_that_is_wrong_is_noticed),
        WITH_FIXTURE(a_body_that_cannot_be_read_is_asked_for_again),
        WITH_FIXTURE(a_huge_body_is_refused_once),
        WITH_FIXTURE(so_is_one_that_is_small_until_it_is_unpacked),
        WITH_FIXTURE(a_body_that_does_not_unpack_is_asked_for_again),
        WITH_FIXTURE(an_answer_that_is_no_http_is_a_failure),
        WITH_FIXTURE(redirections_are_followed),
        WITH_FIXTURE(a_post_stays_one_unless_it_is_sent_to_see_something_else),
        WITH_FIXTURE(but_not_in_a_circle),
        WITH_FIXTURE(nor_to_anything_but_http),
        WITH_FIXTURE(a_redirection_to_nowhere_is_a_failure),
        WITH_FIXTURE(the_key_is_sent_if_there_is_one),
        WITH_FIXTURE(the_key_stays_with_its_host),
        WITH_FIXTURE(a_refused_key_ends_everything),
        WITH_FIXTURE(a_key_or_an_endpoint_that_cannot_be_is_refused),
        WITH_FIXTURE(requests_keep_their_distance),
        WITH_FIXTURE(a_person_does_not_wait),
        WITH_FIXTURE(not_for_an_answer_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
