/* compare.c: `clade compare`. */
#include "lineage/compare.h"
#include "cli/descent.h"
#include "lineage/agreement.h"
#include "lineage/method.h"
#include "lineage/parsimony.h"
#include <math.h>
#include <string.h>

/* Parents are at most so many steps apart to count as near. */
enum { NEAR_STEPS = 2 };

struct comparison {
    struct command_line *line;
    struct method_tree trees[2];
    struct tree_comparison distance;
    bool parents; /* both say whom a variant descends from */
    struct agreement agreement;
    const struct character_matrix *matrix; /* NULL: characters are not compared */
    size_t *steps[2];                      /* of each character on each tree */
    struct convergence *convergences;      /* on the first tree */
    size_t convergence_count;
};

static double share(size_t part, size_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* ---- comparing ---- */

static bool has_parents(const struct method_tree *tree)
{
    return tree->network.edge_count > 0;
}

static void compare_characters(struct comparison *comparison)
{
    struct arena *arena = &comparison->line->arena;
    for (int t = 0; t < 2; t++)
        if (strcmp(comparison->trees[t].name, "character") == 0)
            comparison->matrix = &comparison->trees[t].matrix;
    if (!comparison->matrix)
        return;
    for (int t = 0; t < 2; t++) {
        comparison->steps[t] =
            arena_allocate(arena, (comparison->matrix->character_count + 1) * sizeof(size_t));
        parsimony_steps(&comparison->trees[t].tree, comparison->matrix, comparison->steps[t]);
    }
    parsimony_convergences(&comparison->trees[0].tree, comparison->matrix, arena, &comparison->convergences,
                           &comparison->convergence_count);
}

static enum status compare(struct comparison *comparison, struct error *error)
{
    struct command_line *line = comparison->line;
    const struct character_method characters = {.joining = JOINING_NEIGHBOURS};
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    for (int t = 0; t < 2 && !status; t++)
        status =
            method_tree(catalog, line->operands[t], &characters, &line->arena, &comparison->trees[t], error);
    if (!status)
        status = tree_compare(&comparison->trees[0].tree, &comparison->trees[1].tree, &comparison->distance,
                              error);
    if (status)
        return status;
    comparison->parents = has_parents(&comparison->trees[0]) && has_parents(&comparison->trees[1]);
    if (comparison->parents)
        network_agreement(&comparison->trees[0].network, &comparison->trees[1].network, &line->arena,
                          &comparison->agreement);
    compare_characters(comparison);
    return STATUS_OK;
}

static const char *const kinship_names[] = {"same", "ancestor", "donor", "relative", "descendant", "distant"};

/* ---- JSON ---- */

static cJSON *verdict_json(const struct comparison *comparison, const struct parent_verdict *verdict)
{
    const struct network_node *nodes = comparison->trees[0].network.nodes;
    cJSON *object = cJSON_CreateObject();
    json_set_text(object, "key", nodes[verdict->node].key);
    json_set_text(object, "first", nodes[verdict->first].key);
    json_set_text(object, "second", nodes[verdict->second].key);
    json_set_text(object, "relation", kinship_names[verdict->kinship]);
    json_set_number(object, "steps", verdict->steps < 0 ? NAN : verdict->steps);
    json_set_number(object, "margin", verdict->margin);
    return object;
}

static cJSON *parents_json(const struct comparison *comparison)
{
    const struct agreement *agreement = &comparison->agreement;
    cJSON *object = cJSON_CreateObject();
    json_set_number(object, "compared", (double)agreement->count);
    json_set_number(object, "same", (double)agreement_within(agreement, 0, false));
    json_set_number(object, "near", (double)agreement_within(agreement, NEAR_STEPS, false));
    json_set_number(object, "near_over_donors", (double)agreement_within(agreement, NEAR_STEPS, true));
    return object;
}

static cJSON *characters_json(const struct comparison *comparison)
{
    const struct character_matrix *matrix = comparison->matrix;
    cJSON *characters = cJSON_CreateArray();
    for (size_t j = 0; j < matrix->character_count; j++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "character", matrix->characters[j].name);
        json_set_number(object, "least", (double)parsimony_least(matrix, j));
        json_set_number(object, "first", (double)comparison->steps[0][j]);
        json_set_number(object, "second", (double)comparison->steps[1][j]);
        cJSON_AddItemToArray(characters, object);
    }
    return characters;
}

static cJSON *convergences_json(const struct comparison *comparison)
{
    const struct tree *tree = &comparison->trees[0].tree;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < comparison->convergence_count; i++) {
        const struct convergence *convergence = &comparison->convergences[i];
        const struct matrix_character *character = &comparison->matrix->characters[convergence->character];
        cJSON *object = cJSON_CreateObject(), *keys = cJSON_CreateArray();
        json_set_text(object, "character", character->name);
        json_set_text(object, "state", character->states[convergence->state]);
        json_set_number(object, "gains", (double)convergence->count);
        for (size_t j = 0; j < convergence->count; j++)
            if (convergence->nodes[j] < tree->count && tree->nodes[convergence->nodes[j]].name)
                cJSON_AddItemToArray(keys, cJSON_CreateString(tree->nodes[convergence->nodes[j]].name));
        cJSON_AddItemToObject(object, "variants", keys);
        cJSON_AddItemToArray(list, object);
    }
    return list;
}

static enum status print_document(const struct comparison *comparison, struct error *error)
{
    const struct tree_comparison *distance = &comparison->distance;
    cJSON *document = cJSON_CreateObject(), *groups = cJSON_CreateObject(), *triplets = cJSON_CreateObject();
    json_set_text(document, "first", comparison->trees[0].name);
    json_set_text(document, "second", comparison->trees[1].name);
    json_set_number(document, "shared", (double)distance->shared);
    json_set_number(document, "only_first", (double)distance->only_first);
    json_set_number(document, "only_second", (double)distance->only_second);
    json_set_number(groups, "distance", (double)distance->robinson_foulds);
    json_set_number(groups, "largest", (double)distance->groups);
    cJSON_AddItemToObject(document, "robinson_foulds", groups);
    json_set_number(triplets, "differing", (double)distance->differing);
    json_set_number(triplets, "contradicting", (double)distance->contradicting);
    json_set_number(triplets, "all", (double)distance->triplets);
    cJSON_AddItemToObject(document, "triplets", triplets);
    cJSON_AddItemToObject(document, "parents",
                          comparison->parents ? parents_json(comparison) : cJSON_CreateNull());
    cJSON *disagreements = cJSON_AddArrayToObject(document, "disagreements");
    for (size_t i = 0; i < comparison->agreement.count; i++)
        if (comparison->agreement.verdicts[i].kinship != KIN_SAME)
            cJSON_AddItemToArray(disagreements, verdict_json(comparison, &comparison->agreement.verdicts[i]));
    cJSON_AddItemToObject(document, "characters",
                          comparison->matrix ? characters_json(comparison) : cJSON_CreateNull());
    cJSON_AddItemToObject(document, "convergences",
                          comparison->matrix ? convergences_json(comparison) : cJSON_CreateNull());
    return print_json(document, error);
}

/* ---- text ---- */

static void print_measure(struct table *table, const char *name, size_t part, size_t whole)
{
    struct table_row *row = table_row(table, NULL);
    table_cell(row, 0, STYLE_PLAIN, name);
    table_cell_format(row, 1, STYLE_PLAIN, "%zu", part);
    if (whole) {
        table_cell_format(row, 2, STYLE_DIM, "of %zu", whole);
        table_cell_format(row, 3, STYLE_PLAIN, "%.1f %%", share(part, whole));
    }
}

static void print_summary(const struct comparison *comparison)
{
    static const struct table_column columns[] = {
        {"MEASURE", 0}, {"COUNT", COLUMN_RIGHT}, {"OF", COLUMN_RIGHT}, {"SHARE", COLUMN_RIGHT}};
    const struct tree_comparison *distance = &comparison->distance;
    const struct agreement *agreement = &comparison->agreement;
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    table_hide_headings(table);
    print_measure(table, "variants in both", distance->shared, 0);
    print_measure(table, "only in the first", distance->only_first, 0);
    print_measure(table, "only in the second", distance->only_second, 0);
    if (comparison->parents) {
        print_measure(table, "with a parent in both", agreement->count, distance->shared);
        print_measure(table, "same parent", agreement_within(agreement, 0, false), agreement->count);
        print_measure(table, "or an ancestor of it, up to two steps",
                      agreement_within(agreement, NEAR_STEPS, false), agreement->count);
        print_measure(table, "or the same of a donor, over all edges",
                      agreement_within(agreement, NEAR_STEPS, true), agreement->count);
    }
    print_measure(table, "groups that only one has (Robinson-Foulds)", distance->robinson_foulds,
                  distance->groups);
    print_measure(table, "triplets on which they differ", distance->differing, distance->triplets);
    print_measure(table, "triplets on which they contradict each other", distance->contradicting,
                  distance->triplets);
    table_print(table);
}

static const char *kinship_text(const struct parent_verdict *verdict, struct arena *arena)
{
    switch (verdict->kinship) {
    case KIN_ANCESTOR:
        return arena_format(arena, "ancestor of the parent, %d up", verdict->steps);
    case KIN_DONOR:
        return "donor of the variant";
    case KIN_RELATIVE:
        return arena_format(arena, "ancestor over donors, %d up", verdict->steps);
    case KIN_DESCENDANT:
        return verdict->steps == 1 ? "child of the parent" : "descendant of the parent";
    default:
        return "";
    }
}

static void print_disagreements(const struct comparison *comparison)
{
    const struct table_column columns[] = {{"VARIANT", 0},
                                           {comparison->trees[0].name, 0},
                                           {comparison->trees[1].name, 0},
                                           {"THE SECOND IS", COLUMN_CUT},
                                           {"MARGIN", COLUMN_RIGHT}};
    const struct network_node *nodes = comparison->trees[0].network.nodes;
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < comparison->agreement.count; i++) {
        const struct parent_verdict *verdict = &comparison->agreement.verdicts[i];
        if (verdict->kinship == KIN_SAME)
            continue;
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, STYLE_KEY, nodes[verdict->node].key);
        table_cell(row, 1, STYLE_PLAIN, nodes[verdict->first].key);
        table_cell(row, 2, STYLE_PLAIN, nodes[verdict->second].key);
        table_cell(row, 3, STYLE_DIM, kinship_text(verdict, &comparison->line->arena));
        if (!isnan(verdict->margin))
            table_cell_format(row, 4, STYLE_PLAIN, "%.2f", verdict->margin);
    }
    table_print(table);
}

static void print_characters(const struct comparison *comparison)
{
    const struct character_matrix *matrix = comparison->matrix;
    const struct table_column columns[] = {{"CHARACTER", 0},
                                           {"LEAST", COLUMN_RIGHT},
                                           {comparison->trees[0].name, COLUMN_RIGHT},
                                           {comparison->trees[1].name, COLUMN_RIGHT}};
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t j = 0; j < matrix->character_count; j++) {
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, STYLE_KEY, matrix->characters[j].name);
        table_cell_format(row, 1, STYLE_DIM, "%zu", parsimony_least(matrix, j));
        table_cell_format(row, 2, STYLE_PLAIN, "%zu", comparison->steps[0][j]);
        table_cell_format(row, 3, STYLE_PLAIN, "%zu", comparison->steps[1][j]);
    }
    table_print(table);
}

static void print_convergences(const struct comparison *comparison)
{
    static const struct table_column columns[] = {
        {"CHARACTER", 0}, {"STATE", 0}, {"GAINS", COLUMN_RIGHT}, {"BY", COLUMN_WRAP}};
    const struct tree *tree = &comparison->trees[0].tree;
    struct arena *arena = &comparison->line->arena;
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < comparison->convergence_count; i++) {
        const struct convergence *convergence = &comparison->convergences[i];
        const struct matrix_character *character = &comparison->matrix->characters[convergence->character];
        const char *names = "";
        for (size_t j = 0; j < convergence->count; j++) {
            size_t node = convergence->nodes[j];
            const char *name =
                node < tree->count && tree->nodes[node].name ? tree->nodes[node].name : "a branching";
            names = arena_format(arena, "%s%s%s", names, j ? ", " : "", name);
        }
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, STYLE_KEY, character->name);
        table_cell(row, 1, STYLE_PLAIN, character->states[convergence->state]);
        table_cell_format(row, 2, STYLE_PLAIN, "%zu", convergence->count);
        table_cell(row, 3, STYLE_DIM, names);
    }
    table_print(table);
}

static void print_text(const struct comparison *comparison)
{
    print_heading(arena_format(&comparison->line->arena, "%s and %s", comparison->trees[0].name,
                               comparison->trees[1].name));
    print_summary(comparison);
    if (comparison->parents &&
        agreement_within(&comparison->agreement, 0, false) < comparison->agreement.count) {
        print_heading("parents on which they disagree");
        print_disagreements(comparison);
    }
    if (comparison->matrix) {
        print_heading("changes that each character needs");
        print_characters(comparison);
    }
    if (comparison->convergence_count) {
        print_heading(arena_format(&comparison->line->arena, "states gained more than once in %s",
                                   comparison->trees[0].name));
        print_convergences(comparison);
    }
}

static enum status run(struct command_line *line, struct error *error)
{
    struct comparison comparison = {.line = line};
    enum status status = compare(&comparison, error);
    if (status)
        return status;
    if (line->json)
        return print_document(&comparison, error);
    print_text(&comparison);
    return STATUS_OK;
}

const struct command command_compare = {
    .name = "compare",
    .operands = "TREE TREE",
    .minimum = 2,
    .maximum = 2,
    .completion = COMPLETE_FILE,
    .summary = "tell how far two trees agree",
    .about =
        "Each TREE is a method (descent, citation, character) or a file with one tree in Newick or NEXUS, "
        "whose "
        "labels are keys. Both are cut down to the variants that they share. The Robinson-Foulds distance "
        "counts "
        "groups (a variant with all that descends from it) that only one of the trees has; triplets are any "
        "three variants, of which a tree may say which two belong together. Where both trees say whom each "
        "variant descends from, the parents on which they disagree are listed with what the second tree's is "
        "to the first tree's.",
    .json =
        "{first, second, shared, only_first, only_second, robinson_foulds: {distance, largest}, triplets: "
        "{differing, contradicting, all}, parents: {compared, same, near, near_over_donors}, disagreements: "
        "[{key, first, second, relation, steps, margin}], characters: [{character, least, first, second}], "
        "convergences: [{character, state, gains, variants}]}: near is same or an ancestor of it up to two "
        "steps; "
        "relation is ancestor, donor, relative (an ancestor over donors), descendant or distant; parents is "
        "null "
        "where a tree has none, characters and convergences unless a method is character",
    .examples = EXAMPLES({"clade compare descent citation", "how well citations tell descent"},
                         {"clade compare descent character", "also which characters came up more than once"},
                         {"clade compare mine.nwk descent", "a tree of your own against the catalogue's"}),
    .run = run,
};
