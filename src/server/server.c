#include "server/server.h"
#include "base/fields.h"
#include "base/json.h"
#include "catalog/source.h"
#include "server/watch.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    CONNECTIONS = 256,
    CONNECTION_MEMORY = 32 << 10, /* bytes: the head of a request has to fit */
    REQUEST_SECONDS = 10,
    ANSWER_SECONDS = 60,
    OTHER_DESCRIPTORS = 64, /* beside connections: of the database, of pictures under way */
};

struct server {
    struct resources *resources;
    struct watch *watch;
    struct MHD_Daemon *daemon;
    int port;
};

/* One request: made when its first line is there, freed when its answer is gone. */
struct exchange {
    struct arena arena;
    struct target target;
    const char *fault; /* what is wrong with the target; NULL: nothing */
    bool too_long, begun;
};

/* ---- answers ---- */

static const char *const headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-cache"}, /* asks again, by the tag */
};

/* Sends a copy of the body; the library answers HEAD with the head alone. */
static enum MHD_Result send_body(struct MHD_Connection *connection, unsigned code, const char *type,
                                 const char *body, size_t length, const char *tag, bool close)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    if (tag)
        MHD_add_response_header(response, "ETag", tag);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    if (close)
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned code, const char *message)
{
    struct text text;
    struct error ignored = ERROR_INIT;
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "error", message);
    text_init(&text, 1 << 16);
    json_print(document, &text, &ignored);
    cJSON_Delete(document);
    bool close = code == MHD_HTTP_METHOD_NOT_ALLOWED || code == MHD_HTTP_CONTENT_TOO_LARGE;
    enum MHD_Result result =
        send_body(connection, code, "application/json", text_string(&text), text.length, NULL, close);
    text_release(&text);
    return result;
}

static enum MHD_Result send_resource(struct MHD_Connection *connection, const struct resource *resource)
{
    char tag[32];
    uint64_t fingerprint = fingerprint_mix(FINGERPRINT_START, resource->body, resource->length);
    snprintf(tag, sizeof tag, "\"%016" PRIx64 "\"", fingerprint);
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    if (known && (strstr(known, tag) || strcmp(known, "*") == 0))
        return send_body(connection, MHD_HTTP_NOT_MODIFIED, NULL, "", 0, tag, false);
    return send_body(connection, MHD_HTTP_OK, resource->type, resource->body, resource->length, tag, false);
}

/* ---- requests ---- */

struct hosts {
    int count;
    bool own;
};

/* A name of this machine with any port: "localhost:8323". */
static enum MHD_Result look_at_header(void *argument, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]"};
    struct hosts *hosts = argument;
    (void)kind;
    if (strcasecmp(name, "Host") != 0 || !value)
        return MHD_YES;
    hosts->count++;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        size_t length = strlen(own[i]);
        if (strncasecmp(value, own[i], length) != 0)
            continue;
        const char *port = value + length;
        hosts->own |= !*port || (*port == ':' && port[1] && !port[1 + strspn(port + 1, "0123456789")]);
    }
    return MHD_YES;
}

/* A page elsewhere whose name was made to lead here would send its own name. */
static bool is_for_us(struct MHD_Connection *connection)
{
    struct hosts hosts = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at_header, &hosts);
    return hosts.count == 1 && hosts.own;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") ||
           (length && strcmp(length, "0") != 0);
}

static enum MHD_Result answer(struct server *server, struct MHD_Connection *connection,
                              struct exchange *exchange)
{
    struct resource resource;
    struct error error = ERROR_INIT;
    if (!is_for_us(connection))
        return send_error(connection, MHD_HTTP_MISDIRECTED_REQUEST, "this server is for localhost only");
    if (exchange->fault)
        return send_error(connection, exchange->too_long ? MHD_HTTP_URI_TOO_LONG : MHD_HTTP_BAD_REQUEST,
                          exchange->fault);
    switch (resources_get(server->resources, &exchange->target, &exchange->arena, &resource, &error)) {
    case STATUS_OK:
        return send_resource(connection, &resource);
    case STATUS_NO:
        return send_error(connection, MHD_HTTP_NOT_FOUND, error.message);
    case STATUS_USAGE:
        return send_error(connection, MHD_HTTP_BAD_REQUEST, error.message);
    case STATUS_OUTSIDE:
        break;
    }
    return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, error.message);
}

static struct watched *watched_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? *(struct watched *const *)&info->socket_context : NULL;
}

/* Called with the raw first line of a request, before anything is decoded. */
static void *begin_exchange(void *argument, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *exchange = memory_allocate_zero(1, sizeof *exchange);
    size_t length = strlen(uri);
    (void)argument;
    (void)connection;
    exchange->too_long = length > TARGET_LONGEST;
    exchange->fault = target_parse(uri, length, &exchange->arena, &exchange->target);
    return exchange;
}

/* The target was taken apart already; the library's own decoding is not used. */
static size_t keep_escapes(void *argument, struct MHD_Connection *connection, char *text)
{
    (void)argument;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    struct server *server = argument;
    struct exchange *exchange = *context;
    (void)url;
    (void)version;
    (void)upload;
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) { /* the head is there; an answer to it alone ends the connection */
        exchange->begun = true;
        watch_answering(server->watch, watched_of(connection));
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
            return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                              "this server only answers GET and HEAD");
        if (has_body(connection))
            return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here");
        return MHD_YES;
    }
    *upload_size = 0;
    return answer(server, connection, exchange);
}

static void on_completed(void *argument, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode reason)
{
    struct server *server = argument;
    struct exchange *exchange = *context;
    (void)reason;
    if (exchange) {
        arena_release(&exchange->arena);
        free(exchange);
        *context = NULL;
    }
    struct watched *watched = watched_of(connection);
    if (watched)
        watch_waiting(server->watch, watched);
}

static void on_connection(void *argument, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = argument;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = watch_open(server->watch, info->connect_fd);
    } else if (*context) {
        watch_close(server->watch, *context);
        *context = NULL;
    }
}

/* ---- life ---- */

static enum status listen_on(int port, int *socket_of, int *chosen, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    int yes = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 || listen(descriptor, 128) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &length) != 0) {
        error_set(error, STATUS_OUTSIDE, "cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return error->status;
    }
    *socket_of = descriptor;
    *chosen = ntohs(address.sin_port);
    return STATUS_OK;
}

/* As many descriptors as the connections need, as far as the system lets us. */
static unsigned fitting_connections(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    rlim_t needed = wanted + OTHER_DESCRIPTORS;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= needed)
        return wanted;
    return limit.rlim_cur > 2 * OTHER_DESCRIPTORS ? (unsigned)limit.rlim_cur - OTHER_DESCRIPTORS
                                                  : OTHER_DESCRIPTORS;
}

/* What the library has to say goes to nobody: it is about broken clients. */
static void drop_message(void *argument, const char *format, va_list arguments)
{
    (void)argument;
    (void)format;
    (void)arguments;
}

enum status server_start(struct resources *resources, int port, struct server_limits limits,
                         struct server **started, struct error *error)
{
    struct server *server = memory_allocate_zero(1, sizeof *server);
    unsigned connections = fitting_connections(limits.connections ? limits.connections : CONNECTIONS);
    struct watch_limits watch = {
        .crowd = connections - connections / 4,
        .request_seconds = limits.request_seconds ? limits.request_seconds : REQUEST_SECONDS,
        .answer_seconds = limits.answer_seconds ? limits.answer_seconds : ANSWER_SECONDS,
    };
    int descriptor = -1;
    server->resources = resources;
    enum status status = listen_on(port, &descriptor, &server->port, error);
    if (!status && watch_start(watch, &server->watch, error)) {
        status = error->status;
        close(descriptor);
    }
    if (!status) {
        server->daemon = MHD_start_daemon(
            MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
            server, MHD_OPTION_EXTERNAL_LOGGER, drop_message, NULL, MHD_OPTION_LISTEN_SOCKET, descriptor,
            MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, watch.answer_seconds,
            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, server,
            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
            server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
        if (!server->daemon) {
            close(descriptor);
            status = error_set(error, STATUS_OUTSIDE, "cannot start the server");
        }
    }
    if (status)
        server_stop(server);
    else
        *started = server;
    return status;
}

int server_port(const struct server *server)
{
    return server->port;
}

void server_stop(struct server *server)
{
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    watch_stop(server->watch);
    free(server);
}
