#include "cli/bench_report.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/memory.h"
#include "bench/machine.h"
#include "bench/plot.h"
#include "bench/statistics.h"
#include "cli/output.h"
#include "cli/table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_setting(const struct measurement *a, const struct measurement *b)
{
    return a->mode == b->mode && a->scope == b->scope && a->length == b->length && a->width == b->width &&
           a->batch == b->batch;
}

static bool same_curve(const struct measurement *a, const struct measurement *b)
{
    return a->mode == b->mode && a->scope == b->scope && a->width == b->width &&
           strcmp(a->variant, b->variant) == 0;
}

static const struct measurement *fastest_like(const struct session *session, const struct measurement *m)
{
    const struct measurement *fastest = m;
    for (size_t i = 0; i < session->count; i++) {
        const struct measurement *other = &session->measurements[i];
        if (same_setting(m, other) && measurement_median(other) < measurement_median(fastest))
            fastest = other;
    }
    return fastest;
}

static double tokens_per_run(const struct measurement *m)
{
    return (double)(m->batch * (m->mode == MODE_DECODE ? 1 : m->length));
}

static double roofline_fraction(const struct session *session, const struct measurement *m)
{
    return roofline_seconds(&session->roofline, m->flops, m->compulsory_bytes) / measurement_median(m);
}

/* Whether m opens a curve of several lengths, and with what exponent time grows along it (NaN below three
 * lengths). */
static bool opens_curve(const struct session *session, const struct measurement *m, double *exponent)
{
    double lengths[64], seconds[64];
    size_t count = 0;
    for (size_t i = 0; i < session->count && count < 64; i++) {
        const struct measurement *other = &session->measurements[i];
        if (!same_curve(m, other))
            continue;
        if (count == 0 && other != m)
            return false;
        lengths[count] = (double)other->length;
        seconds[count++] = measurement_median(other);
    }
    *exponent = count >= 3 ? statistics_exponent(lengths, seconds, count) : NAN;
    return true;
}

/* ---- Table ---- */

static void seconds_cell(struct table_row *row, size_t column, double seconds)
{
    if (seconds >= 1)
        table_cell_format(row, column, STYLE_PLAIN, "%.3g s", seconds);
    else if (seconds >= 1e-3)
        table_cell_format(row, column, STYLE_PLAIN, "%.3g ms", seconds * 1e3);
    else
        table_cell_format(row, column, STYLE_PLAIN, "%.3g us", seconds * 1e6);
}

static void scaled_cell(struct table_row *row, size_t column, double value, double step)
{
    static const char *const suffixes[] = {"", "k", "M", "G", "T", "P"};
    int i = 0;
    while (fabs(value) >= step && i < 5) {
        value /= step;
        i++;
    }
    table_cell_format(row, column, STYLE_PLAIN, value >= 99.95 || i == 0 ? "%.0f%s" : "%.3g%s", value,
                      suffixes[i]);
}

enum column {
    VARIANT,
    MODE,
    LENGTH,
    MEDIAN,
    SPREAD,
    PER_TOKEN,
    RATIO,
    TOKENS,
    FLOP,
    PARAMETERS,
    STATE,
    PEAK,
    ROOFLINE
};

static const struct table_column columns[] = {
    [VARIANT] = {"VARIANT", 0},
    [MODE] = {"MODE", 0},
    [LENGTH] = {"LENGTH", COLUMN_RIGHT},
    [MEDIAN] = {"MEDIAN", COLUMN_RIGHT},
    [SPREAD] = {"SPREAD", COLUMN_RIGHT},
    [PER_TOKEN] = {"US/TOKEN", COLUMN_RIGHT},
    [RATIO] = {"RATIO", COLUMN_RIGHT},
    [TOKENS] = {"TOKENS/S", COLUMN_RIGHT | COLUMN_SPARE},
    [FLOP] = {"FLOP", COLUMN_RIGHT | COLUMN_SPARE},
    [PARAMETERS] = {"PARAMS", COLUMN_RIGHT | COLUMN_SPARE},
    [STATE] = {"STATE", COLUMN_RIGHT | COLUMN_SPARE},
    [PEAK] = {"PEAK", COLUMN_RIGHT | COLUMN_SPARE},
    [ROOFLINE] = {"ROOFLINE", COLUMN_RIGHT},
};

static void add_row(struct table *table, const struct session *session, const struct measurement *m)
{
    const struct measurement *fastest = fastest_like(session, m);
    struct table_row *row = table_row(table, NULL);
    double median = measurement_median(m);
    table_cell(row, VARIANT, STYLE_KEY, m->variant);
    table_cell_format(row, MODE, STYLE_PLAIN, m->scope == SCOPE_OPERATION ? "%s op" : "%s",
                      bench_mode_names[m->mode]);
    scaled_cell(row, LENGTH, (double)m->length, 1024);
    seconds_cell(row, MEDIAN, median);
    table_cell_format(row, SPREAD, STYLE_DIM, "%.1f %%", 100 * measurement_spread(m) / median);
    double microseconds = 1e6 * median / tokens_per_run(m);
    table_cell_format(row, PER_TOKEN, STYLE_PLAIN, microseconds < 100 ? "%#.3g" : "%.0f", microseconds);
    if (m == fastest)
        table_cell(row, RATIO, STYLE_GOOD, "1");
    else
        table_cell_format(row, RATIO, STYLE_PLAIN, "%s%.2f", session_tie(m, fastest) ? "= " : "",
                          median / measurement_median(fastest));
    scaled_cell(row, TOKENS, tokens_per_run(m) / median, 1000);
    scaled_cell(row, FLOP, m->flops, 1000);
    scaled_cell(row, PARAMETERS, (double)m->parameters, 1000);
    if (m->mode == MODE_DECODE)
        scaled_cell(row, STATE, (double)m->state_bytes, 1024);
    else
        table_cell(row, STATE, STYLE_DIM, "-");
    scaled_cell(row, PEAK, (double)m->peak_bytes, 1024);
    table_cell_format(row, ROOFLINE, STYLE_PLAIN, "%.0f %%", 100 * roofline_fraction(session, m));
}

/* The results of one width, by setting, so that those that compare stand together. */
static void print_width(const struct session *session, int64_t width)
{
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < session->count; i++)
        for (size_t j = i; j < session->count; j++) {
            bool first = session->measurements[i].width == width;
            for (size_t k = 0; k < i && first; k++)
                first = !same_setting(&session->measurements[k], &session->measurements[i]);
            if (first && same_setting(&session->measurements[i], &session->measurements[j]))
                add_row(table, session, &session->measurements[j]);
        }
    table_print(table);
}

static bool one_width(const struct session *session)
{
    for (size_t i = 1; i < session->count; i++)
        if (session->measurements[i].width != session->measurements[0].width)
            return false;
    return true;
}

/* "gla prefill op", and the width where there are several. */
static const char *curve_name(const struct session *session, const struct measurement *m, struct arena *arena)
{
    const char *name = arena_format(arena, "%s %s%s", m->variant, bench_mode_names[m->mode],
                                    m->scope == SCOPE_OPERATION ? " op" : "");
    return one_width(session) ? name : arena_format(arena, "%s, width %lld", name, (long long)m->width);
}

void bench_report_table(const struct session *session)
{
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < session->count; i++) {
        int64_t width = session->measurements[i].width;
        bool first = true;
        for (size_t k = 0; k < i && first; k++)
            first = session->measurements[k].width != width;
        if (first && !one_width(session))
            printf("%swidth %lld\n", i ? "\n" : "", (long long)width);
        if (first)
            print_width(session, width);
    }
    printf("\n%d threads; at best %.0f GFLOP/s and %.1f GB/s, measured in this run\n", tensor_threads(),
           session->roofline.gflops, session->roofline.gbytes_per_s);
    for (size_t i = 0; i < session->count; i++) {
        const struct measurement *m = &session->measurements[i];
        double exponent;
        if (opens_curve(session, m, &exponent) && !isnan(exponent))
            printf("%s grows as length^%.2f\n", curve_name(session, m, &arena), exponent);
    }
    arena_release(&arena);
}

/* ---- JSON and CSV ---- */

static cJSON *result_document(const struct session *session, const struct measurement *m)
{
    cJSON *result = cJSON_CreateObject();
    const struct measurement *fastest = fastest_like(session, m);
    json_set_text(result, "variant", m->variant);
    json_set_text(result, "mode", bench_mode_names[m->mode]);
    json_set_text(result, "scope", bench_scope_names[m->scope]);
    json_set_number(result, "length", (double)m->length);
    json_set_number(result, "width", (double)m->width);
    json_set_number(result, "batch", (double)m->batch);
    json_set_number(result, "threads", tensor_threads());
    json_set_number(result, "rounds", (double)m->rounds);
    json_set_number(result, "median_s", measurement_median(m));
    json_set_number(result, "spread_s", measurement_spread(m));
    json_set_number(result, "tokens_per_s", tokens_per_run(m) / measurement_median(m));
    json_set_number(result, "flops", m->flops);
    json_set_number(result, "bytes", m->bytes);
    json_set_number(result, "compulsory_bytes", m->compulsory_bytes);
    json_set_number(result, "parameters", (double)m->parameters);
    json_set_number(result, "state_bytes", (double)m->state_bytes);
    json_set_number(result, "peak_bytes", (double)m->peak_bytes);
    json_set_number(result, "roofline_fraction", roofline_fraction(session, m));
    cJSON_AddItemToObject(result, "settings", cJSON_Parse(m->settings));
    json_set_text(result, "tie", m != fastest && session_tie(m, fastest) ? fastest->variant : NULL);
    return result;
}

enum status bench_report_json(const struct session *session, struct error *error)
{
    cJSON *document = cJSON_CreateObject(), *results = cJSON_CreateArray(), *growth = cJSON_CreateArray();
    cJSON_AddItemToObject(document, "machine", machine_describe());
    cJSON_AddItemToObject(document, "build", machine_build());
    cJSON *roofline = cJSON_AddObjectToObject(document, "roofline");
    json_set_number(roofline, "gflops", session->roofline.gflops);
    json_set_number(roofline, "gbytes_per_s", session->roofline.gbytes_per_s);
    for (size_t i = 0; i < session->count; i++) {
        const struct measurement *m = &session->measurements[i];
        double exponent;
        cJSON_AddItemToArray(results, result_document(session, m));
        if (!opens_curve(session, m, &exponent) || isnan(exponent))
            continue;
        cJSON *curve = cJSON_CreateObject();
        json_set_text(curve, "variant", m->variant);
        json_set_text(curve, "mode", bench_mode_names[m->mode]);
        json_set_text(curve, "scope", bench_scope_names[m->scope]);
        json_set_number(curve, "width", (double)m->width);
        json_set_number(curve, "exponent", exponent);
        cJSON_AddItemToArray(growth, curve);
    }
    cJSON_AddItemToObject(document, "results", results);
    cJSON_AddItemToObject(document, "growth", growth);
    return print_json(document, error);
}

enum status bench_report_csv(const struct session *session, struct error *error)
{
    (void)error;
    printf("variant,mode,scope,length,width,batch,threads,rounds,median_s,spread_s,flops,bytes,compulsory_"
           "bytes,parameters,"
           "state_bytes,peak_bytes,roofline_fraction\n");
    for (size_t i = 0; i < session->count; i++) {
        const struct measurement *m = &session->measurements[i];
        printf("%s,%s,%s,%lld,%lld,%lld,%d,%zu,%.9g,%.9g,%.17g,%.17g,%.17g,%lld,%zu,%zu,%.6g\n", m->variant,
               bench_mode_names[m->mode], bench_scope_names[m->scope], (long long)m->length,
               (long long)m->width, (long long)m->batch, tensor_threads(), m->rounds, measurement_median(m),
               measurement_spread(m), m->flops, m->bytes, m->compulsory_bytes, (long long)m->parameters,
               m->state_bytes, m->peak_bytes, roofline_fraction(session, m));
    }
    return STATUS_OK;
}

/* ---- Plot ---- */

static struct plot_point point_of(const struct measurement *m)
{
    return (struct plot_point){(double)m->length, measurement_median(m),
                               statistics_quantile(m->seconds, m->rounds, 0.25),
                               statistics_quantile(m->seconds, m->rounds, 0.75)};
}

enum status bench_report_plot(const struct session *session, const char *path, struct error *error)
{
    struct arena arena = ARENA_INIT;
    struct plot_series *series = arena_allocate(&arena, (session->count + 1) * sizeof *series);
    struct plot plot = {"Time against length", "length in tokens", "median time of a run", series, 0};
    for (size_t i = 0; i < session->count; i++) {
        const struct measurement *m = &session->measurements[i];
        double exponent;
        if (!opens_curve(session, m, &exponent))
            continue;
        struct plot_point *points = arena_allocate(&arena, session->count * sizeof *points);
        struct plot_series *curve = &series[plot.count++];
        curve->name = curve_name(session, m, &arena);
        curve->points = points;
        for (size_t j = i; j < session->count; j++)
            if (same_curve(m, &session->measurements[j]))
                points[curve->count++] = point_of(&session->measurements[j]);
    }
    struct text svg;
    text_init(&svg, 16 << 20);
    plot_svg(&plot, &svg);
    enum status status = file_write(path, text_string(&svg), svg.length, error);
    text_release(&svg);
    arena_release(&arena);
    return status;
}
