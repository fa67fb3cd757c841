#include "server/site.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says that a folder is ours, and which files in it are. */
#define MANIFEST "clade-site.json"
enum { LARGEST_FILE = 256 << 20 };

struct site {
    struct resources *resources;
    const char *folder;
    struct arena arena;
    const char **files; /* that this site has */
    size_t file_count;
    const char **old; /* that the one before had */
    size_t old_count;
    struct text offline;
    struct error *error;
};

static const char *place(struct site *site, const char *name)
{
    return arena_format(&site->arena, "%s/%s", site->folder, name);
}

/* Names in a manifest are somebody else's text until they are looked at. */
static bool is_inside(struct site *site, const char *name)
{
    struct target target;
    const char *path = arena_format(&site->arena, "/%s", name);
    return !strpbrk(name, "%?+") && target_parse(path, strlen(path), &site->arena, &target) == NULL &&
           target.segment_count > 0;
}

static enum status read_manifest(struct site *site)
{
    cJSON *document, *name;
    enum status status = json_parse_file(place(site, MANIFEST), LARGEST_FILE, &document, site->error);
    if (status)
        return status;
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(document, "files"))
    {
        const char *text = cJSON_GetStringValue(name);
        if (!text || !is_inside(site, text))
            continue;
        site->old = arena_extend(&site->arena, site->old, site->old_count, sizeof *site->old);
        site->old[site->old_count++] = arena_copy_string(&site->arena, text);
    }
    cJSON_Delete(document);
    return STATUS_OK;
}

/* Makes the folder, or sees that it is ours to write in. */
static enum status claim_folder(struct site *site)
{
    char **names;
    size_t count;
    if (access(place(site, MANIFEST), F_OK) == 0)
        return read_manifest(site);
    enum status status = directory_create(site->folder, site->error);
    if (!status)
        status = directory_list(site->folder, "", &names, &count, site->error);
    if (status)
        return status;
    names_free(names, count);
    if (count)
        return error_set(site->error, STATUS_USAGE,
                         "'%.200s' is not empty and no site of clade's: name a new folder", site->folder);
    return STATUS_OK;
}

static enum status write_file(struct site *site, const char *name, const char *body, size_t length)
{
    const char *path = place(site, name);
    struct error ignored = ERROR_INIT;
    char *data = NULL;
    size_t old_length;
    bool same = access(path, F_OK) == 0 && !file_read(path, LARGEST_FILE, &data, &old_length, &ignored) &&
                old_length == length && memcmp(data, body, length) == 0;
    free(data);
    if (same)
        return STATUS_OK;
    const char *slash = strrchr(path, '/');
    enum status status =
        directory_create(arena_format(&site->arena, "%.*s", (int)(slash - path), path), site->error);
    return status ? status : file_write(path, body, length, site->error);
}

static enum status write_manifest(struct site *site, bool with_old)
{
    struct text text;
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "made_by", "clade site");
    json_set_texts(document, "files", site->files, site->file_count);
    for (size_t i = 0; with_old && i < site->old_count; i++)
        cJSON_AddItemToArray(cJSON_GetObjectItem(document, "files"), cJSON_CreateString(site->old[i]));
    text_init(&text, LARGEST_FILE);
    enum status status = json_print(document, &text, site->error);
    if (!status)
        status = write_file(site, MANIFEST, text_string(&text), text.length);
    text_release(&text);
    cJSON_Delete(document);
    return status;
}

/* JSON is JavaScript; a picture becomes a string. */
static enum status add_offline(struct site *site, const char *path, const struct resource *resource)
{
    if (strncmp(path, "api/", 4) != 0 || strncmp(path, "api/lineage/", 12) == 0 ||
        strncmp(path, "api/kernels/", 12) == 0)
        return STATUS_OK; /* the page does without */
    text_format(&site->offline, "\"%s\":", path);
    enum status status = STATUS_OK;
    cJSON *value = NULL;
    if (strcmp(resource->type, "application/json") == 0)
        status = json_parse(path, resource->body, resource->length, &value, site->error);
    else
        value = cJSON_CreateString(resource->body);
    char *line = status ? NULL : cJSON_PrintUnformatted(value);
    if (line)
        text_append(&site->offline, line);
    text_append(&site->offline, ",\n");
    cJSON_free(line);
    cJSON_Delete(value);
    return status;
}

static enum status write_path(struct site *site, const char *path)
{
    struct arena arena = ARENA_INIT;
    struct target target;
    struct resource resource;
    const char *whole = arena_format(&arena, "/%s", path);
    if (target_parse(whole, strlen(whole), &arena, &target))
        BUG("a path of our own is refused: %s", path);
    enum status status = resources_get(site->resources, &target, &arena, &resource, site->error);
    if (!status)
        status = add_offline(site, path, &resource);
    if (!status)
        status = write_file(site, path, resource.body, resource.length);
    arena_release(&arena);
    return status;
}

static bool is_listed(const struct site *site, const char *name)
{
    for (size_t i = 0; i < site->file_count; i++)
        if (strcmp(site->files[i], name) == 0)
            return true;
    return false;
}

static enum status write_all(struct site *site)
{
    enum status status = write_manifest(site, true); /* a site that is cut off is ours too */
    text_append(&site->offline, "window.cladeOffline = {\n");
    for (size_t i = 0; i + 1 < site->file_count && !status; i++) {
        status = write_path(site, site->files[i]);
        if (status == STATUS_NO) { /* a tree that cannot be made of this catalogue */
            *site->error = (struct error)ERROR_INIT;
            status = STATUS_OK;
        }
    }
    text_append(&site->offline, "};\n");
    if (!status && site->offline.failed)
        status = error_set(site->error, STATUS_OUTSIDE, "the site is too large");
    if (!status)
        status = write_file(site, "offline.js", text_string(&site->offline), site->offline.length);
    for (size_t i = 0; i < site->old_count && !status; i++)
        if (!is_listed(site, site->old[i]))
            unlink(place(site, site->old[i]));
    return status ? status : write_manifest(site, false);
}

enum status site_write(struct resources *resources, const char *folder, size_t *files, struct error *error)
{
    struct site site = {.resources = resources, .folder = folder, .error = error};
    text_init(&site.offline, LARGEST_FILE);
    enum status status = claim_folder(&site);
    if (!status)
        status = resources_paths(resources, &site.arena, &site.files, &site.file_count, error);
    if (!status) {
        site.files = arena_extend(&site.arena, site.files, site.file_count, sizeof *site.files);
        site.files[site.file_count++] = "offline.js";
        status = write_all(&site);
    }
    *files = site.file_count;
    text_release(&site.offline);
    arena_release(&site.arena);
    return status;
}
