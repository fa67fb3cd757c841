#include "lineage/joining.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- distances ---- */

static double difference(uint32_t a, uint32_t b)
{
    return 1 - (double)__builtin_popcount(a & b) / __builtin_popcount(a | b);
}

/* NaN if no character is known of both. */
static double distance_between(const struct character_matrix *matrix, const double *weights, size_t a,
                               size_t b)
{
    double sum = 0, known = 0;
    for (size_t j = 0; j < matrix->character_count; j++) {
        uint32_t x = matrix_cell(matrix, a, j), y = matrix_cell(matrix, b, j);
        if (!x || !y)
            continue;
        double weight = weights ? weights[j] : 1;
        sum += weight * difference(x, y);
        known += weight;
    }
    return known > 0 ? sum / known : NAN;
}

void character_distances(const struct character_matrix *matrix, const double *weights, double *distances)
{
    size_t count = matrix->taxon_count, pairs = 0;
    double sum = 0;
    for (size_t a = 0; a < count; a++) {
        distances[a * count + a] = 0;
        for (size_t b = 0; b < a; b++) {
            double distance = distance_between(matrix, weights, a, b);
            distances[a * count + b] = distances[b * count + a] = distance;
            if (!isnan(distance)) {
                sum += distance;
                pairs++;
            }
        }
    }
    double mean = pairs ? sum / (double)pairs : 0;
    for (size_t i = 0; i < count * count; i++)
        if (isnan(distances[i]))
            distances[i] = mean;
}

/* ---- clusters that are still to be joined ---- */

struct clusters {
    size_t count;   /* of those left, at places 0 .. count - 1 */
    size_t stride;  /* of the rows */
    double *rows;   /* distances among them */
    double *sums;   /* of each row */
    size_t *nodes;  /* of the tree */
    double *sizes;  /* leaves in each */
    double *height; /* above the leaves */
};

static void clusters_init(struct clusters *clusters, const char *const *names, const double *distances,
                          size_t count, struct arena *arena, struct tree *tree)
{
    *clusters = (struct clusters){.count = count, .stride = count};
    clusters->rows = memory_copy(distances, size_multiply(size_multiply(count, count), sizeof(double)));
    clusters->sums = memory_allocate_zero(count + 1, sizeof(double));
    clusters->nodes = memory_allocate_zero(count + 1, sizeof(size_t));
    clusters->sizes = memory_allocate_zero(count + 1, sizeof(double));
    clusters->height = memory_allocate_zero(count + 1, sizeof(double));
    for (size_t i = 0; i < count; i++) {
        clusters->nodes[i] = tree_add(tree, arena, names[i], TREE_NONE, NAN, NAN);
        clusters->sizes[i] = 1;
        for (size_t j = 0; j < count; j++)
            clusters->sums[i] += distances[i * count + j];
    }
}

static void clusters_release(struct clusters *clusters)
{
    free(clusters->rows);
    free(clusters->sums);
    free(clusters->nodes);
    free(clusters->sizes);
    free(clusters->height);
}

/* Takes `gone` out: the last cluster moves to its place. */
static void remove_cluster(struct clusters *clusters, size_t gone)
{
    size_t last = --clusters->count, stride = clusters->stride;
    if (gone == last)
        return;
    double *rows = clusters->rows;
    memcpy(rows + gone * stride, rows + last * stride, clusters->count * sizeof *rows);
    for (size_t k = 0; k < clusters->count; k++)
        rows[k * stride + gone] = rows[gone * stride + k];
    rows[gone * stride + gone] = 0;
    clusters->sums[gone] = clusters->sums[last];
    clusters->nodes[gone] = clusters->nodes[last];
    clusters->sizes[gone] = clusters->sizes[last];
    clusters->height[gone] = clusters->height[last];
}

static void hang(struct tree *tree, size_t node, size_t parent, double length)
{
    tree->nodes[node].parent = parent;
    tree->nodes[node].length = length;
}

/* ---- neighbour joining ---- */

/* The pair a < b with the smallest (r - 2) d(a, b) - sum(a) - sum(b). Rows are searched in runs whose
 * smallest value alone is found first, without a branch. */
static void closest_neighbours(const struct clusters *clusters, size_t *a, size_t *b)
{
    enum { RUN = 64 };
    double best = INFINITY, factor = (double)clusters->count - 2;
    const double *sums = clusters->sums;
    for (size_t i = 0; i + 1 < clusters->count; i++) {
        const double *row = clusters->rows + i * clusters->stride;
        for (size_t start = i + 1; start < clusters->count; start += RUN) {
            size_t end = start + RUN < clusters->count ? start + RUN : clusters->count;
            double least = INFINITY;
            for (size_t j = start; j < end; j++) {
                double value = factor * row[j] - sums[j];
                least = value < least ? value : least;
            }
            if (!(least - sums[i] < best))
                continue;
            best = least - sums[i];
            *a = i;
            for (*b = start; factor * row[*b] - sums[*b] != least;)
                ++*b;
        }
    }
}

static void join_neighbours(struct clusters *clusters, size_t a, size_t b, struct arena *arena,
                            struct tree *tree)
{
    size_t stride = clusters->stride;
    double *rows = clusters->rows, between = rows[a * stride + b];
    double lean = (clusters->sums[a] - clusters->sums[b]) / (2 * ((double)clusters->count - 2));
    size_t joined = tree_add(tree, arena, NULL, TREE_NONE, NAN, NAN);
    hang(tree, clusters->nodes[a], joined, between / 2 + lean);
    hang(tree, clusters->nodes[b], joined, between / 2 - lean);
    clusters->nodes[a] = joined;
    clusters->sums[a] = 0;
    for (size_t k = 0; k < clusters->count; k++) {
        if (k == a || k == b)
            continue;
        double distance = (rows[a * stride + k] + rows[b * stride + k] - between) / 2;
        clusters->sums[k] += distance - rows[a * stride + k] - rows[b * stride + k];
        clusters->sums[a] += distance;
        rows[a * stride + k] = rows[k * stride + a] = distance;
    }
    remove_cluster(clusters, b);
}

/* The two or three that are left meet in one node. */
static void join_last(const struct clusters *clusters, struct arena *arena, struct tree *tree)
{
    const double *rows = clusters->rows;
    size_t stride = clusters->stride, root = tree_add(tree, arena, NULL, TREE_NONE, NAN, NAN);
    if (clusters->count == 2) {
        hang(tree, clusters->nodes[0], root, rows[1] / 2);
        hang(tree, clusters->nodes[1], root, rows[1] / 2);
        return;
    }
    double ab = rows[1], ac = rows[2], bc = rows[stride + 2];
    hang(tree, clusters->nodes[0], root, (ab + ac - bc) / 2);
    hang(tree, clusters->nodes[1], root, (ab + bc - ac) / 2);
    hang(tree, clusters->nodes[2], root, (ac + bc - ab) / 2);
}

static void link_joined(struct tree *tree, struct arena *arena)
{
    struct error error = ERROR_INIT;
    if (tree_link(tree, arena, &error))
        BUG("%s", error.message);
}

void neighbour_joining(const char *const *names, const double *distances, size_t count, struct arena *arena,
                       struct tree *tree)
{
    struct clusters clusters;
    *tree = (struct tree){0};
    clusters_init(&clusters, names, distances, count, arena, tree);
    while (clusters.count > 3) {
        size_t a = 0, b = 1;
        closest_neighbours(&clusters, &a, &b);
        join_neighbours(&clusters, a, b, arena, tree);
    }
    if (clusters.count > 1)
        join_last(&clusters, arena, tree);
    clusters_release(&clusters);
    link_joined(tree, arena);
}

/* ---- UPGMA ---- */

static void closest_clusters(const struct clusters *clusters, size_t *a, size_t *b)
{
    double best = INFINITY;
    for (size_t i = 0; i + 1 < clusters->count; i++)
        for (size_t j = i + 1; j < clusters->count; j++)
            if (clusters->rows[i * clusters->stride + j] < best) {
                best = clusters->rows[i * clusters->stride + j];
                *a = i;
                *b = j;
            }
}

static void join_clusters(struct clusters *clusters, size_t a, size_t b, struct arena *arena,
                          struct tree *tree)
{
    size_t stride = clusters->stride, joined = tree_add(tree, arena, NULL, TREE_NONE, NAN, NAN);
    double *rows = clusters->rows, height = rows[a * stride + b] / 2;
    double x = clusters->sizes[a], y = clusters->sizes[b];
    hang(tree, clusters->nodes[a], joined, height - clusters->height[a]);
    hang(tree, clusters->nodes[b], joined, height - clusters->height[b]);
    for (size_t k = 0; k < clusters->count; k++)
        if (k != a && k != b)
            rows[a * stride + k] = rows[k * stride + a] =
                (x * rows[a * stride + k] + y * rows[b * stride + k]) / (x + y);
    clusters->nodes[a] = joined;
    clusters->sizes[a] = x + y;
    clusters->height[a] = height;
    remove_cluster(clusters, b);
}

void average_linkage(const char *const *names, const double *distances, size_t count, struct arena *arena,
                     struct tree *tree)
{
    struct clusters clusters;
    *tree = (struct tree){0};
    clusters_init(&clusters, names, distances, count, arena, tree);
    while (clusters.count > 1) {
        size_t a = 0, b = 1;
        closest_clusters(&clusters, &a, &b);
        join_clusters(&clusters, a, b, arena, tree);
    }
    clusters_release(&clusters);
    link_joined(tree, arena);
}
