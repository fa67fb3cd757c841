/* The property "gradients": what backward gives against central differences. */
#include "base/memory.h"
#include "block/check_properties.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LIMITS: of the error relative to the size that a derivative along a random direction has. Differences are taken with
 * shorter and shorter steps, a quarter each time, until they agree with the gradient, but only while rounding may not
 * make up more than a tenth of what they measure: what is strongly curved or has kinks takes short steps. */
#ifdef CLADE_DOUBLE
static const double limit = 1e-6, longest_step = 1e-4, precision = 1.1e-16;
#else
static const double limit = 1e-2, longest_step = 2e-2, precision = 6e-8;
#endif
static const double rounding_limit = 0.1;

enum { STEPS = 5, SEED_SEED = 3, DIRECTION_SEED = 4 };

/* One recording of the block that is run again with moved inputs and weights. */
struct probe {
    struct subject *subject;
    real *x, *seed;
    int64_t length;
    tensor *leaf, *y;
    struct graph *graph;
    double noise; /* what rounding may do to the sum of seed * y */
};

/* A tensor that is moved: x or a parameter. */
struct moved {
    const char *name;
    real *data;
    const real *gradient; /* NULL: zero */
    int64_t size;
    uint64_t stream;
};

static void record(struct graph *graph, void *argument)
{
    struct probe *probe = argument;
    struct subject *subject = probe->subject;
    struct inputs inputs = {0};
    subject_further_input(subject, graph, 0, SUBJECT_BATCH, &inputs);
    graph_hold(graph);
    probe->leaf = tensor_leaf(graph, probe->x, 3, SHAPE(SUBJECT_BATCH, probe->length, subject->width), true);
    probe->y = graph_keep(tensor_contiguous(block_forward(subject->block, probe->leaf, &inputs)));
    graph_run(graph);
    graph_seed(probe->y, probe->seed);
    graph_backward(graph);
}

static void run_again(struct graph *graph, void *argument)
{
    (void)argument;
    graph_run(graph);
}

/* sum(seed * y), with the rounding that its terms may carry. */
static long double seeded_sum(struct probe *probe)
{
    long double sum = 0; /* rounding of the sum itself would drown that of its terms */
    double squares = 0;
    for (int64_t i = 0, n = tensor_size(probe->y); i < n; i++) {
        long double term = (long double)probe->seed[i] * (long double)probe->y->data[i];
        sum += term;
        squares += (double)(term * term);
    }
    probe->noise = 30 * precision * sqrt(squares);
    return sum;
}

/* The sum with `moved` at data + step * direction. */
static bool moved_sum(struct probe *probe, const struct moved *moved, const real *before,
                      const real *direction, double step, long double *sum)
{
    for (int64_t i = 0; i < moved->size; i++)
        moved->data[i] = (real)((double)before[i] + step * (double)direction[i]);
    bool ok = graph_protect(probe->graph, run_again, NULL, &probe->subject->error);
    memcpy(moved->data, before, (size_t)moved->size * sizeof(real));
    if (ok)
        *sum = seeded_sum(probe);
    return ok;
}

/* The derivative along a direction, from differences over a step and half of it. */
static bool central_difference(struct probe *probe, const struct moved *moved, const real *direction,
                               double step, double *derivative)
{
    real *before = memory_copy(moved->data, (size_t)moved->size * sizeof(real));
    double at[2] = {0, 0};
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        double length = i ? step / 2 : step;
        long double above = 0, below = 0;
        ok = moved_sum(probe, moved, before, direction, length, &above) &&
             moved_sum(probe, moved, before, direction, -length, &below);
        at[i] = (double)(above - below) / (2 * length);
    }
    free(before);
    *derivative = (4 * at[1] - at[0]) / 3;
    return ok;
}

/* The derivative along a direction by the gradient, and the size that it has for random signs. */
static double along(const struct moved *moved, const real *direction, double *size)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; moved->gradient && i < moved->size; i++) {
        double term = (double)moved->gradient[i] * (double)direction[i];
        sum += term;
        squares += term * term;
    }
    *size = fmax(fabs(sum), sqrt(squares));
    return sum;
}

/* Compares along a direction; what is smaller than `least` is compared as if it were that large. False after a failure. */
static bool compare(struct probe *probe, const struct moved *moved, const real *direction, double least,
                    struct check_property *property, double *worst)
{
    double size, derivative = along(moved, direction, &size), measured = 0, step = longest_step;
    size = fmax(size, least);
    for (int i = 0; i < STEPS; i++, step /= 4) {
        double rounding = probe->noise / step;
        if (i > 0 && rounding > rounding_limit * size)
            break;
        if (!central_difference(probe, moved, direction, step, &measured)) {
            property_fail(property, "%s", probe->subject->error.message);
            return false;
        }
        double error = fabs(measured - derivative);
        if (error <= limit * size + rounding) {
            *worst = fmax(*worst, error > rounding ? error / fmax(size, rounding) : 0);
            return true;
        }
    }
    property_fail(property, "%s: the gradient gives %.6g along a direction, differences give %.6g",
                  moved->name, derivative, measured);
    return false;
}

/* An entry moves by a part of itself: a tensor may hold powers from 1 to 1e27. */
static double reach(const struct moved *moved, int64_t i)
{
    double size = fabs((double)moved->data[i]);
    return size > 0 ? size : 0.1;
}

/* The coordinate along which the gradient reaches furthest. */
static int64_t steepest(const struct moved *moved)
{
    int64_t place = 0;
    double largest = 0;
    for (int64_t i = 0; moved->gradient && i < moved->size; i++) {
        double rise = fabs((double)moved->gradient[i]) * reach(moved, i);
        place = rise > largest ? i : place;
        largest = fmax(largest, rise);
    }
    return place;
}

/* Along a random direction, the steepest coordinate, and a random one. */
static bool compare_directions(struct probe *probe, const struct moved *moved,
                               struct check_property *property, double *worst)
{
    real *direction = memory_allocate((size_t)moved->size * sizeof(real));
    int64_t places[2] = {steepest(moved),
                         (int64_t)random_integer(DIRECTION_SEED, moved->stream, 0, (uint64_t)moved->size)};
    random_fill_normal(DIRECTION_SEED, moved->stream, 0, moved->size, 0, 1, direction);
    for (int64_t i = 0; i < moved->size; i++)
        direction[i] = (real)((double)direction[i] * reach(moved, i));
    double size;
    along(moved, direction, &size);
    bool ok = compare(probe, moved, direction, 0, property, worst);
    for (int i = 0; ok && i < 2; i++) {
        memset(direction, 0, (size_t)moved->size * sizeof(real));
        direction[places[i]] = (real)reach(moved, places[i]);
        ok = compare(probe, moved, direction, size / sqrt((double)moved->size), property, worst);
    }
    free(direction);
    return ok;
}

static void compare_all(struct probe *probe, struct check_property *property)
{
    const struct subject *subject = probe->subject;
    size_t count = subject->trained_count + 1;
    struct moved *all = memory_allocate_zero(count, sizeof *all);
    double worst = 0;
    all[0] = (struct moved){.name = "x",
                            .data = probe->x,
                            .gradient = probe->leaf->gradient,
                            .size = SUBJECT_BATCH * probe->length * subject->width};
    for (size_t i = 1; i < count; i++) {
        struct parameter_entry *entry = subject->trained[i - 1];
        all[i] = (struct moved){.name = entry->name,
                                .data = entry->data,
                                .gradient = entry->leaf ? entry->leaf->gradient : NULL,
                                .size = parameter_size(entry),
                                .stream = i};
    }
    /* Gradients are the graph's only until it runs again. */
    for (size_t i = 0; i < count; i++)
        if (all[i].gradient)
            all[i].gradient = memory_copy(all[i].gradient, (size_t)all[i].size * sizeof(real));
    for (size_t i = 0; i < count && compare_directions(probe, &all[i], property, &worst); i++)
        continue;
    for (size_t i = 0; i < count; i++)
        free((real *)all[i].gradient);
    free(all);
    if (property->outcome == CHECK_PASSED && worst > 0)
        property_tell(property, "%zu tensors, largest error %.2g", count, worst);
    else if (property->outcome == CHECK_PASSED)
        property_tell(property, "%zu tensors, within rounding", count);
}

static void check_gradients_once(struct subject *subject, uint64_t seed, struct check_property *property)
{
    struct probe probe = {.subject = subject, .length = subject->length};
    probe.x = subject_input(subject, seed, SUBJECT_BATCH, probe.length);
    probe.seed = subject_input(subject, SEED_SEED, SUBJECT_BATCH, probe.length);
    probe.graph = graph_create(subject->pool, true);
    if (!graph_protect(probe.graph, record, &probe, &subject->error))
        property_fail(property, "%s", subject->error.message);
    else
        compare_all(&probe, property);
    graph_free(probe.graph);
    free(probe.x);
    free(probe.seed);
}

void check_gradients(struct subject *subject, struct check_property *property)
{
    check_draws(subject, property, check_gradients_once);
}
