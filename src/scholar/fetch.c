#include "scholar/fetch.h"
#include "catalog/database.h"
#include "scholar/work.h"
#include <stdlib.h>
#include <string.h>

/* ---- what the steps share: work.h ---- */

const struct identity *item_identity(const struct work *work, const struct item *item)
{
    return &work->identities.entries[item->entry];
}

bool is_stale(const struct work *work, const char *retrieved_at)
{
    const char *before = work->options->before;
    return !retrieved_at || (before && strcmp(retrieved_at, before) < 0);
}

const char *work_now(const struct work *work, struct arena *arena)
{
    char timestamp[TIMESTAMP_SIZE];
    timestamp_format(work->clock->wall(work->clock->data), timestamp);
    return arena_copy_string(arena, timestamp);
}

bool item_needs_lookup(const struct work *work, const struct item *item)
{
    return !item->failed && item->candidate < item_identity(work, item)->candidate_count;
}

bool item_needs_match(const struct work *work, const struct item *item)
{
    return !item->failed && !item_needs_lookup(work, item) && !item->record.paper.id && !item->matched &&
           item_identity(work, item)->title;
}

bool item_needs_walk(const struct work *work, const struct item *item)
{
    bool open = item->record.state == PAPER_PARTIAL || item->record.state == PAPER_FAILED;
    return !item->failed && item->record.paper.id && (open || is_stale(work, item->record.retrieved_at));
}

void work_fail(struct work *work, struct item *item, const char *reason)
{
    struct fetch_report *report = work->report;
    item->failed = true;
    report->failures =
        arena_extend(work->arena, report->failures, report->failure_count, sizeof *report->failures);
    report->failures[report->failure_count++] =
        (struct fetch_failure){item_identity(work, item)->key, arena_copy_string(work->arena, reason)};
}

static void tick(void *data, double remaining)
{
    struct work *work = data;
    if (!work->options->progress)
        return;
    work->progress.wait = remaining;
    work->progress.elapsed = work->clock->monotonic(work->clock->data) - work->started;
    work->options->progress(work->options->data, &work->progress);
}

/* The total: what is done, the look-up if there is one, and one request for each thing that is left. */
void work_show(struct work *work, const char *name)
{
    size_t lookups = 0, others = 0;
    for (size_t i = 0; i < work->item_count; i++) {
        const struct item *item = &work->items[i];
        lookups += item_needs_lookup(work, item);
        others +=
            !item_needs_lookup(work, item) && (item_needs_match(work, item) || item_needs_walk(work, item));
    }
    work->progress.total = work->progress.done + (lookups > 0) + lookups + others;
    work->progress.name = name;
    tick(work, 0);
}

enum client_outcome work_ask(struct work *work, const struct client_request *request, struct arena *arena,
                             struct scholar_response *response, bool *stored, struct error *error)
{
    const char *key = arena_format(arena, "GET %s", request->path);
    struct error unreadable = ERROR_INIT;
    work_show(work, request->name);
    if (response_read(work->database, key, work->options->before, arena, response, stored, error))
        return CLIENT_STOPPED;
    if (*stored && response->status == 200) /* by an older version, perhaps */
        *stored = request->read(request->context, response->body, response->length, &unreadable) == STATUS_OK;
    work->progress.done++;
    if (*stored) {
        work->report->cached++;
        return CLIENT_ANSWERED;
    }
    struct client_answer answer;
    enum client_outcome outcome = client_ask(work->client, request, &answer, error);
    if (outcome == CLIENT_ANSWERED)
        *response =
            (struct scholar_response){answer.status, answer.body, answer.length, work_now(work, arena)};
    return outcome;
}

/* ---- what there is to do ---- */

static int compare_variants(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b); /* the key is the first member of both */
}

static void *find_variant(const char *variant, const void *rows, size_t count, size_t size)
{
    return count ? bsearch(&variant, rows, count, size, compare_variants) : NULL;
}

/* The first id that is still to be asked for. */
static size_t first_candidate(const struct work *work, const struct item *item)
{
    const struct identity *identity = item_identity(work, item);
    const struct paper_record *record = &item->record;
    bool same = item->known && record->entry_ids && strcmp(record->entry_ids, identity->all_ids) == 0;
    if (!same || is_stale(work, record->looked_up_at))
        return 0;
    for (size_t i = 0; !record->paper.id && record->asked_id && i < identity->candidate_count; i++)
        if (strcmp(identity->candidates[i], record->asked_id) == 0)
            return i + 1;
    return identity->candidate_count;
}

static void add_item(struct work *work, size_t entry, const struct paper_record *record,
                     const struct scholar_match *match)
{
    struct item *item = &work->items[work->item_count++];
    *item = (struct item){.entry = entry, .known = record != NULL};
    if (record)
        item->record = *record;
    if (match)
        item->match = *match;
    const char *title = item_identity(work, item)->title;
    item->matched =
        match && title && strcmp(match->query, title) == 0 && !is_stale(work, match->retrieved_at);
    item->candidate = first_candidate(work, item);
}

static bool is_wanted(const struct fetch_options *options, const char *key)
{
    bool wanted = !options->keys;
    for (size_t i = 0; i < options->key_count && !wanted; i++)
        wanted = strcmp(options->keys[i], key) == 0;
    return wanted;
}

static enum status prepare(struct work *work, struct error *error)
{
    struct paper_record *records;
    struct scholar_match *matches;
    size_t record_count, match_count;
    enum status status = identities_read(work->database, work->arena, &work->identities, error);
    if (!status)
        status = papers_read(work->database, work->arena, &records, &record_count, error);
    if (!status)
        status = matches_read(work->database, work->arena, &matches, &match_count, error);
    if (status)
        return status;
    work->items = arena_allocate(work->arena, (work->identities.count + 1) * sizeof *work->items);
    for (size_t i = 0; i < work->identities.count; i++) {
        const char *key = work->identities.entries[i].key;
        if (is_wanted(work->options, key))
            add_item(work, i, find_variant(key, records, record_count, sizeof *records),
                     find_variant(key, matches, match_count, sizeof *matches));
    }
    return STATUS_OK;
}

static struct work make_work(struct catalog *catalog, const struct fetch_options *options,
                             struct arena *arena, struct fetch_report *report)
{
    const struct scholar_clock *clock = options->clock ? options->clock : &system_clock;
    *report = (struct fetch_report){0};
    return (struct work){.options = options,
                         .clock = clock,
                         .database = catalog_database(catalog),
                         .arena = arena,
                         .report = report,
                         .started = clock->monotonic(clock->data)};
}

/* ---- the whole ---- */

static enum status open_client(struct work *work, struct error *error)
{
    const struct fetch_options *options = work->options;
    struct client_options wanted = {.database = work->database,
                                    .endpoint = options->endpoint,
                                    .key = options->key,
                                    .user_agent = options->user_agent,
                                    .interval = options->interval,
                                    .backoff = options->backoff,
                                    .timeout = options->timeout,
                                    .time = options->time,
                                    .clock = work->clock,
                                    .stop = options->stop,
                                    .tick = tick,
                                    .data = work};
    return client_open(&wanted, &work->client, error);
}

/* The papers that were found become known as entries of the catalogue. */
static void take_papers(struct work *work)
{
    for (size_t i = 0; i < work->item_count; i++)
        if (work->items[i].known)
            work->identities.entries[work->items[i].entry].paper_id = work->items[i].record.paper.id;
    identities_index(&work->identities, work->arena);
}

static enum status run_steps(struct work *work, struct error *error)
{
    enum status status = lookup_run(work, error);
    take_papers(work);
    if (!status)
        status = match_run(work, error);
    take_papers(work);
    if (!status)
        status = walk_relink(work, false, error);
    return status ? status : walk_run(work, error);
}

static void fill_report(struct work *work)
{
    struct fetch_report *report = work->report;
    report->variants = work->item_count;
    report->seconds = work->clock->monotonic(work->clock->data) - work->started;
    for (size_t i = 0; i < work->item_count; i++) {
        if (work->items[i].known)
            report->states[work->items[i].record.state]++;
        else
            report->unknown++;
    }
    if (work->client) {
        report->requests = client_counts(work->client).requests;
        report->repeats = client_counts(work->client).repeats;
    }
}

enum status fetch_run(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                      struct fetch_report *report, struct error *error)
{
    struct work work = make_work(catalog, options, arena, report);
    enum status status = prepare(&work, error);
    if (!status)
        status = open_client(&work, error);
    if (!status)
        status = run_steps(&work, error);
    fill_report(&work);
    client_close(work.client);
    return status;
}

enum status fetch_offline(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                          struct fetch_report *report, struct error *error)
{
    struct work work = make_work(catalog, options, arena, report);
    enum status status = prepare(&work, error);
    if (!status)
        status = walk_relink(&work, true, error);
    fill_report(&work);
    return status;
}

/* ---- the plan ---- */

static void add_request(struct work *work, struct planned_request **requests, size_t *count,
                        const char *variant, const char *request)
{
    *requests = arena_extend(work->arena, *requests, *count, sizeof **requests);
    (*requests)[(*count)++] = (struct planned_request){variant, request};
}

enum status fetch_plan(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                       struct planned_request **requests, size_t *count, struct error *error)
{
    struct fetch_report ignored;
    struct work work = make_work(catalog, options, arena, &ignored);
    enum status status = prepare(&work, error);
    size_t lookups = 0;
    *requests = NULL;
    *count = 0;
    for (size_t i = 0; i < work.item_count; i++)
        lookups += item_needs_lookup(&work, &work.items[i]);
    if (lookups)
        add_request(&work, requests, count, NULL,
                    arena_format(arena, "POST %s (%zu ids)", lookup_path(), lookups));
    for (size_t i = 0; i < work.item_count; i++) {
        const struct item *item = &work.items[i];
        const struct identity *identity = item_identity(&work, item);
        if (item_needs_match(&work, item))
            add_request(&work, requests, count, identity->key,
                        arena_format(arena, "GET %s", match_path(identity, arena)));
        else if (item_needs_lookup(&work, item) && !item->record.paper.id)
            add_request(&work, requests, count, identity->key,
                        arena_format(arena, "GET %s", walk_path("{paperId}", 0, arena)));
        else if (item_needs_walk(&work, item))
            add_request(&work, requests, count, identity->key,
                        arena_format(arena, "GET %s",
                                     walk_path(item->record.paper.id, walk_start(&item->record), arena)));
    }
    return status;
}
