/* ggml-abi.h: the part of ggml's C interface that ggml.c calls, declared for release 0.25.1 (the npm package
 * @node-llama-cpp/linux-x64 3.22.1). The functions are pointers, filled from the library at run time. */
#ifndef CLADE_PEERS_GGML_ABI_H
#define CLADE_PEERS_GGML_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seen through pointers only. */
struct ggml_context;
struct ggml_tensor;
struct ggml_cgraph;
struct ggml_backend;
struct ggml_buffer;
struct ggml_threadpool;

enum { GGML_F32 = 0, GGML_F16 = 1, GGML_I32 = 26 };

struct ggml_init_params {
    size_t size;
    void *memory; /* NULL: ggml allocates */
    bool no_data; /* only descriptions of tensors; their data go to a backend's buffer */
};

struct ggml_threadpool_params {
    bool core_mask[512];
    int threads, priority;
    uint32_t poll;
    bool strict, paused;
};

struct ggml_functions {
    const char *(*version)(void);
    struct ggml_context *(*init)(struct ggml_init_params);
    void (*free)(struct ggml_context *);
    size_t (*tensor_overhead)(void);
    size_t (*graph_overhead)(void);
    struct ggml_tensor *(*new_tensor)(struct ggml_context *, int type, int64_t, int64_t, int64_t, int64_t);
    struct ggml_cgraph *(*new_graph)(struct ggml_context *);
    void (*build_forward)(struct ggml_cgraph *, struct ggml_tensor *);

    /* mask, scale, ALiBi's largest slope, soft cap */
    struct ggml_tensor *(*flash_attention)(struct ggml_context *, struct ggml_tensor *q,
                                           struct ggml_tensor *k, struct ggml_tensor *v,
                                           struct ggml_tensor *mask, float, float, float);
    struct ggml_tensor *(*gated_linear_attention)(struct ggml_context *, struct ggml_tensor *k,
                                                  struct ggml_tensor *v, struct ggml_tensor *q,
                                                  struct ggml_tensor *gate, struct ggml_tensor *state,
                                                  float scale);
    /* The last argument of these two is how many states to give back. */
    struct ggml_tensor *(*gated_delta_net)(struct ggml_context *, struct ggml_tensor *q,
                                           struct ggml_tensor *k, struct ggml_tensor *v,
                                           struct ggml_tensor *log_gate, struct ggml_tensor *beta,
                                           struct ggml_tensor *state, int64_t);
    struct ggml_tensor *(*ssm_scan)(struct ggml_context *, struct ggml_tensor *state, struct ggml_tensor *x,
                                    struct ggml_tensor *delta, struct ggml_tensor *A, struct ggml_tensor *B,
                                    struct ggml_tensor *C, struct ggml_tensor *ids, int64_t);

    struct ggml_buffer *(*allocate)(struct ggml_context *, struct ggml_backend *);
    void (*buffer_free)(struct ggml_buffer *);
    void (*tensor_set)(struct ggml_tensor *, const void *, size_t offset, size_t bytes);
    void (*tensor_get)(const struct ggml_tensor *, void *, size_t offset, size_t bytes);
    int (*compute)(struct ggml_backend *, struct ggml_cgraph *); /* 0: done */
    struct ggml_backend *(*cpu_init)(void);
    void (*backend_free)(struct ggml_backend *);
    void (*cpu_set_threads)(struct ggml_backend *, int);
    void (*cpu_set_pool)(struct ggml_backend *, struct ggml_threadpool *);
    void (*pool_params)(struct ggml_threadpool_params *, int threads);
    struct ggml_threadpool *(*pool_new)(struct ggml_threadpool_params *);
    void (*pool_pause)(struct ggml_threadpool *);
    void (*pool_resume)(struct ggml_threadpool *);
    void (*pool_free)(struct ggml_threadpool *);
};

#endif
