#include "lineage/read.h"
#include "lineage/scanner.h"
#include <stdlib.h>
#include <string.h>

struct translation {
    const char *from, *to;
};

struct nexus {
    struct scanner scanner;
    const char **taxa;
    size_t taxon_count;
    bool numbers; /* some taxon is named like a number: then numbers are names, not places in the list */
    struct translation *translations;
    size_t translation_count;
};

/* ---- commands ---- */

static enum status skip_command(struct nexus *nexus)
{
    while (!scanner_is(&nexus->scanner, ';')) {
        if (nexus->scanner.token == TOKEN_END || nexus->scanner.token == TOKEN_BAD)
            return scanner_expected(&nexus->scanner, "';'");
        scanner_next(&nexus->scanner);
    }
    scanner_next(&nexus->scanner);
    return STATUS_OK;
}

/* The number that a label is, from 1; else 0. */
static size_t number_of(const char *label)
{
    size_t digits = strspn(label, "0123456789");
    return digits == 0 || digits > 7 || label[digits] ? 0 : (size_t)atoi(label);
}

static enum status read_taxa(struct nexus *nexus)
{
    struct arena *arena = nexus->scanner.arena;
    nexus->taxon_count = 0;
    nexus->numbers = false;
    while (scanner_next(&nexus->scanner), scanner_is_label(&nexus->scanner)) {
        if (nexus->taxon_count == MOST_TREE_NODES)
            return scanner_error(&nexus->scanner, nexus->scanner.start, "more than %d taxa", MOST_TREE_NODES);
        nexus->taxa = arena_extend(arena, nexus->taxa, nexus->taxon_count, sizeof *nexus->taxa);
        nexus->taxa[nexus->taxon_count] = scanner_label(&nexus->scanner);
        nexus->numbers = nexus->numbers || number_of(nexus->taxa[nexus->taxon_count]);
        nexus->taxon_count++;
    }
    return skip_command(nexus);
}

static int compare_translations(const void *a, const void *b)
{
    return strcmp(((const struct translation *)a)->from, ((const struct translation *)b)->from);
}

static enum status read_translations(struct nexus *nexus)
{
    struct arena *arena = nexus->scanner.arena;
    nexus->translation_count = 0;
    do {
        scanner_next(&nexus->scanner);
        if (scanner_is(&nexus->scanner, ';'))
            break; /* a comma may stand after the last */
        if (!scanner_is_label(&nexus->scanner))
            return scanner_expected(&nexus->scanner, "a name to translate");
        struct translation translation = {.from = scanner_label(&nexus->scanner)};
        scanner_next(&nexus->scanner);
        if (!scanner_is_label(&nexus->scanner))
            return scanner_expected(&nexus->scanner, "the name of a taxon");
        translation.to = scanner_label(&nexus->scanner);
        nexus->translations =
            arena_extend(arena, nexus->translations, nexus->translation_count, sizeof translation);
        nexus->translations[nexus->translation_count++] = translation;
        scanner_next(&nexus->scanner);
    } while (scanner_is(&nexus->scanner, ','));
    if (nexus->translation_count)
        qsort(nexus->translations, nexus->translation_count, sizeof *nexus->translations,
              compare_translations);
    return skip_command(nexus);
}

/* ---- trees ---- */

static const char *translate(const struct nexus *nexus, const char *label)
{
    struct translation wanted = {.from = label};
    const struct translation *found = nexus->translation_count
                                          ? bsearch(&wanted, nexus->translations, nexus->translation_count,
                                                    sizeof wanted, compare_translations)
                                          : NULL;
    if (found)
        return found->to;
    size_t number = number_of(label);
    return number && number <= nexus->taxon_count && !nexus->numbers ? nexus->taxa[number - 1] : label;
}

/* TREE * name = [&R] (...); the token is TREE. */
static enum status read_tree(struct nexus *nexus, struct tree *tree)
{
    scanner_next(&nexus->scanner);
    if (scanner_is(&nexus->scanner, '*'))
        scanner_next(&nexus->scanner);
    if (!scanner_is_label(&nexus->scanner))
        return scanner_expected(&nexus->scanner, "the name of a tree");
    scanner_next(&nexus->scanner);
    if (!scanner_is(&nexus->scanner, '='))
        return scanner_expected(&nexus->scanner, "'='");
    scanner_next(&nexus->scanner);
    enum status status = scanner_tree(&nexus->scanner, tree);
    for (size_t i = 0; !status && i < tree->count; i++)
        if (tree->nodes[i].name) {
            const char *name = translate(nexus, tree->nodes[i].name);
            tree->nodes[i].name = *name ? name : NULL;
        }
    return status;
}

/* Reads the block's commands up to END, or up to a tree. */
static enum status read_block(struct nexus *nexus, bool taxa, bool trees, struct tree *tree)
{
    enum status status = STATUS_OK;
    while (!status) {
        if (scanner_is_word(&nexus->scanner, "END") || scanner_is_word(&nexus->scanner, "ENDBLOCK"))
            return skip_command(nexus);
        if (trees && (scanner_is_word(&nexus->scanner, "TREE") || scanner_is_word(&nexus->scanner, "UTREE")))
            return read_tree(nexus, tree);
        if (trees && scanner_is_word(&nexus->scanner, "TRANSLATE"))
            status = read_translations(nexus);
        else if (taxa && scanner_is_word(&nexus->scanner, "TAXLABELS"))
            status = read_taxa(nexus);
        else
            status = skip_command(nexus);
    }
    return status;
}

static enum status read_file(struct nexus *nexus, struct tree *tree)
{
    enum status status = STATUS_OK;
    scanner_next(&nexus->scanner);
    if (!scanner_is_word(&nexus->scanner, "#NEXUS"))
        return scanner_expected(&nexus->scanner, "'#NEXUS'");
    scanner_next(&nexus->scanner);
    while (!status && tree->count == 0) {
        if (!scanner_is_word(&nexus->scanner, "BEGIN"))
            return scanner_expected(&nexus->scanner, "a block with a tree");
        scanner_next(&nexus->scanner);
        bool taxa = scanner_is_word(&nexus->scanner, "TAXA") || scanner_is_word(&nexus->scanner, "DATA") ||
                    scanner_is_word(&nexus->scanner, "CHARACTERS");
        bool trees = scanner_is_word(&nexus->scanner, "TREES");
        status = skip_command(nexus);
        if (!status)
            status = read_block(nexus, taxa, trees, tree);
    }
    return status;
}

enum status nexus_parse(const char *name, const char *data, size_t length, struct arena *arena,
                        struct tree *tree, struct error *error)
{
    struct nexus nexus = {.taxa = NULL};
    *tree = (struct tree){0};
    enum status status = scanner_init(&nexus.scanner, name, data, length, arena, error);
    if (!status)
        status = read_file(&nexus, tree);
    return status ? status : tree_link(tree, arena, error);
}
