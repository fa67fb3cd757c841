/* ggml's fused operators on its CPU backend, built for the best instruction set that this processor has. */
#include "base/memory.h"
#include "bench/clock.h"
#include "ggml-abi.h"
#include "library.h"
#include "peer.h"
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 16 };

static struct ggml_functions ggml;
static struct ggml_backend *backend;
static struct ggml_threadpool *pool;

struct prepared {
    const struct problem *problem;
    struct ggml_context *context;
    struct ggml_buffer *buffer;
    struct ggml_cgraph *graph;
    struct ggml_tensor *result; /* y, behind it the last state */
};

/* The best of the backends, one a set of instructions: each says itself how well it suits this processor, 0
 * being unfit. */
static void *best_backend(const char *folder, struct error *error)
{
    DIR *directory = opendir(folder);
    char best[256] = "libggml-cpu-x64.so";
    int best_score = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (strncmp(entry->d_name, "libggml-cpu-", strlen("libggml-cpu-")) != 0)
            continue;
        int (*score)(void);
        void *library = library_open(folder, entry->d_name, error);
        const struct symbol symbol = {"ggml_backend_score", &score};
        if (!library || library_bind(library, NULL, &symbol, 1, error))
            continue;
        if (score() > best_score) {
            best_score = score();
            memcpy(best, entry->d_name, sizeof best);
        }
        dlclose(library);
    }
    if (directory)
        closedir(directory);
    return library_open(folder, best, error);
}

static enum status open_ggml(const char *modules, int threads, struct error *error)
{
    const struct symbol symbols[] = {
        {"ggml_version", &ggml.version},
        {"ggml_init", &ggml.init},
        {"ggml_free", &ggml.free},
        {"ggml_tensor_overhead", &ggml.tensor_overhead},
        {"ggml_graph_overhead", &ggml.graph_overhead},
        {"ggml_new_tensor_4d", &ggml.new_tensor},
        {"ggml_new_graph", &ggml.new_graph},
        {"ggml_build_forward_expand", &ggml.build_forward},
        {"ggml_flash_attn_ext", &ggml.flash_attention},
        {"ggml_gated_linear_attn", &ggml.gated_linear_attention},
        {"ggml_gated_delta_net", &ggml.gated_delta_net},
        {"ggml_ssm_scan", &ggml.ssm_scan},
        {"ggml_backend_alloc_ctx_tensors", &ggml.allocate},
        {"ggml_backend_buffer_free", &ggml.buffer_free},
        {"ggml_backend_tensor_set", &ggml.tensor_set},
        {"ggml_backend_tensor_get", &ggml.tensor_get},
        {"ggml_backend_graph_compute", &ggml.compute},
        {"ggml_backend_cpu_init", &ggml.cpu_init},
        {"ggml_backend_free", &ggml.backend_free},
        {"ggml_backend_cpu_set_n_threads", &ggml.cpu_set_threads},
        {"ggml_backend_cpu_set_threadpool", &ggml.cpu_set_pool},
        {"ggml_threadpool_params_init", &ggml.pool_params},
        {"ggml_threadpool_new", &ggml.pool_new},
        {"ggml_threadpool_pause", &ggml.pool_pause},
        {"ggml_threadpool_resume", &ggml.pool_resume},
        {"ggml_threadpool_free", &ggml.pool_free},
    };
    struct arena arena = ARENA_INIT;
    const char *folder = arena_format(&arena, "%s/@node-llama-cpp/linux-x64/bins/linux-x64", modules);
    void *base = library_open(folder, "libggml-base.so", error);
    void *cpu = base ? best_backend(folder, error) : NULL;
    arena_release(&arena);
    if (!cpu)
        return error->status;
    if (library_bind(base, cpu, symbols, sizeof symbols / sizeof *symbols, error))
        return error->status;
    backend = ggml.cpu_init();
    ggml.cpu_set_threads(backend, threads);
    if (threads > 1) {
        struct ggml_threadpool_params params;
        ggml.pool_params(&params, threads);
        pool = ggml.pool_new(&params);
        ggml.cpu_set_pool(backend, pool);
    }
    return STATUS_OK;
}

static const char *version(void)
{
    return ggml.version();
}

/* Linear attention is its gated form with gates of 1, the delta rule its gated form with gates of exp(0). */
static bool has(enum peer_operation operation)
{
    return true;
}

/* A tensor still to be filled: data are given when all tensors of a context have their place. */
struct filling {
    struct ggml_tensor *tensor;
    const void *data;
    size_t bytes;
    void *owned; /* freed after filling; may be NULL */
};

struct recording {
    struct ggml_context *context;
    struct filling fillings[MAX_TENSORS];
    int count;
};

static struct ggml_tensor *add(struct recording *r, int type, const void *data, void *owned, int64_t a,
                               int64_t b, int64_t c)
{
    size_t size = type == GGML_F16 ? 2 : 4;
    struct ggml_tensor *tensor = ggml.new_tensor(r->context, type, a, b, c, 1);
    r->fillings[r->count++] = (struct filling){tensor, data, (size_t)(a * b * c) * size, owned};
    return tensor;
}

static struct ggml_tensor *floats(struct recording *r, const float *data, int64_t a, int64_t b, int64_t c)
{
    return add(r, GGML_F32, data, NULL, a, b, c);
}

static struct ggml_tensor *constant(struct recording *r, float value, int64_t a, int64_t b, int64_t c)
{
    float *data = memory_allocate((size_t)(a * b * c) * sizeof *data);
    for (int64_t i = 0; i < a * b * c; i++)
        data[i] = value;
    return add(r, GGML_F32, data, data, a, b, c);
}

static struct ggml_tensor *exponentials(struct recording *r, const float *logs, int64_t a, int64_t b,
                                        int64_t c)
{
    float *data = memory_allocate((size_t)(a * b * c) * sizeof *data);
    for (int64_t i = 0; i < a * b * c; i++)
        data[i] = expf(logs[i]);
    return add(r, GGML_F32, data, data, a, b, c);
}

/* [T, H, d] -> [H, T, d] */
static struct ggml_tensor *heads_first(struct recording *r, const float *data, int64_t T, int64_t H,
                                       int64_t d)
{
    float *copy = memory_allocate((size_t)(T * H * d) * sizeof *copy);
    for (int64_t t = 0; t < T; t++)
        for (int64_t h = 0; h < H; h++)
            memcpy(copy + (h * T + t) * d, data + (t * H + h) * d, (size_t)d * sizeof *copy);
    return add(r, GGML_F32, copy, copy, d, T, H);
}

/* Half-precision 0 where key <= query, else minus infinity. */
static struct ggml_tensor *causal_mask(struct recording *r, int64_t T)
{
    enum { MINUS_INFINITY = 0xfc00 };
    uint16_t *mask = memory_allocate((size_t)(T * T) * sizeof *mask);
    for (int64_t query = 0; query < T; query++)
        for (int64_t key = 0; key < T; key++)
            mask[query * T + key] = key <= query ? 0 : MINUS_INFINITY;
    return add(r, GGML_F16, mask, mask, T, T, 1);
}

static struct ggml_tensor *attention(struct recording *r, const struct problem *p)
{
    int64_t T = p->length, H = p->heads, d = p->width;
    struct ggml_tensor *q = heads_first(r, p->query, T, H, d), *k = heads_first(r, p->key, T, H, d),
                       *v = heads_first(r, p->value, T, H, d);
    return ggml.flash_attention(r->context, q, k, v, causal_mask(r, T), (float)p->scale, 0, 0);
}

static struct ggml_tensor *state_space_dual(struct recording *r, const struct problem *p)
{
    static const int32_t first = 0;
    int64_t T = p->length, H = p->heads, G = p->key_heads, n = p->width, e = p->value_width;
    struct ggml_tensor *state = constant(r, 0, n, e, H), *x = floats(r, p->value, e, H, T),
                       *delta = floats(r, p->delta, H, T, 1), *A = floats(r, p->rate, 1, H, 1),
                       *B = floats(r, p->key, n, G, T), *C = floats(r, p->query, n, G, T),
                       *ids = add(r, GGML_I32, &first, NULL, 1, 1, 1);
    return ggml.ssm_scan(r->context, state, x, delta, A, B, C, ids, 1);
}

static struct ggml_tensor *record(struct recording *r, const struct problem *p)
{
    int64_t T = p->length, H = p->heads, d = p->width;
    if (p->operation == CAUSAL_ATTENTION)
        return attention(r, p);
    if (p->operation == STATE_SPACE_DUAL)
        return state_space_dual(r, p);
    struct ggml_tensor *q = floats(r, p->query, d, H, T), *k = floats(r, p->key, d, H, T),
                       *v = floats(r, p->value, d, H, T);
    if (!p->beta) {
        struct ggml_tensor *gate =
            p->log_decay ? exponentials(r, p->log_decay, d, H, T) : constant(r, 1, d, H, T);
        return ggml.gated_linear_attention(r->context, k, v, q, gate, constant(r, 0, d * d * H, 1, 1),
                                           (float)p->scale);
    }
    struct ggml_tensor *gate = p->log_decay ? floats(r, p->log_decay, 1, H, T) : constant(r, 0, 1, H, T);
    return ggml.gated_delta_net(r->context, q, k, v, gate, floats(r, p->beta, 1, H, T),
                                constant(r, 0, d, d, H), 1);
}

static void fill(struct recording *r)
{
    for (int i = 0; i < r->count; i++) {
        ggml.tensor_set(r->fillings[i].tensor, r->fillings[i].data, 0, r->fillings[i].bytes);
        free(r->fillings[i].owned);
    }
}

static void *prepare(const struct problem *problem, struct error *error)
{
    struct prepared *s = memory_allocate_zero(1, sizeof *s);
    size_t size = MAX_TENSORS * ggml.tensor_overhead() + ggml.graph_overhead();
    struct recording r = {.context = ggml.init((struct ggml_init_params){size, NULL, true})};
    s->problem = problem;
    s->context = r.context;
    s->result = record(&r, problem);
    s->graph = ggml.new_graph(s->context);
    ggml.build_forward(s->graph, s->result);
    s->buffer = ggml.allocate(s->context, backend);
    fill(&r);
    return s;
}

/* Between runs the pool's threads rest: they would take time from the next peer. */
static enum status run(void *prepared, double *seconds, struct error *error)
{
    struct prepared *s = prepared;
    if (pool)
        ggml.pool_resume(pool); /* waking them is not the operation's time */
    double start = clock_seconds();
    int failure = ggml.compute(backend, s->graph);
    *seconds = clock_seconds() - start;
    if (pool)
        ggml.pool_pause(pool);
    return failure ? error_set(error, STATUS_OUTSIDE, "ggml: computing failed with %d", failure) : STATUS_OK;
}

static enum status result(void *prepared, float *values, struct error *error)
{
    struct prepared *s = prepared;
    ggml.tensor_get(s->result, values, 0, (size_t)problem_result_size(s->problem) * sizeof *values);
    return STATUS_OK;
}

static void release(void *prepared)
{
    struct prepared *s = prepared;
    ggml.buffer_free(s->buffer);
    ggml.free(s->context);
    free(s);
}

static void close_ggml(void)
{
    ggml.backend_free(backend);
    if (pool)
        ggml.pool_free(pool);
    pool = NULL;
}

const struct peer ggml_peer = {"ggml", open_ggml, version, has, prepare, run, result, release, close_ggml};
