#include "scholar/identity.h"
#include "catalog/database.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct identity_key {
    const char *id;      /* "arxiv:2312.06635" and the like, in lower case; the service's own bare */
    size_t entry, place; /* of equal ones the first place wins */
};

/* arXiv gives its papers DOIs of its own: the same id in another coat. */
static const char arxiv_doi[] = "10.48550/arxiv.";

/* "ARXIV:2312.06635v2" without the version, which the service does not know. */
static const char *without_version(const char *arxiv, struct arena *arena)
{
    size_t length = strlen(arxiv), digits = length;
    while (digits > 0 && isdigit((unsigned char)arxiv[digits - 1]))
        digits--;
    bool version = digits < length && digits > 0 && arxiv[digits - 1] == 'v';
    return arena_format(arena, "%.*s", (int)(version ? digits - 1 : length), arxiv);
}

/* Ids are compared without case: that of DOIs and of the service's own is not promised. */
static const char *normal_id(const char *prefix, const char *id, struct arena *arena)
{
    if (strcmp(prefix, "DOI:") == 0 && strncasecmp(id, arxiv_doi, sizeof arxiv_doi - 1) == 0) {
        prefix = "ARXIV:";
        id += sizeof arxiv_doi - 1;
    }
    if (strcmp(prefix, "ARXIV:") == 0)
        id = without_version(id, arena);
    char *normal = arena_format(arena, "%s%s", prefix, id);
    for (char *at = normal; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return normal;
}

static void add_key(struct identities *identities, struct arena *arena, const char *prefix, const char *id,
                    size_t entry)
{
    if (!id)
        return;
    identities->keys = arena_extend(arena, identities->keys, identities->key_count, sizeof *identities->keys);
    identities->keys[identities->key_count] =
        (struct identity_key){normal_id(prefix, id, arena), entry, identities->key_count};
    identities->key_count++;
}

/* The ids that a person wrote, as the service is asked for them. */
static void make_candidates(struct identity *identity, struct arena *arena)
{
    static const char *const prefixes[CANDIDATES] = {"", "ARXIV:", "DOI:", "ACL:"};
    const char *const ids[CANDIDATES] = {identity->s2, identity->arxiv, identity->doi, identity->acl};
    identity->all_ids = "";
    for (size_t i = 0; i < CANDIDATES; i++) {
        if (!ids[i])
            continue;
        const char *candidate = arena_format(arena, "%s%s", prefixes[i], ids[i]);
        identity->all_ids = identity->candidate_count
                                ? arena_format(arena, "%s %s", identity->all_ids, candidate)
                                : candidate;
        identity->candidates[identity->candidate_count++] = candidate;
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct identity_key *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Sorts the keys and keeps the first of equal ones. */
static void sort_keys(struct identities *identities)
{
    size_t kept = 0;
    if (identities->key_count)
        qsort(identities->keys, identities->key_count, sizeof *identities->keys, compare_keys);
    for (size_t i = 0; i < identities->key_count; i++)
        if (kept == 0 || strcmp(identities->keys[kept - 1].id, identities->keys[i].id) != 0)
            identities->keys[kept++] = identities->keys[i];
    identities->key_count = kept;
}

static enum status read_entries(sqlite3 *database, struct arena *arena, struct identities *identities,
                                struct error *error)
{
    struct statement select = statement_start(
        database,
        "SELECT key, v.title, date, (SELECT name FROM author WHERE variant = key AND place = 0),"
        " s2, v.arxiv, v.doi, v.acl, paper_id, coalesce(v.year, 0)"
        " FROM variant AS v LEFT JOIN scholar_paper AS p ON p.variant = key ORDER BY key",
        error);
    while (statement_step(&select)) {
        identities->entries =
            arena_extend(arena, identities->entries, identities->count, sizeof *identities->entries);
        identities->entries[identities->count++] = (struct identity){
            .key = statement_text(&select, 0, arena),
            .title = statement_text(&select, 1, arena),
            .date = statement_text(&select, 2, arena),
            .author = statement_text(&select, 3, arena),
            .s2 = statement_text(&select, 4, arena),
            .arxiv = statement_text(&select, 5, arena),
            .doi = statement_text(&select, 6, arena),
            .acl = statement_text(&select, 7, arena),
            .paper_id = statement_text(&select, 8, arena),
            .year = (int)statement_integer(&select, 9),
        };
    }
    return statement_finish(&select);
}

static const char *list_ids(const struct identities *identities, struct arena *arena)
{
    char *list = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&list, &length);
    if (!stream)
        BUG("no stream in memory");
    for (size_t i = 0; i < identities->count; i++) {
        const struct identity *entry = &identities->entries[i];
        fprintf(stream, "%s: %s = %s\n", entry->key, entry->all_ids, entry->paper_id ? entry->paper_id : "");
    }
    fclose(stream);
    const char *copy = arena_copy_string(arena, list);
    free(list);
    return copy;
}

void identities_index(struct identities *identities, struct arena *arena)
{
    identities->keys = NULL;
    identities->key_count = 0;
    for (size_t i = 0; i < identities->count; i++) {
        const struct identity *entry = &identities->entries[i];
        add_key(identities, arena, "", entry->s2, i);
        add_key(identities, arena, "ARXIV:", entry->arxiv, i);
        add_key(identities, arena, "DOI:", entry->doi, i);
        add_key(identities, arena, "ACL:", entry->acl, i);
    }
    for (size_t i = 0; i < identities->count; i++) /* what a person wrote comes before what was answered */
        add_key(identities, arena, "", identities->entries[i].paper_id, i);
    sort_keys(identities);
    identities->ids = list_ids(identities, arena);
}

enum status identities_read(sqlite3 *database, struct arena *arena, struct identities *identities,
                            struct error *error)
{
    *identities = (struct identities){NULL};
    enum status status = read_entries(database, arena, identities, error);
    for (size_t i = 0; i < identities->count; i++)
        make_candidates(&identities->entries[i], arena);
    identities_index(identities, arena);
    return status;
}

static int compare_ids(const void *a, const void *b)
{
    const struct identity_key *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static ptrdiff_t find(const struct identities *identities, const char *prefix, const char *id)
{
    if (!id || identities->key_count == 0)
        return -1;
    struct arena arena = ARENA_INIT;
    const struct identity_key wanted = {.id = normal_id(prefix, id, &arena)};
    const struct identity_key *found =
        bsearch(&wanted, identities->keys, identities->key_count, sizeof wanted, compare_ids);
    arena_release(&arena);
    return found ? (ptrdiff_t)found->entry : -1;
}

ptrdiff_t identities_find(const struct identities *identities, const struct scholar_paper *paper)
{
    ptrdiff_t entry = find(identities, "", paper->id);
    if (entry < 0)
        entry = find(identities, "ARXIV:", paper->arxiv);
    if (entry < 0)
        entry = find(identities, "DOI:", paper->doi);
    if (entry < 0)
        entry = find(identities, "ACL:", paper->acl);
    return entry;
}

static int compare_entries(const void *a, const void *b)
{
    const struct identity *x = a, *y = b;
    return strcmp(x->key, y->key);
}

ptrdiff_t identities_find_key(const struct identities *identities, const char *key)
{
    const struct identity wanted = {.key = key};
    const struct identity *found =
        identities->count
            ? bsearch(&wanted, identities->entries, identities->count, sizeof wanted, compare_entries)
            : NULL;
    return found ? found - identities->entries : -1;
}
