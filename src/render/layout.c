/* layout.c: the one file that speaks with Graphviz.
 *
 * The child writes to a pipe a mark, and then either numbers (double: the size, the middle of each node, for
 * each edge the number of its points, the points, and the middle of its label) or a message. */
#include "render/layout.h"
#include "render/dot.h"
#include <errno.h>
#include <graphviz/gvc.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MARK_LAYOUT = 'L', MARK_ERROR = 'E' };
enum { MOST_BYTES = 1 << 28 };

/* ---- in the child ---- */

static char graphviz_message[256];

/* Graphviz prints messages in pieces; the first line is kept. */
static int keep_message(char *piece)
{
    size_t used = strlen(graphviz_message);
    snprintf(graphviz_message + used, sizeof graphviz_message - used, "%s", piece);
    return 0;
}

static void put(FILE *stream, double number)
{
    fwrite(&number, sizeof number, 1, stream);
}

static void put_point(FILE *stream, const Agraph_t *graph, pointf point)
{
    put(stream, point.x - GD_bb(graph).LL.x);
    put(stream, GD_bb(graph).UR.y - point.y);
}

static void put_edge(FILE *stream, const Agraph_t *graph, Agedge_t *edge)
{
    const splines *curves = edge ? ED_spl(edge) : NULL;
    const bezier *curve = curves && curves->size > 0 ? &curves->list[0] : NULL;
    /* Graphviz may have turned the edge around to lay it out. */
    pointf tail = edge ? ND_coord(agtail(edge)) : (pointf){0, 0};
    bool turned =
        curve && hypot(curve->list[0].x - tail.x, curve->list[0].y - tail.y) >
                     hypot(curve->list[curve->size - 1].x - tail.x, curve->list[curve->size - 1].y - tail.y);
    put(stream, curve ? (double)curve->size : 0);
    for (int i = 0; curve && i < (int)curve->size; i++)
        put_point(stream, graph, curve->list[turned ? (int)curve->size - 1 - i : i]);
    bool labelled = edge && ED_label(edge) && ED_label(edge)->set;
    put_point(stream, graph, labelled ? ED_label(edge)->pos : GD_bb(graph).LL);
}

/* Graphviz's own sequence numbers give the order of the text. */
static void put_layout(FILE *stream, Agraph_t *graph, size_t node_count, size_t edge_count)
{
    Agnode_t **nodes = memory_allocate_zero(node_count + 1, sizeof *nodes);
    Agedge_t **edges = memory_allocate_zero(edge_count + 1, sizeof *edges);
    for (Agnode_t *node = agfstnode(graph); node; node = agnxtnode(graph, node)) {
        if (AGSEQ(node) <= node_count)
            nodes[AGSEQ(node) - 1] = node;
        for (Agedge_t *edge = agfstout(graph, node); edge; edge = agnxtout(graph, edge))
            if (AGSEQ(edge) <= edge_count)
                edges[AGSEQ(edge) - 1] = edge;
    }
    fputc(MARK_LAYOUT, stream);
    put(stream, GD_bb(graph).UR.x - GD_bb(graph).LL.x);
    put(stream, GD_bb(graph).UR.y - GD_bb(graph).LL.y);
    for (size_t i = 0; i < node_count; i++)
        put_point(stream, graph, ND_coord(nodes[i]));
    for (size_t i = 0; i < edge_count; i++)
        put_edge(stream, graph, edges[i]);
}

static _Noreturn void work(const char *dot, const struct picture *picture, unsigned seconds, int descriptor)
{
    struct rlimit limit = {seconds, seconds + 1};
    setrlimit(RLIMIT_CPU, &limit);
    signal(SIGXCPU, SIG_DFL);
    FILE *stream = fdopen(descriptor, "w");
    agseterrf(keep_message);
    GVC_t *context = gvContext();
    Agraph_t *graph = context ? agmemread(dot) : NULL;
    if (stream && graph && gvLayout(context, graph, "dot") == 0)
        put_layout(stream, graph, picture->node_count,
                   picture->routed_donors ? picture->edge_count : picture->primary_count);
    else if (stream)
        fprintf(stream, "%c%s", MARK_ERROR, graphviz_message);
    _exit(stream && fclose(stream) == 0 ? 0 : 1);
}

/* ---- in the parent ---- */

struct answer {
    char *bytes;
    size_t length, at;
    bool short_of; /* a number was wanted where none is */
};

static void receive(int descriptor, struct answer *answer)
{
    size_t capacity = 1 << 16;
    answer->bytes = memory_allocate(capacity);
    for (;;) {
        if (answer->length + 1 >= capacity)
            answer->bytes = memory_resize(answer->bytes, capacity *= 2);
        ssize_t got = read(descriptor, answer->bytes + answer->length, capacity - answer->length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || answer->length > MOST_BYTES)
            break;
        answer->length += (size_t)got;
    }
    answer->bytes[answer->length] = '\0';
}

static double take(struct answer *answer)
{
    double number = 0;
    if (answer->length - answer->at < sizeof number) {
        answer->short_of = true;
        return 0;
    }
    memcpy(&number, answer->bytes + answer->at, sizeof number);
    answer->at += sizeof number;
    return number;
}

static struct point take_point(struct answer *answer)
{
    double x = take(answer);
    return (struct point){x, take(answer)};
}

static enum status take_layout(struct answer *answer, const struct picture *picture, struct arena *arena,
                               struct layout *layout, struct error *error)
{
    size_t edges = picture->routed_donors ? picture->edge_count : picture->primary_count;
    answer->at = 1;
    layout->width = take(answer);
    layout->height = take(answer);
    layout->nodes = arena_allocate(arena, size_multiply(picture->node_count + 1, sizeof *layout->nodes));
    layout->edges = arena_allocate(arena, size_multiply(picture->edge_count + 1, sizeof *layout->edges));
    for (size_t i = 0; i < picture->node_count; i++)
        layout->nodes[i] = take_point(answer);
    for (size_t i = 0; i < edges && !answer->short_of; i++) {
        struct layout_edge *edge = &layout->edges[i];
        edge->point_count = (size_t)take(answer);
        if (edge->point_count > answer->length)
            answer->short_of = true;
        if (answer->short_of)
            break;
        edge->points = arena_allocate(arena, size_multiply(edge->point_count + 1, sizeof *edge->points));
        for (size_t j = 0; j < edge->point_count; j++)
            edge->points[j] = take_point(answer);
        edge->label = take_point(answer);
    }
    if (answer->short_of)
        return error_set(error, STATUS_OUTSIDE, "the layout by Graphviz came back incomplete");
    return STATUS_OK;
}

static enum status explain_failure(int result, const struct answer *answer, const struct picture *picture,
                                   unsigned seconds, struct error *error)
{
    int killer = WIFSIGNALED(result) ? WTERMSIG(result) : 0;
    if (killer == SIGXCPU || killer == SIGKILL)
        return error_set(error, STATUS_OUTSIDE,
                         "the layout of %zu nodes took Graphviz more than %u s: draw a part of the tree",
                         picture->node_count, seconds);
    if (killer)
        return error_set(error, STATUS_OUTSIDE, "Graphviz failed on %zu nodes: %s", picture->node_count,
                         strsignal(killer));
    const char *message = answer->length > 1 ? answer->bytes + 1 : "it gave no reason";
    return error_set(error, STATUS_OUTSIDE, "Graphviz failed on %zu nodes: %.*s", picture->node_count,
                     (int)strcspn(message, "\n"), message);
}

static char *placing_text(const struct picture *picture)
{
    char *dot = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&dot, &length);
    if (stream)
        dot_print(picture, DOT_TO_PLACE, stream);
    if (!stream || fclose(stream) != 0)
        return NULL;
    return dot;
}

enum status layout_picture(const struct picture *picture, unsigned seconds, struct arena *arena,
                           struct layout *layout, struct error *error)
{
    int ends[2];
    *layout = (struct layout){0};
    if (pipe(ends) != 0)
        return error_set(error, STATUS_OUTSIDE, "cannot start a layout: %s", strerror(errno));
    char *dot = placing_text(picture);
    pid_t child = dot ? fork() : -1;
    if (child == 0) {
        close(ends[0]);
        work(dot, picture, seconds, ends[1]);
    }
    int reason = errno, result = 0;
    free(dot);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return error_set(error, STATUS_OUTSIDE, "cannot start a layout: %s", strerror(reason));
    }
    struct answer answer = {NULL};
    receive(ends[0], &answer);
    close(ends[0]);
    while (waitpid(child, &result, 0) < 0 && errno == EINTR)
        continue;
    bool good =
        WIFEXITED(result) && WEXITSTATUS(result) == 0 && answer.length && answer.bytes[0] == MARK_LAYOUT;
    enum status status = good ? take_layout(&answer, picture, arena, layout, error)
                              : explain_failure(result, &answer, picture, seconds, error);
    free(answer.bytes);
    return status;
}
