/* cross.c: `clade cross`: from which length on one variant is faster than another. */
#include "base/fields.h"
#include "cli/bench_report.h"
#include "cli/cross_measure.h"
#include "cli/quantity.h"
#include <string.h>

enum { ANSWERS = MODE_COUNT * SCOPE_COUNT };

static cJSON *options_document(const struct cross_order *order)
{
    cJSON *options = cJSON_CreateObject();
    json_set_text(options, "command", "cross");
    json_set_number(options, "budget_s", order->budget_s);
    json_set_number(options, "seed", (double)order->seed);
    return options;
}

static enum status print_report(struct command_line *line, const struct cross_report *report,
                                struct error *error)
{
    const char *plot = command_text(line, "plot");
    enum status status = plot ? bench_report_plot(report->session, plot, error) : STATUS_OK;
    if (status)
        return status;
    if (line->json)
        return cross_report_json(report, error);
    cross_report_text(report);
    return STATUS_OK;
}

static enum status measure(struct command_line *line, const struct cross_order *order,
                           struct cross_answer *answers, size_t count, struct error *error)
{
    struct session session;
    timed_prepare(line);
    enum status status = cross_measure(order, answers, count, &session, error);
    const struct cross_report report = {order->timed->keys[0], order->timed->keys[1], answers, count,
                                        &session};
    if (!status)
        status = print_report(line, &report, error);
    if (!status && !command_given(line, "no-store"))
        timed_store(line, &session, options_document(order));
    session_close(&session);
    return status;
}

/* ---- Options ---- */

static enum status read_length(struct command_line *line, const char *option, int64_t otherwise,
                               int64_t *length, struct error *error)
{
    const char *text = command_text(line, option);
    *length = otherwise;
    return text ? parse_quantity(text, "length", LONGEST_INPUT, length, error) : STATUS_OK;
}

static enum status read_order(struct command_line *line, struct cross_order *order, struct error *error)
{
    *order = (struct cross_order){.width = command_integer(line, "width", 256),
                                  .batch = command_integer(line, "batch", 1),
                                  .budget_s = command_real(line, "budget", 60),
                                  .seed = (uint64_t)command_integer(line, "seed", 1)};
    enum status status = read_length(line, "min-length", 16, &order->shortest, error);
    if (!status)
        status = read_length(line, "max-length", 16384, &order->longest, error);
    if (!status && order->shortest > order->longest)
        status = error_set(error, STATUS_USAGE, "the shortest length, %lld, is above the longest, %lld",
                           (long long)order->shortest, (long long)order->longest);
    if (!status && strcmp(line->operands[0], line->operands[1]) == 0)
        status = error_set(error, STATUS_USAGE, "'%.100s' does not cross itself", line->operands[0]);
    return status;
}

/* What is asked: each mode in both scopes. */
static enum status read_answers(struct command_line *line, struct cross_answer *answers, size_t *count,
                                struct error *error)
{
    enum bench_mode modes[MODE_COUNT];
    size_t mode_count;
    enum status status = timed_modes(line, modes, &mode_count, error);
    *count = status ? 0 : mode_count * SCOPE_COUNT;
    for (size_t i = 0; i < *count; i++)
        answers[i] = (struct cross_answer){.mode = modes[i / SCOPE_COUNT],
                                           .scope = (enum bench_scope)(i % SCOPE_COUNT)};
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct cross_answer *answers = arena_allocate(&line->arena, ANSWERS * sizeof *answers);
    struct cross_order order;
    struct timed timed = {NULL};
    size_t count;
    enum status status = read_order(line, &order, error);
    if (!status)
        status = read_answers(line, answers, &count, error);
    if (!status)
        status = timed_read(line, line->operands, 2, &timed, error);
    if (!status)
        status = timed_verify(line, &timed, 2, error);
    order.timed = &timed;
    if (!status)
        status = measure(line, &order, answers, count, error);
    timed_release(&timed);
    return status;
}

const struct command command_cross = {
    .name = "cross",
    .operands = "A B",
    .minimum = 2,
    .maximum = 2,
    .completion = COMPLETE_VARIANT,
    .summary = "from which length on one variant is faster than another",
    .about =
        "Times two variants side by side at doubling lengths, for the whole block and for its operation "
        "alone "
        "(the mixer's core without its projections), and looks for the length from which on one beats the "
        "other on this machine: where the faster one changes last, the lengths between are halved until the "
        "two tie. They tie ('=') where 1 is in the range that the ratio of their medians has with some 95 % "
        "confidence, by the ranks of the rounds around the medians; a larger budget makes it smaller. They "
        "cross where the ratio passes 1, and may as well where an end of its range does.\n\n"
        "In decode what is compared is the cost of one more token after that many others. Variants are "
        "checked first, as 'clade check' does. All measurements are kept in the database.",
    .json =
        "{machine, build, first, second, width, batch, threads, settings, crossings: [{mode, scope, "
        "faster, length, low, high, changes, end, points: [{length, first_s, second_s, ratio, low, high, "
        "faster}]}]}: faster is a key, null for a tie; that of a crossing holds at the longest lengths at "
        "which there is none. length is from where on, between low and high; null if the same one is the "
        "faster everywhere. changes counts how often they change places. ratio, between low and high, is "
        "the time of the first over that of the second; they tie if 1 is in between. end says why no "
        "longer length was measured: length, budget, memory, refused",
    .options =
        OPTION_TABLE({.name = "mode",
                      .type = VALUE_TEXT,
                      .value = "LIST",
                      .help = "of prefill, decode, train; prefill if not given"},
                     {.name = "min-length", .type = VALUE_TEXT, .value = "T", .help = "the first length; 16"},
                     {.name = "max-length", .type = VALUE_TEXT, .value = "T", .help = "the last length; 16k"},
                     {.name = "width",
                      .type = VALUE_INTEGER,
                      .value = "D",
                      .minimum = 1,
                      .maximum = WIDEST_INPUT,
                      .help = "channels; 256"},
                     TIMED_OPTIONS,
                     {.name = "budget",
                      .type = VALUE_REAL,
                      .value = "SECONDS",
                      .minimum = 0,
                      .maximum = 1e6,
                      .help = "for all of it; longer lengths than fit are not measured; 60"},
                     {.name = "plot",
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "time against length as SVG"},
                     {.name = "no-store", .help = "do not keep the results in the database"}),
    .examples = EXAMPLES({"clade cross gla gpt", "when linear attention pays"},
                         {"clade cross mamba2 gpt --mode decode --max-length 64k --threads 1",
                          "from which position on the next token is cheaper"},
                         {"clade cross gla gpt --set heads=8 --width 512 --plot crossing.svg",
                          "with other options, and a picture"}),
    .run = run,
};
