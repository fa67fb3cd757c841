#include "cli/fetch_report.h"
#include "base/fields.h"
#include "cli/output.h"
#include "cli/table.h"
#include <stdio.h>
#include <string.h>

enum {
    INDENT = 2,
    COLUMN = 14,
    LIST_COLUMN = 32,
    FEW = 20, /* rows of a list unless all are wanted */
};

const char *duration_text(double seconds, struct arena *arena)
{
    long whole = (long)(seconds + 0.5);
    if (whole >= 3600)
        return arena_format(arena, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    if (whole >= 60)
        return arena_format(arena, "%ld min %02ld s", whole / 60, whole % 60);
    return arena_format(arena, "%ld s", whole);
}

/* "methodology, background" */
static const char *intents_text(unsigned intents, struct arena *arena)
{
    static const char *const names[] = {"methodology", "background", "result"}; /* as enum citation_intent */
    const char *text = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (intents & 1u << i)
            text = text ? arena_format(arena, "%s, %s", text, names[i]) : names[i];
    return text;
}

/* ---- JSON ---- */

static cJSON *link_json(const struct citation_link *link)
{
    if (!link->citing)
        return cJSON_CreateNull();
    cJSON *object = cJSON_CreateObject(), *intents = cJSON_AddArrayToObject(object, "intents");
    if (link->intents & INTENT_METHODOLOGY)
        cJSON_AddItemToArray(intents, cJSON_CreateString("methodology"));
    if (link->intents & INTENT_BACKGROUND)
        cJSON_AddItemToArray(intents, cJSON_CreateString("background"));
    if (link->intents & INTENT_RESULT)
        cJSON_AddItemToArray(intents, cJSON_CreateString("result"));
    if (link->influential >= 0)
        json_set_flag(object, "influential", link->influential > 0);
    else
        cJSON_AddNullToObject(object, "influential");
    if (link->contexts >= 0)
        json_set_number(object, "contexts", link->contexts);
    else
        cJSON_AddNullToObject(object, "contexts");
    json_set_text(object, "source", link->source);
    return object;
}

static void add_totals(cJSON *document, const struct fetch_outcome *outcome)
{
    const struct fetch_report *report = &outcome->report;
    cJSON *papers = cJSON_AddObjectToObject(document, "papers");
    json_set_number(papers, "wanted", (double)report->variants);
    for (int i = 0; i < PAPER_STATES; i++)
        json_set_number(papers, paper_state_names[i], (double)report->states[i]);
    json_set_number(papers, "unknown", (double)report->unknown);
    cJSON *requests = cJSON_AddObjectToObject(document, "requests");
    json_set_number(requests, "sent", (double)report->requests);
    json_set_number(requests, "repeated", (double)report->repeats);
    json_set_number(requests, "stored", (double)report->cached);
    json_set_number(requests, "seconds", report->seconds);
    cJSON *citations = cJSON_AddObjectToObject(document, "citations");
    json_set_number(citations, "total", (double)outcome->link_count);
    for (int i = 0; i < LINK_CHANGE_KINDS; i++)
        json_set_number(citations, link_change_names[i], (double)outcome->changes.of_kind[i]);
}

static void add_changes(cJSON *document, const struct citation_changes *changes)
{
    cJSON *links = cJSON_AddArrayToObject(document, "links");
    for (size_t i = 0; i < changes->link_count; i++) {
        const struct link_change *change = &changes->links[i];
        const struct citation_link *link = change->kind == LINK_GONE ? &change->before : &change->after;
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "change", link_change_names[change->kind]);
        json_set_text(object, "citing", link->citing);
        json_set_text(object, "cited", link->cited);
        cJSON_AddItemToObject(object, "before", link_json(&change->before));
        cJSON_AddItemToObject(object, "after", link_json(&change->after));
        cJSON_AddItemToArray(links, object);
    }
    cJSON *counts = cJSON_AddArrayToObject(document, "counts");
    for (size_t i = 0; i < changes->count_count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "variant", changes->counts[i].variant);
        json_set_number(object, "before", (double)changes->counts[i].before);
        json_set_number(object, "after", (double)changes->counts[i].after);
        cJSON_AddItemToArray(counts, object);
    }
}

static void add_notes(cJSON *document, const struct fetch_outcome *outcome)
{
    const struct fetch_report *report = &outcome->report;
    cJSON *proposals = cJSON_AddArrayToObject(document, "proposals");
    for (size_t i = 0; i < report->proposal_count; i++) {
        const struct scholar_match *match = &report->proposals[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "variant", match->variant);
        json_set_text(object, "query", match->query);
        json_set_text(object, "paper_id", match->paper.id);
        json_set_text(object, "title", match->paper.title);
        json_set_text(object, "author", match->paper.author);
        json_set_year(object, match->paper.year);
        json_set_number(object, "similarity", match->similarity);
        cJSON_AddItemToArray(proposals, object);
    }
    cJSON *failures = cJSON_AddArrayToObject(document, "failures");
    for (size_t i = 0; i < report->failure_count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "variant", report->failures[i].variant);
        json_set_text(object, "reason", report->failures[i].reason);
        cJSON_AddItemToArray(failures, object);
    }
    cJSON *findings = cJSON_AddArrayToObject(document, "findings");
    for (size_t i = 0; i < outcome->finding_count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "variant", outcome->findings[i].variant);
        json_set_text(object, "kind", finding_names[outcome->findings[i].kind]);
        json_set_text(object, "message", outcome->findings[i].message);
        cJSON_AddItemToArray(findings, object);
    }
}

enum status fetch_print_json(const struct fetch_outcome *outcome, struct error *error)
{
    cJSON *document = cJSON_CreateObject();
    add_totals(document, outcome);
    add_changes(document, &outcome->changes);
    add_notes(document, outcome);
    return print_json(document, error);
}

/* ---- text ---- */

static void print_totals(const struct fetch_outcome *outcome, struct arena *arena)
{
    const struct fetch_report *report = &outcome->report;
    const size_t *kinds = outcome->changes.of_kind;
    const char *papers = arena_format(arena, "%zu", report->variants), *separator = ": ";
    for (int i = 0; i < PAPER_STATES; i++) {
        if (report->states[i])
            papers =
                arena_format(arena, "%s%s%zu %s", papers, separator, report->states[i], paper_state_names[i]);
        separator = report->states[i] ? ", " : separator;
    }
    if (report->unknown)
        papers = arena_format(arena, "%s%s%zu not asked for yet", papers, separator, report->unknown);
    print_entry(INDENT, COLUMN, "papers", STYLE_DIM, papers);
    print_entry(INDENT, COLUMN, "requests", STYLE_DIM,
                arena_format(arena,
                             "%zu sent, %zu of them again after failures; %zu answered by what is stored; %s",
                             report->requests, report->repeats, report->cached,
                             duration_text(report->seconds, arena)));
    print_entry(INDENT, COLUMN, "citations", STYLE_DIM,
                arena_format(arena, "%zu: %zu new, %zu gone, %zu changed", outcome->link_count,
                             kinds[LINK_NEW], kinds[LINK_GONE], kinds[LINK_CHANGED]));
    if (outcome->changes.count_count)
        print_entry(INDENT, COLUMN, "counts", STYLE_DIM,
                    arena_format(arena, "%zu papers are cited by another number of papers than before",
                                 outcome->changes.count_count));
}

/* How many of `count` rows are shown; says so below them. */
static size_t shown_of(size_t count, bool all)
{
    return all || count <= FEW ? count : FEW;
}

static void print_rest(size_t count, bool all)
{
    if (shown_of(count, all) < count)
        printf("%*sand %zu more (--all shows them)\n", INDENT, "", count - shown_of(count, all));
}

static void start_list(const char *title)
{
    putchar('\n');
    print_heading(title);
}

static void print_links(const struct citation_changes *changes, enum link_change_kind kind, const char *title,
                        bool all, struct arena *arena)
{
    if (!changes->of_kind[kind])
        return;
    size_t left = shown_of(changes->of_kind[kind], all);
    start_list(title);
    for (size_t i = 0; i < changes->link_count && left; i++) {
        const struct link_change *change = &changes->links[i];
        const struct citation_link *link = kind == LINK_GONE ? &change->before : &change->after;
        if (change->kind != kind)
            continue;
        const char *intents = intents_text(link->intents, arena);
        print_entry(INDENT, LIST_COLUMN, link->citing, STYLE_KEY,
                    arena_format(arena, "cites %s%s%s%s", link->cited, intents ? ": " : "",
                                 intents ? intents : "", link->influential > 0 ? " (influential)" : ""));
        left--;
    }
    print_rest(changes->of_kind[kind], all);
}

static void print_proposals(const struct fetch_report *report, bool all, struct arena *arena)
{
    if (!report->proposal_count)
        return;
    start_list("papers found by their titles, not accepted");
    for (size_t i = 0; i < shown_of(report->proposal_count, all); i++) {
        const struct scholar_match *match = &report->proposals[i];
        const char *year = match->paper.year ? arena_format(arena, ", %d", match->paper.year) : "";
        print_entry(INDENT, LIST_COLUMN, match->variant, STYLE_KEY,
                    arena_format(arena, "%.2f '%s' (%s%s)", match->similarity,
                                 match->paper.title ? match->paper.title : "without a title",
                                 match->paper.author ? match->paper.author : "without authors", year));
    }
    print_rest(report->proposal_count, all);
}

static void print_failures(const struct fetch_report *report, bool all)
{
    if (!report->failure_count)
        return;
    start_list("not to be had this time");
    for (size_t i = 0; i < shown_of(report->failure_count, all); i++)
        print_entry(INDENT, LIST_COLUMN, report->failures[i].variant, STYLE_KEY, report->failures[i].reason);
    print_rest(report->failure_count, all);
}

/* Ids that entries lack are gaps, no disagreements. */
static void print_findings(const struct fetch_outcome *outcome, bool gaps, const char *title, bool all,
                           struct arena *arena)
{
    size_t count = 0, left;
    for (size_t i = 0; i < outcome->finding_count; i++)
        count += (outcome->findings[i].kind == FINDING_MISSING_ID) == gaps;
    if (!count)
        return;
    start_list(title);
    left = shown_of(count, all);
    for (size_t i = 0; i < outcome->finding_count && left; i++) {
        const struct finding *finding = &outcome->findings[i];
        if ((finding->kind == FINDING_MISSING_ID) != gaps)
            continue;
        print_entry(INDENT, LIST_COLUMN, finding->variant, STYLE_KEY,
                    gaps ? finding->message
                         : arena_format(arena, "%s: %s", finding_names[finding->kind], finding->message));
        left--;
    }
    print_rest(count, all);
}

void fetch_print_text(const struct fetch_outcome *outcome, bool all, struct arena *arena)
{
    print_totals(outcome, arena);
    print_links(&outcome->changes, LINK_NEW, "new citations", all, arena);
    print_links(&outcome->changes, LINK_GONE, "citations that are gone", all, arena);
    if (all)
        print_links(&outcome->changes, LINK_CHANGED, "changed citations", all, arena);
    print_proposals(&outcome->report, all, arena);
    print_failures(&outcome->report, all);
    print_findings(outcome, false, "where the catalogue says something else (nothing is overwritten)", all,
                   arena);
    if (all)
        print_findings(outcome, true, "ids that the catalogue lacks", all, arena);
}

/* ---- the plan ---- */

static enum status print_plan_json(const struct planned_request *requests, size_t count, double interval,
                                   struct error *error)
{
    cJSON *document = cJSON_CreateObject();
    json_set_number(document, "seconds", (double)count * interval);
    cJSON *array = cJSON_AddArrayToObject(document, "requests");
    for (size_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "variant", requests[i].variant);
        json_set_text(object, "request", requests[i].request);
        cJSON_AddItemToArray(array, object);
    }
    return print_json(document, error);
}

enum status fetch_print_plan(const struct planned_request *requests, size_t count, double interval, bool json,
                             struct arena *arena, struct error *error)
{
    static const struct table_column columns[] = {{"VARIANT", 0}, {"REQUEST", COLUMN_CUT}};
    if (json)
        return print_plan_json(requests, count, interval, error);
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, STYLE_KEY, requests[i].variant);
        table_cell(row, 1, STYLE_PLAIN, requests[i].request);
    }
    table_print(table);
    printf("%s%zu requests at least, in %s\n", count ? "\n" : "", count,
           duration_text((double)count * interval, arena));
    return STATUS_OK;
}
