/* why.c: `clade why`. */
#include "cli/descent.h"
#include "lineage/evidence.h"

static const char *intents_text(const struct node_link *link, struct arena *arena)
{
    static const char *const names[] = {"method", "background", "result"};
    const char *text = "";
    for (int i = 0; i < 3; i++)
        if (link->intents >> i & 1)
            text = arena_format(arena, "%s%s%s", text, *text ? ", " : "", names[i]);
    return text;
}

static void print_declared(const struct evidence *evidence)
{
    const struct network *network = evidence->citations->descent;
    const struct network_node *node = &network->nodes[evidence->node];
    struct arena *arena = evidence->arena;
    if (node->parent_count == 0)
        print_paragraph(0, arena_format(arena, "%s is a root: its entry names no parent", node->key));
    for (size_t i = 0; i < node->parent_count; i++) {
        const struct network_edge *edge = &network->edges[node->parents[i]];
        print_paragraph(0, arena_format(arena, "%s %s %s%s%s", node->key,
                                        edge->primary ? "descends from" : "borrows from",
                                        network->nodes[edge->parent].key, edge->changed ? ": " : "",
                                        edge->changed ? edge->changed : ""));
    }
}

static const char *filling_name(const struct slot_filling *filling)
{
    return !filling ? "-" : filling->kernel ? filling->kernel : filling->planned;
}

static void add_change(struct table *table, const char *what, const char *from, const char *to)
{
    struct table_row *row = table_row(table, NULL);
    table_cell(row, 0, STYLE_KEY, what);
    table_cell(row, 1, STYLE_PLAIN, from ? from : "-");
    table_cell(row, 2, STYLE_PLAIN, to ? to : "-");
}

static const char *changed_options(const struct slot_difference *slot, struct arena *arena)
{
    const char *text = arena_format(arena, "%s with other options:", filling_name(slot->b));
    for (size_t i = 0; i < slot->option_count; i++)
        text = arena_format(arena, "%s%s %s", text, i ? "," : "", slot->options[i].name);
    return text;
}

static void print_changes(const struct evidence *evidence)
{
    const struct difference *difference = &evidence->difference;
    const struct network *network = evidence->citations->descent;
    const struct table_column columns[] = {{"CHANGED", 0},
                                           {network->nodes[evidence->parent].key, COLUMN_WRAP},
                                           {network->nodes[evidence->node].key, COLUMN_WRAP}};
    struct table *table = table_create(columns, 3);
    for (size_t i = 0; i < difference->slot_count; i++) {
        const struct slot_difference *slot = &difference->slots[i];
        if (slot->same)
            continue;
        add_change(table, slot->slot, filling_name(slot->a),
                   slot->option_count ? changed_options(slot, evidence->arena) : filling_name(slot->b));
    }
    for (size_t i = 0; i < difference->character_count; i++)
        if (!difference->characters[i].same)
            add_change(table, difference->characters[i].character, difference->characters[i].a,
                       difference->characters[i].b);
    table_print(table);
}

static void add_candidate(struct table *table, const struct evidence *evidence, size_t index, double sum)
{
    const struct parent_candidate *candidate = &evidence->candidates[index];
    const struct node_link *link = &evidence->citations->links[candidate->link];
    const struct network_node *node = &evidence->citations->descent->nodes[candidate->parent];
    bool chosen = evidence_is_chosen(evidence, index);
    struct table_row *row = table_row(table, NULL);
    table_cell(row, 0, chosen ? STYLE_GOOD : STYLE_KEY, node->key);
    table_cell(row, 1, STYLE_PLAIN, node->date);
    table_cell_format(row, 2, STYLE_PLAIN, "%.1f %%", 100 * candidate->weight / sum);
    table_cell_format(row, 3, STYLE_DIM, "%.1f %%", 100 * candidate->share);
    table_cell(row, 4, STYLE_PLAIN, intents_text(link, evidence->arena));
    if (link->influential >= 0)
        table_cell(row, 5, STYLE_PLAIN, link->influential ? "yes" : "no");
    if (link->contexts >= 0)
        table_cell_format(row, 6, STYLE_PLAIN, "%d", link->contexts);
    table_cell_format(row, 7, STYLE_PLAIN, "%u", candidate->later);
    table_cell(row, 8, STYLE_DIM, evidence_standing(evidence, candidate->parent));
}

static void print_candidates(const struct evidence *evidence, size_t limit)
{
    static const struct table_column columns[] = {
        {"CITED", 0},         {"DATE", 0},        {"WEIGHT", COLUMN_RIGHT},    {"OWN", COLUMN_RIGHT},
        {"INTENTS", 0},       {"INFLUENTIAL", 0}, {"SENTENCES", COLUMN_RIGHT}, {"TOGETHER", COLUMN_RIGHT},
        {"ITS ENTRY SAYS", 0}};
    const struct citation_evidence *cited = &evidence->citations->weighed;
    size_t shown = evidence->candidate_count < limit ? evidence->candidate_count : limit;
    double sum = evidence_weight_sum(evidence);
    struct arena *arena = evidence->arena;
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < evidence->candidate_count; i++)
        if (evidence_is_chosen(evidence, i))
            print_paragraph(
                0, arena_format(arena,
                                "citations suggest %s, with a margin of %.2f over the next; %u papers of "
                                "the catalogue cite %s",
                                evidence->citations->descent->nodes[evidence->candidates[i].parent].key,
                                cited->margin[evidence->node], cited->citing[evidence->node],
                                evidence->citations->descent->nodes[evidence->node].key));
    for (size_t i = 0; i < shown; i++)
        add_candidate(table, evidence, i, sum);
    table_print(table);
    if (shown < evidence->candidate_count)
        print_paragraph(0, arena_format(arena, "and %zu more (--limit)", evidence->candidate_count - shown));
}

static void print_text(const struct evidence *evidence, size_t limit)
{
    print_declared(evidence);
    if (evidence->parent != NETWORK_NONE) {
        putchar('\n');
        print_changes(evidence);
    }
    putchar('\n');
    if (evidence->candidate_count)
        print_candidates(evidence, limit);
    else
        print_paragraph(0, "no citations to older variants are known");
}

static enum status run(struct command_line *line, struct error *error)
{
    struct network network;
    struct citations citations;
    struct evidence evidence;
    enum status status = command_network(line, &network, error);
    if (!status)
        status = citations_read(line->catalog, &network, &line->arena, &citations, error);
    if (!status)
        status = evidence_read(line->catalog, &citations, line->operands[0], &line->arena, &evidence, error);
    if (status)
        return status;
    if (line->json)
        return print_json(evidence_json(&evidence), error);
    print_text(&evidence, (size_t)command_integer(line, "limit", 10));
    return STATUS_OK;
}

const struct command command_why = {
    .name = "why",
    .operands = "KEY",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_VARIANT,
    .summary = "show what speaks for a variant's parent",
    .about = "Tells the parent that the variant's entry declares and what changed from it in slots and "
             "characters; then "
             "the older variants that its paper cites, by what speaks for each as the parent: OWN is the "
             "share of its own "
             "link (intent, influence, sentences, and how often later papers cite both TOGETHER), WEIGHT "
             "adds what flows "
             "back from other citations. The one that the citation method chose comes with its margin over "
             "the next.",
    .json = "{key, parents: [{parent, child, primary, changed, exception}], slots: [{slot, from, to}], "
            "characters: "
            "[{character, from, to}], cited_by, margin, candidates: [{key, chosen, weight, share, intents, "
            "influential, "
            "contexts, cited_with, standing}]}: slots and characters are those that changed; weights and "
            "shares sum to 1; "
            "standing is parent, donor, ancestor or null; null where unknown",
    .options = OPTION_TABLE({.name = "limit",
                             .type = VALUE_INTEGER,
                             .value = "N",
                             .minimum = 1,
                             .maximum = 100000,
                             .help = "show at most N cited variants (10)"}),
    .examples = EXAMPLES({"clade why gla", "the evidence for one parent"},
                         {"clade why mamba2 --limit 20", "with more runners-up"}),
    .run = run,
};
