/* Objectives over a stack of attention alone: which rows run, where they stand and what they see. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 4, ROWS = 12 };

/* What a row sees of the keys. */
typedef bool sees(int64_t row, int64_t key, const void *argument);

static void turn(double *v, double place)
{
    for (int i = 0; i < D / 2; i++) {
        double angle = place * pow(10000, -2.0 * i / D), a = v[i], b = v[i + D / 2];
        v[i] = a * cos(angle) - b * sin(angle);
        v[i + D / 2] = a * sin(angle) + b * cos(angle);
    }
}

/* y = x + attention of x's rows over the keys' rows; places may be NULL. A row that sees nothing gets
 * zeros. */
static void layer(const struct kernel_case *c, const char *prefix, double x[][D], int64_t rows,
                  double keys[][D], int64_t key_rows, const double *places, sees *seen, const void *argument,
                  double y[][D])
{
    static const char *const names[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    char full[4][64];
    for (int i = 0; i < 4; i++)
        snprintf(full[i], sizeof full[i], "%smixer.%s", prefix, names[i]);
    double out[ROWS][D];
    for (int64_t t = 0; t < rows; t++) {
        double q[D], k[D], v[D], o[D] = {0}, sum = 0;
        case_linear(c, full[0], x[t], D, q, D);
        if (places)
            turn(q, places[t]);
        for (int64_t s = 0; s < key_rows; s++) {
            if (!seen(t, s, argument))
                continue;
            case_linear(c, full[1], keys[s], D, k, D);
            case_linear(c, full[2], keys[s], D, v, D);
            if (places)
                turn(k, places[s]);
            double score = 0;
            for (int i = 0; i < D; i++)
                score += q[i] * k[i] / sqrt(D);
            sum += exp(score);
            for (int i = 0; i < D; i++)
                o[i] += exp(score) * v[i];
        }
        for (int i = 0; i < D && sum > 0; i++)
            o[i] /= sum;
        case_linear(c, full[3], o, D, out[t], D);
    }
    for (int64_t t = 0; t < rows; t++)
        for (int i = 0; i < D; i++)
            y[t][i] = x[t][i] + out[t][i];
}

static bool earlier(int64_t row, int64_t key, const void *argument)
{
    (void)argument;
    return key <= row;
}

static const char rotary[] =
    "{\"position\": {\"kernel\": \"rotary\", \"interleaved\": false}, \"mixer\": {\"kernel\": \"attention\","
    " \"heads\": 1}, \"objective\": {\"kernel\": %s}}";

static void positions_skip(void **state)
{
    (void)state;
    enum { LENGTH = 9, WINDOW = 6 };
    const struct case_input inputs[] = {{"rt1", 1, {B}, (const double[]){2, 3}},
                                        {"rt2", 1, {B}, (const double[]){7, 8}},
                                        {"rt", 1, {B}, (const double[]){11, 30}},
                                        {"len_input", 1, {B}, (const double[]){9, 8}}};
    static const int64_t tokens[B][WINDOW] = {{0, 1, 3, 4, 5, 6}, {0, 1, 2, 5, 6, 7}};
    static const double places[B][WINDOW] = {{0, 1, 13, 14, 15, 16}, {0, 1, 2, 33, 34, 35}};
    char json[512];
    snprintf(json, sizeof json, rotary, "\"skip-wise-positions\", \"window\": 6, \"target\": 36");
    struct kernel_case c;
    case_open_with_inputs(&c, json, B, LENGTH, D, inputs, 4);
    double want[B][WINDOW][D];
    for (int b = 0; b < B; b++) {
        double x[ROWS][D];
        for (int i = 0; i < WINDOW; i++)
            memcpy(x[i], c.x + (b * LENGTH + tokens[b][i]) * D, sizeof x[i]);
        layer(&c, "", x, WINDOW, x, WINDOW, places[b], earlier, NULL, want[b]);
    }
    assert_int_equal(c.rows, WINDOW);
    case_expect(&c, want[0][0]);
    case_close(&c);
}

static void positions_are_scaled_and_moved(void **state)
{
    (void)state;
    enum { LENGTH = 7 };
    static const double scale[B] = {4, 2.5}, offset[B] = {13, 100};
    const struct case_input inputs[] = {{"scale", 1, {B}, scale}, {"offset", 1, {B}, offset}};
    char json[512];
    for (int drawn = 0; drawn < 2; drawn++) {
        struct kernel_case c;
        snprintf(json, sizeof json, rotary,
                 "\"augmented-position-interpolation\", \"factor\": 8, \"kept\": 3");
        case_open_with_inputs(&c, json, B, LENGTH, D, inputs, drawn ? 2 : 0);
        double want[B][LENGTH][D];
        for (int b = 0; b < B; b++) {
            double x[ROWS][D], places[LENGTH];
            memcpy(x, c.x + b * LENGTH * D, sizeof want[b]);
            for (int i = 0; i < LENGTH; i++)
                places[i] = drawn ? (i + (i < 3 ? 0 : offset[b])) / scale[b] : i / 8.0;
            layer(&c, "", x, LENGTH, x, LENGTH, places, earlier, NULL, want[b]);
        }
        case_expect(&c, want[0][0]);
        if (!drawn)
            case_expect_steps(&c, want[0][0]);
        case_close(&c);
    }
}

/* Where token i comes in the order of n tokens. */
static int64_t place_in_order(int64_t i, int64_t n)
{
    int64_t place = 0;
    for (int64_t j = 0; j < n; j++)
        place += fmod((double)j * 0.6180339887498949, 1) < fmod((double)i * 0.6180339887498949, 1);
    return place;
}

struct streams {
    int64_t memory, length;
    bool content;
};

static bool before_in_order(int64_t row, int64_t key, const void *argument)
{
    const struct streams *s = argument;
    if (key < s->memory || (s->content && key - s->memory == row))
        return true;
    return place_in_order(key - s->memory, s->length) < place_in_order(row, s->length);
}

static void streams_follow_the_order(void **state)
{
    (void)state;
    enum { LENGTH = 11, SEGMENT = 4, MEMORY = 3, LAYERS = 2 };
    static const char json[] =
        "{\"pattern\": [{\"name\": \"one\", \"mixer\": {\"kernel\": \"attention\", \"heads\": 1}, "
        "\"objective\":"
        " {\"kernel\": \"permutation-language-modelling\", \"segment\": 4, \"memory\": 3}},"
        " {\"name\": \"two\", \"mixer\": {\"kernel\": \"attention\", \"heads\": 1}}]}";
    struct kernel_case c;
    case_open_stack(&c, json, B, LENGTH, D);
    const real *start = case_values(&c, "objective.mask_emb");
    double want[B][LENGTH][D];
    for (int b = 0; b < B; b++) {
        double kept[LAYERS][LENGTH][D]; /* every layer's inputs */
        for (int64_t first = 0; first < LENGTH; first += SEGMENT) {
            int64_t length = LENGTH - first < SEGMENT ? LENGTH - first : SEGMENT;
            double h[ROWS][D], g[ROWS][D];
            memcpy(h, c.x + (b * LENGTH + first) * D, (size_t)length * sizeof h[0]);
            for (int64_t i = 0; i < length * D; i++)
                g[i / D][i % D] = (double)start[i % D];
            for (int l = 0; l < LAYERS; l++) {
                char prefix[16];
                snprintf(prefix, sizeof prefix, "layers.%d.", l);
                memcpy(kept[l][first], h, (size_t)length * sizeof h[0]);
                struct streams s = {first < MEMORY ? first : MEMORY, length, false};
                double(*keys)[D] = &kept[l][first - s.memory];
                layer(&c, prefix, g, length, keys, s.memory + length, NULL, before_in_order, &s, g);
                s.content = true;
                layer(&c, prefix, h, length, keys, s.memory + length, NULL, before_in_order, &s, h);
            }
            memcpy(want[b][first], g, (size_t)length * sizeof g[0]);
        }
    }
    case_expect(&c, want[0][0]);
    case_close(&c);
}

static bool all(int64_t row, int64_t key, const void *argument)
{
    (void)row, (void)key, (void)argument;
    return true;
}

/* x becomes (x - mean) / deviation * weight + bias. */
static void norm(const struct kernel_case *c, const char *name, double *x, int n)
{
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    const real *weight = case_values(c, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const real *bias = case_values(c, full);
    double mean = 0, variance = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(variance + 1e-12) * (double)weight[i] + (double)bias[i];
}

static void activate(double *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] *= (1 + erf(x[i] / sqrt(2))) / 2;
}

static void masked_tokens_are_predicted(void **state)
{
    (void)state;
    enum { LENGTH = 6, N = 2 };
    static const double positions[B][N] = {{4, 1}, {0, 5}}, shown[B][N] = {{0, 1}, {0, 0}};
    static const double tokens[B][N][D] = {{{9, 9, 9, 9}, {1, -2, 0.5, 3}}};
    static const double segments[B][LENGTH] = {{0, 0, 0, 1, 1, 1}, {0, 1, 1, 1, 1, 1}};
    const struct case_input inputs[] = {{"positions", 2, {B, N}, positions[0]},
                                        {"shown", 2, {B, N}, shown[0]},
                                        {"tokens", 3, {B, N, D}, tokens[0][0]},
                                        {"segments", 2, {B, LENGTH}, segments[0]}};
    static const char json[] =
        "{\"embedding\": {\"kernel\": \"input-norm\", \"segments\": 2, \"epsilon\": 1e-12},"
        " \"position\": {\"kernel\": \"learned-absolute\", \"length\": 8},"
        " \"mixer\": {\"kernel\": \"attention\", \"heads\": 1, \"causal\": false},"
        " \"objective\": {\"kernel\": \"masked-language-modelling\", \"activation\": \"gelu\"}}";
    struct kernel_case c;
    case_open_with_inputs(&c, json, B, LENGTH, D, inputs, 4);
    const real *mask = case_values(&c, "objective.mask_embedding"),
               *place = case_values(&c, "position.weight"),
               *kind = case_values(&c, "embedding.token_type_embeddings.weight");
    double want[B][N][D];
    for (int b = 0; b < B; b++) {
        double x[ROWS][D], y[ROWS][D];
        memcpy(x, c.x + b * LENGTH * D, LENGTH * sizeof x[0]);
        for (int n = 0; n < N; n++)
            for (int i = 0; i < D; i++)
                x[(int)positions[b][n]][i] = shown[b][n] != 0 ? tokens[b][n][i] : (double)mask[i];
        for (int t = 0; t < LENGTH; t++) {
            for (int i = 0; i < D; i++)
                x[t][i] += (double)place[t * D + i] + (double)kind[(int)segments[b][t] * D + i];
            norm(&c, "embedding", x[t], D);
        }
        layer(&c, "", x, LENGTH, x, LENGTH, NULL, all, NULL, y);
        for (int n = 0; n < N; n++) {
            case_linear(&c, "objective.transform.dense", y[(int)positions[b][n]], D, want[b][n], D);
            activate(want[b][n], D);
            norm(&c, "objective.transform.LayerNorm", want[b][n], D);
        }
    }
    assert_int_equal(c.rows, N);
    case_expect(&c, want[0][0]);
    case_close(&c);
}

enum { TEXT = 5, MASKED = 2, WORDS = 7, W = 2 }; /* W: the generator's width */

/* The word that the generator puts at a place of a text with masks, x [TEXT, D] with positions added. */
static int sampled(const struct kernel_case *c, double x[][D], int place, const double *noise)
{
    static const char layer_name[] = "objective.generator.encoder.layer.0.";
    static const char *const names[] = {
        "attention.self.query",       "attention.self.key", "attention.self.value", "attention.output.dense",
        "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};
    char full[8][96];
    for (int i = 0; i < 8; i++)
        snprintf(full[i], sizeof full[i], "%s%s", layer_name, names[i]);
    double h[TEXT][W], q[W], k[W], v[W], mixed[W] = {0}, out[W], inner[4 * W], features[D], sum = 0;
    for (int t = 0; t < TEXT; t++)
        case_linear(c, "objective.generator.embeddings_project", x[t], D, h[t], W);
    case_linear(c, full[0], h[place], W, q, W);
    for (int s = 0; s < TEXT; s++) {
        case_linear(c, full[1], h[s], W, k, W);
        case_linear(c, full[2], h[s], W, v, W);
        double weight = exp((q[0] * k[0] + q[1] * k[1]) / sqrt(W));
        sum += weight;
        for (int i = 0; i < W; i++)
            mixed[i] += weight * v[i];
    }
    for (int i = 0; i < W; i++)
        mixed[i] /= sum;
    case_linear(c, full[3], mixed, W, out, W);
    for (int i = 0; i < W; i++)
        out[i] += h[place][i];
    norm(c, full[4], out, W);
    case_linear(c, full[5], out, W, inner, 4 * W);
    activate(inner, 4 * W);
    case_linear(c, full[6], inner, 4 * W, mixed, W);
    for (int i = 0; i < W; i++)
        out[i] += mixed[i];
    norm(c, full[7], out, W);
    case_linear(c, "objective.generator_predictions.dense", out, W, features, D);
    activate(features, D);
    norm(c, "objective.generator_predictions.LayerNorm", features, D);
    const real *words = case_values(c, "objective.word_embeddings.weight"),
               *bias = case_values(c, "objective.generator_predictions.output_bias");
    int best = 0;
    double largest = -INFINITY;
    for (int w = 0; w < WORDS; w++) {
        double score = (double)bias[w];
        for (int i = 0; i < D; i++)
            score += (double)words[w * D + i] * features[i];
        score = score / 0.5 + noise[w];
        best = score > largest ? w : best;
        largest = fmax(largest, score);
    }
    return best;
}

static void replaced_tokens_are_detected(void **state)
{
    (void)state;
    static const double ids[B][TEXT] = {{3, 1, 6, 0, 2}, {5, 5, 4, 1, 3}},
                        positions[B][MASKED] = {{1, 4}, {3, 0}};
    static const double noise[B][MASKED][WORDS] = {{{1, -2, 3, 0, 0.5, 2, -1}, {0, 4, 1, 2, 6, -3, 1}},
                                                   {{2, 2, -5, 1, 1, 7, 0}, {-1, 0, 3, 8, 2, 1, 1}}};
    const struct case_input inputs[] = {{"ids", 2, {B, TEXT}, ids[0]},
                                        {"positions", 2, {B, MASKED}, positions[0]},
                                        {"noise", 3, {B, MASKED, WORDS}, noise[0][0]}};
    static const char json[] = "{\"position\": {\"kernel\": \"learned-absolute\", \"length\": 8},"
                               " \"mixer\": {\"kernel\": \"attention\", \"heads\": 1, \"causal\": false},"
                               " \"objective\": {\"kernel\": \"replaced-token-detection\", \"activation\": "
                               "\"gelu\", \"vocabulary\": 7,"
                               " \"generator_layers\": 1, \"generator_width\": 2, \"temperature\": 0.5}}";
    struct kernel_case c;
    case_open_with_inputs(&c, json, B, TEXT, D, inputs, 3);
    const real *mask = case_values(&c, "objective.mask_embedding"),
               *place = case_values(&c, "position.weight"),
               *words = case_values(&c, "objective.word_embeddings.weight");
    double want[B][TEXT];
    for (int b = 0; b < B; b++) {
        double masked[TEXT][D], fake[TEXT][D], y[TEXT][D], hidden[D];
        for (int t = 0; t < TEXT; t++)
            for (int i = 0; i < D; i++) {
                fake[t][i] = (double)words[(int)ids[b][t] * D + i] + (double)place[t * D + i];
                bool is_masked = t == (int)positions[b][0] || t == (int)positions[b][1];
                masked[t][i] = is_masked ? (double)mask[i] + (double)place[t * D + i] : fake[t][i];
            }
        for (int n = 0; n < MASKED; n++) {
            int t = (int)positions[b][n], word = sampled(&c, masked, t, noise[b][n]);
            for (int i = 0; i < D; i++)
                fake[t][i] = (double)words[word * D + i] + (double)place[t * D + i];
        }
        layer(&c, "", fake, TEXT, fake, TEXT, NULL, all, NULL, y);
        for (int t = 0; t < TEXT; t++) {
            case_linear(&c, "objective.discriminator_predictions.dense", y[t], D, hidden, D);
            activate(hidden, D);
            case_linear(&c, "objective.discriminator_predictions.dense_1", hidden, D, &want[b][t], 1);
        }
    }
    assert_int_equal(c.columns, 1);
    case_expect(&c, want[0]);
    case_close(&c);
}

/* An objective runs the memory that wraps the layers, and is refused where it would pass over it. */
static void a_memory_is_wrapped(void **state)
{
    (void)state;
    enum { LENGTH = 9 };
    static const char json[] =
        "{\"mixer\": {\"kernel\": \"attention\", \"heads\": 1}, \"memory\": {\"kernel\":"
        " \"segment-recurrence\", \"segment\": 4, \"memory\": 3}%s}";
    char text[512];
    struct kernel_case plain, wrapped;
    snprintf(text, sizeof text, json, "");
    case_open_stack(&plain, text, B, LENGTH, D);
    snprintf(text, sizeof text, json, ", \"objective\": {\"kernel\": \"masked-language-modelling\"}");
    case_open_stack(&wrapped, text, B, LENGTH, D);
    case_expect(&wrapped, plain.y);
    case_expect_steps(&wrapped, plain.y);
    case_close(&plain);
    case_close(&wrapped);
    snprintf(text, sizeof text, json, ", \"objective\": {\"kernel\": \"reasoning-tokens\"}");
    case_expect_refused(text, D,
                        "kernel 'reasoning-tokens': it says what each row sees or where it stands, which the"
                        " memory 'segment-recurrence' would not hear of");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_skip),
        cmocka_unit_test(positions_are_scaled_and_moved),
        cmocka_unit_test(streams_follow_the_order),
        cmocka_unit_test(masked_tokens_are_predicted),
        cmocka_unit_test(replaced_tokens_are_detected),
        cmocka_unit_test(a_memory_is_wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
