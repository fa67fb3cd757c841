/* Products of matrices and batches of them. */
#include "tensor/blas.h"
#include "tensor/operation.h"
#include <string.h>

enum { BATCH_RANK = TENSOR_MAX_RANK - 2 };

/* One operand of a product: a matrix that BLAS can read (rows ld apart, or its transpose), once per batch
 * entry. */
struct operand {
    real *data;
    int64_t ld;
    bool transposed;
    int64_t batch_stride[BATCH_RANK];
};

struct product {
    int64_t m, n, k;
    int64_t batch[BATCH_RANK];
    struct operand a, b, c;
};

static bool rows_readable(const tensor *x)
{
    return x->stride[x->rank - 1] == 1 || x->shape[x->rank - 1] == 1;
}

static bool columns_readable(const tensor *x)
{
    return x->stride[x->rank - 2] == 1 || x->shape[x->rank - 2] == 1;
}

static int64_t at_least_one(int64_t x)
{
    return x > 0 ? x : 1;
}

/* x's last two axes as a matrix, and its leading axes broadcast over the batch. `transpose`: the product
 * reads x^T. */
static struct operand operand_of(const tensor *x, real *data, bool transpose, int batch_rank)
{
    struct operand operand = {.data = data};
    int row = x->rank - 2, column = x->rank - 1;
    bool rows = rows_readable(x) && (x->stride[row] >= x->shape[column] || x->shape[row] == 1);
    operand.transposed = rows ? transpose : !transpose;
    operand.ld = at_least_one(rows ? (x->shape[row] == 1 ? x->shape[column] : x->stride[row])
                                   : (x->shape[column] == 1 ? x->shape[row] : x->stride[column]));
    for (int i = 0; i < batch_rank; i++) {
        int axis = i - (batch_rank - row);
        operand.batch_stride[i + BATCH_RANK - batch_rank] =
            axis < 0 || x->shape[axis] == 1 ? 0 : x->stride[axis];
    }
    return operand;
}

enum { TILE = 512 };

/* Tiles of the result, by its shape alone: large enough that packing the operands costs little, small enough
 * that several threads have work: the sides of the largest tile are halved at most once. */
static void choose_tiles(int64_t m, int64_t n, int64_t batch, int64_t *tile_m, int64_t *tile_n)
{
    *tile_m = m < TILE ? m : TILE;
    *tile_n = n < TILE ? n : TILE;
    while (batch * ((m + *tile_m - 1) / *tile_m) * ((n + *tile_n - 1) / *tile_n) < 4) {
        if (*tile_m == TILE)
            *tile_m = TILE / 2;
        else if (*tile_n == TILE)
            *tile_n = TILE / 2;
        else
            break;
    }
}

static int64_t batch_offset(const struct product *p, const struct operand *operand, int64_t entry,
                            const bool *axes)
{
    int64_t offset = 0;
    for (int i = BATCH_RANK - 1; i >= 0; i--) {
        if (!axes[i])
            continue;
        offset += entry % p->batch[i] * operand->batch_stride[i];
        entry /= p->batch[i];
    }
    return offset;
}

static void multiply_tile(const struct product *p, const real *a, const real *b, real *c, int64_t i,
                          int64_t j, int64_t m, int64_t n, real beta)
{
    a += p->a.transposed ? i : i * p->a.ld;
    b += p->b.transposed ? j * p->b.ld : j;
    c += i * p->c.ld + j;
    bool row = p->a.transposed ? p->a.ld == 1 : true, column = p->b.transposed ? true : p->b.ld == 1;
    if (m == 1 && n > 1 && row)
        gemv(!p->b.transposed, p->b.transposed ? n : p->k, p->b.transposed ? p->k : n, 1, b, p->b.ld, a, beta,
             c);
    else if (n == 1 && m > 1 && column && p->c.ld == 1)
        gemv(p->a.transposed, p->a.transposed ? p->k : m, p->a.transposed ? m : p->k, 1, a, p->a.ld, b, beta,
             c);
    else
        gemm(p->a.transposed, p->b.transposed, m, n, p->k, 1, a, p->a.ld, b, p->b.ld, beta, c, p->c.ld);
}

/* Joins batch axes into the rows of the product (one matrix b for all) or into its sums (one matrix c for
 * all) where the operands lie so that BLAS sees one larger matrix. */
static void fold_batch(struct product *p)
{
    for (int i = BATCH_RANK - 1; i >= 0; i--) {
        int64_t a = p->a.batch_stride[i], b = p->b.batch_stride[i], c = p->c.batch_stride[i];
        if (p->batch[i] == 1)
            continue;
        if (b == 0 && !p->a.transposed && a == p->m * p->a.ld && c == p->m * p->c.ld)
            p->m *= p->batch[i];
        else if (c == 0 && p->a.transposed && !p->b.transposed && a == p->k * p->a.ld && b == p->k * p->b.ld)
            p->k *= p->batch[i];
        else
            return;
        p->batch[i] = 1;
    }
}

static void clear(const struct product *p)
{
    for (int64_t entry = 0, count = p->batch[0] * p->batch[1] * p->batch[2] * p->batch[3]; entry < count;
         entry++) {
        const bool all[BATCH_RANK] = {true, true, true, true};
        for (int64_t i = 0; i < p->m; i++)
            memset(p->c.data + batch_offset(p, &p->c, entry, all) + i * p->c.ld, 0,
                   (size_t)p->n * sizeof(real));
    }
}

/* c = a b, or c += a b; batch entries that share a place in c are added one after the other. */
static void multiply(struct product p, bool add)
{
    if (p.c.transposed) { /* c^T = b^T a^T */
        struct operand a = p.a;
        p.a = p.b;
        p.b = a;
        p.a.transposed = !p.a.transposed;
        p.b.transposed = !p.b.transposed;
        p.c.transposed = false;
        int64_t m = p.m;
        p.m = p.n;
        p.n = m;
    }
    if (p.k == 0) {
        if (!add)
            clear(&p);
        return;
    }
    fold_batch(&p);
    /* Batch axes with a place each in c, and those that meet in one. */
    bool own[BATCH_RANK], shared[BATCH_RANK];
    int64_t own_count = 1, shared_count = 1;
    for (int i = 0; i < BATCH_RANK; i++) {
        shared[i] = p.batch[i] > 1 && p.c.batch_stride[i] == 0;
        own[i] = !shared[i];
        *(own[i] ? &own_count : &shared_count) *= p.batch[i];
    }
    int64_t tile_m, tile_n;
    if (p.m == 0 || p.n == 0)
        return;
    choose_tiles(p.m, p.n, own_count, &tile_m, &tile_n);
    int64_t tiles_m = (p.m + tile_m - 1) / tile_m, tiles_n = (p.n + tile_n - 1) / tile_n;
    double work = 2.0 * (double)(p.m * p.n) * (double)p.k * (double)(own_count * shared_count);
#pragma omp parallel for num_threads(threads_for(work / 8)) schedule(dynamic)
    for (int64_t task = 0; task < own_count * tiles_m * tiles_n; task++) {
        int64_t entry = task / (tiles_m * tiles_n);
        int64_t i = task / tiles_n % tiles_m * tile_m, j = task % tiles_n * tile_n;
        int64_t m = p.m - i < tile_m ? p.m - i : tile_m, n = p.n - j < tile_n ? p.n - j : tile_n;
        for (int64_t s = 0; s < shared_count; s++)
            multiply_tile(&p,
                          p.a.data + batch_offset(&p, &p.a, entry, own) + batch_offset(&p, &p.a, s, shared),
                          p.b.data + batch_offset(&p, &p.b, entry, own) + batch_offset(&p, &p.b, s, shared),
                          p.c.data + batch_offset(&p, &p.c, entry, own), i, j, m, n, add || s ? 1 : 0);
    }
}

struct matmul_attributes {
    bool transpose_a, transpose_b;
};

static struct product product_of(const tensor *y)
{
    struct product p = {0};
    int batch_rank = y->rank - 2;
    for (int i = 0; i < BATCH_RANK; i++)
        p.batch[i] = 1;
    for (int i = 0; i < batch_rank; i++)
        p.batch[i + BATCH_RANK - batch_rank] = y->shape[i];
    return p;
}

static void matmul_forward(tensor *y)
{
    const struct matmul_attributes *attributes = y->attributes;
    const tensor *a = y->inputs[0], *b = y->inputs[1];
    struct product p = product_of(y);
    int batch_rank = y->rank - 2;
    p.m = y->shape[y->rank - 2];
    p.n = y->shape[y->rank - 1];
    p.k = a->shape[a->rank - (attributes->transpose_a ? 2 : 1)];
    p.a = operand_of(a, a->data, attributes->transpose_a, batch_rank);
    p.b = operand_of(b, b->data, attributes->transpose_b, batch_rank);
    p.c = operand_of(y, y->data, false, batch_rank);
    multiply(p, false);
}

static void matmul_backward(tensor *y)
{
    const struct matmul_attributes *attributes = y->attributes;
    const tensor *a = y->inputs[0], *b = y->inputs[1];
    real *da = input_gradient(y, 0), *db = input_gradient(y, 1);
    int batch_rank = y->rank - 2;
    int64_t m = y->shape[y->rank - 2], n = y->shape[y->rank - 1];
    int64_t k = a->shape[a->rank - (attributes->transpose_a ? 2 : 1)];
    struct operand dy = operand_of(y, y->gradient, false, batch_rank);
    if (da) { /* op(a)' = dy op(b)^T; the operand's own transposition says how it lies */
        struct product p = product_of(y);
        p.m = m, p.n = k, p.k = n;
        p.a = dy;
        p.b = operand_of(b, b->data, !attributes->transpose_b, batch_rank);
        p.c = operand_of(a, da, attributes->transpose_a, batch_rank);
        multiply(p, true);
    }
    if (db) { /* op(b)' = op(a)^T dy */
        struct product p = product_of(y);
        p.m = k, p.n = n, p.k = m;
        p.a = operand_of(a, a->data, !attributes->transpose_a, batch_rank);
        p.b = dy;
        p.c = operand_of(b, db, attributes->transpose_b, batch_rank);
        multiply(p, true);
    }
}

static const struct operation matmul_operation = {"matmul", matmul_forward, matmul_backward,
                                                  SAVES_INPUT(0) | SAVES_INPUT(1), false};

/* x, or a copy if BLAS can read neither its rows nor its columns. */
static tensor *readable(tensor *x)
{
    require(x->rank >= 2, x, "matmul", "at least 2 dimensions");
    bool rows =
        rows_readable(x) && (x->stride[x->rank - 2] >= x->shape[x->rank - 1] || x->shape[x->rank - 2] == 1);
    bool columns = columns_readable(x) &&
                   (x->stride[x->rank - 1] >= x->shape[x->rank - 2] || x->shape[x->rank - 1] == 1);
    return rows || columns ? x : tensor_contiguous(x);
}

static tensor *matmul(tensor *a, tensor *b, bool transpose_a, bool transpose_b)
{
    a = readable(a);
    b = readable(b);
    int64_t m = a->shape[a->rank - (transpose_a ? 1 : 2)], k = a->shape[a->rank - (transpose_a ? 2 : 1)];
    int64_t n = b->shape[b->rank - (transpose_b ? 2 : 1)], kb = b->shape[b->rank - (transpose_b ? 1 : 2)];
    int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t shape[TENSOR_MAX_RANK];
    bool fits = k == kb;
    double flops = 2.0 * (double)m * (double)n * (double)k;
    for (int i = 0; i < rank - 2 && fits; i++) {
        int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        int64_t na = ia < 0 ? 1 : a->shape[ia], nb = ib < 0 ? 1 : b->shape[ib];
        fits = na == nb || na == 1 || nb == 1;
        shape[i] = na == 1 ? nb : na;
        flops *= (double)shape[i];
    }
    if (!fits)
        graph_raise(a->graph, STATUS_USAGE, "matmul: %s%s and %s%s do not fit", shape_text(a),
                    transpose_a ? " transposed" : "", shape_text(b), transpose_b ? " transposed" : "");
    shape[rank - 2] = m;
    shape[rank - 1] = n;
    struct matmul_attributes attributes = {transpose_a, transpose_b};
    tensor *inputs[] = {a, b};
    tensor *y =
        node_create(a->graph, &matmul_operation, rank, shape, 2, inputs, &attributes, sizeof attributes);
    node_count(y, flops, -1);
    return y;
}

tensor *tensor_matmul(tensor *a, tensor *b)
{
    return matmul(a, b, false, false);
}

tensor *tensor_matmul_nt(tensor *a, tensor *b)
{
    return matmul(a, b, false, true);
}

tensor *tensor_matmul_tn(tensor *a, tensor *b)
{
    return matmul(a, b, true, false);
}

tensor *tensor_linear(tensor *x, tensor *weight, tensor *bias)
{
    require(weight->rank == 2, weight, "linear", "a weight [out, in]");
    if (weight->shape[1] != x->shape[x->rank - 1])
        graph_raise(x->graph, STATUS_USAGE, "linear: weight %s does not take %s", shape_text(weight),
                    shape_text(x));
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    tensor *rows = x->rank == 2 ? x : tensor_reshape(x, 2, SHAPE(-1, weight->shape[1]));
    tensor *y = tensor_matmul_nt(rows, weight);
    if (bias)
        y = tensor_add(y, bias);
    shape[x->rank - 1] = weight->shape[0];
    return x->rank == 2 ? y : tensor_reshape(y, x->rank, shape);
}
