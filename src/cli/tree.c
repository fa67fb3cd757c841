/* tree.c: `clade tree`. */
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/descent.h"
#include "lineage/exchange.h"
#include "lineage/method.h"
#include "lineage/selection.h"
#include "render/family.h"
#include "render/render.h"
#include <math.h>
#include <string.h>

enum format {
    FORMAT_TEXT,
    FORMAT_DOT,
    FORMAT_SVG,
    FORMAT_PNG,
    FORMAT_PDF,
    FORMAT_NEWICK,
    FORMAT_NEXUS,
    FORMAT_PHYLOXML,
    FORMAT_GRAPHML,
    FORMAT_JSON,
};
#define FORMATS "text|dot|svg|png|pdf|newick|nexus|phyloxml|graphml|json"

/* What the end of a file's name says. */
static const struct {
    const char *name, *suffix;
} formats[] = {
    [FORMAT_TEXT] = {"text", ".txt"},
    [FORMAT_DOT] = {"dot", ".dot"},
    [FORMAT_SVG] = {"svg", ".svg"},
    [FORMAT_PNG] = {"png", ".png"},
    [FORMAT_PDF] = {"pdf", ".pdf"},
    [FORMAT_NEWICK] = {"newick", ".nwk"},
    [FORMAT_NEXUS] = {"nexus", ".nex"},
    [FORMAT_PHYLOXML] = {"phyloxml", ".xml"},
    [FORMAT_GRAPHML] = {"graphml", ".graphml"},
    [FORMAT_JSON] = {"json", ".json"},
};

struct drawing_order {
    enum format format;
    const char *output;
    struct family_view view;
    struct character_method characters;
};

/* ---- options ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

static enum status choose_format(struct command_line *line, struct drawing_order *order, struct error *error)
{
    const char *name = command_text(line, "format");
    order->output = command_text(line, "output");
    order->format = line->json ? FORMAT_JSON : FORMAT_TEXT;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (name ? strcmp(formats[i].name, name) == 0
                 : !line->json && order->output && ends_with(order->output, formats[i].suffix))
            order->format = (enum format)i;
    if (line->json && order->format != FORMAT_JSON)
        return error_set(error, STATUS_USAGE, "option '--json' is '--format json', not '--format %s'", name);
    bool terminal = order->output ? strcmp(order->output, "-") == 0 && output_terminal() : output_terminal();
    if (terminal && (order->format == FORMAT_PNG || order->format == FORMAT_PDF))
        return error_set(error, STATUS_USAGE, "%s is not for a terminal: give it a file with '-o FILE'",
                         formats[order->format].name);
    return STATUS_OK;
}

/* "--by character NAME": the word after it is the operand of the command. */
static enum status choose_colouring(struct command_line *line, struct family_view *view, struct error *error)
{
    const char *by = command_text(line, "by");
    bool character = by && strcmp(by, "character") == 0;
    view->colouring = character                       ? COLOUR_CHARACTER
                      : by && strcmp(by, "kind") == 0 ? COLOUR_KIND
                                                      : COLOUR_FAMILY;
    if (character && line->operand_count == 0)
        return error_set(error, STATUS_USAGE, "option '--by character' needs a character after it");
    if (!character && line->operand_count)
        return error_set(error, STATUS_USAGE, "unexpected argument '%.200s': see 'clade tree --help'",
                         line->operands[0]);
    view->character = character ? line->operands[0] : NULL;
    return STATUS_OK;
}

static enum status read_options(struct command_line *line, struct drawing_order *order, struct error *error)
{
    const char *method = command_text(line, "method");
    *order = (struct drawing_order){.view = {.method = method ? method : "descent",
                                             .root = command_text(line, "root"),
                                             .families = command_text(line, "family"),
                                             .suite = command_text(line, "suite"),
                                             .focus = command_text(line, "focus"),
                                             .depth = (int)command_integer(line, "depth", 2)}};
    const char *joining = command_text(line, "joining");
    order->characters = (struct character_method){
        .joining = joining && strcmp(joining, "average") == 0 ? JOINING_AVERAGE : JOINING_NEIGHBOURS,
        .outgroup = command_text(line, "outgroup"),
        .replicates = (size_t)command_integer(line, "replicates", 100)};
    bool character = strcmp(order->view.method, "character") == 0;
    if (!character && (joining || order->characters.outgroup || command_given(line, "replicates")))
        return error_set(error, STATUS_USAGE,
                         "options '--joining', '--outgroup' and '--replicates' go with '--method character'");
    int parts = (order->view.root != NULL) + (order->view.focus != NULL) + (order->view.families != NULL) +
                (order->view.suite != NULL);
    if (character && parts)
        return error_set(
            error, STATUS_USAGE,
            "options '--root', '--focus', '--family' and '--suite' go with the methods descent and citation");
    if (parts > 1)
        return error_set(error, STATUS_USAGE,
                         "options '--root', '--focus', '--family' and '--suite' exclude each other");
    if (command_given(line, "depth") && !order->view.focus)
        return error_set(error, STATUS_USAGE, "option '--depth' goes with '--focus'");
    enum status status = choose_format(line, order, error);
    return status ? status : choose_colouring(line, &order->view, error);
}

/* ---- text ---- */

static const char *borrowed_text(const struct network *network, const struct network_node *node,
                                 struct arena *arena)
{
    const char *text = NULL;
    for (size_t i = 0; i < node->parent_count; i++) {
        const struct network_edge *edge = &network->edges[node->parents[i]];
        if (edge->primary)
            continue;
        const char *key = network->nodes[edge->parent].key;
        text = text ? arena_format(arena, "%s, %s", text, key) : key;
    }
    return text;
}

static void print_text(struct command_line *line, const struct network *network, const struct tree *tree,
                       FILE *stream)
{
    static const struct table_column columns[] = {
        {"VARIANT", COLUMN_TREE}, {"DATE", 0}, {"FAMILY", COLUMN_CUT}, {"BORROWS FROM", COLUMN_CUT}};
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    struct table_row **rows = arena_allocate(&line->arena, (tree->count + 1) * sizeof *rows);
    for (size_t i = 0; i < tree->count; i++) {
        size_t index = tree->order[i];
        const struct tree_node *node = &tree->nodes[index];
        size_t found = node->name ? network_find(network, node->name) : NETWORK_NONE;
        rows[index] = table_row(table, node->parent == TREE_NONE ? NULL : rows[node->parent]);
        if (!node->name) {
            table_cell_format(rows[index], 0, STYLE_DIM, isnan(node->support) ? "+" : "+ %.0f %%",
                              100 * node->support);
            continue;
        }
        table_cell(rows[index], 0, STYLE_KEY, node->name);
        if (found == NETWORK_NONE)
            continue;
        table_cell(rows[index], 1, STYLE_PLAIN, network->nodes[found].date);
        table_cell(rows[index], 2, STYLE_PLAIN, network->nodes[found].family);
        table_cell(rows[index], 3, STYLE_DIM, borrowed_text(network, &network->nodes[found], &line->arena));
    }
    if (stream == stdout)
        table_print(table);
    else
        table_print_to(table, stream);
}

/* ---- the tree ---- */

static enum status select_suite(struct command_line *line, const char *suite, const struct network *network,
                                struct network *part, struct error *error)
{
    const char **members;
    size_t count;
    enum status status = catalog_suite(line->catalog, suite, &line->arena, &members, &count, error);
    return status ? status : network_select_variants(network, members, count, &line->arena, part, error);
}

/* Picks the part that was asked for. */
static enum status select_part(struct command_line *line, const struct family_view *view,
                               struct method_tree *tree, struct error *error)
{
    struct network part;
    enum status status = STATUS_OK;
    if (view->root)
        status = network_select_descent(&tree->network, view->root, &line->arena, &part, error);
    else if (view->families)
        status = network_select_families(&tree->network, view->families, &line->arena, &part, error);
    else if (view->suite)
        status = select_suite(line, view->suite, &tree->network, &part, error);
    else if (view->focus)
        status = network_select_near(&tree->network, view->focus, view->depth, &line->arena, &part, error);
    else
        return STATUS_OK;
    if (status)
        return status;
    tree->network = part;
    tree_from_network(&part, &line->arena, &tree->tree);
    return STATUS_OK;
}

static enum status print_json_to(cJSON *document, FILE *stream, struct error *error)
{
    struct text text;
    text_init(&text, SIZE_MAX);
    enum status status = json_print(document, &text, error);
    if (!status)
        fwrite(text.data, 1, text.length, stream);
    text_release(&text);
    cJSON_Delete(document);
    return status;
}

static enum status print_picture(struct command_line *line, const struct drawing_order *order,
                                 const struct method_tree *tree, FILE *stream, struct error *error)
{
    static const enum render_format renders[] = {[FORMAT_DOT] = RENDER_DOT,
                                                 [FORMAT_SVG] = RENDER_SVG,
                                                 [FORMAT_PNG] = RENDER_PNG,
                                                 [FORMAT_PDF] = RENDER_PDF};
    struct picture picture;
    bool branchings = strcmp(tree->name, "character") == 0;
    enum status status = branchings ? family_picture_of_tree(line->catalog, &tree->network, &tree->tree,
                                                             &order->view, &line->arena, &picture, error)
                                    : family_picture(line->catalog, &tree->network, &order->view,
                                                     &line->arena, &picture, error);
    return status ? status : render_print(&picture, renders[order->format], &line->arena, stream, error);
}

static enum status print_tree(struct command_line *line, const struct drawing_order *order,
                              const struct method_tree *tree, FILE *stream, struct error *error)
{
    const struct lineage_document document = {tree->name, &tree->tree, &tree->network, &tree->matrix};
    switch (order->format) {
    case FORMAT_TEXT:
        print_text(line, &tree->network, &tree->tree, stream);
        return STATUS_OK;
    case FORMAT_NEWICK:
        newick_print(&tree->tree, stream);
        return STATUS_OK;
    case FORMAT_NEXUS:
        nexus_print(&document, stream);
        return STATUS_OK;
    case FORMAT_PHYLOXML:
        phyloxml_print(&document, stream);
        return STATUS_OK;
    case FORMAT_GRAPHML:
        graphml_print(&document, stream);
        return STATUS_OK;
    case FORMAT_JSON:
        return print_json_to(lineage_json(&document), stream, error);
    case FORMAT_DOT:
    case FORMAT_SVG:
    case FORMAT_PNG:
    case FORMAT_PDF:
        return print_picture(line, order, tree, stream, error);
    }
    BUG("an unknown format");
}

static enum status run(struct command_line *line, struct error *error)
{
    struct drawing_order order;
    struct method_tree tree;
    struct output_file file = {NULL};
    struct catalog *catalog;
    enum status status = read_options(line, &order, error);
    if (!status)
        status = command_catalog(line, &catalog, error);
    if (!status)
        status = method_tree(catalog, order.view.method, &order.characters, &line->arena, &tree, error);
    if (!status)
        status = select_part(line, &order.view, &tree, error);
    if (!status)
        status = output_file_open(&file, order.output ? order.output : "-", error);
    if (status)
        return status;
    status = print_tree(line, &order, &tree, file.stream, error);
    if (status)
        output_file_discard(&file);
    return status ? status : output_file_commit(&file, error);
}

const struct command command_tree = {
    .name = "tree",
    .operands = "[CHARACTER]",
    .maximum = 1,
    .summary = "draw a family tree, or export it",
    .about =
        "Prints a family tree of the variants as text, as a picture, or in a format of other programs. "
        "Pictures "
        "have years from left to right; solid lines lead from a variant to those that descend from it, "
        "dashed "
        "ones to those that borrow from it; colours and marks tell families. With --focus, lines say what "
        "changed.",
    .json =
        "{method, nodes: [{key, parent, donors, margin, changed, name, date, family, kind, length, "
        "support}]}, depth "
        "first: parent is null at a root, length the years since the parent's first version, margin how sure "
        "an inferred parent is, from 0 to 1, null where a person wrote it down",
    .options =
        OPTION_TABLE({.name = "method",
                      .type = VALUE_CHOICE,
                      .value = METHODS,
                      .help = "as entries declare it (descent), as citations suggest it, or by characters"},
                     {.name = "format",
                      .type = VALUE_CHOICE,
                      .value = FORMATS,
                      .help = "else as the end of FILE's name says, else text"},
                     {.name = "root",
                      .type = VALUE_TEXT,
                      .value = "KEY",
                      .completion = COMPLETE_VARIANT,
                      .help = "this variant and what descends from it"},
                     {.name = "family",
                      .type = VALUE_TEXT,
                      .value = "LIST",
                      .completion = COMPLETE_FAMILY,
                      .help = "variants of these families with their ancestors"},
                     {.name = "suite",
                      .type = VALUE_TEXT,
                      .value = "NAME",
                      .help = "the variants of a suite, or those a study compares, with their ancestors"},
                     {.name = "focus",
                      .type = VALUE_TEXT,
                      .value = "KEY",
                      .completion = COMPLETE_VARIANT,
                      .help = "this variant with its ancestors and descendants"},
                     {.name = "depth",
                      .type = VALUE_INTEGER,
                      .value = "N",
                      .minimum = 0,
                      .maximum = 1000,
                      .help = "up to N steps from the focus (2)"},
                     {.name = "by",
                      .type = VALUE_CHOICE,
                      .value = "family|kind|character",
                      .help = "what colours tell; for a character, its name follows"},
                     {.name = "joining",
                      .type = VALUE_CHOICE,
                      .value = "neighbour|average",
                      .help = "how characters make a tree: neighbour joining, or UPGMA"},
                     {.name = "outgroup",
                      .type = VALUE_TEXT,
                      .value = "KEY",
                      .completion = COMPLETE_VARIANT,
                      .help = "the root of a tree of characters; else its middle"},
                     {.name = "replicates",
                      .type = VALUE_INTEGER,
                      .value = "N",
                      .minimum = 0,
                      .maximum = 1000000,
                      .help = "of the bootstrap that tells how firm a tree of characters is (100)"},
                     {.name = "output",
                      .letter = 'o',
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "where to write; '-' is standard output"}),
    .examples = EXAMPLES({"clade tree --root s4", "a branch of the tree, as text"},
                         {"clade tree -o tree.svg", "the whole tree as a picture with links and tooltips"},
                         {"clade tree -o tree.pdf", "the same to print"},
                         {"clade tree --focus gla -o gla.png", "a neighbourhood, with what changed"},
                         {"clade tree --family recurrent,state-space -o recurrent.svg", "a part of the tree"},
                         {"clade tree --suite recurrent-half -o half.svg", "the variants of a benchmark"},
                         {"clade tree --by character decay -o decay.svg", "coloured by a character"},
                         {"clade tree --format newick", "for programs of phylogeny"}),
    .run = run,
};
