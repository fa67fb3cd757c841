#include "scholar/transport.h"
#include "base/memory.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double connect_timeout = 10; /* seconds */

struct transport {
    struct transport_options options;
    CURL *curl;
};

static void require(bool good)
{
    if (!good) {
        fputs("clade: out of memory\n", stderr); /* the only way in which these calls fail */
        exit(STATUS_OUTSIDE);
    }
}

static void start_library(void)
{
    require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *data)
{
    struct exchange *exchange = data;
    return text_append_bytes(&exchange->body, bytes, size * count) ? size * count : 0;
}

static int watch(void *data, curl_off_t total, curl_off_t now, curl_off_t upload, curl_off_t uploaded)
{
    const struct transport_options *options = data;
    if (options->tick)
        options->tick(options->data, 0);
    return options->stop && *options->stop;
}

struct transport *transport_open(const struct transport_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library);
    struct transport *transport = memory_allocate_zero(1, sizeof *transport);
    transport->options = *options;
    transport->curl = curl_easy_init();
    require(transport->curl != NULL);
    return transport;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    curl_easy_cleanup(transport->curl);
    free(transport);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    require(longer != NULL);
    return longer;
}

static struct curl_slist *make_headers(const struct transport *transport, bool json, bool with_key)
{
    struct curl_slist *headers = add_header(NULL, "Accept: application/json");
    if (json)
        headers = add_header(headers, "Content-Type: application/json");
    if (with_key && transport->options.key) {
        struct text line;
        text_init(&line, 1 << 16);
        text_format(&line, "x-api-key: %s", transport->options.key);
        headers = add_header(headers, text_string(&line));
        text_release(&line);
    }
    return headers;
}

static void prepare(struct transport *transport, const char *url, const char *json, double timeout,
                    struct exchange *exchange)
{
    CURL *curl = transport->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, transport->options.user_agent);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ceil(1000 * timeout));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)ceil(1000 * fmin(timeout, connect_timeout)));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transport->options);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (json) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(json));
    }
}

/* Faults of the way to the service or of the answer's frame may pass; all others are here to stay. */
static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_CHUNK_FAILED:
    case CURLE_UNSUPPORTED_PROTOCOL: /* also said of an answer that is no HTTP; our URLs are checked before */
        return true;
    default:
        return false;
    }
}

static void finish(struct transport *transport, CURLcode code, struct exchange *exchange)
{
    long status = 0;
    curl_off_t retry_after = 0;
    char *redirect = NULL;
    curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transport->curl, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(transport->curl, CURLINFO_REDIRECT_URL, &redirect);
    exchange->status = (int)status;
    exchange->retry_after = retry_after > 0 ? (double)retry_after : 0;
    exchange->result = code == CURLE_OK ? EXCHANGE_DONE : may_pass(code) ? EXCHANGE_BROKEN : EXCHANGE_REFUSED;
    int length = snprintf(exchange->redirect, sizeof exchange->redirect, "%s", redirect ? redirect : "");
    if (length >= (int)sizeof exchange->redirect) {
        exchange->redirect[0] = '\0';
        exchange->result = EXCHANGE_REFUSED;
        snprintf(exchange->reason, sizeof exchange->reason, "redirected to a URL of %d characters", length);
    } else if (exchange->body.failed) {
        snprintf(exchange->reason, sizeof exchange->reason, "the answer is larger than %d MiB",
                 LARGEST_BODY >> 20);
    } else if (code != CURLE_OK) {
        snprintf(exchange->reason, sizeof exchange->reason, "%s", curl_easy_strerror(code));
    }
}

void transport_exchange(struct transport *transport, const char *url, const char *json, bool with_key,
                        double timeout, struct exchange *exchange)
{
    struct curl_slist *headers = make_headers(transport, json != NULL, with_key);
    text_clear(&exchange->body);
    exchange->reason[0] = '\0';
    prepare(transport, url, json, fmin(timeout, transport->options.timeout), exchange);
    curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(transport->curl);
    finish(transport, code, exchange);
    curl_slist_free_all(headers);
}

/* ---- URLs ---- */

static bool url_part(CURLU *url, CURLUPart part, char *copy, size_t size)
{
    char *text = NULL;
    bool found = curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strlen(text) < size;
    snprintf(copy, size, "%s", found ? text : "");
    curl_free(text);
    return found;
}

bool origin_of(const char *text, bool plain, struct origin *origin)
{
    CURLU *url = curl_url();
    char port[8], ignored[2048];
    require(url != NULL);
    *origin = (struct origin){.port = 0};
    bool good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                url_part(url, CURLUPART_SCHEME, origin->scheme, sizeof origin->scheme) &&
                url_part(url, CURLUPART_HOST, origin->host, sizeof origin->host) &&
                url_part(url, CURLUPART_PORT, port, sizeof port);
    good = good && (strcmp(origin->scheme, "http") == 0 || strcmp(origin->scheme, "https") == 0);
    good = good && !(plain && (url_part(url, CURLUPART_USER, ignored, sizeof ignored) ||
                               url_part(url, CURLUPART_QUERY, ignored, sizeof ignored) ||
                               url_part(url, CURLUPART_FRAGMENT, ignored, sizeof ignored)));
    origin->port = good ? strtol(port, NULL, 10) : 0;
    curl_url_cleanup(url);
    return good;
}

bool origin_same(const struct origin *a, const struct origin *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 && a->port == b->port;
}

bool origin_private(const struct origin *origin)
{
    struct in_addr address;
    bool loopback = inet_pton(AF_INET, origin->host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
    return loopback || strcmp(origin->scheme, "https") == 0 || strcasecmp(origin->host, "localhost") == 0 ||
           strcmp(origin->host, "[::1]") == 0;
}
