/* lookup.c: from the ids of entries to papers, many in one request. */
#include "base/json.h"
#include "catalog/database.h"
#include "scholar/work.h"
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 500 /* ids of one request; the service takes no more */
};

const char *lookup_path(void)
{
    return "/paper/batch?fields=title,year,externalIds,referenceCount,citationCount";
}

struct batch {
    struct item *items[BATCH];
    struct scholar_paper papers[BATCH]; /* the answer */
    size_t count;
    struct arena arena;
    const char *name;
};

static const char *asked_id(const struct work *work, const struct item *item)
{
    return item_identity(work, item)->candidates[item->candidate];
}

static void fill(struct work *work, struct batch *batch)
{
    for (size_t i = 0; i < work->item_count && batch->count < BATCH; i++) {
        struct item *item = &work->items[i];
        if (!item->failed && item->candidate < item_identity(work, item)->candidate_count)
            batch->items[batch->count++] = item;
    }
    batch->name = arena_format(&batch->arena, "look-up of %zu ids", batch->count);
}

static const char *make_body(const struct work *work, struct batch *batch, struct error *error)
{
    cJSON *document = cJSON_CreateObject(), *ids = cJSON_AddArrayToObject(document, "ids");
    for (size_t i = 0; i < batch->count; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateString(asked_id(work, batch->items[i])));
    struct text text;
    text_init(&text, 1 << 20);
    const char *body =
        json_print_line(document, &text, error) ? NULL : arena_copy_string(&batch->arena, text.data);
    text_release(&text);
    cJSON_Delete(document);
    return body;
}

static enum status read_body(void *context, const char *body, size_t length, struct error *error)
{
    struct batch *batch = context;
    return answer_batch(batch->name, body, length, batch->count, &batch->arena, batch->papers, error);
}

static bool is_finished(enum paper_state state)
{
    return state != PAPER_PARTIAL && state != PAPER_FAILED && state != PAPER_NOT_FOUND;
}

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* What is known of the paper now; how far its references have come stays if it is the paper that it was. */
static struct paper_record make_record(const struct work *work, const struct item *item,
                                       const struct scholar_paper *paper, const char *now)
{
    bool same = item->known && is_finished(item->record.state) && same_text(item->record.paper.id, paper->id);
    struct paper_record record = {.state = paper->id ? PAPER_PARTIAL : PAPER_NOT_FOUND, .retrieved_at = now};
    if (same)
        record = item->record;
    record.variant = item_identity(work, item)->key;
    record.asked_id = asked_id(work, item);
    record.paper = *paper;
    record.entry_ids = item_identity(work, item)->all_ids;
    record.looked_up_at = now;
    return record;
}

/* The answer's text lives in the batch's arena: the record that stays with the item needs its own. */
static void keep_record(struct work *work, struct item *item, const struct paper_record *record)
{
    struct arena *arena = work->arena;
    item->record = *record;
    item->record.paper = (struct scholar_paper){
        .id = arena_copy_string(arena, record->paper.id),
        .title = arena_copy_string(arena, record->paper.title),
        .year = record->paper.year,
        .reference_count = record->paper.reference_count,
        .citation_count = record->paper.citation_count,
        .arxiv = arena_copy_string(arena, record->paper.arxiv),
        .doi = arena_copy_string(arena, record->paper.doi),
        .acl = arena_copy_string(arena, record->paper.acl),
    };
    item->record.retrieved_at = arena_copy_string(arena, record->retrieved_at);
    item->record.looked_up_at = arena_copy_string(arena, record->looked_up_at);
    item->known = true;
    size_t all = item_identity(work, item)->candidate_count;
    item->candidate = record->paper.id ? all : item->candidate + 1;
}

static enum status store(struct work *work, struct batch *batch, const char *body,
                         const struct client_answer *answer, struct error *error)
{
    const char *now = work_now(work, &batch->arena);
    const char *request = arena_format(&batch->arena, "POST %s %s", lookup_path(), body);
    struct paper_record *records = arena_allocate(&batch->arena, BATCH * sizeof *records);
    enum status status = database_begin(work->database, error);
    if (status)
        return status;
    status =
        response_write(work->database, request,
                       &(struct scholar_response){answer->status, answer->body, answer->length, now}, error);
    for (size_t i = 0; i < batch->count && !status; i++) {
        records[i] = make_record(work, batch->items[i], &batch->papers[i], now);
        status = paper_write(work->database, &records[i], error);
    }
    status = database_end(work->database, status, error);
    for (size_t i = 0; i < batch->count && !status; i++)
        keep_record(work, batch->items[i], &records[i]);
    return status;
}

/* A body that says that none of the ids is known comes with status 400; any other 400 is a failure. */
static bool knows_none(const struct client_answer *answer, struct arena *arena, const char **message)
{
    *message = answer_message(answer->body, answer->length, arena);
    return answer->status == 400 && *message && strstr(*message, "No valid paper ids");
}

static enum status ask(struct work *work, struct batch *batch, struct error *error)
{
    struct client_answer answer;
    const char *body = make_body(work, batch, error), *message;
    if (!body)
        return error->status;
    struct client_request request = {
        .name = batch->name, .path = lookup_path(), .json = body, .read = read_body, .context = batch};
    work_show(work, batch->name);
    enum client_outcome outcome = client_ask(work->client, &request, &answer, error);
    work->progress.done++;
    if (outcome == CLIENT_STOPPED)
        return error->status;
    if (outcome == CLIENT_ANSWERED && answer.status != 200) {
        if (knows_none(&answer, &batch->arena, &message)) {
            memset(batch->papers, 0, sizeof batch->papers);
            for (size_t i = 0; i < batch->count; i++)
                batch->papers[i].reference_count = batch->papers[i].citation_count = -1;
        } else {
            outcome = CLIENT_FAILED;
            error_set(error, STATUS_OUTSIDE, "%s: HTTP %d: %s", batch->name, answer.status,
                      message ? message : "without a reason");
        }
    }
    if (outcome == CLIENT_ANSWERED)
        return store(work, batch, body, &answer, error);
    for (size_t i = 0; i < batch->count; i++)
        work_fail(work, batch->items[i], error->message);
    *error = (struct error)ERROR_INIT;
    return STATUS_OK;
}

enum status lookup_run(struct work *work, struct error *error)
{
    enum status status = STATUS_OK;
    for (bool more = true; more && !status;) {
        struct batch *batch = memory_allocate_zero(1, sizeof *batch);
        fill(work, batch);
        more = batch->count > 0;
        if (more)
            status = ask(work, batch, error);
        arena_release(&batch->arena);
        free(batch);
    }
    return status;
}
