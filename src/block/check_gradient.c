/* The property "gradients": what backward gives against central differences. */
#include "base/memory.h"
#include "block/check_properties.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LIMITS: of the error relative to the size that a derivative along a random direction has. Differences are
 * taken with shorter and shorter steps, a quarter each time, until they agree with the gradient, but only
 * while rounding may not make up more than a tenth of what they measure: what is strongly curved or has kinks
 * takes short steps. */
#ifdef CLADE_DOUBLE
static const double limit = 1e-6, longest_step = 1e-4;
#else
static const double limit = 1e-2, longest_step = 2e-2;
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
    /* What rounding may do to the sum of seed * y: to its terms, and as far as the block amplifies it. */
    double noise;
    double amplified;   /* how far that sum moves when inputs do by rounding */
    long double centre; /* the sum where nothing is moved */
};

enum verdict { AGREED, REFUTED, UNSETTLED };

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
    probe->seed = subject_seed(SEED_SEED, probe->y, 0);
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
    probe->noise = 30 * fmax(rounding_unit * sqrt(squares), probe->amplified);
    return sum;
}

/* How far the sum moves when inputs do by rounding. */
static bool measure_amplification(struct probe *probe)
{
    enum { DRAWS = 3 };
    struct subject *subject = probe->subject;
    int64_t size = SUBJECT_BATCH * probe->length * subject->width;
    probe->centre = seeded_sum(probe);
    double amplified = 0;
    bool ok = true;
    real *x = memory_copy(probe->x, (size_t)size * sizeof(real));
    for (uint64_t draw = 1; ok && draw <= DRAWS; draw++) {
        move_by_rounding(probe->x, size, draw);
        ok = graph_protect(probe->graph, run_again, NULL, &subject->error);
        if (ok)
            amplified = fmax(amplified, fabs((double)(seeded_sum(probe) - probe->centre)));
        memcpy(probe->x, x, (size_t)size * sizeof(real));
    }
    free(x);
    probe->amplified = amplified;
    return ok;
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

/* What differences tell of a direction. */
struct measured {
    double derivative; /* from differences over a step and half of it (Richardson's extrapolation) */
    double bend;       /* how far those to either side differ: shrinks with the step unless there is a kink */
};

static bool central_difference(struct probe *probe, const struct moved *moved, const real *direction,
                               double step, struct measured *measured)
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
        measured->bend = fabs((double)(above + below - 2 * probe->centre)) / length;
    }
    free(before);
    measured->derivative = (4 * at[1] - at[0]) / 3;
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

/* Compares along a direction; what is smaller than `least` is compared as if it were that large. Differences
 * refute the gradient only where they have settled: the last step's say the same as those before, and no kink
 * stands between. */
static enum verdict compare(struct probe *probe, const struct moved *moved, const real *direction,
                            double least, struct check_property *property, double *worst)
{
    double size, derivative = along(moved, direction, &size), step = longest_step, error = 0,
                 change = INFINITY;
    struct measured measured = {0, 0};
    size = fmax(size, least);
    for (int i = 0; i < STEPS; i++, step /= 4) {
        double rounding = probe->noise / step, before = measured.derivative;
        if (i > 0 && rounding > rounding_limit * size)
            break;
        if (!central_difference(probe, moved, direction, step, &measured)) {
            property_fail(property, "%s", probe->subject->error.message);
            return REFUTED;
        }
        error = fabs(measured.derivative - derivative);
        if (error <= limit * size + rounding) {
            *worst = fmax(*worst, error > rounding ? error / fmax(size, rounding) : 0);
            return AGREED;
        }
        change = i ? fabs(measured.derivative - before) : INFINITY;
    }
    bool settled = change < error / 4 && measured.bend < error;
    property_fail(property, "%s: the gradient gives %.6g along a direction, differences %s %.6g", moved->name,
                  derivative, settled ? "give" : "do not settle at", measured.derivative);
    return settled ? REFUTED : UNSETTLED;
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
static enum verdict compare_directions(struct probe *probe, const struct moved *moved,
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
    enum verdict verdict = compare(probe, moved, direction, 0, property, worst);
    for (int i = 0; verdict == AGREED && i < 2; i++) {
        memset(direction, 0, (size_t)moved->size * sizeof(real));
        direction[places[i]] = (real)reach(moved, places[i]);
        verdict = compare(probe, moved, direction, size / sqrt((double)moved->size), property, worst);
    }
    free(direction);
    return verdict;
}

static enum verdict compare_all(struct probe *probe, struct check_property *property)
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
    enum verdict verdict = measure_amplification(probe) ? AGREED : REFUTED;
    if (verdict == REFUTED)
        property_fail(property, "%s", subject->error.message);
    for (size_t i = 0; verdict == AGREED && i < count; i++)
        verdict = compare_directions(probe, &all[i], property, &worst);
    for (size_t i = 0; i < count; i++)
        free((real *)all[i].gradient);
    free(all);
    if (verdict == AGREED && worst > 0)
        property_tell(property, "%zu tensors, largest error %.2g", count, worst);
    else if (verdict == AGREED)
        property_tell(property, "%zu tensors, within rounding", count);
    return verdict;
}

static enum verdict check_with_input(struct subject *subject, uint64_t seed, struct check_property *property)
{
    struct probe probe = {.subject = subject, .length = subject->length};
    enum verdict verdict = REFUTED;
    probe.x = subject_input(subject, seed, SUBJECT_BATCH, probe.length);
    probe.graph = graph_create(subject->pool, true);
    if (!graph_protect(probe.graph, record, &probe, &subject->error))
        property_fail(property, "%s", subject->error.message);
    else
        verdict = compare_all(&probe, property);
    graph_free(probe.graph);
    free(probe.x);
    free(probe.seed);
    return verdict;
}

/* Where the function has a kink, or is steeper than its rounding allows to measure, differences say nothing
 * of the gradient: another input is drawn. */
void check_gradients(struct subject *subject, struct check_property *property)
{
    static const uint64_t seeds[] = {1, 101, 201, 301};
    enum verdict verdict = UNSETTLED;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds && verdict == UNSETTLED; i++)
        verdict = check_with_input(subject, seeds[i], property);
    if (verdict == UNSETTLED)
        property->outcome = CHECK_SKIPPED; /* the detail tells where */
}
