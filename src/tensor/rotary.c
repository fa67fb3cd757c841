/* Rotary application: pairs of channels turned by the angles of their position (Su et al. 2021). */
#include "tensor/loops/rotary.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum { POSITIONS = 16 }; /* one iteration of the parallel loops, for all entries of the batch and heads */

struct rotary {
    bool interleaved;
};

/* Cosines and sines of all angles: [T, 2, pairs], from scratch_take(). */
static real *take_tables(const tensor *y)
{
    const tensor *angles = y->inputs[1];
    int64_t positions = angles->shape[0], pairs = angles->shape[1];
    real *tables = scratch_take(y->graph, (size_t)(2 * positions * pairs));
#pragma omp parallel for num_threads(threads_for(8 * (double)(positions * pairs))) schedule(static)
    for (int64_t t = 0; t < positions; t++) {
        real *cosine = tables + 2 * t * pairs;
        rotary_loops()->table(pairs, angles->data + t * angles->stride[0], cosine, cosine + pairs);
    }
    return tables;
}

static void rotary_forward(tensor *y)
{
    const struct rotary *rotary = y->attributes;
    const tensor *x = y->inputs[0];
    int64_t positions = x->shape[1], heads = x->shape[2], pairs = y->inputs[1]->shape[1];
    size_t rest = (size_t)(x->shape[3] - 2 * pairs) * sizeof(real);
    real *tables = take_tables(y);
#pragma omp parallel for num_threads(threads_for((double)tensor_size(x))) schedule(static)
    for (int64_t row = 0; row < x->shape[0] * positions; row++) {
        int64_t b = row / positions, t = row % positions;
        const real *cosine = tables + 2 * t * pairs;
        for (int64_t head = 0; head < heads; head++) {
            const real *from = x->data + b * x->stride[0] + t * x->stride[1] + head * x->stride[2];
            real *to = y->data + (row * heads + head) * x->shape[3];
            rotary_loops()->turn(pairs, rotary->interleaved, cosine, cosine + pairs, from, to);
            memcpy(to + 2 * pairs, from + 2 * pairs, rest);
        }
    }
    scratch_give(y->graph, tables);
}

/* Adds the gradients of one position, all entries of the batch and heads; dx and dangles may be NULL. */
static void position_backward(const tensor *y, const real *tables, int64_t t, real *dx, real *dangles)
{
    const struct rotary *rotary = y->attributes;
    const tensor *x = y->inputs[0], *angles = y->inputs[1];
    int64_t positions = x->shape[1], heads = x->shape[2], width = x->shape[3], pairs = angles->shape[1];
    const real *cosine = tables + 2 * t * pairs, *sine = cosine + pairs;
    for (int64_t b = 0; b < x->shape[0]; b++)
        for (int64_t head = 0; head < heads; head++) {
            int64_t place = b * x->stride[0] + t * x->stride[1] + head * x->stride[2];
            const real *dy = output_gradient(y) + ((b * positions + t) * heads + head) * width;
            if (dx) {
                rotary_loops()->turn_back(pairs, rotary->interleaved, cosine, sine, dy, dx + place);
                row_loops()->add(width - 2 * pairs, dy + 2 * pairs, dx + place + 2 * pairs);
            }
            if (dangles)
                rotary_loops()->angle_gradient(pairs, rotary->interleaved, cosine, sine, x->data + place, dy,
                                               dangles + t * angles->stride[0]);
        }
}

static void rotary_backward(tensor *y)
{
    real *dx = input_gradient(y, 0), *dangles = input_gradient(y, 1);
    real *tables = take_tables(y);
    int64_t positions = y->shape[1];
#pragma omp parallel for num_threads(threads_for((double)tensor_size(y))) schedule(static, POSITIONS)
    for (int64_t t = 0; t < positions; t++)
        position_backward(y, tables, t, dx, dangles);
    scratch_give(y->graph, tables);
}

static const struct operation rotary_operation = {"rotary", rotary_forward, rotary_backward, SAVES_INPUT(1),
                                                  false};
static const struct operation rotary_learned_operation = {"rotary", rotary_forward, rotary_backward,
                                                          SAVES_INPUT(0) | SAVES_INPUT(1), false};

tensor *tensor_rotary(tensor *x, tensor *angles, bool interleaved)
{
    require(x->rank == 4, x, "rotary", "x [B, T, H, d]");
    if (angles->rank != 2 || angles->shape[0] != x->shape[1] || 2 * angles->shape[1] > x->shape[3])
        graph_raise(x->graph, STATUS_USAGE, "rotary: angles %s do not fit %s, expected [%lld, at most %lld]",
                    shape_text(angles), shape_text(x), (long long)x->shape[1], (long long)x->shape[3] / 2);
    struct rotary rotary = {interleaved};
    tensor *inputs[] = {with_contiguous_rows(x), with_contiguous_rows(angles)};
    tensor *y = node_create(x->graph, angles->needs_gradient ? &rotary_learned_operation : &rotary_operation,
                            4, x->shape, 2, inputs, &rotary, sizeof rotary);
    double turned = 2 * (double)angles->shape[1] * (double)(x->shape[0] * x->shape[1] * x->shape[2]);
    node_count(y, 3 * turned, 3 * turned);
    return y;
}
