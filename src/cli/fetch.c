/* fetch.c: `clade fetch`. */
#include "cli/cli.h"
#include "cli/fetch_report.h"
#include "cli/output.h"
#include "scholar/export.h"
#include "scholar/lock.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BAR = 24,             /* columns */
    REDRAWS_A_SECOND = 8, /* at most */
    LONGEST_ANSWER = 64,  /* characters that a person may type */
};

static const double default_backoff = 2, default_timeout = 60, default_time = 3600; /* seconds */
static const double default_similarity = 0.95;

/* ---- interruption ---- */

static volatile sig_atomic_t interrupted;

/* The first signal ends the fetch in order, a second one at once. */
static void note_signal(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL);
}

static void catch_signal(int signal_number)
{
    struct sigaction action = {.sa_handler = note_signal}, before;
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* as under nohup */
        sigaction(signal_number, &action, NULL);
}

/* ---- progress and questions on the terminal ---- */

struct screen {
    struct arena arena;
    double drawn;   /* when, in seconds since the fetch began */
    bool dirty;     /* a bar stands on the line */
    bool questions; /* a person can be asked */
    const struct command_line *line;
};

static void clear_bar(struct screen *screen)
{
    if (screen->dirty)
        fputs("\r\033[K", stderr);
    screen->dirty = false;
}

static void draw_bar(void *data, const struct fetch_progress *progress)
{
    struct screen *screen = data;
    if (!isatty(STDERR_FILENO) ||
        (screen->dirty && progress->elapsed - screen->drawn < 1.0 / REDRAWS_A_SECOND))
        return;
    struct arena arena = ARENA_INIT;
    double share = progress->total ? (double)progress->done / (double)progress->total : 0;
    double left = progress->done ? progress->elapsed * (1 / share - 1) : 0;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K%s %zu of %zu, %s left", bar, progress->done, progress->total,
            progress->done ? duration_text(left, &arena) : "?");
    if (progress->wait > 2)
        fprintf(stderr, ", waiting %s", duration_text(progress->wait, &arena));
    fprintf(stderr, ": %.30s", progress->name);
    fflush(stderr);
    screen->drawn = progress->elapsed;
    screen->dirty = true;
    arena_release(&arena);
}

static enum confirmation ask_person(void *data, const struct scholar_match *match, const char *title)
{
    struct screen *screen = data;
    char answer[LONGEST_ANSWER];
    clear_bar(screen);
    if (!screen->questions || interrupted)
        return CONFIRM_LATER;
    print_styled(stderr, STYLE_KEY, match->variant);
    fputs(": is this its paper?\n  here   ", stderr);
    print_clean(stderr, title);
    fputs("\n  there  ", stderr);
    print_clean(stderr, match->paper.title);
    if (match->paper.author) {
        fputs(", by ", stderr);
        print_clean(stderr, match->paper.author);
    }
    if (match->paper.year)
        fprintf(stderr, ", %d", match->paper.year);
    fputs("\n  https://www.semanticscholar.org/paper/", stderr);
    print_clean(stderr, match->paper.id);
    for (;;) {
        fputs("\nyes, no, later, or stop asking? [y/n/l/s] ", stderr);
        if (!fgets(answer, sizeof answer, stdin) || answer[0] == 's') {
            screen->questions = false;
            return CONFIRM_LATER;
        }
        if (answer[0] == 'y' || answer[0] == 'n')
            return answer[0] == 'y' ? CONFIRM_YES : CONFIRM_NO;
        if (answer[0] == 'l' || answer[0] == '\n')
            return CONFIRM_LATER;
    }
}

/* ---- options ---- */

/* A day, or a moment of one, as the database writes it; not in the future, or nothing would ever be new
 * enough. */
static enum status read_before(const char *text, struct error *error)
{
    struct tm parts = {0};
    char now[TIMESTAMP_SIZE];
    const char *end = text ? strptime(text, "%Y-%m-%d", &parts) : "";
    if (end && *end)
        end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (!end || *end || (text && strlen(text) != 10 && strlen(text) != 20))
        return error_set(error, STATUS_USAGE,
                         "option '--before' is a date, as 2026-11-25 or 2026-11-25T12:00:00Z, not '%.100s'",
                         text);
    timestamp_format(system_clock.wall(NULL), now);
    if (text && strcmp(text, now) > 0)
        return error_set(error, STATUS_USAGE, "option '--before' is a date that is past, not '%s'", text);
    return STATUS_OK;
}

static enum status read_endpoint(struct command_line *line, struct fetch_options *options,
                                 struct error *error)
{
    const char *endpoint = command_text(line, "endpoint");
    char *copy = arena_copy_string(&line->arena, endpoint ? endpoint : SCHOLAR_ENDPOINT);
    for (size_t length = strlen(copy); length && copy[length - 1] == '/'; length--)
        copy[length - 1] = '\0';
    options->endpoint = copy;
    if (strcmp(copy, SCHOLAR_ENDPOINT) == 0 && options->interval < 1)
        return error_set(
            error, STATUS_USAGE,
            "Semantic Scholar permits one request a second: a shorter '--interval' needs '--endpoint'");
    return STATUS_OK;
}

static enum status read_keys(struct command_line *line, struct catalog *catalog,
                             struct fetch_options *options, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < line->operand_count && !status; i++)
        status = catalog_require(catalog, line->operands[i], error);
    options->keys = line->operand_count ? line->operands : NULL;
    options->key_count = line->operand_count;
    return status;
}

static enum status read_options(struct command_line *line, struct catalog *catalog,
                                struct fetch_options *options, struct error *error)
{
    *options = (struct fetch_options){
        .key = getenv("S2_API_KEY"),
        .user_agent = "clade/" CLADE_VERSION,
        .interval = command_real(line, "interval", SCHOLAR_INTERVAL),
        .backoff = command_real(line, "backoff", default_backoff),
        .timeout = command_real(line, "timeout", default_timeout),
        .time = command_real(line, "time", default_time),
        .before = command_text(line, "before"),
        .threshold = command_real(line, "similarity", default_similarity),
        .accept = command_given(line, "accept"),
        .stop = &interrupted,
    };
    enum status status = read_before(options->before, error);
    if (!status)
        status = read_endpoint(line, options, error);
    return status ? status : read_keys(line, catalog, options, error);
}

/* ---- running ---- */

static size_t finished(const struct fetch_report *report)
{
    size_t count = 0;
    for (int i = 0; i < PAPER_STATES; i++)
        count += i == PAPER_PARTIAL || i == PAPER_FAILED ? 0 : report->states[i];
    return count;
}

/* A fetch that had to stop says how far it came. */
static enum status explain_stop(const struct fetch_report *report, struct arena *arena, struct error *error)
{
    if (error->status == STATUS_OUTSIDE && report->variants)
        error_set(error, STATUS_OUTSIDE, "%s; %zu of %zu papers are done, the same command goes on",
                  arena_copy_string(arena, error->message), finished(report), report->variants);
    return error->status;
}

static enum status fetch(struct catalog *catalog, struct fetch_options *options, struct arena *arena,
                         struct fetch_report *report, struct screen *screen, struct error *error)
{
    struct fetch_lock lock;
    if (catalog_note(catalog)) /* it says why */
        return error_set(error, STATUS_OUTSIDE,
                         "what is fetched could not be kept: '--db' names another database");
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    enum status status = fetch_lock_take(catalog_path(catalog), &lock, error);
    if (status)
        return status;
    options->progress = draw_bar;
    options->confirm = screen->questions ? ask_person : NULL;
    options->data = screen;
    void (*before)(int) =
        signal(SIGPIPE, SIG_IGN); /* a connection that breaks is a failure to be tried again */
    status = fetch_run(catalog, options, arena, report, error);
    signal(SIGPIPE, before);
    clear_bar(screen);
    fetch_lock_release(&lock);
    return status ? explain_stop(report, arena, error) : STATUS_OK;
}

/* Findings about the entries that were asked for. */
static enum status read_findings(struct command_line *line, struct catalog *catalog,
                                 struct fetch_outcome *outcome, struct error *error)
{
    size_t kept = 0;
    enum status status =
        findings_read(catalog, &line->arena, &outcome->findings, &outcome->finding_count, error);
    for (size_t i = 0; i < outcome->finding_count && !status; i++) {
        bool wanted = line->operand_count == 0;
        for (size_t j = 0; j < line->operand_count && !wanted; j++)
            wanted = strcmp(line->operands[j], outcome->findings[i].variant) == 0;
        if (wanted)
            outcome->findings[kept++] = outcome->findings[i];
    }
    outcome->finding_count = kept;
    return status;
}

static enum status fetch_and_compare(struct command_line *line, struct catalog *catalog,
                                     struct fetch_options *options, struct fetch_outcome *outcome,
                                     struct error *error)
{
    struct citation_state before, after;
    struct screen screen = {.line = line, .questions = isatty(STDIN_FILENO) && isatty(STDERR_FILENO)};
    enum status status = citation_state_read(catalog, &line->arena, &before, error);
    if (!status && command_given(line, "offline"))
        status = fetch_offline(catalog, options, &line->arena, &outcome->report, error);
    else if (!status)
        status = fetch(catalog, options, &line->arena, &outcome->report, &screen, error);
    if (!status)
        status = citation_state_read(catalog, &line->arena, &after, error);
    if (!status)
        status = read_findings(line, catalog, outcome, error);
    if (status)
        return status;
    outcome->changes = citation_changes(&before, &after, &line->arena);
    outcome->link_count = after.link_count;
    return STATUS_OK;
}

static enum status report(struct command_line *line, struct catalog *catalog,
                          const struct fetch_outcome *outcome, struct error *error)
{
    const char *file = command_text(line, "export");
    enum status status = file ? citations_export(catalog, file, error) : STATUS_OK;
    if (status || (file && strcmp(file, "-") == 0))
        return status;
    if (line->json)
        return fetch_print_json(outcome, error);
    fetch_print_text(outcome, command_given(line, "all"), &line->arena);
    return STATUS_OK;
}

static enum status plan(struct command_line *line, struct catalog *catalog,
                        const struct fetch_options *options, struct error *error)
{
    struct planned_request *requests;
    size_t count;
    enum status status = fetch_plan(catalog, options, &line->arena, &requests, &count, error);
    if (status)
        return status;
    return fetch_print_plan(requests, count, options->interval, line->json, &line->arena, error);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct fetch_options options;
    struct fetch_outcome outcome = {.link_count = 0};
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = read_options(line, catalog, &options, error);
    if (status)
        return status;
    if (command_given(line, "dry-run"))
        return plan(line, catalog, &options, error);
    status = fetch_and_compare(line, catalog, &options, &outcome, error);
    if (!status)
        status = report(line, catalog, &outcome, error);
    if (!status && outcome.report.failure_count)
        status = error_set(error, STATUS_OUTSIDE,
                           "%zu papers could not be had: the same command asks for them again",
                           outcome.report.failure_count);
    return status;
}

const struct command command_fetch = {
    .name = "fetch",
    .operands = "[KEY...]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "bring citations from Semantic Scholar",
    .about =
        "Asks the Academic Graph API for the papers of the named variants, or of all, and for the references "
        "among "
        "them, with intents, influence and the number of sentences that cite. Papers are looked up by their "
        "ids; "
        "those without one by their title, and such a match counts only when a person says so: at the "
        "terminal, or "
        "with --accept, which takes those whose title is alike enough and whose first author and year do not "
        "disagree.\n\n"
        "Everything that is answered is kept in the database at once, so a fetch may be ended at any time, "
        "and the "
        "same command goes on where it was: what is here is not asked for again, unless --before says that "
        "it is too "
        "old. One request is made at a time, no faster than the service permits, from one call of the "
        "command to the "
        "next too; failures are waited out for ever longer times, and Retry-After is obeyed.\n\n"
        "Ends with what changed: new and lost citations, and where the service disagrees with the catalogue, "
        "in "
        "which nothing is overwritten. A key, if there is one, is taken from S2_API_KEY and goes to the "
        "service and "
        "nowhere else.\n\n"
        "Data of Semantic Scholar (https://www.semanticscholar.org), which asks to be named where they are "
        "shown.",
    .json = "{papers: {wanted, complete, partial, capped, empty, elided, not-found, failed, unknown}, "
            "requests: {sent, "
            "repeated, stored, seconds}, citations: {total, new, gone, changed}, links: [{change, citing, "
            "cited, before, "
            "after}], counts: [{variant, before, after}], proposals: [{variant, query, paper_id, title, "
            "author, year, "
            "similarity}], failures: [{variant, reason}], findings: [{variant, kind, message}]}: change is "
            "\"new\", "
            "\"gone\" or \"changed\", before and after are null or {intents, influential, contexts, source}; "
            "counts are "
            "of the papers that cite. With --dry-run {seconds, requests: [{variant, request}]}",
    .options = OPTION_TABLE(
        {.name = "before",
         .type = VALUE_TEXT,
         .value = "DATE",
         .help = "ask again for what was fetched earlier than that"},
        {.name = "accept", .help = "take papers found by title that are alike enough"},
        {.name = "similarity",
         .type = VALUE_REAL,
         .value = "SHARE",
         .minimum = 0.5,
         .maximum = 1,
         .help = "how alike titles must be; 0.95"},
        {.name = "export",
         .type = VALUE_TEXT,
         .value = "FILE",
         .completion = COMPLETE_FILE,
         .help = "write all citations in the form of catalog/citations.tsv"},
        {.name = "offline", .help = "ask nobody: make the citations anew from what is stored"},
        {.name = "dry-run", .help = "show what would be asked for"},
        {.name = "all", .help = "whole lists in the summary, and ids that the catalogue lacks"},
        {.name = "time",
         .type = VALUE_REAL,
         .value = "SECONDS",
         .minimum = 0.001,
         .maximum = 1e6,
         .help = "end after so long; 3600"},
        {.name = "interval",
         .type = VALUE_REAL,
         .value = "SECONDS",
         .minimum = 0,
         .maximum = 3600,
         .help = "least time between requests; 1.1"},
        {.name = "endpoint",
         .type = VALUE_TEXT,
         .value = "URL",
         .help = "a mirror, in place of " SCHOLAR_ENDPOINT},
        {.name = "backoff", .type = VALUE_REAL, .value = "SECONDS", .minimum = 0, .maximum = 3600},
        {.name = "timeout", .type = VALUE_REAL, .value = "SECONDS", .minimum = 0.01, .maximum = 3600}),
    .examples =
        EXAMPLES({"clade fetch --dry-run", "what would be asked for"},
                 {"clade fetch", "all that is not here yet"}, {"clade fetch gla mamba2", "two papers"},
                 {"clade fetch --before 2026-01-01 --export catalog/citations.tsv",
                  "what is older anew, for a commit"},
                 {"clade fetch --offline --export -", "the citations that are here, as a table"}),
    .run = run,
};
