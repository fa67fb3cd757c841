#include "gradient.h"
#include "base/memory.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MAX_LEAVES = 12,
    MAX_PROBES = 40,
    LARGE = 2000,
    LARGE_PROBES = 8,
    SEED = 20240531,
    SEED_STREAM = 1000,
    PROBE_STREAM = 2000
};

#ifdef CLADE_DOUBLE
static const double step_size = 1e-3, gradient_tolerance = 1e-6, layout_tolerance = 1e-12;
#else
static const double step_size = 3e-2, gradient_tolerance = 2e-3, layout_tolerance = 1e-5;
#endif

/* How the values of the leaves lie in memory. */
enum layout {
    PLAIN,    /* row-major */
    SLICED,   /* in the middle of a larger array, rows contiguous */
    REVERSED, /* the first axis varies fastest; for rank 1: every other entry */
    LAYOUT_COUNT
};

/* A recording of the function on one layout of its leaves. */
struct recording {
    struct pool *pool;
    struct graph *graph;
    int count;
    tensor *leaves[MAX_LEAVES]; /* the whole arrays */
    tensor *views[MAX_LEAVES];  /* what the function sees, of the leaf's own shape */
    real *storage[MAX_LEAVES];
    tensor *output;
};

/* What the body that graph_protect() runs needs. */
struct order {
    struct recording *recording;
    gradient_build build;
    const void *argument;
    const struct gradient_leaf *leaves;
    enum layout layout;
};

static const char *test_file;
static int test_line;

#define fail_at(...)                                        \
    do {                                                    \
        print_error(__VA_ARGS__);                           \
        print_error("\n");                                  \
        _fail(test_file, test_line);                        \
        abort(); /* not reached: says so to the compiler */ \
    } while (0)

static int64_t shape_size(int rank, const int64_t *shape)
{
    int64_t size = 1;
    for (int i = 0; i < rank; i++)
        size *= shape[i];
    return size;
}

real *leaf_values(const struct gradient_leaf *leaves, int place)
{
    const struct gradient_leaf *leaf = &leaves[place];
    int64_t size = shape_size(leaf->rank, leaf->shape);
    if (leaf->values)
        return memory_copy(leaf->values, (size_t)size * sizeof(real));
    real *values = memory_allocate((size_t)size * sizeof(real));
    bool given = leaf->low != 0 || leaf->high != 0;
    random_fill_uniform(SEED, (uint64_t)place, 0, size, given ? leaf->low : -1, given ? leaf->high : 1,
                        values);
    return values;
}

tensor *gradient_join(int count, tensor *const *results)
{
    tensor *flat[TENSOR_MAX_INPUTS];
    for (int i = 0; i < count; i++)
        flat[i] = tensor_reshape(results[i], 1, SHAPE(-1));
    return tensor_concat(count, flat, 0);
}

/* ---- Recording ---- */

static tensor *place_leaf(struct recording *recording, int place, const struct gradient_leaf *leaf,
                          enum layout layout)
{
    int64_t shape[TENSOR_MAX_RANK];
    int axes[TENSOR_MAX_RANK];
    for (int i = 0; i < leaf->rank; i++) {
        axes[i] = leaf->rank - 1 - i;
        shape[i] = layout == SLICED     ? leaf->shape[i] + 2 + i
                   : layout == REVERSED ? leaf->shape[axes[i]]
                                        : leaf->shape[i];
    }
    if (layout == REVERSED && leaf->rank == 1)
        shape[0] = 2 * leaf->shape[0];
    int64_t size = shape_size(leaf->rank, shape);
    real *storage = recording->storage[place] = memory_allocate((size_t)size * sizeof(real));
    for (int64_t i = 0; i < size; i++)
        storage[i] = (real)NAN;
    tensor *x = recording->leaves[place] =
        tensor_leaf(recording->graph, storage, leaf->rank, shape, !leaf->fixed);
    if (layout == SLICED)
        for (int i = 0; i < leaf->rank; i++)
            x = tensor_slice(x, i, 1 + i % 2, leaf->shape[i]);
    else if (layout == REVERSED && leaf->rank == 1)
        x = tensor_slice_step(x, 0, 0, leaf->shape[0], 2);
    else if (layout == REVERSED)
        x = tensor_permute(x, axes);
    return x;
}

static void record(struct graph *graph, void *argument)
{
    const struct order *order = argument;
    struct recording *recording = order->recording;
    for (int i = 0; i < recording->count; i++)
        recording->views[i] = place_leaf(recording, i, &order->leaves[i], order->layout);
    recording->output = order->build(graph, recording->views, order->argument);
    graph_keep(recording->output);
}

static bool record_protected(struct recording *recording, gradient_build build, const void *argument,
                             const struct gradient_leaf *leaves, int count, enum layout layout,
                             bool gradients, struct error *error)
{
    if (count > MAX_LEAVES)
        fail_at("%d leaves, at most %d", count, MAX_LEAVES);
    struct order order = {recording, build, argument, leaves, layout};
    recording->count = count;
    recording->pool = pool_create();
    recording->graph = graph_create(recording->pool, gradients);
    return graph_protect(recording->graph, record, &order, error);
}

static struct recording recording_of(gradient_build build, const void *argument,
                                     const struct gradient_leaf *leaves, int count, enum layout layout,
                                     bool gradients)
{
    struct recording recording = {0};
    struct error error = ERROR_INIT;
    if (!record_protected(&recording, build, argument, leaves, count, layout, gradients, &error))
        fail_at("the function raised: %s", error.message);
    return recording;
}

static void recording_release(struct recording *recording)
{
    graph_free(recording->graph);
    pool_free(recording->pool);
    for (int i = 0; i < recording->count; i++)
        free(recording->storage[i]);
}

/* ---- Values in and out, row-major on our side ---- */

static int64_t element_at(const tensor *x, int64_t number)
{
    if (tensor_is_contiguous(x))
        return number;
    int64_t place = 0;
    for (int i = x->rank - 1; i >= 0; i--) {
        place += number % x->shape[i] * x->stride[i];
        number /= x->shape[i];
    }
    return place;
}

static void set_leaves(struct recording *recording, real *const *values)
{
    for (int i = 0; i < recording->count; i++) {
        const tensor *view = recording->views[i];
        for (int64_t j = 0, n = tensor_size(view); j < n; j++)
            recording->storage[i][view->offset + element_at(view, j)] = values[i][j];
    }
}

static real *copy_out(const tensor *x, const real *data)
{
    int64_t size = tensor_size(x);
    real *values = memory_allocate((size_t)size * sizeof(real));
    for (int64_t i = 0; i < size; i++)
        values[i] = data[element_at(x, i)];
    return values;
}

struct run {
    struct recording *recording;
    const real *seed; /* NULL: forward only */
};

static void run_protected(struct graph *graph, void *argument)
{
    const struct run *run = argument;
    graph_run(graph);
    if (run->seed) {
        graph_seed(run->recording->output, run->seed);
        graph_backward(graph);
    }
}

static void run_recording(struct recording *recording, const real *seed)
{
    struct error error = ERROR_INIT;
    if (!graph_protect(recording->graph, run_protected, &(struct run){recording, seed}, &error))
        fail_at("the run raised: %s", error.message);
}

/* ---- The checks ---- */

/* Everything that one check works on. */
struct check {
    gradient_build build;
    const void *argument;
    const struct gradient_leaf *leaves;
    int count;
    real *values[MAX_LEAVES];
    real *seed;
    int64_t output_size;
    real *output;                /* of the first run */
    real *gradients[MAX_LEAVES]; /* likewise; NULL for fixed leaves */
};

static void expect_equal(const char *what, int leaf, const real *got, const real *want, int64_t size,
                         double tolerance)
{
    double scale = 0;
    for (int64_t i = 0; i < size; i++)
        scale = fmax(scale, fabs((double)want[i]));
    for (int64_t i = 0; i < size; i++) {
        bool same = tolerance == 0 ? memcmp(&got[i], &want[i], sizeof(real)) == 0
                                   : fabs((double)(got[i] - want[i])) <= tolerance * fmax(scale, 1e-3);
        if (!same && leaf < 0)
            fail_at("%s: output %lld is %.17g instead of %.17g", what, (long long)i, (double)got[i],
                    (double)want[i]);
        if (!same)
            fail_at("%s: gradient %lld of leaf %d is %.17g instead of %.17g", what, (long long)i, leaf,
                    (double)got[i], (double)want[i]);
    }
}

static void expect_no_gradient_outside(const struct recording *recording, int leaf)
{
    const tensor *x = recording->leaves[leaf], *view = recording->views[leaf];
    if (!x->gradient || view == x)
        return;
    int64_t size = tensor_size(x);
    bool *inside = memory_allocate_zero((size_t)size, sizeof *inside);
    for (int64_t i = 0, n = tensor_size(view); i < n; i++)
        inside[view->offset + element_at(view, i)] = true;
    for (int64_t i = 0; i < size; i++)
        if (!inside[i] && x->gradient[i] != 0)
            fail_at("a gradient of %g stands outside the slice that is leaf %d", (double)x->gradient[i],
                    leaf);
    free(inside);
}

static real *gradient_out(const struct recording *recording, int leaf)
{
    const tensor *x = recording->leaves[leaf], *view = recording->views[leaf];
    if (x->gradient)
        return copy_out(view, x->gradient + view->offset);
    return memory_allocate_zero((size_t)tensor_size(view), sizeof(real));
}

/* Runs and compares with the first run. */
static void expect_same(struct check *check, const char *what, struct recording *recording, bool backward,
                        double tolerance)
{
    set_leaves(recording, check->values);
    run_recording(recording, backward ? check->seed : NULL);
    real *output = copy_out(recording->output, recording->output->data);
    expect_equal(what, -1, output, check->output, check->output_size, tolerance);
    free(output);
    for (int i = 0; backward && i < check->count; i++) {
        if (check->leaves[i].fixed)
            continue;
        expect_no_gradient_outside(recording, i);
        real *gradient = gradient_out(recording, i);
        expect_equal(what, i, gradient, check->gradients[i], tensor_size(recording->views[i]), tolerance);
        free(gradient);
    }
}

static double weighted_sum(struct check *check, struct recording *recording)
{
    const tensor *output = recording->output;
    run_recording(recording, NULL);
    double sum = 0;
    for (int64_t i = 0; i < check->output_size; i++)
        sum += (double)check->seed[i] * (double)output->data[element_at(output, i)];
    return sum;
}

/* Five-point central difference: its error is of the fourth order in the step. The leaves are set already. */
static double difference(struct check *check, struct recording *recording, int leaf, int64_t entry)
{
    const struct gradient_leaf *given = &check->leaves[leaf];
    double width = given->high - given->low, step = step_size * (width > 0 && width < 2 ? width / 2 : 1);
    const tensor *view = recording->views[leaf];
    real *x = recording->storage[leaf] + view->offset + element_at(view, entry), middle = *x;
    double sums[4], places[4] = {-2, -1, 1, 2}, weights[4] = {1, -8, 8, -1}, slope = 0;
    for (int i = 0; i < 4; i++) {
        *x = (real)((double)middle + places[i] * step);
        sums[i] = weighted_sum(check, recording);
        slope += weights[i] * sums[i];
    }
    *x = middle;
    return slope / (12 * step);
}

static void expect_slopes(struct check *check, struct recording *recording, int leaf)
{
    int64_t size = tensor_size(recording->views[leaf]), entries[MAX_PROBES];
    int probes = size <= MAX_PROBES ? (int)size : size <= LARGE ? MAX_PROBES : LARGE_PROBES;
    double slopes[MAX_PROBES], square = 0;
    for (int i = 0; i < probes; i++) {
        entries[i] = size <= MAX_PROBES ? i
                                        : (int64_t)random_integer(SEED, PROBE_STREAM + (uint64_t)leaf,
                                                                  (uint64_t)i, (uint64_t)size);
        slopes[i] = difference(check, recording, leaf, entries[i]);
        square += slopes[i] * slopes[i];
    }
    double typical = sqrt(square / (probes ? probes : 1));
    for (int i = 0; i < probes; i++) {
        double got = (double)check->gradients[leaf][entries[i]];
        if (!(fabs(got - slopes[i]) <= gradient_tolerance * (fmax(fabs(slopes[i]), typical) + 0.01)))
            fail_at("gradient %lld of leaf %d is %.12g, by differences %.12g", (long long)entries[i], leaf,
                    got, slopes[i]);
    }
}

static struct recording start(struct check *check)
{
    for (int i = 0; i < check->count; i++)
        check->values[i] = leaf_values(check->leaves, i);
    tensor_set_threads(1);
    struct recording recording =
        recording_of(check->build, check->argument, check->leaves, check->count, PLAIN, true);
    check->output_size = tensor_size(recording.output);
    check->seed = memory_allocate((size_t)check->output_size * sizeof(real));
    random_fill_uniform(SEED, SEED_STREAM, 0, check->output_size, -1, 1, check->seed);
    set_leaves(&recording, check->values);
    run_recording(&recording, check->seed);
    check->output = copy_out(recording.output, recording.output->data);
    for (int i = 0; i < check->count; i++)
        if (!check->leaves[i].fixed)
            check->gradients[i] = gradient_out(&recording, i);
    return recording;
}

static void finish(struct check *check)
{
    for (int i = 0; i < check->count; i++) {
        free(check->values[i]);
        free(check->gradients[i]);
    }
    free(check->seed);
    free(check->output);
    tensor_set_threads(0);
}

void check_gradients_at(const char *file, int line, gradient_build build, const void *argument,
                        const struct gradient_leaf *leaves, int count)
{
    static const int threads[] = {2, 3, 7};
    static const char *const thread_names[] = {"2 threads", "3 threads", "7 threads"};
    static const char *const layout_names[] = {"plain", "sliced leaves", "leaves with reversed axes"};
    test_file = file;
    test_line = line;
    struct check check = {build, argument, leaves, count};
    struct recording plain = start(&check);
    expect_same(&check, "a second run", &plain, true, 0);
    for (int i = 0; i < 3; i++) {
        tensor_set_threads(threads[i]);
        expect_same(&check, thread_names[i], &plain, true, 0);
    }
    tensor_set_threads(1);
    struct recording forward = recording_of(build, argument, leaves, count, PLAIN, false);
    expect_same(&check, "a run without gradients", &forward, false, 0);
    for (int i = 0; i < count; i++)
        if (!leaves[i].fixed)
            expect_slopes(&check, &forward, i);
    recording_release(&forward);
    recording_release(&plain);
    for (int layout = SLICED; layout < LAYOUT_COUNT; layout++) {
        struct recording recording = recording_of(build, argument, leaves, count, (enum layout)layout, true);
        expect_same(&check, layout_names[layout], &recording, true, layout_tolerance);
        recording_release(&recording);
    }
    finish(&check);
}

real *evaluate(gradient_build build, const void *argument, const struct gradient_leaf *leaves, int count,
               int64_t *size)
{
    test_file = "evaluate()";
    test_line = 0;
    real *values[MAX_LEAVES] = {NULL};
    for (int i = 0; i < count; i++)
        values[i] = leaf_values(leaves, i);
    struct recording recording = recording_of(build, argument, leaves, count, PLAIN, false);
    set_leaves(&recording, values);
    run_recording(&recording, NULL);
    real *output = copy_out(recording.output, recording.output->data);
    if (size)
        *size = tensor_size(recording.output);
    recording_release(&recording);
    for (int i = 0; i < count; i++)
        free(values[i]);
    return output;
}

void expect_near_at(const char *file, int line, const real *got, const double *want, int64_t count,
                    double tolerance)
{
    test_file = file;
    test_line = line;
    double square = 0;
    int64_t finite = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(want[i])) {
            square += want[i] * want[i];
            finite++;
        }
    double typical = sqrt(square / (double)(finite ? finite : 1));
    for (int64_t i = 0; i < count; i++) {
        double value = (double)got[i];
        bool near = isnan(want[i])   ? isnan(value)
                    : isinf(want[i]) ? value == want[i]
                                     : fabs(value - want[i]) <= tolerance * fmax(fabs(want[i]), typical);
        if (!near)
            fail_at("entry %lld is %.12g instead of %.12g", (long long)i, value, want[i]);
    }
}

const char *raised_message_at(const char *file, int line, gradient_build build, const void *argument,
                              const struct gradient_leaf *leaves, int count)
{
    static struct error error;
    test_file = file;
    test_line = line;
    struct recording recording = {0};
    if (record_protected(&recording, build, argument, leaves, count, PLAIN, false, &error)) {
        real *values[MAX_LEAVES] = {NULL};
        for (int i = 0; i < count; i++)
            values[i] = leaf_values(leaves, i);
        set_leaves(&recording, values);
        for (int i = 0; i < count; i++)
            free(values[i]);
        if (graph_protect(recording.graph, run_protected, &(struct run){&recording, NULL}, &error))
            fail_at("the function did not raise");
    }
    recording_release(&recording);
    return error.message;
}

void expect_refused_shapes_at(const char *file, int line, gradient_build build, const void *argument,
                              const struct gradient_leaf *leaves, int count, int axis,
                              const char *const *told)
{
    for (int i = 0; i < count; i++) {
        struct gradient_leaf wrong[MAX_LEAVES];
        memcpy(wrong, leaves, (size_t)count * sizeof *wrong);
        wrong[i].values = NULL;
        wrong[i].shape[axis < 0 ? wrong[i].rank + axis : axis]++;
        const char *message = raised_message_at(file, line, build, argument, wrong, count);
        if (!strstr(message, told[i]))
            fail_at("leaf %d is refused with '%s', without '%s'", i, message, told[i]);
    }
}
