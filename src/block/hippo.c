#include "block/hippo.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double sign_of(int64_t power)
{
    return power % 2 ? -1 : 1;
}

static double entry(enum hippo_measure measure, int64_t i, int64_t j)
{
    double both = sqrt((2.0 * (double)i + 1) * (2.0 * (double)j + 1));
    switch (measure) {
    case HIPPO_LEGS:
        return i > j ? -both : i == j ? -(double)(i + 1) : 0;
    case HIPPO_LEGT:
        return -0.5 * both * (i >= j ? 1 : sign_of(j - i));
    case HIPPO_LMU:
        return (2.0 * (double)i + 1) * (i < j ? -1 : sign_of(i - j + 1));
    default:
        /* Pairs of a cosine and a sine of one frequency; the constant has no sine. */
        return i + 1 == j && i % 2 == 0   ? -M_PI_2 * (double)i
               : j + 1 == i && j % 2 == 0 ? M_PI_2 * (double)j
                                          : 0;
    }
}

static double input(enum hippo_measure measure, int64_t i)
{
    double odd = 2.0 * (double)i + 1;
    switch (measure) {
    case HIPPO_LEGS:
        return sqrt(odd);
    case HIPPO_LEGT:
        return 0.5 * sqrt(odd);
    case HIPPO_LMU:
        return odd * sign_of(i);
    default:
        return i == 0 ? 1 : i % 2 ? 0 : sqrt(2);
    }
}

void hippo_matrices(enum hippo_measure measure, int64_t n, double *A, double *B)
{
    for (int64_t i = 0; i < n; i++) {
        B[i] = input(measure, i);
        for (int64_t j = 0; j < n; j++)
            A[i * n + j] =
                entry(measure, i, j) - (measure == HIPPO_FOUT ? input(measure, i) * input(measure, j) : 0);
    }
}

/* Row `row` of P in A = normal - P P^T. */
static double low_rank(enum hippo_measure measure, int row, int64_t i)
{
    if (measure == HIPPO_LEGS)
        return sqrt((double)i + 0.5);
    if (measure == HIPPO_LEGT)
        return i % 2 == row ? sqrt((double)i + 0.5) : 0;
    return input(measure, i);
}

/* Rotates columns p and q of the symmetric M and rows and columns likewise so that M[p, q] vanishes; V
 * collects. */
static void rotate(double *M, double *V, int64_t n, int64_t p, int64_t q)
{
    double theta = (M[q * n + q] - M[p * n + p]) / (2 * M[p * n + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1),
           s = t * c;
    for (int64_t k = 0; k < n; k++) {
        double a = M[k * n + p], b = M[k * n + q];
        M[k * n + p] = c * a - s * b;
        M[k * n + q] = s * a + c * b;
    }
    for (int64_t k = 0; k < n; k++) {
        double a = M[p * n + k], b = M[q * n + k], v = V[p * n + k], w = V[q * n + k];
        M[p * n + k] = c * a - s * b;
        M[q * n + k] = s * a + c * b;
        V[p * n + k] = c * v - s * w;
        V[q * n + k] = s * v + c * w;
    }
}

enum { SWEEPS = 40 };

/* Eigenvectors of the symmetric M as rows of V, by Jacobi's rotations; eigenvalues stay on M's diagonal. */
static void diagonalise(double *M, double *V, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            V[i * n + j] = i == j;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool moved = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                if (fabs(M[p * n + q]) > 1e-15 * sqrt(fabs(M[p * n + p] * M[q * n + q])) + 1e-300) {
                    rotate(M, V, n, p, q);
                    moved = true;
                }
        if (!moved)
            break;
    }
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Makes v orthogonal to `count` unit rows and of unit length; false if nothing is left of it. */
static bool orthogonalise(double *v, const double *rows, int64_t count, int64_t n)
{
    for (int64_t r = 0; r < count; r++) {
        double share = dot(v, rows + r * n, n);
        for (int64_t i = 0; i < n; i++)
            v[i] -= share * rows[r * n + i];
    }
    double norm = sqrt(dot(v, v, n));
    for (int64_t i = 0; i < n && norm > 1e-6; i++)
        v[i] /= norm;
    return norm > 1e-6;
}

struct skew {
    int64_t n;
    double *S;     /* the skew part */
    double *rows;  /* orthonormal, in pairs (v, u) with S v = omega u, S u = -omega v */
    double *omega; /* of each pair */
};

static int order_of(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* -S^2 is symmetric and has omega^2 twice. */
static void find_pairs(struct skew *skew)
{
    int64_t n = skew->n, pairs = 0;
    double *M = memory_allocate((size_t)(n * n) * sizeof *M),
           *V = memory_allocate((size_t)(n * n) * sizeof *V);
    double *place = memory_allocate((size_t)(2 * n) * sizeof *place);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            M[i * n + j] = dot(skew->S + i * n, skew->S + j * n, n);
    diagonalise(M, V, n);
    for (int64_t i = 0; i < n; i++) {
        place[2 * i] = M[i * n + i];
        place[2 * i + 1] = (double)i;
    }
    qsort(place, (size_t)n, 2 * sizeof *place, order_of);
    for (int64_t k = 0; k < n && pairs < n / 2; k++) {
        double *v = skew->rows + 2 * pairs * n, *u = v + n;
        memcpy(v, V + (int64_t)place[2 * k + 1] * n, (size_t)n * sizeof *v);
        if (!orthogonalise(v, skew->rows, 2 * pairs, n))
            continue;
        for (int64_t i = 0; i < n; i++)
            u[i] = dot(skew->S + i * n, v, n);
        double omega = sqrt(dot(u, u, n));
        skew->omega[pairs] = omega;
        if (!orthogonalise(u, skew->rows, 2 * pairs + 1, n)) {
            /* A constant mode: any other one completes the pair. */
            do
                memcpy(u, V + (int64_t)place[2 * ++k + 1] * n, (size_t)n * sizeof *u);
            while (!orthogonalise(u, skew->rows, 2 * pairs + 1, n));
        }
        pairs++;
    }
    free(M);
    free(V);
    free(place);
}

/* The eigenvector (v + i u) / sqrt(2) has the eigenvalue -i omega; its conjugate product with x. */
static void project(const struct skew *skew, int64_t pair, const double *x, double *to)
{
    const double *v = skew->rows + 2 * pair * skew->n;
    to[0] = sqrt(0.5) * dot(v, x, skew->n);
    to[1] = -sqrt(0.5) * dot(v + skew->n, x, skew->n);
}

void hippo_modes(enum hippo_measure measure, int64_t n, double *w, double *P, double *B)
{
    size_t square = (size_t)(n * n) * sizeof(double), line = (size_t)n * sizeof(double);
    struct skew skew = {n, memory_allocate(square), memory_allocate(square), memory_allocate(line)};
    double *b = memory_allocate(line), *p = memory_allocate(line), middle = 0;
    int rank = measure == HIPPO_LEGT ? 2 : 1;
    hippo_matrices(measure, n, skew.S, b);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            for (int r = 0; r < rank; r++)
                skew.S[i * n + j] += low_rank(measure, r, i) * low_rank(measure, r, j);
    for (int64_t i = 0; i < n; i++)
        middle += skew.S[i * n + i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        skew.S[i * n + i] -= middle;
    find_pairs(&skew);
    for (int64_t k = 0; k < n / 2; k++) {
        w[2 * k] = middle;
        w[2 * k + 1] = -skew.omega[k];
        project(&skew, k, b, B + 2 * k);
    }
    for (int r = 0; r < rank; r++) {
        for (int64_t i = 0; i < n; i++)
            p[i] = low_rank(measure, r, i);
        for (int64_t k = 0; k < n / 2; k++)
            project(&skew, k, p, P + (r * (n / 2) + k) * 2);
    }
    free(skew.S);
    free(skew.rows);
    free(skew.omega);
    free(b);
    free(p);
}

/* c = a b, all [n, n]. */
static void multiply(int64_t n, const double *a, const double *b, double *c)
{
    memset(c, 0, (size_t)(n * n) * sizeof *c);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n && a[i * n + k] != 0; j++)
                c[i * n + j] += a[i * n + k] * b[k * n + j];
}

enum { TERMS = 18 };

/* exp of [[A, B], [0, 0]] delta holds E and G: a Taylor series of a small enough part, squared often
 * enough. */
void hippo_hold(enum hippo_measure measure, int64_t n, double delta, double *E, double *G)
{
    int64_t size = n + 1, squarings = 0;
    size_t bytes = (size_t)(size * size) * sizeof(double);
    double *part = memory_allocate(bytes), *sum = memory_allocate(bytes), *term = memory_allocate(bytes),
           *product = memory_allocate(bytes), norm = 0;
    hippo_matrices(measure, n, E, G);
    memset(part, 0, bytes);
    memset(sum, 0, bytes);
    for (int64_t i = 0; i < n; i++) {
        double row = fabs(G[i]);
        for (int64_t j = 0; j < n; j++)
            row += fabs(E[i * n + j]);
        norm = fmax(norm, delta * row);
    }
    while (ldexp(norm, -(int)squarings) > 0.5)
        squarings++;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            part[i * size + j] = ldexp(delta * E[i * n + j], -(int)squarings);
        part[i * size + n] = ldexp(delta * G[i], -(int)squarings);
    }
    for (int64_t i = 0; i < size; i++)
        sum[i * size + i] = 1;
    memcpy(term, sum, bytes);
    for (int k = 1; k <= TERMS; k++) {
        multiply(size, term, part, product);
        for (int64_t i = 0; i < size * size; i++) {
            term[i] = product[i] / k;
            sum[i] += term[i];
        }
    }
    for (int64_t k = 0; k < squarings; k++) {
        multiply(size, sum, sum, product);
        memcpy(sum, product, bytes);
    }
    for (int64_t i = 0; i < n; i++) {
        memcpy(E + i * n, sum + i * size, (size_t)n * sizeof *E);
        G[i] = sum[i * size + n];
    }
    free(part);
    free(sum);
    free(term);
    free(product);
}
