/* ONNX Runtime's com.microsoft operators, each in a model of one node made here. Outputs are bound to buffers
 * that exist, so that no run allocates. */
#include "base/memory.h"
#include "bench/clock.h"
#include "library.h"
#include "onnx-model.h"
#include "onnxruntime-abi.h"
#include "peer.h"
#include <stdlib.h>
#include <string.h>

static struct ort_functions ort;
static const char *(*get_version)(void);
static struct ort_environment *environment;
static struct ort_options *options;
static struct ort_memory *memory;

struct prepared {
    const struct problem *problem;
    struct onnx_node node;
    struct ort_session *session;
    const char *input_names[ONNX_MAX_PORTS], *output_names[ONNX_MAX_PORTS];
    struct ort_value *inputs[ONNX_MAX_PORTS], *outputs[ONNX_MAX_PORTS];
    int bound; /* inputs that are not left out */
    float *buffers[ONNX_MAX_PORTS];
};

static enum status check(struct ort_status *status, struct error *error)
{
    if (!status)
        return STATUS_OK;
    error_set(error, STATUS_OUTSIDE, "onnxruntime: %s", ort.get_error_message(status));
    ort.release_status(status);
    return error->status;
}

static void bind_table(const ort_function *table)
{
    const struct {
        int place;
        void *pointer;
    } slots[] = {
        {GET_ERROR_MESSAGE, &ort.get_error_message},
        {CREATE_ENVIRONMENT, &ort.create_environment},
        {CREATE_SESSION_FROM_ARRAY, &ort.create_session},
        {RUN, &ort.run},
        {CREATE_OPTIONS, &ort.create_options},
        {SET_THREADS, &ort.set_threads},
        {CREATE_TENSOR_WITH_DATA, &ort.create_tensor},
        {CREATE_CPU_MEMORY_INFO, &ort.create_memory},
        {RELEASE_ENVIRONMENT, &ort.release_environment},
        {RELEASE_STATUS, &ort.release_status},
        {RELEASE_MEMORY_INFO, &ort.release_memory},
        {RELEASE_SESSION, &ort.release_session},
        {RELEASE_VALUE, &ort.release_value},
        {RELEASE_OPTIONS, &ort.release_options},
        {ADD_SESSION_CONFIG, &ort.add_config},
    };
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        memcpy(slots[i].pointer, &table[slots[i].place], sizeof *table);
}

static enum status open_onnxruntime(const char *modules, int threads, struct error *error)
{
    struct arena arena = ARENA_INIT;
    const char *folder = arena_format(&arena, "%s/onnxruntime-node/bin/napi-v6/linux/x64", modules);
    void *library = library_open(folder, "libonnxruntime.so.1", error);
    arena_release(&arena);
    const struct ort_base *(*get_base)(void);
    const struct symbol symbol = {"OrtGetApiBase", &get_base};
    if (!library || library_bind(library, NULL, &symbol, 1, error))
        return error->status;
    const ort_function *table = get_base()->get_table(ORT_VERSION);
    get_version = get_base()->get_version;
    if (!table)
        return error_set(error, STATUS_OUTSIDE, "onnxruntime %s is older than 1.%d", get_version(),
                         ORT_VERSION);
    bind_table(table);
    if (check(ort.create_environment(ORT_WARNING, "clade", &environment), error) ||
        check(ort.create_options(&options), error) || check(ort.set_threads(options, threads), error) ||
        check(ort.add_config(options, "session.force_spinning_stop", "1"), error))
        return error->status;
    return check(ort.create_memory(ORT_DEVICE_ALLOCATOR, ORT_DEFAULT_MEMORY, &memory), error);
}

static const char *version(void)
{
    return get_version();
}

static bool has(enum peer_operation operation)
{
    return operation != STATE_SPACE_DUAL;
}

static struct onnx_port port(const char *name, int64_t length, int64_t width)
{
    return (struct onnx_port){name, 3, {1, length, width}};
}

static void set_integer(struct onnx_node *node, const char *name, int64_t value)
{
    node->attributes[node->attribute_count++] = (struct onnx_attribute){name, ONNX_INT, .i = value};
}

static void set_scale(struct onnx_node *node, double scale)
{
    node->attributes[node->attribute_count++] =
        (struct onnx_attribute){"scale", ONNX_FLOAT, .f = (float)scale};
}

static struct onnx_node attention(const struct problem *p)
{
    struct onnx_node node = {.type = "MultiHeadAttention", .input_count = 3, .output_count = 1};
    const char *const names[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++)
        node.inputs[i] = port(names[i], p->length, p->heads * p->width);
    node.outputs[0] = port("output", p->length, p->heads * p->value_width);
    set_integer(&node, "num_heads", p->heads);
    set_integer(&node, "unidirectional", 1);
    set_scale(&node, p->scale);
    return node;
}

static struct onnx_node linear_attention(const struct problem *p)
{
    static const char *const rules[OPERATIONS] = {[LINEAR_ATTENTION] = "linear",
                                                  [GATED_LINEAR_ATTENTION] = "gated",
                                                  [DELTA_RULE] = "delta",
                                                  [GATED_DELTA_RULE] = "gated_delta"};
    int64_t T = p->length, H = p->heads;
    struct onnx_node node = {
        .type = "LinearAttention",
        .input_count = p->beta        ? 6
                       : p->log_decay ? 5
                                      : 3,
        .output_count = 2,
        .inputs = {port("query", T, H * p->width), port("key", T, H * p->width),
                   port("value", T, H * p->value_width), port("", 0, 0),
                   port(p->log_decay ? "decay" : "", T, problem_decay_size(p) / T), port("beta", T, H)},
        .outputs = {port("output", T, H * p->value_width), {"state", 4, {1, H, p->width, p->value_width}}}};
    set_integer(&node, "q_num_heads", H);
    set_integer(&node, "kv_num_heads", H);
    set_scale(&node, p->scale);
    node.attributes[node.attribute_count++] =
        (struct onnx_attribute){"update_rule", ONNX_STRING, .s = rules[p->operation]};
    return node;
}

static struct ort_value *tensor_of(const struct onnx_port *port, float *data, struct error *error)
{
    struct ort_value *value = NULL;
    size_t count = 1;
    for (int i = 0; i < port->rank; i++)
        count *= (size_t)port->shape[i];
    check(ort.create_tensor(memory, data, count * sizeof *data, port->shape, (size_t)port->rank, ORT_FLOAT,
                            &value),
          error);
    return value;
}

static void bind_ports(struct prepared *s, struct error *error)
{
    const struct problem *p = s->problem;
    float *const data[ONNX_MAX_PORTS] = {p->query, p->key, p->value, NULL, p->log_decay, p->beta};
    for (int i = 0; i < s->node.input_count; i++)
        if (*s->node.inputs[i].name) {
            s->input_names[s->bound] = s->node.inputs[i].name;
            s->inputs[s->bound++] = tensor_of(&s->node.inputs[i], data[i], error);
        }
    for (int i = 0; i < s->node.output_count; i++) {
        const struct onnx_port *output = &s->node.outputs[i];
        size_t count = 1;
        for (int j = 0; j < output->rank; j++)
            count *= (size_t)output->shape[j];
        s->buffers[i] = memory_allocate_aligned(64, count * sizeof(float));
        s->output_names[i] = output->name;
        s->outputs[i] = tensor_of(output, s->buffers[i], error);
    }
}

static void release(void *prepared)
{
    struct prepared *s = prepared;
    for (int i = 0; i < ONNX_MAX_PORTS; i++) {
        if (s->inputs[i])
            ort.release_value(s->inputs[i]);
        if (s->outputs[i])
            ort.release_value(s->outputs[i]);
        free(s->buffers[i]);
    }
    if (s->session)
        ort.release_session(s->session);
    free(s);
}

static void *prepare(const struct problem *problem, struct error *error)
{
    struct prepared *s = memory_allocate_zero(1, sizeof *s);
    size_t size;
    s->problem = problem;
    s->node = problem->operation == CAUSAL_ATTENTION ? attention(problem) : linear_attention(problem);
    unsigned char *model = onnx_model(&s->node, &size);
    if (check(ort.create_session(environment, model, size, options, &s->session), error) == STATUS_OK)
        bind_ports(s, error);
    free(model);
    if (!error->status)
        return s;
    release(s);
    return NULL;
}

static enum status run(void *prepared, double *seconds, struct error *error)
{
    struct prepared *s = prepared;
    double start = clock_seconds();
    struct ort_status *status =
        ort.run(s->session, NULL, s->input_names, (const struct ort_value *const *)s->inputs,
                (size_t)s->bound, s->output_names, (size_t)s->node.output_count, s->outputs);
    *seconds = clock_seconds() - start;
    return check(status, error);
}

static enum status result(void *prepared, float *values, struct error *error)
{
    struct prepared *s = prepared;
    memcpy(values, s->buffers[0], (size_t)problem_result_size(s->problem) * sizeof *values);
    return STATUS_OK;
}

static void close_onnxruntime(void)
{
    ort.release_memory(memory);
    ort.release_options(options);
    ort.release_environment(environment);
}

const struct peer onnxruntime_peer = {"onnxruntime", open_onnxruntime, version,          has, prepare, run,
                                      result,        release,          close_onnxruntime};
