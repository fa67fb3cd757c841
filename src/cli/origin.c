/* origin.c: `clade origin`. */
#include "base/suggest.h"
#include "block/registry.h"
#include "cli/descent.h"
#include <stdio.h>
#include <string.h>

struct answer {
    const char *name;
    const struct kernel *kernel; /* NULL: not written yet */
    struct kernel_use *uses;
    size_t count;
};

static enum status unknown_kernel(struct command_line *line, const char *name,
                                  const struct composition_row *rows, size_t row_count, struct error *error)
{
    const char **names = NULL;
    size_t count = 0;
    for (size_t i = 0; i < registry_count + row_count; i++) {
        const char *known = i < registry_count ? registry_kernels[i]->name : rows[i - registry_count].planned;
        if (!known)
            continue;
        names = arena_extend(&line->arena, names, count, sizeof *names);
        names[count++] = known;
    }
    return suggest_error(error, "kernel", name, names, count);
}

static const char *slot_of(const struct answer *answer)
{
    return answer->kernel ? slot_names[answer->kernel->slot] : answer->uses[0].slot;
}

static const char *how_text(enum adoption adoption)
{
    static const char *const texts[] = {
        [ADOPTION_ORIGIN] = "had it first", [ADOPTION_INHERITED] = "inherited",
        [ADOPTION_BORROWED] = "borrowed",   [ADOPTION_DISTANT] = "taken up again",
        [ADOPTION_FRAME] = "shown in it",   [ADOPTION_UNTRACED] = "not traced",
    };
    return texts[adoption];
}

static enum status print_document(const struct network *network, const struct answer *answer,
                                  struct error *error)
{
    cJSON *document = cJSON_CreateObject(), *uses = cJSON_CreateArray();
    const char *origin = answer->kernel ? answer->kernel->variant : NULL;
    for (size_t i = 0; i < answer->count; i++) {
        const struct kernel_use *use = &answer->uses[i];
        cJSON *object = node_json(&network->nodes[use->node]);
        json_set_text(object, "slot", use->slot);
        json_set_text(object, "adoption", adoption_names[use->adoption]);
        json_set_text(object, "from", use->from == NETWORK_NONE ? NULL : network->nodes[use->from].key);
        cJSON_AddItemToArray(uses, object);
        if (!origin && use->adoption == ADOPTION_ORIGIN)
            origin = network->nodes[use->node].key;
    }
    json_set_text(document, "kernel", answer->name);
    json_set_text(document, "slot", slot_of(answer));
    json_set_flag(document, "written", answer->kernel);
    json_set_text(document, "origin", origin);
    cJSON_AddItemToObject(document, "uses", uses);
    return print_json(document, error);
}

static void print_answer(const struct network *network, const struct answer *answer)
{
    print_styled(stdout, STYLE_HEADING, answer->name);
    printf(", a kernel for the slot %s%s\n", slot_of(answer), answer->kernel ? "" : ", not written yet");
    if (answer->kernel)
        print_paragraph(2, answer->kernel->summary);
    putchar('\n');
    static const struct table_column columns[] = {{"VARIANT", 0},
                                                  {"DATE", COLUMN_SPARE},
                                                  {"HOW", 0},
                                                  {"FROM", 0},
                                                  {"NAME", COLUMN_WRAP | COLUMN_SPARE}};
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < answer->count; i++) {
        const struct kernel_use *use = &answer->uses[i];
        const struct network_node *node = &network->nodes[use->node];
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, use->adoption == ADOPTION_ORIGIN ? STYLE_HEADING : STYLE_KEY, node->key);
        table_cell(row, 1, STYLE_PLAIN, node->date);
        table_cell(row, 2, use->adoption == ADOPTION_UNTRACED ? STYLE_WARNING : STYLE_PLAIN,
                   how_text(use->adoption));
        table_cell(row, 3, STYLE_PLAIN, use->from == NETWORK_NONE ? NULL : network->nodes[use->from].key);
        table_cell(row, 4, STYLE_PLAIN, node->name);
    }
    table_print(table);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct network network;
    struct composition_row *rows;
    size_t row_count;
    struct answer answer = {.name = line->operands[0], .kernel = registry_find(line->operands[0])};
    enum status status = command_network(line, &network, error);
    if (!status)
        status = catalog_compositions(line->catalog, &line->arena, &rows, &row_count, error);
    if (status)
        return status;
    network_kernel_uses(&network, rows, row_count, answer.name, answer.kernel ? answer.kernel->variant : NULL,
                        &line->arena, &answer.uses, &answer.count);
    if (!answer.count && !answer.kernel)
        return unknown_kernel(line, answer.name, rows, row_count, error);
    if (line->json)
        status = print_document(&network, &answer, error);
    else if (answer.count)
        print_answer(&network, &answer);
    if (!status && !answer.count)
        return error_set(error, STATUS_NO, "no variant has the kernel '%s' in its composition", answer.name);
    return status;
}

const struct command command_origin = {
    .name = "origin",
    .operands = "KERNEL",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_KERNEL,
    .summary = "who had a kernel first, and who took it from whom",
    .about =
        "Lists the variants whose composition has the kernel, by date: the one that had it first, those that "
        "inherited it from their primary parent, that borrowed it from a donor, or took it up again from an "
        "ancestor farther off. A component that is older than the kernel is only shown in it: it changes "
        "another "
        "slot of a block of today. 'Not traced' says that no ancestor has the kernel: it was found twice, or "
        "a "
        "parent is not written down. Kernels that are planned but not written have an origin too.",
    .json = "{kernel, slot, written, origin, uses: [{key, name, date, family, kind, slot, adoption, from}]}: "
            "adoption "
            "is \"origin\", \"inherited\", \"borrowed\", \"distant\", \"frame\" or \"untraced\"; from is the "
            "variant "
            "that it was taken from, or null",
    .examples = EXAMPLES({"clade origin rotary", "the way of rotary positions through the family"},
                         {"clade origin gated-mlp --json", "for a program"}),
    .run = run,
};
