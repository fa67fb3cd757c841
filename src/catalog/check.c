/* check.c: rules between the catalogue's files. */
#include "base/suggest.h"
#include "catalog/contents.h"
#include "catalog/rules.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* STATUS_OUTSIDE with file and JSON path before the message. */
__attribute__((format(printf, 5, 6))) static enum status entry_error(const struct contents *contents,
                                                                     size_t variant, const char *path,
                                                                     struct error *error, const char *format,
                                                                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_va(error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    return error_prefix(error, "%s: %s", contents->files[variant], path);
}

static enum status unknown_name(const struct contents *contents, size_t variant, const char *path,
                                const char *what, const char *wrong, const char *const *names, size_t count,
                                struct error *error)
{
    suggest_error(error, what, wrong, names, count);
    return entry_error(contents, variant, path, error, "%s", error->message);
}

static enum status check_variant_name(const struct contents *contents, size_t variant, const char *path,
                                      const char *key, struct error *error)
{
    if (contents_find(contents, key) >= 0)
        return STATUS_OK;
    return unknown_name(contents, variant, path, "variant", key, contents->keys, contents->variant_count,
                        error);
}

static enum status check_family(const struct contents *contents, size_t variant, struct error *error)
{
    const char *names[256], *family = contents->variants[variant].family;
    size_t count = contents->family_count < 256 ? contents->family_count : 256;
    for (size_t i = 0; i < count; i++)
        names[i] = contents->families[i].key;
    if (!family || word_known(&(struct words){names, count}, family))
        return STATUS_OK;
    return unknown_name(contents, variant, "family", "family", family, names, count, error);
}

static enum status check_kernels(const struct contents *contents, size_t variant, const char *const *names,
                                 struct error *error)
{
    const struct variant *entry = &contents->variants[variant];
    for (size_t i = 0; i < entry->layer_count; i++) {
        const struct layer *layer = &entry->layers[i];
        for (size_t j = 0; j < layer->slot_count; j++) {
            const struct slot_filling *slot = &layer->slots[j];
            if (!slot->kernel || word_known(&(struct words){names, contents->kernel_count}, slot->kernel))
                continue;
            char path[128];
            if (layer->name)
                snprintf(path, sizeof path, "composition.pattern[%zu].%s.kernel", i, slot->slot);
            else
                snprintf(path, sizeof path, "composition.%s.kernel", slot->slot);
            return unknown_name(contents, variant, path, "kernel", slot->kernel, names,
                                contents->kernel_count, error);
        }
    }
    return STATUS_OK;
}

static enum status check_names(const struct contents *contents, const char *const *kernels,
                               struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < contents->variant_count && !status; i++) {
        const struct variant *variant = &contents->variants[i];
        char path[64];
        status = check_family(contents, i, error);
        if (!status && kernels)
            status = check_kernels(contents, i, kernels, error);
        for (size_t j = 0; j < variant->parent_count && !status; j++) {
            snprintf(path, sizeof path, "parents[%zu].key", j);
            status = check_variant_name(contents, i, path, variant->parents[j].key, error);
        }
        for (size_t j = 0; j < variant->suite_count && !status; j++) {
            snprintf(path, sizeof path, "suite[%zu]", j);
            status = check_variant_name(contents, i, path, variant->suite[j], error);
        }
    }
    return status;
}

/* Something that only one entry may have: `path` is also its kind. */
struct claim {
    const char *path, *value;
    size_t variant;
};

static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    if (!order)
        order = strcasecmp(x->value, y->value); /* DOIs know no case; the others have one case each */
    return order ? order : (x->variant > y->variant) - (x->variant < y->variant);
}

struct claims {
    struct arena arena;
    struct claim *list;
    size_t count;
};

static void add_claim(struct claims *claims, const char *path, const char *value, size_t variant)
{
    if (!value)
        return;
    claims->list = arena_extend(&claims->arena, claims->list, claims->count, sizeof *claims->list);
    claims->list[claims->count++] = (struct claim){path, value, variant};
}

static void add_claims(struct claims *claims, const struct variant *variant, size_t index)
{
    add_claim(claims, "ids.s2", variant->s2, index);
    add_claim(claims, "ids.arxiv", variant->arxiv, index);
    add_claim(claims, "ids.doi", variant->doi, index);
    add_claim(claims, "ids.acl", variant->acl, index);
    for (size_t i = 0; i < variant->reference_count; i++)
        add_claim(claims, "references.set", variant->references[i].set, index);
    for (size_t i = 0; i < variant->seed_count; i++) {
        const struct seed_row *seed = &variant->seeds[i];
        const char *row = arena_format(&claims->arena, "%s %s %d", seed->list, seed->part, seed->number);
        add_claim(claims, "seeds", row, index);
    }
}

static enum status check_claims(const struct contents *contents, struct error *error)
{
    struct claims claims = {.arena = ARENA_INIT};
    for (size_t i = 0; i < contents->variant_count; i++)
        add_claims(&claims, &contents->variants[i], i);
    enum status status = STATUS_OK;
    if (claims.count)
        qsort(claims.list, claims.count, sizeof *claims.list, compare_claims);
    for (size_t i = 1; i < claims.count && !status; i++) {
        const struct claim *first = &claims.list[i - 1], *second = &claims.list[i];
        if (strcmp(first->path, second->path) == 0 && strcasecmp(first->value, second->value) == 0)
            status = entry_error(contents, second->variant, second->path, error,
                                 "'%s' is also in the entry of '%s'", second->value,
                                 contents->keys[first->variant]);
    }
    arena_release(&claims.arena);
    return status;
}

/* Reports the circle that is met by walking from `start` along unresolved parents, of which each node has
 * one. */
static enum status report_circle(const struct contents *contents, const size_t *unresolved, size_t start,
                                 struct error *error)
{
    for (size_t i = 0; i < contents->variant_count; i++) /* enough steps to be inside of it */
        start = unresolved[start];
    char path[512] = "";
    size_t used = 0, at = start;
    do {
        int length = snprintf(path + used, sizeof path - used, "%s < ", contents->keys[at]);
        used += (size_t)length < sizeof path - used ? (size_t)length : 0; /* a long circle is cut */
        at = unresolved[at];
    } while (at != start);
    path[used] = '\0';
    return entry_error(contents, start, "parents", error, "descent in a circle: %s%s", path,
                       contents->keys[start]);
}

/* Resolves variants all of whose parents are resolved until none is left; what remains hangs on a circle. */
static enum status check_circles(const struct contents *contents, struct error *error)
{
    size_t count = contents->variant_count, left = count, before;
    bool *resolved = memory_allocate_zero(count, sizeof *resolved);
    size_t *unresolved = memory_allocate_zero(count, sizeof *unresolved);
    do {
        before = left;
        for (size_t i = 0; i < count; i++) {
            const struct variant *variant = &contents->variants[i];
            size_t j = 0;
            while (!resolved[i] && j < variant->parent_count) {
                unresolved[i] = (size_t)contents_find(contents, variant->parents[j].key);
                if (!resolved[unresolved[i]])
                    break;
                j++;
            }
            if (!resolved[i] && j == variant->parent_count) {
                resolved[i] = true;
                left--;
            }
        }
    } while (left && left < before);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && left && !status; i++)
        if (!resolved[i])
            status = report_circle(contents, unresolved, i, error);
    free(resolved);
    free(unresolved);
    return status;
}

/* The program and the catalogue must agree on variants and characters. */
static enum status check_registry(const struct contents *contents, struct error *error)
{
    for (size_t i = 0; i < contents->kernel_count; i++) {
        const struct catalog_kernel *kernel = &contents->kernels[i];
        if (kernel->origin && contents_find(contents, kernel->origin) < 0)
            return error_set(error, STATUS_OUTSIDE,
                             "kernel '%s' names variant '%s', which the catalogue lacks", kernel->name,
                             kernel->origin);
        for (size_t j = 0; j < kernel->trait_count; j++) {
            const struct kernel_trait *trait = &kernel->traits[j];
            size_t k = 0;
            while (k < contents->state_count &&
                   (strcmp(contents->states[k].character, trait->character) != 0 ||
                    strcmp(contents->states[k].state, trait->state) != 0))
                k++;
            if (k == contents->state_count)
                return error_set(error, STATUS_OUTSIDE,
                                 "kernel '%s' has '%s' in state '%s', which characters.json lacks",
                                 kernel->name, trait->character, trait->state);
        }
    }
    return STATUS_OK;
}

enum status contents_check(const struct contents *contents, struct error *error)
{
    const char **kernels = NULL;
    if (contents->kernels) {
        kernels = memory_allocate(size_multiply(contents->kernel_count, sizeof *kernels));
        for (size_t i = 0; i < contents->kernel_count; i++)
            kernels[i] = contents->kernels[i].name;
    }
    enum status status = check_names(contents, kernels, error);
    free(kernels);
    if (!status)
        status = check_claims(contents, error);
    if (!status)
        status = check_circles(contents, error);
    if (!status)
        status = check_registry(contents, error);
    return status;
}
