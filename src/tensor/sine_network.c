/* Networks of sines of high frequency, z_i = sin(c f (W_i z_{i-1} + b_i)) row by row, as implicit filters
 * have them. Each layer multiplies the rounding errors of the one before by c f |W|, so that a few of them
 * leave little of single precision: all of it is computed in double precision, in either library. */
#include "tensor/blas.h"
#include "tensor/operation.h"
#include <math.h>

/* Inputs: z [rows, inputs], f [hidden], then W_i and b_i of each layer. */
struct network {
    int64_t rows, inputs, hidden, layers;
    double factor; /* c */
};

enum { WEIGHTS = 2, TILE = 64 };

/* What a run needs of all rows: each layer's sums W z + b [rows, hidden], and matrices turned to doubles. */
struct workspace {
    real *scratch;
    double *sums, *matrix, *upper, *lower; /* upper and lower: [rows, wide] */
};

static int64_t width_below(const struct network *n, int64_t layer)
{
    return layer ? n->hidden : n->inputs;
}

static struct workspace workspace_take(tensor *y)
{
    const struct network *n = y->attributes;
    int64_t wide = n->inputs > n->hidden ? n->inputs : n->hidden, sums = n->layers * n->rows * n->hidden;
    int64_t doubles = sums + n->hidden * wide + 2 * n->rows * wide;
    struct workspace w = {.scratch =
                              scratch_take(y->graph, (size_t)doubles * (sizeof(double) / sizeof(real)))};
    w.sums = (double *)(void *)w.scratch;
    w.matrix = w.sums + sums;
    w.upper = w.matrix + n->hidden * wide;
    w.lower = w.upper + n->rows * wide;
    return w;
}

static double work_of(const struct network *n)
{
    return 2 * (double)n->rows * (double)n->hidden * (double)(n->inputs + (n->layers - 1) * n->hidden);
}

/* to [m, n] = op(a) op(b) + beta to, in tiles of rows, a and b rows apart by their columns. */
static void multiply(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double *a,
                     const double *b, double beta, double *to)
{
#pragma omp parallel for num_threads(threads_for(2 * (double)(m * n) * (double)k)) schedule(static)
    for (int64_t i = 0; i < m; i += TILE) {
        int64_t rows = m - i < TILE ? m - i : TILE;
        cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                    transpose_b ? CblasTrans : CblasNoTrans, (blasint)rows, (blasint)n, (blasint)k, 1,
                    a + (transpose_a ? i : i * k), (blasint)(transpose_a ? m : k), b,
                    (blasint)(transpose_b ? k : n), beta, to + i * n, (blasint)n);
    }
}

/* sin(c f h) of a layer's sums. */
static void bend(const struct network *n, const real *f, const double *sums, double *z)
{
#pragma omp parallel for num_threads(threads_for(20 * (double)(n->rows * n->hidden))) schedule(static)
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t o = 0; o < n->hidden; o++)
            z[r * n->hidden + o] = sin(n->factor * (double)f[o] * sums[r * n->hidden + o]);
}

/* Fills the sums of all layers; the last layer's sines are left in `upper`. */
static void run_layers(tensor *y, struct workspace *w)
{
    const struct network *n = y->attributes;
    const real *z = y->inputs[0]->data;
    for (int64_t i = 0; i < n->rows * n->inputs; i++)
        w->upper[i] = (double)z[i];
    for (int64_t layer = 0; layer < n->layers; layer++) {
        const real *weight = y->inputs[WEIGHTS + 2 * layer]->data,
                   *bias = y->inputs[WEIGHTS + 2 * layer + 1]->data;
        int64_t below = width_below(n, layer);
        double *sums = w->sums + layer * n->rows * n->hidden;
        for (int64_t i = 0; i < below * n->hidden; i++)
            w->matrix[i] = (double)weight[i];
        for (int64_t i = 0; i < n->rows * n->hidden; i++)
            sums[i] = (double)bias[i % n->hidden];
        multiply(false, true, n->rows, n->hidden, below, w->upper, w->matrix, 1, sums);
        bend(n, y->inputs[1]->data, sums, w->upper);
    }
}

static void sine_network_forward(tensor *y)
{
    struct workspace w = workspace_take(y);
    run_layers(y, &w);
    for (int64_t i = 0; i < tensor_size(y); i++)
        y->data[i] = (real)w.upper[i];
    scratch_give(y->graph, w.scratch);
}

/* upper: dL/dz of a layer becomes dL/dsum, on whose way f gets its share. */
static void unbend(const struct network *n, const real *f, const double *sums, double *upper, real *df)
{
#pragma omp parallel for num_threads(threads_for(20 * (double)(n->rows * n->hidden))) schedule(static)
    for (int64_t o = 0; o < n->hidden; o++) {
        double total = 0, frequency = n->factor * (double)f[o];
        for (int64_t r = 0; r < n->rows; r++) {
            int64_t at = r * n->hidden + o;
            double slope = upper[at] * cos(frequency * sums[at]);
            total += slope * sums[at];
            upper[at] = slope * frequency;
        }
        if (df)
            df[o] += (real)(n->factor * total);
    }
}

/* The gradients of W [hidden, below] and b from dL/dsum and the layer's input z. */
static void gather_weights(const struct network *n, const double *upper, const double *z, int64_t below,
                           real *dw, real *db, double *totals)
{
    if (dw)
        multiply(true, false, n->hidden, below, n->rows, upper, z, 0, totals);
    for (int64_t i = 0; dw && i < n->hidden * below; i++)
        dw[i] += (real)totals[i];
    for (int64_t o = 0; db && o < n->hidden; o++) {
        double bias = 0;
        for (int64_t r = 0; r < n->rows; r++)
            bias += upper[r * n->hidden + o];
        db[o] += (real)bias;
    }
}

static void sine_network_backward(tensor *y)
{
    const struct network *n = y->attributes;
    const real *z = y->inputs[0]->data, *f = y->inputs[1]->data, *dy = output_gradient(y);
    real *dz = input_gradient(y, 0), *df = input_gradient(y, 1);
    struct workspace w = workspace_take(y);
    run_layers(y, &w);
    for (int64_t i = 0; i < tensor_size(y); i++)
        w.upper[i] = (double)dy[i];
    for (int64_t layer = n->layers - 1; layer >= 0; layer--) {
        int64_t below = width_below(n, layer), number = WEIGHTS + 2 * layer;
        unbend(n, f, w.sums + layer * n->rows * n->hidden, w.upper, df);
        if (layer)
            bend(n, f, w.sums + (layer - 1) * n->rows * n->hidden, w.lower);
        for (int64_t i = 0; !layer && i < n->rows * below; i++)
            w.lower[i] = (double)z[i];
        gather_weights(n, w.upper, w.lower, below, input_gradient(y, (int)number),
                       input_gradient(y, (int)number + 1), w.matrix);
        for (int64_t i = 0; i < n->hidden * below; i++)
            w.matrix[i] = (double)y->inputs[number]->data[i];
        multiply(false, false, n->rows, below, n->hidden, w.upper, w.matrix, 0, w.lower);
        double *above = w.upper;
        w.upper = w.lower;
        w.lower = above;
    }
    for (int64_t i = 0; dz && i < n->rows * n->inputs; i++)
        dz[i] += (real)w.upper[i];
    scratch_give(y->graph, w.scratch);
}

static const struct operation sine_network_operation = {"sine_network", sine_network_forward,
                                                        sine_network_backward, ~SAVES_OUTPUT, false};

tensor *tensor_sine_network(tensor *z, tensor *frequency, double factor, int64_t layers,
                            tensor *const *weights, tensor *const *biases)
{
    enum { MOST = 14 };
    const char *name = sine_network_operation.name;
    require(z->rank == 2, z, name, "an input [rows, channels]");
    require(frequency->rank == 1, frequency, name, "frequencies [hidden]");
    require(layers > 0 && layers <= MOST, z, name, "1 to 14 layers");
    struct network n = {z->shape[0], z->shape[1], frequency->shape[0], layers, factor};
    tensor *inputs[WEIGHTS + 2 * MOST] = {tensor_contiguous(z), tensor_contiguous(frequency)};
    for (int64_t i = 0; i < layers; i++) {
        require(weights[i]->rank == 2 && weights[i]->shape[0] == n.hidden &&
                    weights[i]->shape[1] == width_below(&n, i),
                weights[i], name, "a weight [hidden, channels before]");
        require(biases[i]->rank == 1 && biases[i]->shape[0] == n.hidden, biases[i], name, "a bias [hidden]");
        inputs[WEIGHTS + 2 * i] = tensor_contiguous(weights[i]);
        inputs[WEIGHTS + 2 * i + 1] = tensor_contiguous(biases[i]);
    }
    tensor *y = node_create(z->graph, &sine_network_operation, 2, SHAPE(n.rows, n.hidden),
                            WEIGHTS + 2 * (int)layers, inputs, &n, sizeof n);
    node_count(y, work_of(&n), -1);
    return y;
}
