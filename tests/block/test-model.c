/* A language model trained for a few steps, and the optimiser against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "block/adamw.h"
#include "block/model.h"
#include "tensor/random.h"
#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { VOCABULARY = 11, BATCH = 4, LENGTH = 12 };

static const char attention[] =
    "{\"position\": {\"kernel\": \"rotary\"}, \"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, \"ffn\": "
    "{\"kernel\": \"mlp\"}, \"norm\": {\"kernel\": \"layernorm\"}}";

static struct model *create(bool tied)
{
    struct error error = ERROR_INIT;
    struct composition composition;
    cJSON *document;
    struct model *model;
    assert_int_equal(json_parse("test", attention, strlen(attention), &document, &error), STATUS_OK);
    struct json_at root = json_root(document, "test");
    assert_int_equal(composition_parse(&root, &composition, &error), STATUS_OK);
    struct model_options options = {
        .block = {.width = 16, .repeats = 2, .seed = 3}, .vocabulary = VOCABULARY, .tied = tied};
    if (model_create(&composition, &options, &model, &error))
        fail_msg("%s", error.message);
    composition_release(&composition);
    cJSON_Delete(document);
    return model;
}

/* The task: say the token before. */
struct batch {
    struct model *model;
    real ids[BATCH * LENGTH], targets[BATCH * LENGTH];
    tensor *loss;
};

static void fill(struct batch *batch, uint64_t step)
{
    random_fill_integers(5, step, 0, BATCH * LENGTH, VOCABULARY, batch->ids);
    for (int i = 0; i < BATCH * LENGTH; i++)
        batch->targets[i] = i % LENGTH ? batch->ids[i - 1] : -1;
}

static void record(struct graph *graph, void *argument)
{
    struct batch *batch = argument;
    tensor *ids = tensor_leaf(graph, batch->ids, 2, SHAPE(BATCH, LENGTH), false);
    tensor *targets = tensor_leaf(graph, batch->targets, 2, SHAPE(BATCH, LENGTH), false);
    batch->loss = graph_keep(model_loss(batch->model, ids, targets));
}

/* Trains and returns the last loss; *first receives the first. */
static double train(bool tied, int steps, double *first)
{
    const real one = 1;
    struct error error = ERROR_INIT;
    struct model *model = create(tied);
    struct adamw_options options = adamw_defaults();
    options.rate = 1e-2;
    struct adamw *adamw = adamw_create(&model->block->parameters, options);
    struct pool *pool = pool_create();
    double last = 0;
    for (int step = 0; step < steps; step++) {
        struct batch batch = {.model = model};
        struct graph *graph = graph_create(pool, true);
        fill(&batch, (uint64_t)step);
        assert_true(graph_protect(graph, record, &batch, &error));
        graph_run(graph);
        last = (double)batch.loss->data[0];
        if (step == 0)
            *first = last;
        graph_seed(batch.loss, &one);
        graph_backward(graph);
        assert_int_equal(adamw_step(adamw, &error), STATUS_OK);
        parameters_new_graph(&model->block->parameters);
        graph_free(graph);
    }
    adamw_free(adamw);
    model_free(model);
    pool_free(pool);
    return last;
}

static void starts_at_the_loss_of_a_uniform_guess(void **state)
{
    (void)state;
    double first;
    train(false, 1, &first);
    assert_true(fabs(first - log(VOCABULARY)) < 0.1);
}

static void learns_to_say_the_token_before(void **state)
{
    (void)state;
    double first, last = train(false, 150, &first);
    assert_true(last < 0.5 * first);
}

static void training_repeats_bit_for_bit(void **state)
{
    (void)state;
    double first;
    double once = train(true, 20, &first), again = train(true, 20, &first);
    assert_true(once == again && once < first);
}

static void tied_models_have_no_head(void **state)
{
    (void)state;
    struct model *tied = create(true), *untied = create(false);
    assert_null(parameters_find(&tied->block->parameters, "head.weight"));
    assert_int_equal(parameters_size(&untied->block->parameters) - parameters_size(&tied->block->parameters),
                     VOCABULARY * 16);
    model_free(tied);
    model_free(untied);
}

/* One matrix and one vector with gradients given by hand. */
static struct adamw *two_parameters(struct parameters *parameters, struct graph *graph, real *gradients,
                                    struct adamw_options options)
{
    static const struct kernel kernel = {.name = "test"};
    struct scope s = {.graph = graph, .kernel = &kernel, .parameters = parameters, .prefix = ""};
    tensor *matrix = parameter(&s, "matrix", init_constant(2), 2, SHAPE(1, 2));
    tensor *vector = parameter(&s, "vector", init_constant(2), 1, SHAPE(2));
    matrix->gradient = gradients;
    vector->gradient = gradients;
    return adamw_create(parameters, options);
}

static void steps_as_defined_and_decays_matrices_only(void **state)
{
    (void)state;
    struct parameters parameters;
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    struct error error = ERROR_INIT;
    struct adamw_options options = {.rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 0, .decay = 0.5};
    real gradients[] = {(real)0.3, (real)-4};
    parameters_init(&parameters, 1);
    struct adamw *adamw = two_parameters(&parameters, graph, gradients, options);
    assert_int_equal(adamw_step(adamw, &error), STATUS_OK);
    /* the first step moves by the rate against the gradient's sign, whatever its size */
    const double expected[2][2] = {{2 - 0.1 - 0.1, 2 + 0.1 - 0.1}, {2 - 0.1, 2 + 0.1}};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            assert_true(fabs((double)parameters.entries[i]->data[j] - expected[i][j]) < 1e-6);
    for (int i = 0; i < 2; i++)
        parameters.entries[i]->leaf->gradient = NULL;
    adamw_free(adamw);
    graph_free(graph);
    pool_free(pool);
    parameters_release(&parameters);
}

/* Twenty steps of gradients that change, against the rule written out for one number at a time. */
static void many_steps_follow_the_rule(void **state)
{
    (void)state;
    struct parameters parameters;
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    struct error error = ERROR_INIT;
    const struct adamw_options options = {
        .rate = 0.05, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .decay = 0.2, .clip = 0.7};
    double m[4] = {0}, v[4] = {0}, w[4] = {2, 2, 2, 2};
    real gradients[2];
    parameters_init(&parameters, 1);
    struct adamw *adamw = two_parameters(&parameters, graph, gradients, options);
    for (int t = 1; t <= 20; t++) {
        double rate = 0.05 / t;
        gradients[0] = (real)sin(3.0 * t);
        gradients[1] = (real)(0.1 * t - 1);
        double norm = sqrt(
            2 * ((double)gradients[0] * (double)gradients[0] + (double)gradients[1] * (double)gradients[1]));
        for (int i = 0; i < 4; i++) {
            double g = (double)gradients[i % 2] * (norm > 0.7 ? 0.7 / norm : 1);
            m[i] += (1 - 0.8) * (g - m[i]);
            v[i] += (1 - 0.95) * (g * g - v[i]);
            double step = m[i] / (1 - pow(0.8, t)) / (sqrt(v[i] / (1 - pow(0.95, t))) + 1e-3);
            w[i] -= rate * (step + (i < 2 ? 0.2 * w[i] : 0)); /* the first two are the matrix */
        }
        adamw_set_rate(adamw, rate);
        assert_int_equal(adamw_step(adamw, &error), STATUS_OK);
        for (int i = 0; i < 4; i++)
            assert_true(fabs((double)parameters.entries[i / 2]->data[i % 2] - w[i]) < 1e-5);
    }
    for (int i = 0; i < 2; i++)
        parameters.entries[i]->leaf->gradient = NULL;
    adamw_free(adamw);
    graph_free(graph);
    pool_free(pool);
    parameters_release(&parameters);
}

struct probe {
    struct model *model;
    real ids[BATCH * LENGTH], places[3];
    tensor *whole, *some;
};

static void record_probe(struct graph *graph, void *argument)
{
    struct probe *probe = argument;
    tensor *ids = tensor_leaf(graph, probe->ids, 2, SHAPE(BATCH, LENGTH), false);
    probe->whole = graph_keep(model_logits(probe->model, ids));
    probe->some =
        graph_keep(model_logits_at(probe->model, ids, tensor_leaf(graph, probe->places, 1, SHAPE(3), false)));
}

static void logits_at_places_are_those_of_the_whole(void **state)
{
    (void)state;
    struct probe probe = {.model = create(false), .places = {0, 17, BATCH * LENGTH - 1}};
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    struct error error = ERROR_INIT;
    random_fill_integers(5, 0, 0, BATCH * LENGTH, VOCABULARY, probe.ids);
    assert_true(graph_protect(graph, record_probe, &probe, &error));
    graph_run(graph);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < VOCABULARY; j++)
            assert_true(fabs((double)(probe.some->data[i * VOCABULARY + j] -
                                      probe.whole->data[(int)probe.places[i] * VOCABULARY + j])) < 1e-5);
    graph_free(graph);
    model_free(probe.model);
    pool_free(pool);
}

static void refuses_a_gradient_that_is_not_finite(void **state)
{
    (void)state;
    struct parameters parameters;
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    struct error error = ERROR_INIT;
    real gradients[] = {1, INFINITY};
    parameters_init(&parameters, 1);
    struct adamw *adamw = two_parameters(&parameters, graph, gradients, adamw_defaults());
    assert_int_equal(adamw_step(adamw, &error), STATUS_NO);
    assert_non_null(strstr(error.message, "'matrix'"));
    assert_true(parameters.entries[0]->data[0] == 2 && parameters.entries[1]->data[0] == 2);
    for (int i = 0; i < 2; i++)
        parameters.entries[i]->leaf->gradient = NULL;
    adamw_free(adamw);
    graph_free(graph);
    pool_free(pool);
    parameters_release(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_at_the_loss_of_a_uniform_guess),
        cmocka_unit_test(learns_to_say_the_token_before),
        cmocka_unit_test(training_repeats_bit_for_bit),
        cmocka_unit_test(tied_models_have_no_head),
        cmocka_unit_test(steps_as_defined_and_decays_matrices_only),
        cmocka_unit_test(many_steps_follow_the_rule),
        cmocka_unit_test(logits_at_places_are_those_of_the_whole),
        cmocka_unit_test(refuses_a_gradient_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
