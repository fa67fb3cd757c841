#include "scholar/client.h"
#include "base/memory.h"
#include "scholar/answer.h"
#include "scholar/pace.h"
#include "scholar/transport.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct client {
    struct client_options options;
    struct origin origin; /* of the endpoint */
    struct pace pace;
    struct transport *transport;
    struct exchange exchange; /* the last one */
    struct client_counts counts;
    int failures; /* in a row */
};

/* A line break in a key would end its header and begin another. */
static enum status check_key(const char *key, struct error *error)
{
    for (; key && *key; key++)
        if ((unsigned char)*key <= ' ' || (unsigned char)*key >= 0x7f)
            return error_set(error, STATUS_USAGE,
                             "the key (S2_API_KEY) has a character that keys do not have");
    return STATUS_OK;
}

static enum status check_endpoint(const char *endpoint, struct origin *origin, struct error *error)
{
    return origin_of(endpoint, true, origin)
               ? STATUS_OK
               : error_set(
                     error, STATUS_USAGE,
                     "an endpoint is a URL of http or https without user, query and fragment, not '%.200s'",
                     endpoint);
}

enum status client_open(const struct client_options *options, struct client **client, struct error *error)
{
    struct origin origin;
    enum status status = check_endpoint(options->endpoint, &origin, error);
    if (!status)
        status = check_key(options->key, error);
    const char *key = options->key && *options->key ? options->key : NULL;
    if (!status && key && !origin_private(&origin))
        status = error_set(error, STATUS_USAGE,
                           "the key (S2_API_KEY) is not sent to '%s' in the clear: use https, or unset it",
                           options->endpoint);
    if (status)
        return status;
    struct client *opened = memory_allocate_zero(1, sizeof *opened);
    opened->options = *options;
    opened->options.key = key;
    opened->origin = origin;
    opened->pace = (struct pace){.database = options->database,
                                 .endpoint = options->endpoint,
                                 .clock = options->clock,
                                 .interval = options->interval,
                                 .deadline = options->clock->monotonic(options->clock->data) + options->time,
                                 .stop = options->stop,
                                 .tick = options->tick,
                                 .data = options->data};
    opened->transport = transport_open(&(struct transport_options){.user_agent = options->user_agent,
                                                                   .key = key,
                                                                   .timeout = options->timeout,
                                                                   .stop = options->stop,
                                                                   .tick = options->tick,
                                                                   .data = options->data});
    text_init(&opened->exchange.body, LARGEST_BODY);
    status = pace_open(&opened->pace, error);
    if (status)
        client_close(opened);
    else
        *client = opened;
    return status;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    transport_close(client->transport);
    text_release(&client->exchange.body);
    free(client);
}

struct client_counts client_counts(const struct client *client)
{
    return client->counts;
}

/* ---- one exchange, and where it leads ---- */

/* Waits for the turn, asks, and keeps the distance to the next. */
static enum status ask_once(struct client *client, const char *url, const char *json, bool with_key,
                            struct error *error)
{
    enum status status = pace_take(&client->pace, error);
    if (status)
        return status;
    double left = client->pace.deadline - client->options.clock->monotonic(client->options.clock->data);
    client->counts.requests++;
    transport_exchange(client->transport, url, json, with_key, fmax(left, 1e-3), &client->exchange);
    if (client->options.stop && *client->options.stop)
        return error_set(error, STATUS_OUTSIDE, "interrupted");
    return pace_delay(&client->pace, client->options.interval, error);
}

static bool is_redirect(const struct exchange *exchange)
{
    int status = exchange->status;
    return exchange->result == EXCHANGE_DONE && exchange->redirect[0] &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static void refuse(struct exchange *exchange, const char *reason)
{
    exchange->result = EXCHANGE_REFUSED;
    snprintf(exchange->reason, sizeof exchange->reason, "%s", reason);
}

/* One try: an exchange, and those that it is redirected to. */
static enum status try_once(struct client *client, const struct client_request *request, struct error *error)
{
    struct exchange *exchange = &client->exchange;
    struct text url;
    const char *json = request->json;
    bool with_key = true;
    text_init(&url, 1 << 20);
    text_format(&url, "%s%s", client->options.endpoint, request->path);
    enum status status = ask_once(client, text_string(&url), json, with_key, error);
    for (int hop = 0; !status && is_redirect(exchange); hop++) {
        struct origin origin;
        if (hop == CLIENT_REDIRECTS) {
            refuse(exchange, "redirected again and again");
            break;
        }
        if (!origin_of(exchange->redirect, false, &origin)) {
            refuse(exchange, "redirected to what is not a URL of http or https");
            break;
        }
        with_key = with_key && origin_same(&origin, &client->origin);
        json = exchange->status == 303 ? NULL : json;
        text_clear(&url);
        text_append(&url, exchange->redirect);
        status = ask_once(client, text_string(&url), json, with_key, error);
    }
    text_release(&url);
    return status;
}

/* ---- tries ---- */

static bool status_may_pass(int status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504 || status == 522 || status == 524;
}

/* What there is to say of an answer that is none. */
static enum status describe(const struct client *client, struct error *error)
{
    const struct exchange *exchange = &client->exchange;
    if (exchange->result != EXCHANGE_DONE)
        return error_set(error, STATUS_OUTSIDE, "%s", exchange->reason);
    struct arena arena = ARENA_INIT;
    const char *message = answer_message(text_string(&exchange->body), exchange->body.length, &arena);
    error_set(error, STATUS_OUTSIDE, "HTTP %d%s%s", exchange->status, message ? ": " : "",
              message ? message : "");
    arena_release(&arena);
    return STATUS_OUTSIDE;
}

static double jitter(void)
{
    unsigned bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        return 1;
    return 0.5 + (double)bits / (double)UINT32_MAX;
}

static enum status pause_before_next(struct client *client, int tries, struct error *error)
{
    double pause = client->options.backoff * ldexp(1, tries - 1) * jitter();
    if (client->exchange.result == EXCHANGE_DONE && client->exchange.retry_after > 0)
        pause = client->exchange.retry_after;
    return pace_delay(&client->pace, fmax(pause, client->options.interval), error);
}

enum verdict { VERDICT_ANSWER, VERDICT_AGAIN, VERDICT_FINAL, VERDICT_REFUSED };

/* Judges the last exchange by its status first, then by its body; sets `error` unless it is an answer. */
static enum verdict judge(struct client *client, const struct client_request *request, struct error *error)
{
    const struct exchange *exchange = &client->exchange;
    bool done = exchange->result == EXCHANGE_DONE;
    *error = (struct error)ERROR_INIT;
    if (done && exchange->status == 200)
        return request->read(request->context, text_string(&exchange->body), exchange->body.length, error)
                   ? VERDICT_AGAIN
                   : VERDICT_ANSWER;
    if (done && (exchange->status == 400 || exchange->status == 404))
        return VERDICT_ANSWER;
    describe(client, error);
    error_prefix(error, "%s", request->name);
    if (done && (exchange->status == 401 || exchange->status == 403))
        return VERDICT_REFUSED;
    return exchange->result == EXCHANGE_BROKEN || (done && status_may_pass(exchange->status)) ? VERDICT_AGAIN
                                                                                              : VERDICT_FINAL;
}

static enum client_outcome give_up(struct client *client, struct error *error)
{
    if (++client->failures < CLIENT_PATIENCE)
        return CLIENT_FAILED;
    error_prefix(error, "the service does not answer");
    return CLIENT_STOPPED;
}

enum client_outcome client_ask(struct client *client, const struct client_request *request,
                               struct client_answer *answer, struct error *error)
{
    for (int tries = 1;; tries++) {
        struct error reason = ERROR_INIT;
        if (try_once(client, request, error))
            return CLIENT_STOPPED;
        enum verdict verdict = judge(client, request, &reason);
        if (verdict == VERDICT_ANSWER) {
            client->failures = 0;
            *answer = (struct client_answer){client->exchange.status, text_string(&client->exchange.body),
                                             client->exchange.body.length};
            return CLIENT_ANSWERED;
        }
        bool again = verdict == VERDICT_AGAIN && tries < CLIENT_TRIES;
        if ((again || client->exchange.retry_after > 0) && pause_before_next(client, tries, error))
            return CLIENT_STOPPED;
        if (again) {
            client->counts.repeats++;
            continue;
        }
        *error = reason;
        if (verdict != VERDICT_REFUSED)
            return give_up(client, error);
        error_prefix(error, client->options.key ? "the service refuses the key" : "the service refuses us");
        return CLIENT_STOPPED;
    }
}
