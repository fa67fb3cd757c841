#include "scholar/changes.h"
#include "catalog/database.h"
#include "scholar/identity.h"
#include "scholar/records.h"
#include "scholar/similarity.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const link_change_names[LINK_CHANGE_KINDS] = {"new", "gone", "changed"};
const char *const finding_names[FINDING_KINDS] = {"not-found", "merged", "shared",    "title",     "year",
                                                  "id",        "short",  "hand-link", "missing-id"};

static const double title_alike = 0.8; /* below, two titles are taken for different ones */

/* ---- before and after ---- */

enum status citation_state_read(struct catalog *catalog, struct arena *arena, struct citation_state *state,
                                struct error *error)
{
    struct paper_record *records = NULL;
    *state = (struct citation_state){NULL};
    enum status status = catalog_citations(catalog, NULL, arena, &state->links, &state->link_count, error);
    if (!status)
        status = papers_read(catalog_database(catalog), arena, &records, &state->count_count, error);
    if (status)
        return status;
    state->counts = arena_allocate(arena, (state->count_count + 1) * sizeof *state->counts);
    for (size_t i = 0; i < state->count_count; i++)
        state->counts[i] = (struct count_change){records[i].variant, -1, records[i].paper.citation_count};
    return STATUS_OK;
}

static int compare_ends(const struct citation_link *a, const struct citation_link *b)
{
    int order = strcmp(a->citing, b->citing);
    return order ? order : strcmp(a->cited, b->cited);
}

static void add_link_change(struct citation_changes *changes, struct arena *arena, enum link_change_kind kind,
                            const struct citation_link *before, const struct citation_link *after)
{
    struct link_change change = {.kind = kind};
    if (before)
        change.before = *before;
    if (after)
        change.after = *after;
    changes->links = arena_extend(arena, changes->links, changes->link_count, sizeof *changes->links);
    changes->links[changes->link_count++] = change;
    changes->of_kind[kind]++;
}

static void compare_links(const struct citation_state *before, const struct citation_state *after,
                          struct arena *arena, struct citation_changes *changes)
{
    for (size_t i = 0, j = 0; i < before->link_count || j < after->link_count;) {
        const struct citation_link *old = i < before->link_count ? &before->links[i] : NULL;
        const struct citation_link *new = j < after->link_count ? &after->links[j] : NULL;
        int order = !old ? 1 : !new ? -1 : compare_ends(old, new);
        if (order < 0)
            add_link_change(changes, arena, LINK_GONE, old, NULL);
        else if (order > 0)
            add_link_change(changes, arena, LINK_NEW, NULL, new);
        else if (old->intents != new->intents || old->influential != new->influential ||
                 old->contexts != new->contexts)
            add_link_change(changes, arena, LINK_CHANGED, old, new);
        i += order <= 0;
        j += order >= 0;
    }
}

static void compare_counts(const struct citation_state *before, const struct citation_state *after,
                           struct arena *arena, struct citation_changes *changes)
{
    for (size_t i = 0, j = 0; j < after->count_count; j++) {
        struct count_change change = after->counts[j];
        while (i < before->count_count && strcmp(before->counts[i].variant, change.variant) < 0)
            i++;
        if (i < before->count_count && strcmp(before->counts[i].variant, change.variant) == 0)
            change.before = before->counts[i].after;
        if (change.before < 0 || change.after < 0 || change.before == change.after)
            continue;
        changes->counts = arena_extend(arena, changes->counts, changes->count_count, sizeof change);
        changes->counts[changes->count_count++] = change;
    }
}

struct citation_changes citation_changes(const struct citation_state *before,
                                         const struct citation_state *after, struct arena *arena)
{
    struct citation_changes changes = {NULL};
    compare_links(before, after, arena, &changes);
    compare_counts(before, after, arena, &changes);
    return changes;
}

/* ---- against the catalogue ---- */

struct search {
    struct arena *arena;
    struct identities identities;
    struct finding *findings;
    size_t count;
    const struct identity *entry; /* the one that is looked at */
};

static void add(struct search *search, enum finding_kind kind, const char *message)
{
    search->findings = arena_extend(search->arena, search->findings, search->count, sizeof *search->findings);
    search->findings[search->count++] = (struct finding){search->entry->key, kind, message};
}

static void check_title(struct search *search, const struct scholar_paper *paper)
{
    const char *title = search->entry->title;
    if (title && paper->title && title_similarity(title, paper->title) < title_alike)
        add(search, FINDING_TITLE, arena_format(search->arena, "its title there is '%s'", paper->title));
}

static void check_year(struct search *search, const struct scholar_paper *paper)
{
    int year = search->entry->year, date = search->entry->date ? atoi(search->entry->date) : 0;
    bool known = paper->year && (year || date);
    if (known && abs(paper->year - year) > 1 && abs(paper->year - date) > 1)
        add(search, FINDING_YEAR,
            arena_format(search->arena, "its year there is %d, here %d", paper->year, year ? year : date));
}

static void check_id(struct search *search, const char *what, const char *here, const char *there)
{
    if (there && !here)
        add(search, FINDING_MISSING_ID, arena_format(search->arena, "its %s there is '%s'", what, there));
    else if (there && strcasecmp(here, there) != 0)
        add(search, FINDING_ID,
            arena_format(search->arena, "its %s there is '%s', here '%s'", what, there, here));
}

static void check_ids(struct search *search, const struct paper_record *record)
{
    const struct identity *entry = search->entry;
    const struct scholar_paper *paper = &record->paper;
    ptrdiff_t owner = identities_find(&search->identities, &(struct scholar_paper){.id = paper->id});
    if (owner >= 0 && &search->identities.entries[owner] != entry)
        add(search, FINDING_SHARED,
            arena_format(search->arena, "its paper there is that of '%s'",
                         search->identities.entries[owner].key));
    if (!entry->s2)
        add(search, FINDING_MISSING_ID, arena_format(search->arena, "its id there is '%s'", paper->id));
    else if (record->asked_id && strcasecmp(record->asked_id, entry->s2) == 0 &&
             strcasecmp(paper->id, entry->s2) != 0)
        add(search, FINDING_MERGED,
            arena_format(search->arena, "'%s' is answered by the record '%s'", entry->s2, paper->id));
    check_id(search, "arXiv id", entry->arxiv, paper->arxiv);
    /* the DOI that arXiv gives says no more than the arXiv id */
    bool own_doi = paper->doi && strncasecmp(paper->doi, "10.48550/arxiv.", 15) != 0;
    check_id(search, "DOI", entry->doi, own_doi ? paper->doi : NULL);
    check_id(search, "ACL Anthology id", entry->acl, paper->acl);
}

/* The two numbers differ by one or two for many papers. */
static void check_references(struct search *search, const struct paper_record *record)
{
    bool whole =
        record->state == PAPER_COMPLETE || record->state == PAPER_EMPTY || record->state == PAPER_CAPPED;
    int64_t promised = record->paper.reference_count, received = record->rows_received;
    if (whole && received + 2 + promised / 20 < promised)
        add(search, FINDING_SHORT,
            arena_format(search->arena, "%lld of %lld references came", (long long)received,
                         (long long)promised));
}

static void check_paper(struct search *search, const struct paper_record *record)
{
    if (record->state == PAPER_NOT_FOUND && !record->paper.id && search->entry->candidate_count)
        add(search, FINDING_NOT_FOUND,
            arena_format(search->arena, "no paper is known there by %s", search->entry->all_ids));
    if (!record->paper.id)
        return;
    check_ids(search, record);
    check_title(search, &record->paper);
    check_year(search, &record->paper);
    check_references(search, record);
}

static enum status check_hand_links(sqlite3 *database, struct search *search, struct error *error)
{
    struct statement select = statement_start(
        database,
        "SELECT citing, cited FROM snapshot_link AS s WHERE source = 'hand'"
        " AND EXISTS (SELECT 1 FROM scholar_paper WHERE variant = citing AND state = 'complete')"
        " AND NOT EXISTS (SELECT 1 FROM fetched_link AS l WHERE l.citing = s.citing AND l.cited = s.cited)",
        error);
    while (statement_step(&select)) {
        ptrdiff_t citing =
            identities_find_key(&search->identities, statement_text(&select, 0, search->arena));
        if (citing < 0)
            continue;
        search->entry = &search->identities.entries[citing];
        add(search, FINDING_HAND_LINK,
            arena_format(search->arena, "its list there lacks '%s', which is here by hand",
                         statement_text(&select, 1, search->arena)));
    }
    return statement_finish(&select);
}

static int compare_findings(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    int order = strcmp(x->variant, y->variant);
    if (!order)
        order = (int)x->kind - (int)y->kind;
    return order ? order : strcmp(x->message, y->message);
}

enum status findings_read(struct catalog *catalog, struct arena *arena, struct finding **findings,
                          size_t *count, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    struct search search = {.arena = arena};
    struct paper_record *records = NULL;
    size_t record_count = 0;
    enum status status = identities_read(database, arena, &search.identities, error);
    if (!status)
        status = papers_read(database, arena, &records, &record_count, error);
    for (size_t i = 0; i < record_count && !status; i++) {
        ptrdiff_t entry = identities_find_key(&search.identities, records[i].variant);
        if (entry < 0)
            continue;
        search.entry = &search.identities.entries[entry];
        check_paper(&search, &records[i]);
    }
    if (!status)
        status = check_hand_links(database, &search, error);
    if (search.count)
        qsort(search.findings, search.count, sizeof *search.findings, compare_findings);
    *findings = search.findings;
    *count = search.count;
    return status;
}
