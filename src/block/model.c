#include "block/model.h"
#include "base/memory.h"
#include <stdlib.h>

/* The model's own parameters are declared like a kernel's, in a scope without a prefix. */
static const struct kernel model_kernel = {.name = "model"};

static struct scope model_scope(struct model *model, struct graph *graph)
{
    return (struct scope){.graph = graph,
                          .kernel = &model_kernel,
                          .parameters = &model->block->parameters,
                          .prefix = "",
                          .shared_prefix = "",
                          .width = model->options.block.width,
                          .layers = model->block->layers};
}

static tensor *table(struct scope *s, const struct model *model, const char *name, double deviation)
{
    return parameter(s, name, init_normal(deviation), 2,
                     SHAPE(model->options.vocabulary, model->options.block.width));
}

/* As torch's Embedding, which goes with linear maps that start as torch's: with much smaller vectors the
 * blocks' first outputs drown the tokens. A table that is the head as well starts small, so that the first
 * logits do. */
static tensor *embedding(struct scope *s, const struct model *model)
{
    return table(s, model, "embedding.weight", model->options.tied ? 0.02 : 1);
}

static tensor *decode_summary(struct scope *s, tensor *h)
{
    int64_t length = h->shape[1];
    tensor *codes = sinusoids(s, length, (struct sinusoids){.step = 1, .base = 10000});
    h = tensor_add(tensor_slice(h, 1, -1, 1), codes);
    for (int i = 0; i < 2; i++) {
        h = rms_norm(s, part_name(s, "decoder.%d.norm", i), h, 1e-5);
        h = tensor_gelu(linear(s, part_name(s, "decoder.%d.linear", i), h, s->width, true));
    }
    return h;
}

/* What the head reads, [B, T, D]. */
static tensor *hidden(struct scope *s, struct model *model, tensor *ids)
{
    parameters_new_graph(&model->block->parameters);
    *s = model_scope(model, ids->graph);
    tensor *h = block_continue(model->block, tensor_rows(embedding(s, model), ids));
    return model->options.summary ? decode_summary(s, h) : h;
}

static tensor *head(struct scope *s, const struct model *model, tensor *h)
{
    if (model->options.summary || !block_ends_normed(model->block))
        h = layer_norm(s, "final_norm", h, 1e-5);
    return tensor_linear(h, model->options.tied ? embedding(s, model) : table(s, model, "head.weight", 0.02),
                         NULL);
}

tensor *model_logits(struct model *model, tensor *ids)
{
    struct scope s;
    tensor *h = hidden(&s, model, ids);
    return head(&s, model, h);
}

tensor *model_logits_at(struct model *model, tensor *ids, tensor *places)
{
    struct scope s;
    tensor *h = hidden(&s, model, ids);
    h = tensor_reshape(h, 2, SHAPE(-1, model->options.block.width));
    return head(&s, model, tensor_rows(h, places));
}

tensor *model_loss(struct model *model, tensor *ids, tensor *targets)
{
    return tensor_cross_entropy(model_logits(model, ids), targets);
}

static void first_building(struct graph *graph, void *argument)
{
    model_logits(argument, tensor_full(graph, 0, 2, SHAPE(1, 4)));
}

enum status model_create(const struct composition *composition, const struct model_options *options,
                         struct model **created, struct error *error)
{
    *created = NULL;
    if (options->vocabulary < 2)
        return error_set(error, STATUS_USAGE, "a vocabulary has at least 2 tokens, not %lld",
                         (long long)options->vocabulary);
    struct model *model = memory_allocate_zero(1, sizeof *model);
    model->options = *options;
    enum status status = block_create(composition, &options->block, &model->block, error);
    if (status) {
        free(model);
        return status;
    }
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    model->block->parameters.frozen = false;
    if (!graph_protect(graph, first_building, model, error))
        status = error->status;
    model->block->parameters.frozen = true;
    parameters_new_graph(&model->block->parameters);
    graph_free(graph);
    pool_free(pool);
    if (status)
        model_free(model);
    else
        *created = model;
    return status;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    block_free(model->block);
    free(model);
}
