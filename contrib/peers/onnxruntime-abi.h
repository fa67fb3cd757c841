/* onnxruntime-abi.h: the part of ONNX Runtime's C interface that onnxruntime.c calls. The library has one
 * entry point, which gives a table of functions that only ever grows at its end; the places below are those
 * of release 1.30 and hold since 1.16, the version asked for. */
#ifndef CLADE_PEERS_ONNXRUNTIME_ABI_H
#define CLADE_PEERS_ONNXRUNTIME_ABI_H

#include <stddef.h>
#include <stdint.h>

/* Seen through pointers only. */
struct ort_status;
struct ort_environment;
struct ort_options;
struct ort_session;
struct ort_memory;
struct ort_value;

enum { ORT_VERSION = 16, ORT_WARNING = 2, ORT_FLOAT = 1, ORT_DEVICE_ALLOCATOR = 0, ORT_DEFAULT_MEMORY = 0 };

typedef void (*ort_function)(void);

struct ort_base {
    const ort_function *(*get_table)(uint32_t version);
    const char *(*get_version)(void);
};

/* Places in the table. */
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENVIRONMENT = 3,
    CREATE_SESSION_FROM_ARRAY = 8,
    RUN = 9,
    CREATE_OPTIONS = 10,
    SET_THREADS = 24,
    CREATE_TENSOR_WITH_DATA = 49,
    CREATE_CPU_MEMORY_INFO = 69,
    RELEASE_ENVIRONMENT = 92,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY_INFO = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_OPTIONS = 100,
    ADD_SESSION_CONFIG = 130
};

/* NULL is success; any other status is released by whoever got it. */
struct ort_functions {
    const char *(*get_error_message)(const struct ort_status *);
    struct ort_status *(*create_environment)(int level, const char *name, struct ort_environment **);
    struct ort_status *(*create_session)(const struct ort_environment *, const void *model, size_t bytes,
                                         const struct ort_options *, struct ort_session **);
    struct ort_status *(*run)(struct ort_session *, const void *options, const char *const *input_names,
                              const struct ort_value *const *inputs, size_t input_count,
                              const char *const *output_names, size_t output_count,
                              struct ort_value **outputs);
    struct ort_status *(*create_options)(struct ort_options **);
    struct ort_status *(*set_threads)(struct ort_options *, int);
    struct ort_status *(*create_tensor)(const struct ort_memory *, void *data, size_t bytes,
                                        const int64_t *shape, size_t rank, int type, struct ort_value **);
    struct ort_status *(*create_memory)(int allocator, int memory_type, struct ort_memory **);
    struct ort_status *(*add_config)(struct ort_options *, const char *key, const char *value);
    void (*release_environment)(struct ort_environment *);
    void (*release_status)(struct ort_status *);
    void (*release_memory)(struct ort_memory *);
    void (*release_session)(struct ort_session *);
    void (*release_value)(struct ort_value *);
    void (*release_options)(struct ort_options *);
};

#endif
