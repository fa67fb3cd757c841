/* bench.c: `clade bench`: variants timed side by side. */
#include "base/fields.h"
#include "base/file.h"
#include "bench/lines.h"
#include "bench/recorder.h"
#include "cli/bench_import.h"
#include "cli/bench_measure.h"
#include "cli/bench_report.h"
#include "cli/cli.h"
#include <stdint.h>

/* What was asked for, to stand with the results. */
static cJSON *options_document(struct command_line *line, const struct plan *plan)
{
    cJSON *options = cJSON_CreateObject();
    json_set_text(options, "command", "bench");
    json_set_number(options, "budget_s", plan->budget_s);
    json_set_number(options, "seed", (double)plan->seed);
    json_set_text(options, "shard", command_text(line, "shard"));
    return options;
}

static enum status report(struct command_line *line, const struct session *session, struct error *error)
{
    const char *plot = command_text(line, "plot");
    enum status status = plot ? bench_report_plot(session, plot, error) : STATUS_OK;
    if (status)
        return status;
    if (line->json)
        return bench_report_json(session, error);
    if (command_given(line, "csv"))
        return bench_report_csv(session, error);
    bench_report_table(session);
    return STATUS_OK;
}

/* A part's results, for the database of another machine. */
static enum status write_lines(struct command_line *line, const struct plan *plan,
                               const struct session *session, struct error *error)
{
    const char *path = command_text(line, "output");
    struct record record;
    struct text text;
    record_session(session, options_document(line, plan), &line->arena, &record);
    text_init(&text, SIZE_MAX);
    lines_write(&record, &text);
    enum status status = file_write(path ? path : "-", text_string(&text), text.length, error);
    text_release(&text);
    return status;
}

static enum status measure(struct command_line *line, const struct plan *plan, const struct timed *timed,
                           struct error *error)
{
    bool part = command_given(line, "shard");
    struct session session;
    enum status status = bench_measure(plan, timed, &session, error);
    if (!status)
        status = part ? write_lines(line, plan, &session, error) : report(line, &session, error);
    if (!status && !part && !command_given(line, "no-store"))
        timed_store(line, &session, options_document(line, plan));
    session_close(&session);
    return status;
}

/* The part of the cases that --shard names. */
static enum status take_part(struct command_line *line, struct plan *plan, struct timed *timed,
                             struct error *error)
{
    static const char *const others[] = {"csv", "plot", "no-store"};
    const char *part = command_text(line, "shard");
    if (!part && command_given(line, "output"))
        return error_set(error, STATUS_USAGE, "option '--output' goes with '--shard'");
    if (!part)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (command_given(line, others[i]))
            return error_set(error, STATUS_USAGE, "option '--%s' does not go with '--shard'", others[i]);
    if (line->json)
        return error_set(error, STATUS_USAGE, "'--shard' writes JSON Lines, not the document of '--json'");
    enum status status = plan_take_part(plan, part, error);
    for (size_t i = 0; i < plan->key_count && !status; i++)
        timed->dropped[i] = !plan_has_key(plan, i);
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct plan plan;
    struct timed timed = {NULL};
    if (command_given(line, "import"))
        return bench_import(line, error);
    enum status status = plan_read(line, &plan, error);
    if (!status)
        status = timed_read(line, plan.keys, plan.key_count, &timed, error);
    if (!status)
        status = take_part(line, &plan, &timed, error);
    if (!status)
        status = timed_verify(line, &timed, 1, error);
    if (!status) {
        timed_prepare(line);
        status = measure(line, &plan, &timed, error);
    }
    timed_release(&timed);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .operands = "[KEY...]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "time variants side by side",
    .about =
        "Times whole blocks of the named variants on the same inputs, in interleaved rounds and random "
        "order, until the "
        "medians are sure or the time budget is spent. Prints the median with its spread (the distance "
        "between the "
        "quartiles), microseconds a token, tokens per second, the arithmetic and the memory, and the share "
        "of what this "
        "machine can do at best "
        "(roofline: the larger of the time for the arithmetic at the speed of a large matrix product "
        "and the time for "
        "parameters, input, output and state at the speed of a large copy, both measured in the same "
        "run; over 100 % in decode when parameters stay in a cache). A difference "
        "within the spreads is a tie ('='). With three lengths or more, the exponent with which time "
        "grows is fitted.\n\n"
        "Modes: prefill is the parallel form over the whole length, decode one token after that many "
        "others, train the "
        "parallel form with its gradients. Results are kept in the database (view latest_run). Variants are "
        "checked first, as 'clade check' does; one that fails is not timed.\n\n"
        "With --shard I/N only part I of the cases is measured, in the order of modes, widths, lengths and "
        "variants, and written as JSON Lines; --import FILE... merges such files into one database, a run "
        "that it has already left as it is. 'clade sweep' writes the script that measures all parts.",
    .json = "{machine, build, roofline: {gflops, gbytes_per_s}, results: [{variant, mode, scope, length, "
            "width, batch, threads, "
            "rounds, median_s, spread_s, tokens_per_s, flops, bytes, compulsory_bytes, parameters, "
            "state_bytes, peak_bytes, "
            "roofline_fraction, settings, tie}], growth: [{variant, mode, scope, width, exponent}]}: tie "
            "names the "
            "fastest "
            "variant of the same "
            "setting if the difference to it lies within the spreads. With --import {runs, results, known}: "
            "how many the files have, and how many of the runs were there already",
    .options =
        OPTION_TABLE(PLAN_OPTIONS, {.name = "csv", .help = "comma-separated values instead of the table"},
                     {.name = "plot",
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "time against length as SVG"},
                     {.name = "shard",
                      .type = VALUE_TEXT,
                      .value = "I/N",
                      .help = "measure part I of N and write JSON Lines instead of storing"},
                     {.name = "output",
                      .letter = 'o',
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "where a shard is written, whole or not at all; '-'"},
                     {.name = "import",
                      .type = VALUE_TEXT,
                      .value = "FILE...",
                      .repeated = true,
                      .completion = COMPLETE_FILE,
                      .help = "measure nothing: merge shards into the database"},
                     {.name = "no-store", .help = "do not keep the results in the database"}),
    .examples =
        EXAMPLES({"clade bench gpt gla mamba rwkv4", "four blocks at 256 and 1024 tokens"},
                 {"clade bench gpt mamba2 --length 1k,2k,4k,8k --plot growth.svg", "how time grows"},
                 {"clade bench gpt gla --mode decode --length 1k,16k --threads 1", "cost of one more token"},
                 {"clade bench gqa --set kv_heads=1 --set heads=16 --width 512", "other options"},
                 {"clade bench --suite recurrent-half --shard 3/16 -o 3.jsonl", "a sixteenth of the work"},
                 {"clade bench --import *.jsonl", "all of it in one database"}),
    .run = run,
};
