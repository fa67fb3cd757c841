/* The catalogue's own tree as a picture. */
#include "lineage/selection.h"
#include "pictures.h"
#include "render/family.h"
#include "render/layout.h"
#include <math.h>
#include <string.h>

static struct catalog *catalog; /* read by all tests */

static int open_catalogue(void **state)
{
    struct error error = ERROR_INIT;
    struct catalog_options options = {.database = ":memory:", .directory = CLADE_CATALOG};
    return catalog_open(&options, &catalog, &error) ? -1 : 0;
}

static int close_catalogue(void **state)
{
    catalog_close(catalog);
    return 0;
}

static struct network whole_network(void)
{
    struct network network;
    struct error error = ERROR_INIT;
    assert_int_equal(network_from_catalog(catalog, &arena, &network, &error), STATUS_OK);
    return network;
}

static const struct picture_node *node_of(const struct picture *picture, const char *key)
{
    for (size_t i = 0; i < picture->node_count; i++)
        if (strcmp(picture->nodes[i].key, key) == 0)
            return &picture->nodes[i];
    fail_msg("no node '%s'", key);
    return NULL;
}

static void every_variant_is_a_node_with_a_family_and_a_year(void **state)
{
    struct network network = whole_network();
    struct family_view view = {.method = "descent"};
    struct picture picture;
    struct error error = ERROR_INIT;
    assert_int_equal(family_picture(catalog, &network, &view, &arena, &picture, &error), STATUS_OK);
    assert_int_equal(picture.node_count, network.node_count);
    assert_int_equal(picture.edge_count, network.edge_count);
    size_t counted = 0;
    for (size_t i = 0; i < picture.category_count; i++)
        counted += picture.categories[i].count;
    assert_int_equal(counted, picture.node_count);
    for (size_t i = 0; i < picture.node_count; i++)
        assert_true(picture.nodes[i].year > 1900);
    const struct picture_node *gla = node_of(&picture, "gla");
    assert_string_equal(gla->label, "GLA");
    assert_string_equal(gla->link, "https://arxiv.org/abs/2312.06635");
    assert_non_null(strstr(gla->about, "\nfrom RetNet: "));
    assert_true(node_of(&picture, "transformer")->hub);
}

static void no_two_of_the_whole_tree_overlap(void **state)
{
    struct network network = whole_network();
    struct family_view view = {.method = "descent"};
    struct picture picture;
    struct layout layout;
    struct error error = ERROR_INIT;
    assert_int_equal(family_picture(catalog, &network, &view, &arena, &picture, &error), STATUS_OK);
    assert_int_equal(layout_picture(&picture, 60, &arena, &layout, &error), STATUS_OK);
    for (size_t i = 0; i < picture.node_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct picture_node *a = &picture.nodes[i], *b = &picture.nodes[j];
            assert_true(fabs(layout.nodes[i].x - layout.nodes[j].x) >= (a->width + b->width) / 2 - 0.5 ||
                        fabs(layout.nodes[i].y - layout.nodes[j].y) >= (a->height + b->height) / 2 - 0.5);
        }
    assert_true(layout.width / layout.height > 1 &&
                layout.width / layout.height < 2); /* fits a sheet of paper */
}

static void a_focused_picture_says_what_changed(void **state)
{
    struct network network = whole_network(), part;
    struct family_view view = {.method = "descent", .focus = "gla", .depth = 1};
    struct picture picture;
    struct error error = ERROR_INIT;
    assert_int_equal(network_select_near(&network, "gla", 1, &arena, &part, &error), STATUS_OK);
    assert_int_equal(family_picture(catalog, &part, &view, &arena, &picture, &error), STATUS_OK);
    assert_string_equal(picture.title, "GLA and its relatives");
    assert_true(picture.routed_donors);
    for (size_t i = 0; i < picture.edge_count; i++)
        assert_non_null(picture.edges[i].label);
}

static void colours_tell_kinds_or_characters(void **state)
{
    struct network network = whole_network();
    struct family_view kind = {.method = "descent", .colouring = COLOUR_KIND};
    struct family_view decay = {.method = "descent", .colouring = COLOUR_CHARACTER, .character = "decay"};
    struct family_view wrong = {.method = "descent", .colouring = COLOUR_CHARACTER, .character = "decai"};
    struct picture picture;
    struct error error = ERROR_INIT;
    assert_int_equal(family_picture(catalog, &network, &kind, &arena, &picture, &error), STATUS_OK);
    assert_string_equal(picture.category_title, "Kinds");
    for (size_t i = 0; i < network.node_count; i++)
        assert_string_equal(picture.categories[node_of(&picture, network.nodes[i].key)->category].key,
                            network.nodes[i].kind);
    assert_int_equal(family_picture(catalog, &network, &decay, &arena, &picture, &error), STATUS_OK);
    assert_string_equal(picture.categories[picture.category_count - 1].key, "several");
    assert_int_equal(family_picture(catalog, &network, &wrong, &arena, &picture, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "did you mean 'decay'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(every_variant_is_a_node_with_a_family_and_a_year),
        WITH_ARENA(no_two_of_the_whole_tree_overlap),
        WITH_ARENA(a_focused_picture_says_what_changed),
        WITH_ARENA(colours_tell_kinds_or_characters),
    };
    return cmocka_run_group_tests_name("family", tests, open_catalogue, close_catalogue);
}
