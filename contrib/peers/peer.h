/* peer.h: what clade and each library that it is timed against have in common. A peer is opened once, then
 * given problems one after the other. */
#ifndef CLADE_PEERS_PEER_H
#define CLADE_PEERS_PEER_H

#include "base/error.h"
#include "problem.h"
#include <stdbool.h>
#include <stddef.h>

struct peer {
    const char *name;
    /* Loads the library or starts the program, for so many threads. `modules` is the folder of the npm
     * packages. */
    enum status (*open)(const char *modules, int threads, struct error *error);
    const char *(*version)(void); /* once open */
    bool (*has)(enum peer_operation operation);
    /* Copies the tensors into the peer's own layouts, which is never timed; NULL with `error` set. */
    void *(*prepare)(const struct problem *problem, struct error *error);
    /* The operation once, on buffers that exist; *seconds is how long it alone took. */
    enum status (*run)(void *prepared, double *seconds, struct error *error);
    /* What the latest run computed: y [T, H, e]. */
    enum status (*result)(void *prepared, float *values, struct error *error);
    void (*release)(void *prepared);
    void (*close)(void);
};

extern const struct peer clade_peer, ggml_peer, onnxruntime_peer, torch_peer;

#endif
