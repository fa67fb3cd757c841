#include "alone.h"
#include "base/memory.h"
#include "tensor/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 5, TOKENS = 7 };

static void record(struct graph *graph, void *argument)
{
    struct alone *alone = argument;
    struct inputs inputs = {0};
    tensor *x = tensor_leaf(graph, alone->x, 3, SHAPE(alone->batch, alone->length, alone->width), false);
    tensor *y = graph_keep(tensor_contiguous(block_forward(alone->block, x, &inputs)));
    graph_run(graph);
    alone->size = tensor_size(y);
    alone->y = memory_resize(alone->y, (size_t)alone->size * sizeof(real));
    memcpy(alone->y, y->data, (size_t)alone->size * sizeof(real));
}

void run_again(struct alone *alone)
{
    struct error error = ERROR_INIT;
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    if (!graph_protect(graph, record, alone, &error))
        fail_msg("%s", error.message);
    graph_free(graph);
    pool_free(pool);
}

struct alone run_alone(const char *mixer, int64_t batch, int64_t length, int64_t width)
{
    struct error error = ERROR_INIT;
    struct composition composition;
    char text[512];
    cJSON *document;
    snprintf(text, sizeof text, "{\"mixer\": %s}", mixer);
    if (json_parse("test", text, strlen(text), &document, &error))
        fail_msg("%s", error.message);
    struct json_at root = json_root(document, "test");
    if (composition_parse(&root, &composition, &error))
        fail_msg("%s", error.message);
    struct alone alone = {.batch = batch, .length = length, .width = width};
    struct block_options options = {.width = width, .alone = true, .seed = SEED, .length = length};
    if (block_create(&composition, &options, &alone.block, &error))
        fail_msg("%s", error.message);
    composition_release(&composition);
    cJSON_Delete(document);
    alone.x = memory_allocate((size_t)(batch * length * width) * sizeof(real));
    random_fill_normal(TOKENS, 0, 0, batch * length * width, 0, 1, alone.x);
    run_again(&alone);
    return alone;
}

void alone_release(struct alone *alone)
{
    block_free(alone->block);
    free(alone->x);
    free(alone->y);
}

real *alone_weight(const struct alone *alone, const char *name)
{
    const struct parameter_entry *entry = parameters_find(&alone->block->parameters, name);
    if (!entry)
        fail_msg("the kernel has no parameter '%s'", name);
    return entry->data;
}
