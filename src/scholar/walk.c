/* walk.c: the references of each paper, page by page, and the links that follow from them. */
#include "catalog/database.h"
#include "scholar/work.h"
#include <string.h>

enum {
    PAGE = 1000,  /* references a page; the service gives no more */
    LIMIT = 9999, /* references that can be had of one paper */
    MOST_PAGES = 100,
};

/* The identity of a cited paper is looked for in its ids; the rest is for those who read the answers
 * themselves. */
const char *walk_path(const char *paper_id, int64_t offset, struct arena *arena)
{
    int64_t limit = LIMIT - offset < PAGE ? LIMIT - offset : PAGE;
    return arena_format(arena,
                        "/paper/%s/references?fields=contexts,intents,isInfluential,title,year,externalIds"
                        "&offset=%lld&limit=%lld",
                        paper_id, (long long)offset, (long long)limit);
}

int64_t walk_start(const struct paper_record *record)
{
    bool open = record->state == PAPER_PARTIAL || record->state == PAPER_FAILED;
    return open ? record->next_offset : 0;
}

struct step {
    const char *name;
    int64_t offset;
    struct arena arena;
    struct reference_page page;
};

static enum status read_body(void *context, const char *body, size_t length, struct error *error)
{
    struct step *step = context;
    return answer_references(step->name, body, length, step->offset, &step->arena, &step->page, error);
}

/* Where a paper stands once a page is here. `next` may lead past what the service gives. */
static void advance(struct paper_record *record, const struct step *step)
{
    const struct reference_page *page = &step->page;
    if (step->offset == 0)
        record->rows_received = 0;
    record->rows_received += (int64_t)page->count;
    record->next_offset = page->next > 0 ? page->next : 0;
    if (page->withheld)
        record->state = PAPER_ELIDED;
    else if (page->next >= LIMIT)
        record->state = PAPER_CAPPED;
    else if (page->next > 0)
        record->state = PAPER_PARTIAL;
    else
        record->state = record->rows_received ? PAPER_COMPLETE : PAPER_EMPTY;
}

/* The page, its links and the paper's new state, or nothing. */
static enum status store(struct work *work, struct item *item, const struct step *step, const char *path,
                         const struct scholar_response *response, bool stored, struct error *error)
{
    sqlite3 *database = work->database;
    struct paper_record record = item->record;
    record.retrieved_at = arena_copy_string(work->arena, response->retrieved_at);
    if (response->status == 404)
        record.state = PAPER_NOT_FOUND;
    else
        advance(&record, step);
    enum status status = database_begin(database, error);
    if (status)
        return status;
    if (!stored) {
        struct arena arena = ARENA_INIT;
        status = response_write(database, arena_format(&arena, "GET %s", path), response, error);
        arena_release(&arena);
    }
    if (!status && step->offset == 0)
        status = links_clear(database, record.variant, error);
    if (!status)
        status = links_add(database, &work->identities, item->entry, step->page.references, step->page.count,
                           record.retrieved_at, error);
    if (!status)
        status = paper_write(database, &record, error);
    status = database_end(database, status, error);
    if (!status)
        item->record = record;
    return status;
}

/* A paper that was whole before stays so, with what it has; another is marked, to be asked again. */
static enum status give_up(struct work *work, struct item *item, const char *reason, struct error *error)
{
    work_fail(work, item, reason);
    *error = (struct error)ERROR_INIT;
    if (item->record.state != PAPER_PARTIAL)
        return STATUS_OK;
    item->record.state = PAPER_FAILED;
    return paper_write(work->database, &item->record, error);
}

static enum status ask(struct work *work, struct item *item, struct step *step, struct error *error)
{
    struct scholar_response response;
    bool stored;
    step->name = step->offset ? arena_format(&step->arena, "references of '%s' after %lld",
                                             item->record.variant, (long long)step->offset)
                              : arena_format(&step->arena, "references of '%s'", item->record.variant);
    const char *path = walk_path(item->record.paper.id, step->offset, &step->arena);
    struct client_request request = {.name = step->name, .path = path, .read = read_body, .context = step};
    enum client_outcome outcome = work_ask(work, &request, &step->arena, &response, &stored, error);
    if (outcome == CLIENT_STOPPED)
        return error->status;
    if (outcome == CLIENT_ANSWERED && response.status != 400)
        return store(work, item, step, path, &response, stored, error);
    if (outcome == CLIENT_ANSWERED) {
        const char *message = answer_message(response.body, response.length, &step->arena);
        error_set(error, STATUS_OUTSIDE, "%s: HTTP 400: %s", step->name,
                  message ? message : "without a reason");
    }
    return give_up(work, item, error->message, error);
}

static enum status walk(struct work *work, struct item *item, struct error *error)
{
    int64_t offset = walk_start(&item->record);
    enum status status = STATUS_OK;
    for (int pages = 0; !status; pages++) {
        struct step step = {.offset = offset, .arena = ARENA_INIT};
        if (pages == MOST_PAGES)
            return give_up(work, item, "its references come in more pages than they can fill", error);
        status = ask(work, item, &step, error);
        arena_release(&step.arena);
        offset = item->record.next_offset;
        if (item->failed || item->record.state != PAPER_PARTIAL)
            break;
    }
    return status;
}

enum status walk_run(struct work *work, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < work->item_count && !status; i++)
        if (item_needs_walk(work, &work->items[i]))
            status = walk(work, &work->items[i], error);
    return status;
}

/* ---- links anew, from the stored pages ---- */

/* Of one paper; a page that is not stored leaves the paper's links as they are from there on. */
static enum status relink(struct work *work, const struct paper_record *record, size_t citing,
                          struct error *error)
{
    enum status status = STATUS_OK;
    bool found = true;
    for (int64_t offset = 0; offset >= 0 && offset < LIMIT && found && !status;) {
        struct step step = {.name = "stored answer", .offset = offset, .arena = ARENA_INIT};
        struct scholar_response response;
        const char *path = walk_path(record->paper.id, offset, &step.arena);
        status = response_read(work->database, arena_format(&step.arena, "GET %s", path), NULL, &step.arena,
                               &response, &found, error);
        found = found && !status && response.status == 200;
        if (found)
            status = read_body(&step, response.body, response.length, error);
        if (found && !status && offset == 0)
            status = links_clear(work->database, record->variant, error);
        if (found && !status)
            status = links_add(work->database, &work->identities, citing, step.page.references,
                               step.page.count, response.retrieved_at, error);
        offset = found && !status ? step.page.next : -1;
        arena_release(&step.arena);
    }
    return status;
}

static enum status relink_all(struct work *work, struct error *error)
{
    struct paper_record *records;
    size_t count;
    enum status status = papers_read(work->database, work->arena, &records, &count, error);
    for (size_t i = 0; i < count && !status; i++) {
        ptrdiff_t citing = identities_find_key(&work->identities, records[i].variant);
        if (citing >= 0 && records[i].paper.id)
            status = relink(work, &records[i], (size_t)citing, error);
    }
    if (status)
        return status;
    struct statement stamp = statement_start(
        work->database, "INSERT OR REPLACE INTO scholar_identities (only, ids) VALUES (1, ?1)", error);
    statement_bind_text(&stamp, 1, work->identities.ids);
    statement_run(&stamp);
    return statement_finish(&stamp);
}

static enum status are_current(struct work *work, bool *current, struct error *error)
{
    struct statement select = statement_start(work->database, "SELECT ids FROM scholar_identities", error);
    struct arena arena = ARENA_INIT;
    *current =
        statement_step(&select) && strcmp(statement_text(&select, 0, &arena), work->identities.ids) == 0;
    arena_release(&arena);
    return statement_finish(&select);
}

enum status walk_relink(struct work *work, bool always, struct error *error)
{
    bool current;
    enum status status = are_current(work, &current, error);
    if (status || (current && !always))
        return status;
    status = database_begin(work->database, error);
    if (status)
        return status;
    return database_end(work->database, relink_all(work, error), error);
}
