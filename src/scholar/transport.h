/* transport.h: one exchange over HTTP, through libcurl, and nothing of what it means. Private to scholar. */
#ifndef CLADE_SCHOLAR_TRANSPORT_H
#define CLADE_SCHOLAR_TRANSPORT_H

#include "base/error.h"
#include "base/text.h"
#include <signal.h>
#include <stdbool.h>

enum {
    LARGEST_BODY = 12 << 20 /* bytes, decoded; the service's own limit is 10 MB */
};

struct transport_options {
    const char *user_agent;
    const char *key;                   /* sent as x-api-key; NULL for none */
    double timeout;                    /* seconds for a whole exchange */
    const volatile sig_atomic_t *stop; /* as in pace.h */
    void (*tick)(void *data, double remaining);
    void *data;
};

enum exchange_result {
    EXCHANGE_DONE,   /* a whole answer, of whatever status */
    EXCHANGE_BROKEN, /* no or not all of an answer: another try may fare better */
    EXCHANGE_REFUSED /* it would end the same again: a wrong URL, a body beyond the bound, an untrusted certificate */
};

struct exchange {
    enum exchange_result result;
    int status;         /* of HTTP; 0 if none came */
    double retry_after; /* seconds; 0 if the answer does not say, or says nonsense */
    struct text body;
    char redirect[2048]; /* where the answer points to; "" if nowhere */
    char reason[256];    /* unless it is done: one line */
};

struct transport;
struct transport *transport_open(const struct transport_options *options);
void transport_close(struct transport *transport); /* NULL is fine */

/* GETs `url`, or POSTs `json` if that is not NULL. Redirections are not followed. `exchange` is initialised
 * with text_init() on its body by the caller and may be used again. */
void transport_exchange(struct transport *transport, const char *url, const char *json, bool with_key,
                        double timeout, struct exchange *exchange);

/* The parts of a URL of http or https that say who is asked. False if it is none, or has a user, query or
 * fragment where `plain` forbids them. */
struct origin {
    char scheme[8], host[256];
    long port;
};
bool origin_of(const char *url, bool plain, struct origin *origin);
bool origin_same(const struct origin *a, const struct origin *b);
/* Whether a secret may go there: encrypted, or no farther than this machine. */
bool origin_private(const struct origin *origin);

#endif
