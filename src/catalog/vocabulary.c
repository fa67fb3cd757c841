/* vocabulary.c: families.json, characters.json and suites.json. */
#include "base/json.h"
#include "base/suggest.h"
#include "catalog/contents.h"
#include "catalog/reader.h"
#include <string.h>

enum { MOST_OBJECTS = 200 };

/* Each of the three files is an array of objects with a key that no other of them has; this walks it. */
struct walk {
    struct reader reader;
    struct json_at root;
    const struct words *fields;
    int count, index;
    const char **keys; /* of the objects so far */
    size_t key_count;
};

/* Moves to the next object and reads its key; false at the end and after a failure. */
static bool walk_next(struct walk *walk, struct json_at *at, const char **key)
{
    if (reader_failed(&walk->reader) || walk->index >= walk->count)
        return false;
    *at = json_element(&walk->root, walk->index++);
    reader_only(&walk->reader, at, walk->fields);
    *key = reader_required_form(&walk->reader, at, "key", FORM_KEY);
    if (!*key)
        return false;
    struct json_at key_at = json_member(at, "key");
    for (size_t i = 0; i < walk->key_count; i++)
        if (strcmp(walk->keys[i], *key) == 0)
            json_error(&key_at, walk->reader.error, "'%s' is listed twice", *key);
    walk->keys = arena_extend(walk->reader.arena, walk->keys, walk->key_count, sizeof *walk->keys);
    walk->keys[walk->key_count++] = *key;
    return !reader_failed(&walk->reader);
}

/* Opens a file for a walk. An absent file has nothing to walk over. */
static cJSON *walk_start(struct walk *walk, const struct source_file *file, const struct words *fields,
                         struct arena *arena, struct error *error)
{
    cJSON *document = NULL;
    error->status = STATUS_OK;
    *walk = (struct walk){.reader = {arena, error}, .fields = fields};
    if (!file->data || json_parse(file->path, file->data, file->length, &document, error))
        return NULL;
    walk->root = json_root(document, file->path);
    if (!json_array(&walk->root, &walk->count, error) && walk->count > MOST_OBJECTS)
        json_error(&walk->root, error, "expected at most %d elements, found %d", MOST_OBJECTS, walk->count);
    return document;
}

enum status contents_read_families(const struct source_file *file, struct arena *arena,
                                   struct contents *contents, struct error *error)
{
    static const char *const fields[] = {"key", "name", "colour", "about"};
    struct walk walk;
    struct json_at at;
    struct family family = {NULL};
    cJSON *document = walk_start(&walk, file, &(struct words){fields, 4}, arena, error);
    while (walk_next(&walk, &at, &family.key)) {
        family.name = reader_required(&walk.reader, &at, "name");
        family.colour = reader_required_form(&walk.reader, &at, "colour", FORM_COLOUR);
        family.about = reader_required(&walk.reader, &at, "about");
        contents->families = arena_extend(arena, contents->families, contents->family_count, sizeof family);
        contents->families[contents->family_count++] = family;
    }
    cJSON_Delete(document);
    return error->status;
}

/* The states of one character. */
static void read_states(struct walk *character, const struct json_at *at, struct character_state state,
                        struct contents *contents)
{
    static const char *const fields[] = {"key", "about"};
    struct reader *reader = &character->reader;
    struct walk walk = {.reader = *reader, .fields = &(struct words){fields, 2}};
    struct json_at state_at;
    walk.root = reader_array(reader, at, "states", &walk.count);
    if (!reader_failed(reader) && walk.count < 2)
        json_error(&walk.root, reader->error, "expected at least two states, found %d", walk.count);
    while (walk_next(&walk, &state_at, &state.state)) {
        state.state_about = reader_required(reader, &state_at, "about");
        contents->states = arena_extend(reader->arena, contents->states, contents->state_count, sizeof state);
        contents->states[contents->state_count++] = state;
    }
}

enum status contents_read_characters(const struct source_file *file, struct arena *arena,
                                     struct contents *contents, struct error *error)
{
    static const char *const fields[] = {"key", "about", "states"};
    struct walk walk;
    struct json_at at;
    struct character_state state = {NULL};
    cJSON *document = walk_start(&walk, file, &(struct words){fields, 3}, arena, error);
    while (walk_next(&walk, &at, &state.character)) {
        state.character_about = reader_required(&walk.reader, &at, "about");
        read_states(&walk, &at, state, contents);
    }
    cJSON_Delete(document);
    return error->status;
}

enum status contents_read_suites(const struct source_file *file, struct arena *arena,
                                 struct contents *contents, struct error *error)
{
    static const char *const fields[] = {"key", "about", "members"};
    struct walk walk;
    struct json_at at;
    struct suite suite = {NULL};
    cJSON *document = walk_start(&walk, file, &(struct words){fields, 3}, arena, error);
    while (walk_next(&walk, &at, &suite.key)) {
        struct json_at key = json_member(&at, "key"), members = json_member(&at, "members");
        reader_required(&walk.reader, &at, "about");
        suite.members = reader_strings(&walk.reader, &at, "members", FORM_KEY, &suite.member_count);
        if (!reader_failed(&walk.reader) && suite.member_count == 0)
            json_error(&members, error, "expected at least one variant");
        if (!reader_failed(&walk.reader) && contents_find(contents, suite.key) >= 0)
            json_error(&key, error, "'%s' is a variant; a suite needs a name of its own", suite.key);
        for (size_t i = 0; i < suite.member_count && !reader_failed(&walk.reader); i++) {
            struct json_at member = json_element(&members, (int)i);
            struct error reason = ERROR_INIT;
            if (contents_find(contents, suite.members[i]) >= 0)
                continue;
            suggest_error(&reason, "variant", suite.members[i], contents->keys, contents->variant_count);
            json_error(&member, error, "%s", reason.message);
        }
        contents->suites = arena_extend(arena, contents->suites, contents->suite_count, sizeof suite);
        contents->suites[contents->suite_count++] = suite;
    }
    cJSON_Delete(document);
    return error->status;
}
