#include "render/family.h"
#include "base/suggest.h"
#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ABOUT_MAXIMUM = 1 << 16 };

struct builder {
    struct catalog *catalog;
    const struct network *network;
    const struct family_view *view;
    struct arena *arena;
    struct picture *picture;
    struct family *families;
    size_t family_count;
    struct error *error;
};

/* ---- categories ---- */

static const struct {
    const char *key, *name;
} kinds[] = {
    {"block", "Block"},         {"component", "Component of the reference block"},
    {"procedure", "Procedure"}, {"objective", "Objective"},
    {"task", "Task"},           {"study", "Study"},
};

static size_t add_category(struct builder *builder, const char *key, const char *name)
{
    struct picture *picture = builder->picture;
    const char *colour = builder->families[picture->category_count % builder->family_count].colour;
    picture->categories = arena_extend(builder->arena, picture->categories, picture->category_count,
                                       sizeof *picture->categories);
    picture->categories[picture->category_count] = (struct picture_category){
        .key = key, .name = name, .colour = (uint32_t)strtoul(colour + 1, NULL, 16)};
    return picture->category_count++;
}

static size_t find_category(const struct picture *picture, const char *key)
{
    for (size_t i = 0; key && i < picture->category_count; i++)
        if (strcmp(picture->categories[i].key, key) == 0)
            return i;
    return PICTURE_NONE;
}

static enum status add_states(struct builder *builder)
{
    struct character_state *states;
    size_t count, name_count = 0;
    const char **names = NULL;
    enum status status =
        catalog_characters(builder->catalog, builder->arena, &states, &count, builder->error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(states[i].character, builder->view->character) == 0)
            add_category(builder, states[i].state,
                         arena_format(builder->arena, "%s: %s", states[i].state, states[i].state_about));
        if (i == 0 || strcmp(states[i].character, states[i - 1].character) != 0) {
            names = arena_extend(builder->arena, names, name_count, sizeof *names);
            names[name_count++] = states[i].character;
        }
    }
    if (builder->picture->category_count == 0)
        return suggest_error(builder->error, "character", builder->view->character, names, name_count);
    add_category(builder, "several", "several, by layer");
    return STATUS_OK;
}

static enum status add_categories(struct builder *builder)
{
    struct picture *picture = builder->picture;
    switch (builder->view->colouring) {
    case COLOUR_FAMILY:
        picture->category_title = "Families";
        for (size_t i = 0; i < builder->family_count; i++)
            add_category(builder, builder->families[i].key, builder->families[i].name);
        return STATUS_OK;
    case COLOUR_KIND:
        picture->category_title = "Kinds";
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            add_category(builder, kinds[i].key, kinds[i].name);
        return STATUS_OK;
    case COLOUR_CHARACTER:
        picture->category_title = builder->view->character;
        return add_states(builder);
    }
    BUG("an unknown colouring");
}

static void set_state(struct builder *builder, const struct trait_row *row)
{
    struct picture *picture = builder->picture;
    for (size_t i = 0; i < picture->node_count; i++) {
        struct picture_node *node = &picture->nodes[i];
        if (!node->label || strcmp(node->key, row->variant) != 0)
            continue;
        size_t state = find_category(picture, row->state);
        node->category = node->category == PICTURE_NONE || node->category == state
                             ? state
                             : find_category(picture, "several");
    }
}

static enum status set_states(struct builder *builder)
{
    struct trait_row *rows;
    size_t count;
    enum status status = catalog_traits(builder->catalog, builder->arena, &rows, &count, builder->error);
    for (size_t i = 0; !status && i < count; i++)
        if (strcmp(rows[i].character, builder->view->character) == 0)
            set_state(builder, &rows[i]);
    return status;
}

/* ---- what is told on pointing ---- */

static const char *name_of(const struct network_node *node)
{
    return node->name ? node->name : node->key;
}

static const char *authors_of(const struct variant *variant, struct arena *arena)
{
    if (variant->author_count == 0)
        return NULL;
    if (variant->author_count == 1)
        return variant->authors[0];
    if (variant->author_count == 2)
        return arena_format(arena, "%s and %s", variant->authors[0], variant->authors[1]);
    return arena_format(arena, "%s and %zu others", variant->authors[0], variant->author_count - 1);
}

static const char *link_of(const struct variant *variant, struct arena *arena)
{
    if (variant->arxiv)
        return arena_format(arena, "https://arxiv.org/abs/%s", variant->arxiv);
    if (variant->doi)
        return arena_format(arena, "https://doi.org/%s", variant->doi);
    if (variant->acl)
        return arena_format(arena, "https://aclanthology.org/%s", variant->acl);
    if (variant->s2)
        return arena_format(arena, "https://www.semanticscholar.org/paper/%s", variant->s2);
    return NULL;
}

static const char *about_edge(const struct builder *builder, const struct network_edge *edge)
{
    const struct network *network = builder->network;
    const char *parent = name_of(&network->nodes[edge->parent]);
    const char *relation = edge->primary ? "from" : "borrows from";
    return edge->changed ? arena_format(builder->arena, "%s %s: %s", relation, parent, edge->changed)
                         : arena_format(builder->arena, "%s %s", relation, parent);
}

static const char *about_variant(const struct builder *builder, const struct network_node *node,
                                 const struct variant *variant)
{
    struct text text;
    text_init(&text, ABOUT_MAXIMUM);
    text_append(&text, name_of(node));
    if (variant->title && strcmp(variant->title, name_of(node)) != 0)
        text_format(&text, ": %s", variant->title);
    const char *authors = authors_of(variant, builder->arena);
    if (authors)
        text_format(&text, "\n%s", authors);
    if (variant->venue)
        text_format(&text, "%s%s", authors ? ", " : "\n", variant->venue);
    if (node->date)
        text_format(&text, "\nfirst public %s", node->date);
    if (variant->summary)
        text_format(&text, "\n%s", variant->summary);
    for (size_t i = 0; i < node->parent_count; i++)
        text_format(&text, "\n%s", about_edge(builder, &builder->network->edges[node->parents[i]]));
    const char *about = arena_copy_string(builder->arena, text_string(&text));
    text_release(&text);
    return about;
}

/* The year on the axis is that of the first version. */
static int year_of(const struct network_node *node)
{
    return node->date ? atoi(node->date) : node->year;
}

static const char *category_key(const struct builder *builder, const struct network_node *node)
{
    return builder->view->colouring == COLOUR_FAMILY ? node->family
           : builder->view->colouring == COLOUR_KIND ? node->kind
                                                     : NULL;
}

static enum status describe(const struct builder *builder, const struct network_node *node,
                            struct picture_node *drawn)
{
    struct variant_card card;
    enum status status = catalog_card(builder->catalog, node->key, builder->arena, &card, builder->error);
    if (status)
        return status;
    *drawn = (struct picture_node){
        .key = node->key,
        .label = name_of(node),
        .about = about_variant(builder, node, &card.variant),
        .link = link_of(&card.variant, builder->arena),
        .category = find_category(builder->picture, category_key(builder, node)),
        .year = year_of(node),
    };
    return STATUS_OK;
}

/* ---- titles ---- */

static void years_of(const struct picture *picture, int *first, int *last)
{
    *first = *last = 0;
    for (size_t i = 0; i < picture->node_count; i++) {
        int year = picture->nodes[i].year;
        if (year && (!*first || year < *first))
            *first = year;
        if (year > *last)
            *last = year;
    }
}

static const char *name_of_key(const struct builder *builder, const char *key)
{
    size_t node = network_find(builder->network, key);
    return node == NETWORK_NONE ? key : name_of(&builder->network->nodes[node]);
}

static const char *method_about(const char *method)
{
    if (strcmp(method, "citation") == 0)
        return "Descent as citations suggest it";
    if (strcmp(method, "character") == 0)
        return "Branches are as long as the characters of their kernels differ";
    return "Descent as the entries of the catalogue declare it";
}

static void set_titles(struct builder *builder, size_t variants)
{
    const struct family_view *view = builder->view;
    struct picture *picture = builder->picture;
    int first, last;
    years_of(picture, &first, &last);
    if (view->focus)
        picture->title =
            arena_format(builder->arena, "%s and its relatives", name_of_key(builder, view->focus));
    else if (view->root)
        picture->title =
            arena_format(builder->arena, "%s and what descends from it", name_of_key(builder, view->root));
    else if (view->families || view->suite)
        picture->title = "Part of the family tree of sequence models";
    else if (strcmp(view->method, "character") == 0)
        picture->title = "Sequence models by their characters";
    else
        picture->title = "The family tree of sequence models";
    const char *years = !first          ? ""
                        : first == last ? arena_format(builder->arena, ", %d", first)
                                        : arena_format(builder->arena, ", %d\xE2\x80\x93%d", first, last);
    picture->subtitle = arena_format(builder->arena, "%zu variant%s%s. %s.", variants,
                                     variants == 1 ? "" : "s", years, method_about(view->method));
    picture->description = arena_format(
        builder->arena,
        "%s Time runs from left to right. Each variant is a box with its name, linked to its paper; "
        "a line leads to it from the variant that it descends from, dashed lines from those "
        "that it borrows from.",
        picture->subtitle);
}

/* ---- pictures ---- */

static enum status start(struct builder *builder)
{
    *builder->picture = (struct picture){.focus = builder->view->focus};
    enum status status = catalog_families(builder->catalog, builder->arena, &builder->families,
                                          &builder->family_count, builder->error);
    if (!status && builder->family_count == 0)
        return error_set(builder->error, STATUS_OUTSIDE, "the catalogue has no families");
    return status ? status : add_categories(builder);
}

static enum status finish(struct builder *builder, size_t variants)
{
    if (builder->view->colouring == COLOUR_CHARACTER) {
        enum status status = set_states(builder);
        if (status)
            return status;
    }
    set_titles(builder, variants);
    picture_arrange(builder->picture, builder->arena);
    return STATUS_OK;
}

/* A parent that is hardly better than the next one is drawn as doubtful. */
#define DOUBTFUL_MARGIN 0.1

enum status family_picture(struct catalog *catalog, const struct network *network,
                           const struct family_view *view, struct arena *arena, struct picture *picture,
                           struct error *error)
{
    struct builder builder = {catalog, network, view, arena, picture, NULL, 0, error};
    enum status status = start(&builder);
    picture->timeline = true;
    picture->routed_donors = view->focus != NULL;
    picture->node_count = network->node_count;
    picture->edge_count = network->edge_count;
    picture->nodes = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *picture->nodes));
    picture->edges = arena_allocate(arena, size_multiply(network->edge_count + 1, sizeof *picture->edges));
    for (size_t i = 0; !status && i < network->node_count; i++)
        status = describe(&builder, &network->nodes[i], &picture->nodes[i]);
    for (size_t i = 0; i < network->edge_count; i++) {
        const struct network_edge *edge = &network->edges[i];
        picture->edges[i] = (struct picture_edge){
            .parent = edge->parent,
            .child = edge->child,
            .primary = edge->primary,
            .doubtful = edge->margin < DOUBTFUL_MARGIN,
            .label = view->focus ? edge->changed : NULL,
            .about = arena_format(arena, "%s %s", name_of(&network->nodes[edge->child]),
                                  about_edge(&builder, edge)),
        };
    }
    return status ? status : finish(&builder, network->node_count);
}

/* ---- inferred trees ---- */

/* Less than this is not worth a number beside the branch. */
#define SHOWN_SUPPORT 0.5

static enum status describe_leaf(const struct builder *builder, const struct tree_node *node, size_t index,
                                 struct picture_node *drawn)
{
    size_t variant = node->name ? network_find(builder->network, node->name) : NETWORK_NONE;
    if (variant != NETWORK_NONE) {
        enum status status = describe(builder, &builder->network->nodes[variant], drawn);
        drawn->year = 0;
        return status;
    }
    *drawn = (struct picture_node){
        .key = node->name ? node->name : arena_format(builder->arena, "split:%zu", index),
        .label = node->name,
        .category = PICTURE_NONE,
    };
    return STATUS_OK;
}

enum status family_picture_of_tree(struct catalog *catalog, const struct network *network,
                                   const struct tree *tree, const struct family_view *view,
                                   struct arena *arena, struct picture *picture, struct error *error)
{
    struct builder builder = {catalog, network, view, arena, picture, NULL, 0, error};
    enum status status = start(&builder);
    size_t named = 0;
    picture->node_count = tree->count;
    picture->nodes = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *picture->nodes));
    picture->edges = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *picture->edges));
    for (size_t i = 0; !status && i < tree->count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        named += node->name != NULL;
        status = describe_leaf(&builder, node, i, &picture->nodes[i]);
        if (node->parent != TREE_NONE)
            picture->edges[picture->edge_count++] = (struct picture_edge){
                .parent = node->parent,
                .child = i,
                .primary = true,
                .length = node->length,
                .label = node->child_count && node->support >= SHOWN_SUPPORT
                             ? arena_format(arena, "%.0f", 100 * node->support)
                             : NULL,
                .about = node->child_count && !isnan(node->support)
                             ? arena_format(arena, "in %.0f %% of the replicates", 100 * node->support)
                             : NULL};
    }
    return status ? status : finish(&builder, named);
}
