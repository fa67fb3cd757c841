/* sweep.c: `clade sweep`: the script that shares a large `clade bench` out among machines. */
#include "base/file.h"
#include "cli/bench_plan.h"
#include <stdio.h>
#include <string.h>

struct sweep {
    struct plan plan;
    int64_t shards, threads;
    const char *name, *folder;
};

/* ---- Words of a shell ---- */

static bool is_plain(const char *word)
{
    return *word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                      "_-+.,:/=@%")] == '\0';
}

/* The word as the shell reads it back: bare where it can be, else between single quotes. */
static void print_word(FILE *stream, const char *word)
{
    if (is_plain(word)) {
        fputs(word, stream);
        return;
    }
    fputc('\'', stream);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stream);
        else
            fputc(*word, stream);
    fputc('\'', stream);
}

/* The variants and every option of the plan as they were given. Threads are always named: a task must not
 * take all cores of a node that it shares. */
static void print_plan(struct command_line *line, const struct sweep *sweep, FILE *stream)
{
    static const struct command_option options[] = {PLAN_OPTIONS};
    for (size_t i = 0; i < line->operand_count; i++) {
        fputc(' ', stream);
        print_word(stream, line->operands[i]);
    }
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        size_t count;
        const char *const *values = command_texts(line, options[i].name, &count);
        if (strcmp(options[i].name, "threads") == 0)
            continue;
        for (size_t j = options[i].repeated || !count ? 0 : count - 1; j < count; j++) {
            fprintf(stream, " --%s", options[i].name);
            if (options[i].type == VALUE_NONE)
                continue;
            fputc(' ', stream);
            print_word(stream, values[j]);
        }
    }
    fprintf(stream, " --threads %lld", (long long)sweep->threads);
}

/* ---- Slurm ---- */

/* A comment that sbatch reads has no quotes: values are plain words. */
static enum status check_words(struct command_line *line, struct error *error)
{
    static const char *const names[] = {"job-name", "partition", "account", "time", "memory"};
    const char *folder = command_text(line, "folder");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = command_text(line, names[i]);
        if (value && !is_plain(value))
            return error_set(error, STATUS_USAGE, "option '--%s' is one plain word, not '%.100s'", names[i],
                             value);
    }
    if (folder && (!*folder || strpbrk(folder, "\n\r")))
        return error_set(error, STATUS_USAGE, "option '--folder' is the name of a folder on one line");
    return STATUS_OK;
}

static void print_directive(struct command_line *line, const char *option, const char *directive,
                            FILE *stream)
{
    const char *value = command_text(line, option);
    if (value)
        fprintf(stream, "#SBATCH --%s=%s\n", directive, value);
}

static void print_slurm(struct command_line *line, const struct sweep *sweep, FILE *stream)
{
    long long shards = (long long)sweep->shards;
    fprintf(stream,
            "#!/bin/bash\n"
            "#SBATCH --job-name=%s\n"
            "#SBATCH --array=1-%lld\n"
            "#SBATCH --ntasks=1\n"
            "#SBATCH --cpus-per-task=%lld\n"
            "#SBATCH --output=%s-%%A-%%a.log\n",
            sweep->name, shards, (long long)sweep->threads, sweep->name);
    print_directive(line, "time", "time", stream);
    print_directive(line, "memory", "mem", stream);
    print_directive(line, "partition", "partition", stream);
    print_directive(line, "account", "account", stream);
    fprintf(stream,
            "#\n"
            "# Cases of 'clade bench': %zu; parts: %lld. A part whose file is there is not measured again.\n"
            "# CLADE names the program if it is not on the path. When all parts are there:\n"
            "#\n"
            "#   clade bench --import ",
            plan_cases(&sweep->plan), shards);
    print_word(stream, sweep->folder);
    fprintf(stream, "/*.jsonl\n"
                    "set -euo pipefail\n\n"
                    "part=${SLURM_ARRAY_TASK_ID:?submit this script with sbatch}\n"
                    "folder=");
    print_word(stream, sweep->folder);
    fprintf(stream,
            "\nfile=$folder/part-$part-of-%lld.jsonl\n"
            "[ ! -e \"$file\" ] || exit 0\n"
            "mkdir -p -- \"$folder\"\n"
            "exec \"${CLADE:-clade}\" bench",
            shards);
    print_plan(line, sweep, stream);
    fprintf(stream, " \\\n    --db :memory: --shard \"$part/%lld\" --output \"$file\"\n", shards);
}

/* ---- Command ---- */

/* The plan, checked as `clade bench` will: a mistake shows here and not in every task. */
static enum status read_sweep(struct command_line *line, struct sweep *sweep, struct error *error)
{
    struct timed timed = {NULL};
    enum status status = command_given(line, "slurm")
                             ? STATUS_OK
                             : error_set(error, STATUS_USAGE, "name the scheduler: --slurm");
    if (!status)
        status = check_words(line, error);
    if (!status)
        status = plan_read(line, &sweep->plan, error);
    if (!status)
        status = timed_read(line, sweep->plan.keys, sweep->plan.key_count, &timed, error);
    timed_release(&timed);
    if (status)
        return status;
    const char *name = command_text(line, "job-name"), *folder = command_text(line, "folder");
    sweep->name = name ? name : "clade-sweep";
    sweep->folder = folder ? folder : sweep->name;
    sweep->threads = command_integer(line, "threads", 1);
    sweep->shards = command_integer(line, "shards", (int64_t)plan_settings(&sweep->plan));
    return plan_check_parts(&sweep->plan, sweep->shards, error);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct sweep sweep = {.threads = 1};
    struct output_file file = {NULL};
    const char *path = command_text(line, "output");
    enum status status = read_sweep(line, &sweep, error);
    if (!status)
        status = output_file_open(&file, path ? path : "-", error);
    if (status)
        return status;
    print_slurm(line, &sweep, file.stream);
    return output_file_commit(&file, error);
}

const struct command command_sweep = {
    .name = "sweep",
    .operands = "[KEY...]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "write the job script for a large benchmark",
    .about =
        "Writes an array job that shares the cases of a 'clade bench' (every variant in every mode, width "
        "and "
        "length) out among tasks. Each task runs 'clade bench --shard' and leaves a file of JSON Lines; "
        "'clade bench --import' merges them into one database. If not told otherwise a task has all variants "
        "in one mode, width and length, so that what compares is measured in the same rounds. Variants and "
        "options are looked at before anything is written; a task checks its variants before it times them.",
    .options = OPTION_TABLE(
        {.name = "slurm", .help = "for the scheduler Slurm (sbatch)"},
        {.name = "shards",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 1,
         .maximum = 1000000,
         .help = "number of tasks; one a mode, width and length"},
        {.name = "output",
         .letter = 'o',
         .type = VALUE_TEXT,
         .value = "FILE",
         .completion = COMPLETE_FILE,
         .help = "where to write the script; '-' is standard output"},
        {.name = "folder",
         .type = VALUE_TEXT,
         .value = "DIR",
         .completion = COMPLETE_FOLDER,
         .help = "where tasks leave their files; the name of the job"},
        {.name = "job-name", .type = VALUE_TEXT, .value = "NAME", .help = "clade-sweep"},
        {.name = "time", .type = VALUE_TEXT, .value = "TIME", .help = "limit of a task, as 02:00:00"},
        {.name = "memory", .type = VALUE_TEXT, .value = "SIZE", .help = "of a task, as 8G"},
        {.name = "partition", .type = VALUE_TEXT, .value = "NAME", .help = "where the tasks run"},
        {.name = "account", .type = VALUE_TEXT, .value = "NAME", .help = "that is charged"}, PLAN_OPTIONS),
    .examples = EXAMPLES(
        {"clade sweep --slurm --suite recurrent-half --length 1k,4k --width 256,512 -o job.sh", "four tasks"},
        {"clade sweep --slurm gpt gla --mode prefill,decode --threads 8 --time 01:00:00",
         "to standard output"},
        {"sbatch job.sh", "then, when it is done: clade bench --import clade-sweep/*.jsonl"}),
    .run = run,
};
