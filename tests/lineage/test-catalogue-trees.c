/* Characters and citations as the catalogue has them. */
#include "../catalog/fixture.h"
#include "lineage/characters.h"
#include "lineage/citation.h"
#include <math.h>

static const char *row_text(const struct character_matrix *matrix, const char *taxon, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < matrix->taxon_count; i++)
        for (size_t j = 0; strcmp(matrix->taxa[i], taxon) == 0 && j < matrix->character_count; j++)
            text =
                arena_format(arena, "%s%s=%x ", text, matrix->characters[j].name, matrix_cell(matrix, i, j));
    return text;
}

static void characters_come_from_the_kernels_of_a_variant(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct character_matrix matrix;
    struct error error = ERROR_INIT;
    assert_int_equal(characters_from_catalog(catalog, 1, &fixture->arena, &matrix, &error), STATUS_OK);
    assert_int_equal(matrix.character_count, 2);
    assert_string_equal(row_text(&matrix, "transformer", &fixture->arena), "mixing=1 decay=1 ");
    assert_string_equal(row_text(&matrix, "gla", &fixture->arena), "mixing=2 decay=4 ");
    assert_string_equal(row_text(&matrix, "survey", &fixture->arena), "");
    for (size_t i = 1; i < matrix.taxon_count; i++)
        assert_true(strcmp(matrix.taxa[i - 1], matrix.taxa[i]) < 0);
    assert_int_equal(characters_from_catalog(catalog, 3, &fixture->arena, &matrix, &error), STATUS_OK);
    assert_int_equal(matrix.taxon_count, 0);
    catalog_close(catalog);
}

static const char *parent_of(const struct network *network, const char *key)
{
    size_t node = network_find(network, key);
    assert_true(node != NETWORK_NONE);
    size_t parent = network_primary_parent(network, node);
    return parent == NETWORK_NONE ? "-" : network->nodes[parent].key;
}

static void parents_come_from_citations_alone(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct network descent, inferred, bare;
    struct citation_evidence evidence;
    struct node_link *links;
    struct error error = ERROR_INIT;
    assert_int_equal(network_from_catalog(catalog, &fixture->arena, &descent, &error), STATUS_OK);
    assert_int_equal(
        network_from_citations(catalog, &descent, &fixture->arena, &inferred, &evidence, &links, &error),
        STATUS_OK);
    assert_int_equal(inferred.node_count, descent.node_count);
    assert_string_equal(parent_of(&inferred, "gla"), "retnet");
    assert_string_equal(parent_of(&inferred, "retnet"), "transformer");
    assert_string_equal(parent_of(&inferred, "samba"), "-"); /* its only link was entered by hand */
    assert_string_not_equal(parent_of(&descent, "samba"), "-");
    for (size_t i = 0; i < inferred.edge_count; i++)
        assert_true(inferred.edges[i].margin >= 0 && inferred.edges[i].margin <= 1 &&
                    !inferred.edges[i].changed);
    bare = descent; /* the same without any declared edge */
    bare.edge_count = 0;
    assert_int_equal(network_link(&bare, &fixture->arena, &error), STATUS_OK);
    struct network again;
    assert_int_equal(
        network_from_citations(catalog, &bare, &fixture->arena, &again, &evidence, &links, &error),
        STATUS_OK);
    assert_int_equal(again.edge_count, inferred.edge_count);
    for (size_t i = 0; i < again.node_count; i++)
        assert_string_equal(parent_of(&again, again.nodes[i].key), parent_of(&inferred, again.nodes[i].key));
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(characters_come_from_the_kernels_of_a_variant),
        WITH_FIXTURE(parents_come_from_citations_alone),
    };
    return cmocka_run_group_tests_name("catalogue-trees", tests, NULL, NULL);
}
