/* HTTP as it should be: answers, heads, tags, methods, hosts. */
#include "client.h"
#include <unistd.h>

#define ASSERT_HAS(answer, part) \
    if (!strstr(answer, part))   \
    fail_msg("'%s' is not in the answer: %.400s", part, answer)

static void test_answers(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    const char *page = client_get(&service, "/");
    assert_int_equal(answer_code(page), 200);
    ASSERT_HAS(page, "Content-Type: text/html; charset=utf-8\r\n");
    ASSERT_HAS(page, "Content-Security-Policy: default-src 'none'; script-src 'self'");
    ASSERT_HAS(page, "frame-ancestors 'none'");
    ASSERT_HAS(page, "X-Content-Type-Options: nosniff\r\n");
    ASSERT_HAS(page, "Referrer-Policy: no-referrer\r\n");
    ASSERT_HAS(page, "Cross-Origin-Resource-Policy: same-origin\r\n");
    assert_null(strstr(page, "Access-Control"));
    const char *card = client_get(&service, "/api/variants/gla.json");
    assert_int_equal(answer_code(card), 200);
    ASSERT_HAS(card, "Content-Type: application/json\r\n");
    ASSERT_HAS(answer_body(card), "\"key\": \"gla\"");
    const char *missing = client_get(&service, "/api/variants/glaa.json");
    assert_int_equal(answer_code(missing), 404);
    ASSERT_HAS(answer_body(missing), "did you mean 'gla'?");
    ASSERT_HAS(missing, "X-Content-Type-Options: nosniff\r\n");
    service_stop(&service);
}

/* The head of an answer without the line that tells the time. */
static const char *head_of(struct service *service, const char *answer)
{
    char *head = arena_copy_string(&service->fixture->arena, answer);
    char *end = strstr(head, "\r\n\r\n"), *date = strstr(head, "\r\nDate:");
    assert_non_null(end);
    *end = '\0';
    if (date) {
        char *next = strstr(date + 2, "\r\n");
        memmove(date, next ? next : date + strlen(date), next ? strlen(next) + 1 : 1);
    }
    return head;
}

static void test_head(void **state)
{
    static const char *const targets[] = {"/", "/api/list.json", "/api/tree/descent.svg", "/nothing", "/%00"};
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        const char *got = client_get(&service, targets[i]);
        const char *head =
            client_ask(&service, arena_format(&service.fixture->arena, "HEAD %s HTTP/1.1", targets[i]));
        assert_string_equal(answer_body(head), "");
        assert_string_equal(head_of(&service, head), head_of(&service, got));
    }
    service_stop(&service);
}

static void test_tags(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    struct arena *arena = &service.fixture->arena;
    char tag[64];
    const char *first = client_get(&service, "/api/list.json");
    assert_int_equal(sscanf(strstr(first, "ETag: "), "ETag: %63[^\r]", tag), 1);
    const char *again = client_ask(
        &service, arena_format(arena, "GET /api/list.json HTTP/1.1\r\nIf-None-Match: \"x\", W/%s", tag));
    assert_int_equal(answer_code(again), 304);
    assert_string_equal(answer_body(again), "");
    ASSERT_HAS(again, tag);
    again = client_ask(&service, "GET /api/list.json HTTP/1.1\r\nIf-None-Match: \"x\"");
    assert_int_equal(answer_code(again), 200);
    again = client_ask(&service, "GET /api/list.json HTTP/1.1\r\nRange: bytes=0-,0-,0-,0-,5-1");
    assert_int_equal(answer_code(again), 200);
    assert_string_equal(answer_body(again), answer_body(first));
    service_stop(&service);
}

static void test_methods(void **state)
{
    static const char *const methods[] = {"POST",  "PUT",   "DELETE", "OPTIONS",
                                          "TRACE", "PATCH", "BREW",   "get"};
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *answer =
            client_ask(&service, arena_format(&service.fixture->arena,
                                              "%s /api/list.json HTTP/1.1\r\nContent-Length: 0", methods[i]));
        assert_int_equal(answer_code(answer), 405);
        ASSERT_HAS(answer, "Allow: GET, HEAD\r\n");
    }
    service_stop(&service);
}

static void test_bodies(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    assert_int_equal(
        answer_code(client_ask(&service, "POST /api/list.json HTTP/1.1\r\nContent-Length: 99999999999")),
        405);
    assert_int_equal(
        answer_code(client_ask(&service, "GET /api/list.json HTTP/1.1\r\nContent-Length: 1000000")), 413);
    assert_int_equal(
        answer_code(client_ask(&service, "GET /api/list.json HTTP/1.1\r\nTransfer-Encoding: chunked")), 413);
    assert_int_equal(answer_code(client_ask(&service, "GET /api/about.json HTTP/1.1\r\nContent-Length: 0")),
                     200);
    service_stop(&service);
}

static int code_for_hosts(struct service *service, const char *hosts)
{
    const char *request = arena_format(&service->fixture->arena,
                                       "GET /api/about.json HTTP/1.1\r\n%sConnection: close\r\n\r\n", hosts);
    int socket = client_connect(service);
    client_send(socket, request, strlen(request));
    int code = answer_code(client_receive(service, socket, 20, NULL));
    close(socket);
    return code;
}

/* A name that somebody made to lead to this machine is not ours. */
static void test_hosts(void **state)
{
    static const struct {
        const char *hosts;
        bool good;
    } cases[] = {
        {"Host: localhost\r\n", true},
        {"Host: localhost:8323\r\n", true},
        {"Host: LOCALHOST:1\r\n", true},
        {"Host: 127.0.0.1:80\r\n", true},
        {"Host: [::1]:80\r\n", true},
        {"Host: evil.example\r\n", false},
        {"Host: evil.example:8323\r\n", false},
        {"Host: localhost.evil.example\r\n", false},
        {"Host: localhost:80@evil.example\r\n", false},
        {"Host: 127.0.0.1.evil.example\r\n", false},
        {"Host: 127.0.0.2\r\n", false},
        {"Host: localhost:\r\n", false},
        {"Host: \r\n", false},
        {"", false},
        {"Host: localhost\r\nHost: evil.example\r\n", false},
        {"Host: evil.example\r\nHost: localhost\r\n", false},
    };
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = code_for_hosts(&service, cases[i].hosts);
        if (cases[i].good ? code != 200 : code != 421 && code != 400)
            fail_msg("'%s' is answered with %d", cases[i].hosts, code);
    }
    service_stop(&service);
}

static void test_paths(void **state)
{
    static const struct {
        const char *target;
        int code;
    } cases[] = {
        {"/%00", 400},
        {"/..", 400},
        {"/../../etc/passwd", 400},
        {"/%2e%2e/%2e%2e/etc/passwd", 400},
        {"/..%2f..%2fetc", 400},
        {"//etc/passwd", 400},
        {"/%c0%ae%c0%ae/", 400},
        {"/%", 400},
        {"/%zz", 400},
        {"/api/", 400},
        {"/etc/passwd", 404},
        {"/server.c", 404},
        {"/api/list.json?a=%00", 400},
        {"/api/variants/%2e%2e.json", 404},
        {"/api/variants/gla%2ejson", 200},
        {"/INDEX.HTML", 404},
    };
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = answer_code(client_get(&service, cases[i].target));
        if (code != cases[i].code)
            fail_msg("'%s' is answered with %d", cases[i].target, code);
    }
    service_stop(&service);
}

/* Several requests on one connection, sent at once. */
static void test_pipeline(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    static const char requests[] =
        "GET /api/about.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /api/about.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    int socket = client_connect(&service), count = 0;
    client_send(socket, requests, strlen(requests));
    for (const char *at = client_receive(&service, socket, 20, NULL); (at = strstr(at, "HTTP/1.1 ")); at++)
        count++;
    assert_int_equal(count, 4);
    close(socket);
    service_stop(&service);
}

static void test_taken_port(void **state)
{
    struct service service;
    struct server *second = NULL;
    struct error error = ERROR_INIT;
    service_start(&service, state, (struct server_limits){0});
    assert_int_equal(
        server_start(service.resources, service.port, (struct server_limits){0}, &second, &error),
        STATUS_OUTSIDE);
    assert_null(second);
    ASSERT_HAS(error.message, "Address already in use");
    service_stop(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_answers), WITH_FIXTURE(test_head),     WITH_FIXTURE(test_tags),
        WITH_FIXTURE(test_methods), WITH_FIXTURE(test_bodies),   WITH_FIXTURE(test_hosts),
        WITH_FIXTURE(test_paths),   WITH_FIXTURE(test_pipeline), WITH_FIXTURE(test_taken_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
