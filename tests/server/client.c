#include "client.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20 }; /* seconds: for a machine under load */

double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void service_start(struct service *service, void **state, struct server_limits limits)
{
    struct error error = ERROR_INIT;
    *service = (struct service){.fixture = *state};
    service->catalog = fixture_open(service->fixture);
    assert_int_equal(resources_open(service->catalog, NULL, &service->resources, &error), STATUS_OK);
    assert_int_equal(server_start(service->resources, 0, limits, &service->server, &error), STATUS_OK);
    service->port = server_port(service->server);
}

void service_stop(struct service *service)
{
    server_stop(service->server);
    resources_close(service->resources);
    catalog_close(service->catalog);
}

int client_connect(const struct service *service)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)service->port)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

bool client_send(int socket, const void *bytes, size_t length)
{
    for (const char *at = bytes; length;) {
        struct pollfd poll_for = {socket, POLLOUT, 0};
        if (poll(&poll_for, 1, PATIENCE * 1000) <= 0)
            return false;
        ssize_t sent = send(socket, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (sent < 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

const char *client_receive(const struct service *service, int socket, double seconds, size_t *length)
{
    struct text text;
    char buffer[1 << 16];
    text_init(&text, 256 << 20);
    for (;;) {
        struct pollfd poll_for = {socket, POLLIN, 0};
        if (poll(&poll_for, 1, (int)(seconds * 1000)) <= 0)
            break;
        ssize_t received = recv(socket, buffer, sizeof buffer, 0);
        if (received <= 0)
            break;
        text_append_bytes(&text, buffer, (size_t)received);
    }
    char *copy = arena_allocate(&service->fixture->arena, text.length + 1);
    memcpy(copy, text_string(&text), text.length);
    if (length)
        *length = text.length;
    text_release(&text);
    return copy;
}

bool client_sees_end(int socket, double seconds)
{
    char buffer[1 << 16];
    double end = seconds_now() + seconds;
    while (seconds_now() < end) {
        struct pollfd poll_for = {socket, POLLIN, 0};
        if (poll(&poll_for, 1, 100) > 0 && recv(socket, buffer, sizeof buffer, 0) <= 0)
            return true;
    }
    return false;
}

const char *client_ask(const struct service *service, const char *request)
{
    const char *whole =
        arena_format(&service->fixture->arena, "%s\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n",
                     request, service->port);
    int socket = client_connect(service);
    client_send(socket, whole, strlen(whole));
    const char *answer = client_receive(service, socket, PATIENCE, NULL);
    close(socket);
    return answer;
}

const char *client_get(const struct service *service, const char *target)
{
    return client_ask(service, arena_format(&service->fixture->arena, "GET %s HTTP/1.1", target));
}

int answer_code(const char *answer)
{
    int code = 0;
    return sscanf(answer, "HTTP/1.%*d %d ", &code) == 1 ? code : 0;
}

const char *answer_body(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}
