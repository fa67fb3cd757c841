/* bib.c: `clade bib`. */
#include "base/fields.h"
#include "cli/bibtex.h"
#include "cli/cli.h"
#include "cli/output.h"
#include <stdio.h>
#include <string.h>

enum {
    LARGEST_ENTRY = 1 << 20 /* bytes */
};

struct entry {
    const char *key, *name, *text;
};

/* The nth of several works with the same name is told apart by a letter, as usual: yang2023gated,
 * yang2023gateda. */
static const char *distinct_name(const struct entry *entries, size_t count, const char *name,
                                 struct arena *arena)
{
    const char *wanted = name;
    for (size_t i = 0, letter = 0; i < count; i++)
        if (strcmp(entries[i].name, wanted) == 0) {
            wanted = arena_format(arena, "%s%c", name, (int)('a' + letter % 26));
            letter++;
            i = (size_t)-1; /* the new one from the start */
        }
    return wanted;
}

static enum status read_entries(struct command_line *line, struct entry *entries, size_t *count,
                                struct error *error)
{
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    for (size_t i = 0; i < line->operand_count && !status; i++) {
        struct variant_card card;
        bool again = false;
        for (size_t j = 0; j < *count; j++)
            again = again || strcmp(entries[j].key, line->operands[i]) == 0;
        if (again)
            continue;
        status = catalog_card(catalog, line->operands[i], &line->arena, &card, error);
        if (status)
            break;
        struct entry *entry = &entries[*count];
        struct text text;
        text_init(&text, LARGEST_ENTRY);
        entry->key = card.variant.key;
        entry->name = distinct_name(entries, *count, bibtex_name(&card.variant, &line->arena), &line->arena);
        bibtex_entry(&card.variant, entry->name, &text);
        entry->text = arena_copy_string(&line->arena, text_string(&text));
        text_release(&text);
        ++*count;
    }
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct entry *entries = arena_allocate(&line->arena, size_multiply(line->operand_count, sizeof *entries));
    size_t count = 0;
    enum status status = read_entries(line, entries, &count, error);
    if (status)
        return status;
    if (!line->json) {
        for (size_t i = 0; i < count; i++)
            printf("%s%s", i ? "\n" : "", entries[i].text);
        return STATUS_OK;
    }
    cJSON *document = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "key", entries[i].key);
        json_set_text(object, "name", entries[i].name);
        json_set_text(object, "bibtex", entries[i].text);
        cJSON_AddItemToArray(document, object);
    }
    return print_json(document, error);
}

const struct command command_bib = {
    .name = "bib",
    .operands = "KEY...",
    .minimum = 1,
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "the papers of variants as BibTeX",
    .about = "Prints a BibTeX entry for each variant, under a name made of the first author, the year and a "
             "word of "
             "the title; a letter tells two of the same name apart. Capitals of titles are braced and "
             "accents written "
             "as commands, so that any style and any TeX can take the file.",
    .json = "[{key, name, bibtex}]: key is the variant's, name the entry's",
    .examples = EXAMPLES({"clade bib gla mamba2", "two entries"},
                         {"clade bib transformer >> references.bib", "add to a bibliography"}),
    .run = run,
};
