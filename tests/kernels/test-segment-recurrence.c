/* Segment recurrence with a memory of its own length in each layer, against attention over the tokens that
 * each layer should see. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 4, LENGTH = 21, SEGMENT = 4, LAYERS = 4 };
static const int64_t memories[LAYERS] = {3, 11, 0, 6}; /* 0: the layer has none */

/* A key is seen if it is not later, is in the segment or the memory before it and, with equal lengths, is
 * among the newest ones. */
static bool sees(int layer, int64_t query, int64_t key, bool same_length)
{
    int64_t memory = memories[layer], first = query / SEGMENT * SEGMENT - memory;
    return key <= query && key >= first && !(same_length && memory && query - key >= memory);
}

/* x becomes x + attention(x). */
static void layer_output(const struct kernel_case *c, int layer, bool same_length, double *x)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D], o[D], y[D];
    char name[64];
    for (int64_t t = 0; t < LENGTH; t++) {
        snprintf(name, sizeof name, "layers.%d.mixer.q_proj", layer);
        case_linear(c, name, x + t * D, D, q[t], D);
        snprintf(name, sizeof name, "layers.%d.mixer.k_proj", layer);
        case_linear(c, name, x + t * D, D, k[t], D);
        snprintf(name, sizeof name, "layers.%d.mixer.v_proj", layer);
        case_linear(c, name, x + t * D, D, v[t], D);
    }
    snprintf(name, sizeof name, "layers.%d.mixer.o_proj", layer);
    for (int64_t t = 0; t < LENGTH; t++) {
        double sum = 0;
        memset(o, 0, sizeof o);
        for (int64_t s = 0; s < LENGTH; s++) {
            double score = 0;
            for (int i = 0; i < D; i++)
                score += q[t][i] * k[s][i] / sqrt(D);
            double weight = sees(layer, t, s, same_length) ? exp(score) : 0;
            sum += weight;
            for (int i = 0; i < D; i++)
                o[i] += weight * v[s][i];
        }
        for (int i = 0; i < D; i++)
            o[i] /= sum;
        case_linear(c, name, o, D, y, D);
        for (int i = 0; i < D; i++)
            x[t * D + i] += y[i];
    }
}

static void stack_json(char *json, size_t size, bool same_length)
{
    int used = snprintf(json, size, "{\"pattern\": [");
    for (int layer = 0; layer < LAYERS; layer++) {
        used += snprintf(json + used, size - (size_t)used,
                         "%s{\"name\": \"l%d\", \"mixer\": {\"kernel\": \"attention\", \"heads\": 1}",
                         layer ? ", " : "", layer);
        if (memories[layer])
            used +=
                snprintf(json + used, size - (size_t)used,
                         ", \"memory\": {\"kernel\": \"segment-recurrence\", \"segment\": %d, \"memory\": "
                         "%d, \"same_length\": %s}",
                         SEGMENT, (int)memories[layer], same_length ? "true" : "false");
        used += snprintf(json + used, size - (size_t)used, "}");
    }
    snprintf(json + used, size - (size_t)used, "]}");
}

static void each_layer_sees_its_memory(void **state)
{
    (void)state;
    for (int same_length = 0; same_length < 2; same_length++) {
        struct kernel_case c;
        char json[1024];
        double want[B * LENGTH * D];
        stack_json(json, sizeof json, same_length);
        case_open_stack(&c, json, B, LENGTH, D);
        memcpy(want, c.x, sizeof want);
        for (int b = 0; b < B; b++)
            for (int layer = 0; layer < LAYERS; layer++)
                layer_output(&c, layer, same_length, want + b * LENGTH * D);
        case_expect(&c, want);
        case_close(&c);
        case_expect_stack_properties(json);
    }
}

/* A memory that holds all earlier segments gives what one attention over all tokens gives, also where
 * positions turn. */
static void positions_go_on_through_the_memory(void **state)
{
    static const char *const layer =
        "\"position\": {\"kernel\": \"rotary\"}, \"mixer\": {\"kernel\": \"attention\", \"heads\": 1}";
    struct kernel_case whole, pieces;
    char json[512];
    (void)state;
    snprintf(json, sizeof json, "{%s}", layer);
    case_open_stack(&whole, json, B, LENGTH, D);
    snprintf(json, sizeof json,
             "{%s, \"memory\": {\"kernel\": \"segment-recurrence\", \"segment\": %d, \"memory\": %d}}", layer,
             SEGMENT, LENGTH);
    case_open_stack(&pieces, json, B, LENGTH, D);
    case_expect(&pieces, whole.y);
    case_close(&pieces);
    case_close(&whole);
    case_expect_stack_properties(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_sees_its_memory),
        cmocka_unit_test(positions_go_on_through_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
