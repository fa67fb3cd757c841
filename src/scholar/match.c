/* match.c: from the title of an entry that no id leads from to a paper, and whether to believe it. */
#include "catalog/database.h"
#include "scholar/similarity.h"
#include "scholar/work.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    YEARS_APART = 2 /* a preprint and its printing */
};

/* All but letters and digits escaped. */
static const char *escape(const char *text, struct arena *arena)
{
    size_t length = strlen(text), used = 0;
    char *escaped = arena_allocate(arena, 3 * length + 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        used += (size_t)snprintf(escaped + used, 4, byte < 0x80 && isalnum(byte) ? "%c" : "%%%02X", byte);
    }
    return escaped;
}

const char *match_path(const struct identity *identity, struct arena *arena)
{
    return arena_format(arena,
                        "/paper/search/match?query=%s"
                        "&fields=title,year,authors,externalIds,referenceCount,citationCount",
                        escape(identity->title, arena));
}

struct question {
    const char *name;
    struct arena arena;
    struct scholar_paper paper;
};

static enum status read_body(void *context, const char *body, size_t length, struct error *error)
{
    struct question *question = context;
    return answer_match(question->name, body, length, &question->arena, &question->paper, error);
}

/* Keeps what was answered. Without any paper the entry is not found. */
static enum status store(struct work *work, struct item *item, const char *request,
                         const struct scholar_match *match, const struct scholar_response *response,
                         bool stored, struct error *error)
{
    const struct identity *identity = item_identity(work, item);
    bool ids = identity->candidate_count > 0;
    struct paper_record record = {.variant = identity->key,
                                  .asked_id =
                                      ids ? identity->candidates[identity->candidate_count - 1] : NULL,
                                  .state = PAPER_NOT_FOUND,
                                  .paper = {.reference_count = -1, .citation_count = -1},
                                  .entry_ids = identity->all_ids,
                                  .looked_up_at = match->retrieved_at,
                                  .retrieved_at = match->retrieved_at};
    enum status status = database_begin(work->database, error);
    if (status)
        return status;
    if (!stored)
        status = response_write(work->database, request, response, error);
    if (!status)
        status = match_write(work->database, match, error);
    if (!status)
        status = paper_write(work->database, &record, error);
    status = database_end(work->database, status, error);
    if (!status) {
        item->record = record;
        item->known = item->matched = true;
        item->match = *match;
    }
    return status;
}

/* What a person said of the same paper before still holds. */
static struct scholar_match make_match(struct work *work, const struct item *item,
                                       const struct scholar_paper *paper, const char *retrieved_at)
{
    const struct identity *identity = item_identity(work, item);
    const char *judged = item->match.paper.id;
    bool same = judged && paper->id && strcmp(judged, paper->id) == 0;
    struct arena *arena = work->arena;
    struct scholar_match match = {.variant = identity->key,
                                  .query = identity->title,
                                  .paper = {.id = arena_copy_string(arena, paper->id),
                                            .title = arena_copy_string(arena, paper->title),
                                            .author = arena_copy_string(arena, paper->author),
                                            .year = paper->year,
                                            .reference_count = paper->reference_count,
                                            .citation_count = paper->citation_count},
                                  .verdict = same ? item->match.verdict : MATCH_PROPOSED,
                                  .retrieved_at = arena_copy_string(arena, retrieved_at)};
    match.similarity = paper->id && paper->title ? title_similarity(identity->title, paper->title) : 0;
    return match;
}

static enum status ask(struct work *work, struct item *item, struct question *question, struct error *error)
{
    const struct identity *identity = item_identity(work, item);
    struct scholar_response response;
    bool stored;
    question->name = arena_format(&question->arena, "title of '%s'", identity->key);
    question->paper = (struct scholar_paper){.reference_count = -1, .citation_count = -1};
    struct client_request request = {.name = question->name,
                                     .path = match_path(identity, &question->arena),
                                     .read = read_body,
                                     .context = question};
    enum client_outcome outcome = work_ask(work, &request, &question->arena, &response, &stored, error);
    if (outcome == CLIENT_STOPPED)
        return error->status;
    if (outcome == CLIENT_ANSWERED && response.status == 400) {
        const char *message = answer_message(response.body, response.length, &question->arena);
        outcome = CLIENT_FAILED;
        error_set(error, STATUS_OUTSIDE, "%s: HTTP 400: %s", question->name,
                  message ? message : "without a reason");
    }
    if (outcome == CLIENT_FAILED) {
        work_fail(work, item, error->message);
        *error = (struct error)ERROR_INIT;
        return STATUS_OK;
    }
    struct scholar_match match = make_match(work, item, &question->paper, response.retrieved_at);
    const char *key = arena_format(&question->arena, "GET %s", request.path);
    return store(work, item, key, &match, &response, stored, error);
}

/* ---- whether to believe it ---- */

static int year_of_date(const char *date)
{
    return date ? atoi(date) : 0;
}

static bool years_near(int a, int b)
{
    return a == 0 || b == 0 || abs(a - b) <= YEARS_APART;
}

/* The paper of another entry is not this one's. */
static bool belongs_to_another(const struct work *work, const struct item *item)
{
    ptrdiff_t owner = identities_find(&work->identities, &item->match.paper);
    return owner >= 0 && (size_t)owner != item->entry;
}

/* The service gives what is nearest, near or not: the title decides, and first author and year may not speak
 * against it. */
static bool is_likely(const struct work *work, const struct item *item)
{
    const struct identity *identity = item_identity(work, item);
    const struct scholar_paper *paper = &item->match.paper;
    return item->match.similarity >= work->options->threshold &&
           author_compatible(identity->author, paper->author) &&
           (years_near(identity->year, paper->year) ||
            years_near(year_of_date(identity->date), paper->year)) &&
           !belongs_to_another(work, item);
}

static enum status decide(struct work *work, struct item *item, enum match_verdict verdict,
                          struct error *error)
{
    struct scholar_match match = item->match;
    struct paper_record record = item->record;
    match.verdict = verdict;
    if (verdict == MATCH_ACCEPTED) {
        record.asked_id = NULL;
        record.state = PAPER_PARTIAL;
        record.next_offset = record.rows_received = 0;
        record.paper = match.paper;
    }
    enum status status = database_begin(work->database, error);
    if (status)
        return status;
    status = match_write(work->database, &match, error);
    if (!status && verdict == MATCH_ACCEPTED)
        status = paper_write(work->database, &record, error);
    status = database_end(work->database, status, error);
    if (!status) {
        item->match = match;
        item->record = record;
    }
    return status;
}

static void propose(struct work *work, const struct scholar_match *match)
{
    struct fetch_report *report = work->report;
    report->proposals =
        arena_extend(work->arena, report->proposals, report->proposal_count, sizeof *report->proposals);
    report->proposals[report->proposal_count++] = *match;
}

static enum status judge(struct work *work, struct item *item, struct error *error)
{
    const struct fetch_options *options = work->options;
    if (item->match.verdict == MATCH_ACCEPTED)
        return decide(work, item, MATCH_ACCEPTED, error);
    bool likely = is_likely(work, item);
    enum confirmation answer = likely && options->accept ? CONFIRM_YES : CONFIRM_LATER;
    if (likely && !options->accept && options->confirm)
        answer = options->confirm(options->data, &item->match, item_identity(work, item)->title);
    if (answer == CONFIRM_LATER) {
        propose(work, &item->match);
        return STATUS_OK;
    }
    return decide(work, item, answer == CONFIRM_YES ? MATCH_ACCEPTED : MATCH_REFUSED, error);
}

enum status match_run(struct work *work, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < work->item_count && !status; i++) {
        struct question question = {.arena = ARENA_INIT};
        if (item_needs_match(work, &work->items[i]))
            status = ask(work, &work->items[i], &question, error);
        arena_release(&question.arena);
    }
    for (size_t i = 0; i < work->item_count && !status; i++) {
        struct item *item = &work->items[i];
        if (item->matched && item->match.paper.id && item->match.verdict != MATCH_REFUSED &&
            !item->record.paper.id)
            status = judge(work, item, error);
    }
    return status;
}
