#include "catalog/contents.h"
#include "catalog/entry.h"
#include <stdlib.h>
#include <string.h>

static int compare_variants(const void *a, const void *b)
{
    return strcmp(((const struct variant *)a)->key, ((const struct variant *)b)->key);
}

ptrdiff_t contents_find(const struct contents *contents, const char *key)
{
    if (!contents->variant_count)
        return -1;
    struct variant wanted = {.key = key};
    const struct variant *found = bsearch(&wanted, contents->variants, contents->variant_count,
                                          sizeof *contents->variants, compare_variants);
    return found ? found - contents->variants : -1;
}

static enum status read_variants(const struct source *source, struct arena *arena, struct contents *contents,
                                 struct error *error)
{
    size_t count = source->variant_count;
    contents->variants = arena_allocate(arena, size_multiply(count, sizeof *contents->variants));
    contents->files = arena_allocate(arena, size_multiply(count, sizeof *contents->files));
    contents->keys = arena_allocate(arena, size_multiply(count, sizeof *contents->keys));
    contents->variant_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct source_file *file = &source->variants[i];
        enum status status =
            entry_parse(file->path, file->data, file->length, arena, &contents->variants[i], error);
        if (status)
            return status;
    }
    /* "a-b.json" comes before "a.json", but "a" before "a-b" */
    if (count)
        qsort(contents->variants, count, sizeof *contents->variants, compare_variants);
    for (size_t i = 0; i < count; i++) {
        contents->keys[i] = contents->variants[i].key;
        contents->files[i] = arena_format(arena, "%s/variants/%s.json", source->directory, contents->keys[i]);
    }
    return STATUS_OK;
}

enum status contents_read(const struct source *source, const struct catalog_kernel *kernels,
                          size_t kernel_count, struct arena *arena, struct contents *contents,
                          struct error *error)
{
    *contents = (struct contents){.kernels = kernels, .kernel_count = kernel_count};
    enum status status = contents_read_families(&source->families, arena, contents, error);
    if (!status)
        status = contents_read_characters(&source->characters, arena, contents, error);
    if (!status)
        status = read_variants(source, arena, contents, error);
    if (!status)
        status = contents_read_suites(&source->suites, arena, contents, error);
    if (!status)
        status = contents_read_links(&source->citations, arena, contents, error);
    if (!status)
        status = contents_check(contents, error);
    return status;
}
