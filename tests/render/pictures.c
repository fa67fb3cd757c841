#include "pictures.h"
#include <stdlib.h>

struct arena arena = ARENA_INIT;

int arena_teardown(void **state)
{
    arena_release(&arena);
    return 0;
}

static struct picture_category categories[] = {{"one", "First <one>", 0x4477AA, 0},
                                               {"two", "Second \"two\"", 0xEE6677, 0}};

struct picture odd_picture(void)
{
    static const struct picture_node nodes[] = {
        {.key = "a",
         .label = "A \"quoted\" \\name",
         .about = "first\nsecond & <third>",
         .category = 0,
         .year = 2000},
        {.key = "b",
         .label = "\xE2\x88\x9E-former",
         .link = "https://example.org/?a=1&b='2'",
         .category = 1,
         .year = 2001},
        {.key = "c-1", .label = "", .category = PICTURE_NONE, .year = 2001},
        {.key = "d", .label = "A very long name that takes several lines", .category = 1, .year = 0},
        {.key = "e", .label = "</text><script>", .about = "bad \xFF byte", .category = 0, .year = 2003},
    };
    static const struct picture_edge edges[] = {
        {.parent = 1, .child = 2, .primary = true, .about = "b to c"},
        {.parent = 0, .child = 4, .primary = false},
        {.parent = 0, .child = 1, .primary = true, .doubtful = true},
        {.parent = 2, .child = 3, .primary = true},
        {.parent = 3, .child = 4, .primary = true},
    };
    struct picture picture = {.title = "Title & <title>",
                              .subtitle = "sub\"title",
                              .description = "five <nodes>",
                              .category_title = "Kinds",
                              .timeline = true,
                              .nodes = arena_allocate(&arena, sizeof nodes),
                              .node_count = 5,
                              .edges = arena_allocate(&arena, sizeof edges),
                              .edge_count = 5,
                              .categories = categories,
                              .category_count = 2};
    for (size_t i = 0; i < 5; i++) {
        picture.nodes[i] = nodes[i];
        picture.edges[i] = edges[i];
    }
    picture_arrange(&picture, &arena);
    return picture;
}

static size_t chance_below(uint64_t *state, size_t bound)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (size_t)(*state >> 11) % bound;
}

struct picture random_picture(uint64_t seed, size_t nodes, size_t donors)
{
    struct picture picture = {.title = "By chance",
                              .description = "by chance",
                              .category_title = "Kinds",
                              .timeline = true,
                              .nodes = arena_allocate(&arena, (nodes + 1) * sizeof *picture.nodes),
                              .node_count = nodes,
                              .edges = arena_allocate(&arena, (nodes + donors + 1) * sizeof *picture.edges),
                              .categories = categories,
                              .category_count = 2};
    for (size_t i = 0; i < nodes; i++) {
        picture.nodes[i] = (struct picture_node){.key = arena_format(&arena, "n%zu", i),
                                                 .label = arena_format(&arena, "Node %zu", i * i),
                                                 .category = chance_below(&seed, 2),
                                                 .year = (int)(2000 + 20 * i / nodes)};
        if (i)
            picture.edges[picture.edge_count++] =
                (struct picture_edge){.parent = chance_below(&seed, i), .child = i, .primary = true};
    }
    for (size_t i = 0; i < donors; i++) {
        size_t child = 1 + chance_below(&seed, nodes - 1);
        picture.edges[picture.edge_count++] =
            (struct picture_edge){.parent = chance_below(&seed, child), .child = child};
    }
    picture_arrange(&picture, &arena);
    return picture;
}

char *captured(void (*print)(const void *, FILE *), const void *what, size_t *length)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    print(what, stream);
    fclose(stream);
    char *copy = arena_allocate(&arena, *length + 1);
    for (size_t i = 0; i < *length; i++)
        copy[i] = text[i];
    free(text);
    return copy;
}
