/* Fourier transforms along an axis. Rows are copied in tiles to contiguous ones, transformed by a plan
 * (kissfft in single precision, the definition in double: see fourier_plan.c) and copied back, so any strides
 * will do and an inner axis costs little more than the last one. A real row of even length goes as a complex
 * one of half the length. */
#include "tensor/fourier_plan.h"
#include "tensor/operation.h"
#include "tensor/row_tile.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum kind { REAL_TO_HALF, HALF_TO_REAL, COMPLEX };

/* Every primitive and every backward form is one of these. Bins 1 to N / 2 of a half spectrum stand for two
 * bins of the whole (but bin N / 2 of an even N), so the adjoint of one direction weighs them otherwise than
 * the other direction. */
struct transform {
    enum kind kind;
    bool inverse; /* the sign of a complex transform */
    int axis;
    int64_t length;       /* N */
    double edge, between; /* factors of bins 0 and N / 2, and of the others */
};

/* A transform with its tables. */
struct machine {
    const struct transform *transform;
    struct fourier_plan *plan; /* of length N, or N / 2 for a real row of even length */
    bool halved;
    real *roots; /* exp(2 pi i k / N) for k <= N / 4, when halved */
};

static struct machine machine_create(const struct transform *transform)
{
    struct machine machine = {.transform = transform};
    int64_t n = transform->length;
    bool inverse = transform->kind == HALF_TO_REAL || (transform->kind == COMPLEX && transform->inverse);
    machine.halved = transform->kind != COMPLEX && n % 2 == 0;
    machine.plan = fourier_plan_create(machine.halved ? n / 2 : n, inverse);
    if (machine.halved) {
        machine.roots = memory_allocate((size_t)(n / 4 + 1) * 2 * sizeof(real));
        fourier_roots(n / 4 + 1, n, machine.roots);
    }
    return machine;
}

static void machine_release(struct machine *machine)
{
    fourier_plan_free(machine->plan);
    free(machine->roots);
}

/* With N = 2M, z_j = x_{2j} + i x_{2j+1} and Z its transform, even and odd entries have the transforms
 * E_k = (Z_k + conj Z_{M-k}) / 2 and O_k = (Z_k - conj Z_{M-k}) / 2i, and X_k = E_k + exp(-2 pi i k / N) O_k.
 */
static void split_halves(const struct machine *machine, const real *z, real *x)
{
    int64_t m = machine->transform->length / 2;
    real edge = (real)machine->transform->edge, half = (real)(machine->transform->between / 2);
    x[0] = edge * (z[0] + z[1]);
    x[2 * m] = edge * (z[0] - z[1]);
    x[1] = x[2 * m + 1] = 0;
    for (int64_t k = 1; 2 * k <= m; k++) {
        const real *a = z + 2 * k, *b = z + 2 * (m - k);
        real cosine = machine->roots[2 * k], sine = machine->roots[2 * k + 1];
        real even[2] = {a[0] + b[0], a[1] - b[1]}, odd[2] = {a[1] + b[1], b[0] - a[0]};
        real turned[2] = {cosine * odd[0] + sine * odd[1], cosine * odd[1] - sine * odd[0]};
        x[2 * k] = half * (even[0] + turned[0]);
        x[2 * k + 1] = half * (even[1] + turned[1]);
        x[2 * (m - k)] = half * (even[0] - turned[0]);
        x[2 * (m - k) + 1] = half * (turned[1] - even[1]);
    }
}

/* The way back, to z times N. */
static void join_halves(const struct machine *machine, const real *x, real *z)
{
    int64_t m = machine->transform->length / 2;
    real edge = (real)machine->transform->edge, between = (real)machine->transform->between;
    z[0] = edge * (x[0] + x[2 * m]);
    z[1] = edge * (x[0] - x[2 * m]);
    for (int64_t k = 1; 2 * k <= m; k++) {
        const real *a = x + 2 * k, *b = x + 2 * (m - k);
        real cosine = machine->roots[2 * k], sine = machine->roots[2 * k + 1];
        real even[2] = {a[0] + b[0], a[1] - b[1]}, turned[2] = {a[0] - b[0], a[1] + b[1]};
        real odd[2] = {cosine * turned[0] - sine * turned[1], cosine * turned[1] + sine * turned[0]};
        z[2 * k] = between * (even[0] - odd[1]);
        z[2 * k + 1] = between * (even[1] + odd[0]);
        z[2 * (m - k)] = between * (even[0] + odd[1]);
        z[2 * (m - k) + 1] = between * (odd[0] - even[1]);
    }
}

static void real_to_half(const struct machine *machine, const real *source, real *target, real *scratch)
{
    int64_t n = machine->transform->length;
    if (machine->halved) {
        fourier_plan_run(machine->plan, source, scratch, scratch + n);
        split_halves(machine, scratch, target);
        return;
    }
    real *row = scratch, *whole = scratch + 2 * n;
    for (int64_t j = 0; j < n; j++) {
        row[2 * j] = source[j];
        row[2 * j + 1] = 0;
    }
    fourier_plan_run(machine->plan, row, whole, scratch + 4 * n);
    target[0] = (real)machine->transform->edge * whole[0];
    target[1] = 0;
    for (int64_t k = 2; k < n + 1; k++)
        target[k] = (real)machine->transform->between * whole[k];
}

static void half_to_real(const struct machine *machine, const real *source, real *target, real *scratch)
{
    int64_t n = machine->transform->length;
    if (machine->halved) {
        join_halves(machine, source, scratch);
        fourier_plan_run(machine->plan, scratch, target, scratch + n);
        return;
    }
    real *whole = scratch, *row = scratch + 2 * n, between = (real)machine->transform->between;
    whole[0] = (real)machine->transform->edge * source[0];
    whole[1] = 0;
    for (int64_t k = 1; 2 * k < n; k++) {
        whole[2 * k] = whole[2 * (n - k)] = between * source[2 * k];
        whole[2 * k + 1] = between * source[2 * k + 1];
        whole[2 * (n - k) + 1] = -whole[2 * k + 1];
    }
    fourier_plan_run(machine->plan, whole, row, scratch + 4 * n);
    for (int64_t j = 0; j < n; j++)
        target[j] = row[2 * j];
}

static void run_row(const struct machine *machine, const real *source, real *target, real *scratch)
{
    const struct transform *transform = machine->transform;
    if (transform->kind == REAL_TO_HALF) {
        real_to_half(machine, source, target, scratch);
    } else if (transform->kind == HALF_TO_REAL) {
        half_to_real(machine, source, target, scratch);
    } else {
        fourier_plan_run(machine->plan, source, target, scratch);
        if (transform->edge != 1)
            for (int64_t i = 0; i < 2 * transform->length; i++)
                target[i] *= (real)transform->edge;
    }
}

/* Multiply-adds counted two, as everybody counts them: 5 n log2 n for n complex numbers. */
static double transform_flops(const struct transform *transform, double rows)
{
    double n = (double)transform->length * (transform->kind == COMPLEX ? 1 : 0.5);
    return rows * 5 * n * log2(n > 1 ? n : 2);
}

/* Transforms all rows of `source`, whose numbers are laid out like x, into (or onto) `target`, laid out like
 * y. */
static void transform_rows(const struct transform *transform, const tensor *x, const real *source,
                           const tensor *y, real *target, bool add)
{
    int64_t source_width = transform->kind == REAL_TO_HALF ? 1 : 2;
    int64_t target_width = transform->kind == HALF_TO_REAL ? 1 : 2;
    int axis = transform->axis;
    int64_t tiles = row_tile_count(x, axis, source_width);
    struct machine machine = machine_create(transform);
    int64_t source_pitch = row_tile_pitch(source_width * x->shape[axis]);
    int64_t target_pitch = row_tile_pitch(target_width * y->shape[axis]);
    int64_t row_scratch = 4 * transform->length + fourier_plan_scratch(machine.plan);
    int64_t tile_scratch = ROW_TILE * (source_pitch + target_pitch) + row_scratch;
    int threads = threads_for(transform_flops(transform, (double)(tiles * ROW_TILE)));
    real *scratch = scratch_take(x->graph, (size_t)(threads * tile_scratch));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t tile = 0; tile < tiles; tile++) {
        real *sources = scratch + omp_get_thread_num() * tile_scratch,
             *targets = sources + ROW_TILE * source_pitch;
        struct row_tile from = row_tile_of(x, axis, source_width, tile * ROW_TILE);
        struct row_tile to = row_tile_of(y, axis, target_width, tile * ROW_TILE);
        row_tile_read(&from, source, sources, source_pitch);
        for (int r = 0; r < from.rows; r++)
            run_row(&machine, sources + r * source_pitch, targets + r * target_pitch,
                    targets + ROW_TILE * target_pitch);
        row_tile_write(&to, targets, target_pitch, target, add);
    }
    scratch_give(x->graph, scratch);
    machine_release(&machine);
}

static void fourier_forward(tensor *y)
{
    const tensor *x = y->inputs[0];
    transform_rows(y->attributes, x, x->data, y, y->data, false);
}

/* The transposed matrix: of a real transform the other direction, of a complex one the conjugate. */
static void fourier_backward(tensor *y)
{
    struct transform transform = *(const struct transform *)y->attributes;
    const tensor *x = y->inputs[0];
    if (transform.kind == REAL_TO_HALF) {
        transform.kind = HALF_TO_REAL;
        transform.between /= 2;
    } else if (transform.kind == HALF_TO_REAL) {
        transform.kind = REAL_TO_HALF;
        transform.between *= 2;
    } else {
        transform.inverse = !transform.inverse;
    }
    transform_rows(&transform, y, output_gradient(y), x, input_gradient(y, 0), true);
}

static const struct operation fourier_operation = {"fourier", fourier_forward, fourier_backward, 0, false};
static const struct operation inverse_fourier_operation = {"inverse_fourier", fourier_forward,
                                                           fourier_backward, 0, false};
static const struct operation fourier_complex_operation = {"fourier_complex", fourier_forward,
                                                           fourier_backward, 0, false};

static tensor *record(tensor *x, const struct operation *operation, int rank, const int64_t *shape,
                      struct transform transform)
{
    if (transform.length < 1 || transform.length > FOURIER_MAX_LENGTH)
        graph_raise(x->graph, STATUS_USAGE, "%s: a length of %lld is outside 1 to %lld", operation->name,
                    (long long)transform.length, (long long)FOURIER_MAX_LENGTH);
    tensor *y = node_create(x->graph, operation, rank, shape, 1, &x, &transform, sizeof transform);
    double flops = transform_flops(&transform, (double)tensor_size(x) / (double)x->shape[transform.axis]);
    if (transform.kind != REAL_TO_HALF)
        flops /= 2;
    node_count(y, flops, flops);
    return y;
}

static int complex_axis(const tensor *x, int axis, const struct operation *operation)
{
    axis = axis_index(x, axis);
    require(x->rank > 1 && x->shape[x->rank - 1] == 2, x, operation->name,
            "a last axis of (real, imaginary)");
    require(axis < x->rank - 1, x, operation->name, "an axis before that of (real, imaginary)");
    return axis;
}

tensor *tensor_fourier(tensor *x, int axis)
{
    int64_t shape[TENSOR_MAX_RANK + 1];
    axis = axis_index(x, axis);
    require(x->rank < TENSOR_MAX_RANK, x, fourier_operation.name, "at most 5 dimensions");
    memcpy(shape, x->shape, sizeof x->shape);
    int64_t length = shape[axis];
    shape[axis] = length / 2 + 1;
    shape[x->rank] = 2;
    struct transform transform = {REAL_TO_HALF, false, axis, length, 1, 1};
    return record(x, &fourier_operation, x->rank + 1, shape, transform);
}

tensor *tensor_inverse_fourier(tensor *spectrum, int axis, int64_t length)
{
    axis = complex_axis(spectrum, axis, &inverse_fourier_operation);
    require(length > 0 && spectrum->shape[axis] == length / 2 + 1, spectrum, inverse_fourier_operation.name,
            "length / 2 + 1 entries along the axis");
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, spectrum->shape, sizeof shape);
    shape[axis] = length;
    double scale = 1 / (double)length;
    struct transform transform = {HALF_TO_REAL, true, axis, length, scale, scale};
    return record(with_contiguous_rows(spectrum), &inverse_fourier_operation, spectrum->rank - 1, shape,
                  transform);
}

tensor *tensor_fourier_complex(tensor *x, int axis, bool inverse)
{
    axis = complex_axis(x, axis, &fourier_complex_operation);
    int64_t length = x->shape[axis];
    double scale = inverse && length ? 1 / (double)length : 1;
    struct transform transform = {COMPLEX, inverse, axis, length, scale, scale};
    return record(with_contiguous_rows(x), &fourier_complex_operation, x->rank, x->shape, transform);
}
