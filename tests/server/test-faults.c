/* Clients that are slow, broken, too many or hostile: each is let go in time, and the next good request is
 * answered. */
#include "base/text.h"
#include "client.h"
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void assert_alive(const struct service *service)
{
    double start = seconds_now();
    assert_int_equal(answer_code(client_get(service, "/api/about.json")), 200);
    assert_true(seconds_now() - start < 5);
}

static void pause_for(double seconds)
{
    usleep((useconds_t)(seconds * 1e6));
}

/* A byte now and then keeps a connection from being idle, but not from being late. */
static void test_slow_head(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){.request_seconds = 1});
    int socket = client_connect(&service);
    double start = seconds_now();
    bool open = true;
    for (int i = 0; i < 100 && open; i++) {
        char byte = "GET /api/list.json?text="[i < 24 ? i : 23];
        open = client_send(socket, i < 24 ? &byte : "a", 1) && !client_sees_end(socket, 0.1);
    }
    assert_false(open);
    assert_true(seconds_now() - start < 8);
    close(socket);
    assert_alive(&service);
    service_stop(&service);
}

static void test_idle(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){.request_seconds = 1});
    int silent = client_connect(&service), kept = client_connect(&service);
    static const char request[] = "GET /api/about.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client_send(kept, request, strlen(request));
    assert_true(client_sees_end(silent, 8));
    assert_true(client_sees_end(kept, 8));
    close(silent);
    close(kept);
    service_stop(&service);
}

/* Asks for much and reads nothing. */
static void test_slow_reader(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){.answer_seconds = 1});
    static const char request[] = "GET /api/kernels.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int socket = client_connect(&service), small = 4096;
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 100; i++)
        send(socket, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT);
    pause_for(2.5);
    size_t length;
    client_receive(&service, socket, 1, &length);
    assert_true(length < 20 << 20); /* a hundred answers are 30 MB */
    close(socket);
    assert_alive(&service);
    service_stop(&service);
}

/* Many that send half a request and wait: the oldest make room. */
static void test_crowd(void **state)
{
    enum { CROWD = 500 };
    struct service service;
    int sockets[CROWD];
    service_start(&service, state, (struct server_limits){.connections = 64});
    for (int i = 0; i < CROWD; i++) {
        sockets[i] = client_connect(&service);
        client_send(sockets[i], "GET / HTTP/1.1\r\nHost: loc", 25);
    }
    double start = seconds_now();
    assert_int_equal(answer_code(client_get(&service, "/api/about.json")), 200);
    assert_true(seconds_now() - start < 3);
    for (int i = 0; i < CROWD; i++)
        close(sockets[i]);
    assert_alive(&service);
    service_stop(&service);
}

static void send_and_expect_refusal(struct service *service, const void *bytes, size_t length)
{
    int socket = client_connect(service);
    client_send(socket, bytes, length);
    shutdown(socket, SHUT_WR);
    int code = answer_code(client_receive(service, socket, 15, NULL));
    if (code != 0 && (code < 400 || code > 505))
        fail_msg("answered with %d: %.60s", code, (const char *)bytes);
    close(socket);
}

static void test_huge(void **state)
{
    struct service service;
    struct text text;
    service_start(&service, state, (struct server_limits){0});
    text_init(&text, 64 << 20);

    text_append(&text, "GET /"); /* a long target */
    for (int i = 0; i < 1 << 20; i++)
        text_append(&text, "a");
    text_append(&text, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    send_and_expect_refusal(&service, text.data, text.length);

    text_clear(&text); /* a long header */
    text_append(&text, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    for (int i = 0; i < 1 << 20; i++)
        text_append(&text, "a");
    text_append(&text, "\r\n\r\n");
    send_and_expect_refusal(&service, text.data, text.length);

    text_clear(&text); /* many headers */
    text_append(&text, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 10000; i++)
        text_format(&text, "X-%d: y\r\n", i);
    text_append(&text, "\r\n");
    send_and_expect_refusal(&service, text.data, text.length);

    text_clear(&text); /* within the memory of a connection, but too long for a target */
    text_append(&text, "GET /");
    for (int i = 0; i < TARGET_LONGEST; i++)
        text_append(&text, "a");
    assert_int_equal(
        answer_code(client_ask(&service, arena_format(&service.fixture->arena, "%s HTTP/1.1", text.data))),
        414);
    text_release(&text);
    assert_alive(&service);
    service_stop(&service);
}

static void test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
#define BYTES(text) {text, sizeof text - 1}
        BYTES("\r\n\r\n\r\n\r\n"),
        BYTES("GET\r\n\r\n"),
        BYTES("GET \r\n\r\n"),
        BYTES("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
        BYTES("GET / HTTP/1.1 x\r\nHost: localhost\r\n\r\n"),
        BYTES("GET /a\0/x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        BYTES("\0\0\0\0\0\0\0\0"),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        BYTES("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        BYTES("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1x\r\n\r\n"),
        BYTES("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        BYTES("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        BYTES("GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        BYTES("GET / HTTP/1.1\r\nno colon here\r\n\r\n"),
    };
    struct service service;
    service_start(&service, state, (struct server_limits){.request_seconds = 2});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        send_and_expect_refusal(&service, cases[i].bytes, cases[i].length);
    assert_alive(&service);
    service_stop(&service);
}

/* Clients that are gone before their answer. */
static void test_resets(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    static const char request[] = "GET /api/kernels.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int i = 0; i < 200; i++) {
        int socket = client_connect(&service);
        struct linger reset = {1, 0};
        client_send(socket, request, i % 3 ? strlen(request) : strlen(request) / 2);
        if (i % 2)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(socket);
    }
    assert_alive(&service);
    service_stop(&service);
}

struct reader {
    struct service service; /* with an arena of its own */
    struct fixture fixture;
    int good;
};

static void *read_much(void *argument)
{
    static const char *const targets[] = {
        "/",       "/api/list.json", "/api/variants/gla.json", "/api/tree/descent.svg", "/api/why/gla.json",
        "/nothing"};
    struct reader *reader = argument;
    for (int i = 0; i < 40; i++) {
        int wanted = i % 6 == 5 ? 404 : 200;
        reader->good += answer_code(client_get(&reader->service, targets[i % 6])) == wanted;
    }
    return NULL;
}

static void test_parallel(void **state)
{
    enum { READERS = 8 };
    struct service service;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    service_start(&service, state, (struct server_limits){0});
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.service = service, .fixture = {.arena = ARENA_INIT}};
        readers[i].service.fixture = &readers[i].fixture;
        assert_int_equal(pthread_create(&threads[i], NULL, read_much, &readers[i]), 0);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].good, 40);
        arena_release(&readers[i].fixture.arena);
    }
    service_stop(&service);
}

static long resident_kilobytes(void)
{
    long pages = 0;
    FILE *stream = fopen("/proc/self/statm", "r");
    assert_non_null(stream);
    assert_int_equal(fscanf(stream, "%*d %ld", &pages), 1);
    fclose(stream);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_memory(void **state)
{
    struct service service;
    service_start(&service, state, (struct server_limits){0});
    static const char request[] = "GET /api/variants/gla.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int socket = client_connect(&service);
    char buffer[1 << 16];
    long before = 0;
    for (int i = 0; i < 3000; i++) {
        assert_true(client_send(socket, request, strlen(request)));
        assert_true(recv(socket, buffer, sizeof buffer, 0) > 0);
        while (recv(socket, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
            ;
        if (i == 500)
            before = resident_kilobytes();
    }
    close(socket);
    long after = resident_kilobytes();
    if (!getenv("CLADE_SANITIZED") && after - before > 16 << 10)
        fail_msg("%ld KiB more after 2500 requests", after - before);
    service_stop(&service);
}

static void test_stop(void **state)
{
    struct service service;
    int sockets[20];
    service_start(&service, state, (struct server_limits){0});
    for (int i = 0; i < 20; i++) {
        sockets[i] = client_connect(&service);
        client_send(sockets[i], "GET / HT", i % 8);
    }
    double start = seconds_now();
    service_stop(&service);
    assert_true(seconds_now() - start < 3);
    for (int i = 0; i < 20; i++)
        close(sockets[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_slow_head), WITH_FIXTURE(test_idle),     WITH_FIXTURE(test_slow_reader),
        WITH_FIXTURE(test_crowd),     WITH_FIXTURE(test_huge),     WITH_FIXTURE(test_garbage),
        WITH_FIXTURE(test_resets),    WITH_FIXTURE(test_parallel), WITH_FIXTURE(test_memory),
        WITH_FIXTURE(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
