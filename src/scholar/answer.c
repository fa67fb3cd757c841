#include "scholar/answer.h"
#include "base/json.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "scholar/mend.h"
#include <ctype.h>
#include <string.h>

enum {
    LONGEST_ID = 128,
    LONGEST_MESSAGE = 300,
    LARGEST_MENDED =
        32 << 20, /* bytes; bodies are smaller (transport.h) and mending adds two to some numbers */
    LARGEST_OFFSET = 1000000,
    LARGEST_COUNT = 1000000000,
    MOST_CONTEXTS = 100000, /* more are not counted */
};

static enum status parse(const char *name, const char *body, size_t length, cJSON **document,
                         struct error *error)
{
    struct text mended;
    text_init(&mended, LARGEST_MENDED);
    json_mend(body, length, &mended);
    enum status status =
        mended.failed ? error_set(error, STATUS_OUTSIDE, "%s: larger than %d bytes", name, LARGEST_MENDED)
                      : json_parse(name, text_string(&mended), mended.length, document, error);
    text_release(&mended);
    return status;
}

/* ---- values that may be anything ---- */

static const char *text_of(const cJSON *object, const char *name, struct arena *arena)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(value) && value->valuestring[0] ? arena_copy_string(arena, value->valuestring)
                                                          : NULL;
}

static int64_t count_of(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    bool valid = cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= LARGEST_COUNT;
    return valid ? (int64_t)value->valuedouble : -1;
}

bool scholar_id_valid(const char *id)
{
    size_t length = strlen(id);
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)id[i]) || strchr("/?#%\\\"", id[i]))
            return false;
    return length > 0 && length <= LONGEST_ID && id[0] != '.';
}

/* The letter case of an id is not promised. */
static const char *id_of(const cJSON *object, struct arena *arena)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "paperId");
    if (!cJSON_IsString(value) || !scholar_id_valid(value->valuestring))
        return NULL;
    char *id = arena_copy_string(arena, value->valuestring);
    for (char *at = id; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return id;
}

static struct scholar_paper paper_of(const cJSON *object, struct arena *arena)
{
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(object, "externalIds");
    const cJSON *authors = cJSON_GetObjectItemCaseSensitive(object, "authors");
    const cJSON *first = cJSON_IsArray(authors) ? authors->child : NULL;
    int64_t year = count_of(object, "year");
    return (struct scholar_paper){
        .id = id_of(object, arena),
        .title = text_of(object, "title", arena),
        .author = text_of(first, "name", arena),
        .year = year > 0 && year < 3000 ? (int)year : 0,
        .reference_count = count_of(object, "referenceCount"),
        .citation_count = count_of(object, "citationCount"),
        .arxiv = text_of(ids, "ArXiv", arena),
        .doi = text_of(ids, "DOI", arena),
        .acl = text_of(ids, "ACL", arena),
    };
}

static int contexts_of(const cJSON *edge)
{
    const cJSON *contexts = cJSON_GetObjectItemCaseSensitive(edge, "contexts");
    int count = cJSON_IsArray(contexts) ? cJSON_GetArraySize(contexts) : -1;
    return count < MOST_CONTEXTS ? count : MOST_CONTEXTS;
}

static unsigned intents_of(const cJSON *edge)
{
    const cJSON *intents = cJSON_GetObjectItemCaseSensitive(edge, "intents"), *intent;
    unsigned set = 0;
    if (!cJSON_IsArray(intents))
        return 0;
    cJSON_ArrayForEach(intent, intents)
    {
        const char *name = cJSON_IsString(intent) ? intent->valuestring : "";
        if (strcmp(name, "methodology") == 0)
            set |= INTENT_METHODOLOGY;
        else if (strcmp(name, "background") == 0)
            set |= INTENT_BACKGROUND;
        else if (strcmp(name, "result") == 0)
            set |= INTENT_RESULT;
    }
    return set;
}

static int influential_of(const cJSON *edge)
{
    const cJSON *flag = cJSON_GetObjectItemCaseSensitive(edge, "isInfluential");
    return cJSON_IsBool(flag) ? cJSON_IsTrue(flag) : -1;
}

/* ---- answers ---- */

static enum status read_batch(const struct json_at *root, size_t count, struct arena *arena,
                              struct scholar_paper *papers, struct error *error)
{
    int found;
    enum status status = json_array(root, &found, error);
    if (status)
        return status;
    if ((size_t)found != count)
        return json_error(root, error, "expected %zu papers, found %d", count, found);
    const cJSON *element;
    cJSON_ArrayForEach(element, root->value)
    {
        if (!cJSON_IsNull(element) && !cJSON_IsObject(element))
            return json_error(root, error, "expected papers or nulls");
        *papers++ = paper_of(element, arena);
    }
    return STATUS_OK;
}

enum status answer_batch(const char *name, const char *body, size_t length, size_t count, struct arena *arena,
                         struct scholar_paper *papers, struct error *error)
{
    cJSON *document;
    enum status status = parse(name, body, length, &document, error);
    if (status)
        return status;
    struct json_at root = json_root(document, name);
    status = read_batch(&root, count, arena, papers, error);
    cJSON_Delete(document);
    return status;
}

/* An absent or null `next` ends the list. Another one must lead forward, or the walk would never end. */
static enum status read_next(const struct json_at *root, int64_t offset, int64_t *next, struct error *error)
{
    struct json_at at = json_member(root, "next");
    *next = -1;
    return json_absent(&at) ? STATUS_OK : json_integer(&at, offset + 1, LARGEST_OFFSET, next, error);
}

static enum status read_references(const struct json_at *root, int64_t offset, struct arena *arena,
                                   struct reference_page *page, struct error *error)
{
    struct json_at data = json_member(root, "data");
    int count;
    enum status status = json_object(root, error);
    if (status)
        return status;
    page->withheld = data.value && cJSON_IsNull(data.value);
    page->next = -1;
    if (page->withheld)
        return STATUS_OK;
    status = json_array(&data, &count, error);
    if (!status)
        status = read_next(root, offset, &page->next, error);
    if (status)
        return status;
    page->references = arena_allocate(arena, size_multiply((size_t)count + 1, sizeof *page->references));
    const cJSON *row;
    cJSON_ArrayForEach(row, data.value)
    {
        const cJSON *cited = cJSON_GetObjectItemCaseSensitive(row, "citedPaper");
        if ((!cJSON_IsObject(row) && !cJSON_IsNull(row)) ||
            (cited && !cJSON_IsObject(cited) && !cJSON_IsNull(cited)))
            return json_error(&data, error, "expected rows with a 'citedPaper'");
        page->references[page->count++] = (struct scholar_reference){
            .paper = paper_of(cited, arena),
            .intents = intents_of(row),
            .influential = influential_of(row),
            .contexts = contexts_of(row),
        };
    }
    return STATUS_OK;
}

enum status answer_references(const char *name, const char *body, size_t length, int64_t offset,
                              struct arena *arena, struct reference_page *page, struct error *error)
{
    cJSON *document;
    *page = (struct reference_page){NULL};
    enum status status = parse(name, body, length, &document, error);
    if (status)
        return status;
    struct json_at root = json_root(document, name);
    status = read_references(&root, offset, arena, page, error);
    cJSON_Delete(document);
    return status;
}

enum status answer_match(const char *name, const char *body, size_t length, struct arena *arena,
                         struct scholar_paper *paper, struct error *error)
{
    cJSON *document;
    int count;
    enum status status = parse(name, body, length, &document, error);
    if (status)
        return status;
    struct json_at root = json_root(document, name);
    struct json_at data = json_member(&root, "data");
    status = json_object(&root, error);
    if (!status)
        status = json_array(&data, &count, error);
    if (!status && count > 0 && !cJSON_IsObject(data.value->child))
        status = json_error(&data, error, "expected a paper");
    if (!status)
        *paper = paper_of(data.value->child, arena);
    cJSON_Delete(document);
    return status;
}

const char *answer_message(const char *body, size_t length, struct arena *arena)
{
    struct error ignored = ERROR_INIT;
    cJSON *document;
    if (parse("answer", body, length, &document, &ignored))
        return NULL;
    const char *message = text_of(document, "error", arena);
    if (!message)
        message = text_of(document, "message", arena);
    cJSON_Delete(document);
    if (!message)
        return NULL;
    char *line = arena_format(arena, "%.*s", LONGEST_MESSAGE, message);
    line[utf8_prefix(line, strlen(line))] = '\0';
    for (char *at = line; *at; at++)
        if (iscntrl((unsigned char)*at))
            *at = ' ';
    return line;
}
