#include "catalog/source.h"
#include "base/file.h"
#include "base/folder.h"
#include "catalog/entry.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGEST_LINKS = 256 << 20, /* bytes of citations.tsv: some millions of links */
    LARGEST_VOCABULARY = 1 << 20,
    MOST_VARIANTS = 1000000,
};

const char *source_locate(const char *wanted, struct arena *arena)
{
    static const struct data_folder folder = {"CLADE_CATALOG", CLADE_INSTALLED_CATALOG, CLADE_SOURCE_CATALOG,
                                              "families.json"};
    return data_folder_find(&folder, wanted, arena);
}

uint64_t fingerprint_mix(uint64_t fingerprint, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        fingerprint = (fingerprint ^ at[i]) * UINT64_C(0x100000001b3);
    for (size_t rest = length, i = 0; i < sizeof rest; i++, rest >>= 8) /* the length is the mark */
        fingerprint = (fingerprint ^ (rest & 0xff)) * UINT64_C(0x100000001b3);
    return fingerprint;
}

/* Reads one file into the arena. An absent optional file is no error. */
static enum status read_one(const char *directory, const char *name, size_t largest, bool optional,
                            struct arena *arena, struct source_file *file, struct error *error)
{
    char *path = path_join(directory, name), *data = NULL;
    file->path = arena_copy_string(arena, path);
    free(path);
    if (optional && access(file->path, F_OK) != 0)
        return STATUS_OK;
    enum status status = file_read(file->path, largest, &data, &file->length, error);
    if (status)
        return status;
    char *copy = arena_allocate(arena, file->length + 1);
    memcpy(copy, data, file->length + 1);
    free(data);
    file->data = copy;
    return STATUS_OK;
}

static enum status read_variants(const char *directory, struct arena *arena, struct source *source,
                                 struct error *error)
{
    char **names = NULL;
    size_t count = 0;
    enum status status = directory_list(directory, ".json", &names, &count, error);
    if (status)
        return status;
    if (count > MOST_VARIANTS)
        status = error_set(error, STATUS_OUTSIDE, "'%s' has more than %d entries", directory, MOST_VARIANTS);
    source->variants = arena_allocate(arena, size_multiply(count, sizeof *source->variants));
    for (size_t i = 0; i < count && !status; i++) {
        if (names[i][0] == '.')
            continue; /* an editor's */
        status = read_one(directory, names[i], ENTRY_LARGEST, false, arena,
                          &source->variants[source->variant_count++], error);
    }
    names_free(names, count);
    return status;
}

static void mix_file(struct source *source, const struct source_file *file)
{
    const char *name = strrchr(file->path, '/');
    name = name ? name + 1 : file->path;
    source->fingerprint = fingerprint_mix(source->fingerprint, name, strlen(name));
    source->fingerprint = fingerprint_mix(source->fingerprint, file->data, file->data ? file->length : 0);
}

enum status source_read(const char *directory, struct arena *arena, struct source *source,
                        struct error *error)
{
    *source = (struct source){.directory = directory, .fingerprint = FINGERPRINT_START};
    enum status status =
        read_one(directory, "families.json", LARGEST_VOCABULARY, false, arena, &source->families, error);
    if (!status)
        status = read_one(directory, "characters.json", LARGEST_VOCABULARY, true, arena, &source->characters,
                          error);
    if (!status)
        status = read_one(directory, "suites.json", LARGEST_VOCABULARY, true, arena, &source->suites, error);
    if (!status)
        status = read_one(directory, "citations.tsv", LARGEST_LINKS, true, arena, &source->citations, error);
    char *variants = path_join(directory, "variants");
    if (!status)
        status = read_variants(variants, arena, source, error);
    free(variants);
    if (status)
        return status;
    mix_file(source, &source->families);
    mix_file(source, &source->characters);
    mix_file(source, &source->suites);
    mix_file(source, &source->citations);
    for (size_t i = 0; i < source->variant_count; i++)
        mix_file(source, &source->variants[i]);
    return STATUS_OK;
}
