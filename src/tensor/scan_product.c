/* Queries times the running sum of keys: what linear attention divides by. */
#include "tensor/loops/scan_product.h"
#include "tensor/operation.h"
#include <omp.h>
#include <string.h>

enum { Q, K, KEEP, INITIAL, INPUTS };

struct scan_product {
    int64_t batch, steps, heads, width;
    int place[INPUTS]; /* among the node's inputs, or -1 */
};

static const tensor *input(const tensor *y, int which)
{
    const struct scan_product *s = y->attributes;
    return s->place[which] < 0 ? NULL : y->inputs[s->place[which]];
}

static real *gradient(tensor *y, int which)
{
    const struct scan_product *s = y->attributes;
    return s->place[which] < 0 ? NULL : input_gradient(y, s->place[which]);
}

static double work_of(const struct scan_product *s)
{
    return 4.0 * (double)(s->batch * s->steps * s->heads * s->width);
}

/* As many heads go together as leave some for each thread: all of them read memory from end to end, which
 * takes a third of the time. Heads do not depend on one another, so this changes no result. */
struct teams {
    int64_t size, count; /* heads of a team, teams of a batch entry */
};

static struct teams teams_of(const struct scan_product *s, int threads)
{
    int64_t size = s->batch * s->heads / threads;
    size = size < 1 ? 1 : size < s->heads ? size : s->heads;
    return (struct teams){size, size ? (s->heads + size - 1) / size : 0};
}

/* Where a task begins in q, in y and in sums [B, 1, H, d]. */
struct place {
    int64_t q, y, sum;
};

static struct place place_of(const struct scan_product *s, const struct teams *teams, int64_t task)
{
    int64_t batch = task / teams->count, head = task % teams->count * teams->size;
    int64_t y = batch * s->steps * s->heads + head;
    return (struct place){y * s->width, y, (batch * s->heads + head) * s->width};
}

static struct scan_product_team team_of(const tensor *y, const struct teams *teams, int64_t task,
                                        const struct place *place)
{
    const struct scan_product *s = y->attributes;
    const tensor *keep = input(y, KEEP);
    int64_t left = s->heads - task % teams->count * teams->size;
    return (struct scan_product_team){.steps = s->steps,
                                      .width = s->width,
                                      .count = left < teams->size ? left : teams->size,
                                      .heads = s->heads,
                                      .q = input(y, Q)->data + place->q,
                                      .k = input(y, K)->data + place->q,
                                      .keep = keep ? keep->data + place->y : NULL};
}

/* `count` numbers of an array of sums, zeros if there is none. */
static void copy_sums(int64_t count, const real *sums, const struct place *place, real *z)
{
    if (sums)
        memcpy(z, sums + place->sum, (size_t)count * sizeof *z);
    else
        memset(z, 0, (size_t)count * sizeof *z);
}

static void scan_product_forward(tensor *y)
{
    const struct scan_product *s = y->attributes;
    const tensor *initial = input(y, INITIAL);
    real *final = node_output(y, 1)->data;
    int threads = threads_for(work_of(s));
    struct teams teams = teams_of(s, threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < s->batch * teams.count; task++) {
        struct place place = place_of(s, &teams, task);
        struct scan_product_team team = team_of(y, &teams, task, &place);
        copy_sums(team.count * s->width, initial ? initial->data : NULL, &place, final + place.sum);
        scan_product_loops()->forward(&team, final + place.sum, y->data + place.y);
    }
}

static void scan_product_backward(tensor *y)
{
    const struct scan_product *s = y->attributes;
    const tensor *initial = input(y, INITIAL);
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    real *dq = gradient(y, Q), *dk = gradient(y, K), *dkeep = gradient(y, KEEP),
         *dinitial = gradient(y, INITIAL);
    int threads = threads_for(3 * work_of(s));
    struct teams teams = teams_of(s, threads);
    int64_t room = (s->steps + 2) * teams.size * s->width;
    real *scratch = scratch_take(y->graph, (size_t)(threads * room));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < s->batch * teams.count; task++) {
        struct place place = place_of(s, &teams, task);
        struct scan_product_team team = team_of(y, &teams, task, &place);
        struct scan_product_gradients to = {.y = dy ? dy + place.y : NULL,
                                            .q = dq ? dq + place.q : NULL,
                                            .k = dk ? dk + place.q : NULL,
                                            .keep = dkeep ? dkeep + place.y : NULL};
        real *g = scratch + omp_get_thread_num() * room, *z = g + teams.size * s->width;
        int64_t sums = team.count * s->width;
        copy_sums(sums, initial ? initial->data : NULL, &place, z);
        copy_sums(sums, dfinal, &place, g);
        scan_product_loops()->backward(&team, z, g, &to);
        for (int64_t i = 0; dinitial && i < sums; i++)
            dinitial[place.sum + i] += g[i];
    }
    scratch_give(y->graph, scratch);
}

static const struct operation scan_product_operation = {"scan_product", scan_product_forward,
                                                        scan_product_backward, (1u << INPUTS) - 1, false};

tensor *tensor_scan_product(tensor *q, tensor *keep, tensor *k, tensor *initial, tensor **final)
{
    const char *name = scan_product_operation.name;
    require(q->rank == 4, q, name, "queries [B, T, H, d]");
    int64_t B = q->shape[0], T = q->shape[1], H = q->shape[2], d = q->shape[3];
    bool same = k->rank == 4 && memcmp(k->shape, q->shape, 4 * sizeof *k->shape) == 0;
    require(same, k, name, "keys of the queries' shape");
    require(!keep || (keep->rank == 4 && keep->shape[0] == B && keep->shape[1] == T && keep->shape[2] == H &&
                      keep->shape[3] == 1),
            keep, name, "factors [B, T, H, 1]");
    require(!initial || (initial->rank == 4 && initial->shape[0] == B && initial->shape[1] == 1 &&
                         initial->shape[2] == H && initial->shape[3] == d),
            initial, name, "an initial sum [B, 1, H, d]");
    struct scan_product s = {.batch = B, .steps = T, .heads = H, .width = d};
    tensor *given[INPUTS] = {q, k, keep, initial}, *inputs[INPUTS];
    int count = 0;
    for (int i = 0; i < INPUTS; i++) {
        s.place[i] = given[i] ? count : -1;
        if (given[i])
            inputs[count++] = tensor_contiguous(given[i]);
    }
    tensor *y =
        node_create(q->graph, &scan_product_operation, 4, SHAPE(B, T, H, 1), count, inputs, &s, sizeof s);
    tensor *last = node_add_output(y, 4, SHAPE(B, 1, H, d));
    node_count(y, work_of(&s), -1);
    if (final)
        *final = last;
    return y;
}
