#include "lineage/exchange.h"
#include "lineage/read.h"
#include "trees.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *read_as_newick(const char *text)
{
    struct tree tree;
    struct error error = ERROR_INIT;
    if (nexus_parse("text", text, strlen(text), &trees, &tree, &error))
        fail_msg("%s", error.message);
    return newick_of(&tree);
}

static void reads_the_first_tree(void **state)
{
    assert_string_equal(
        read_as_newick("#NEXUS\nbegin trees;\n tree one = [&R] (a,b)c;\n tree two = (a);\nend;"), "(a,b)c;");
    assert_string_equal(read_as_newick("#nexus Begin Trees; UTREE * 'my tree' = (a:1,b:2); End;"),
                        "(a:1,b:2);");
}

static void passes_over_other_blocks(void **state)
{
    assert_string_equal(read_as_newick("#NEXUS [a file]\n"
                                       "BEGIN DATA; DIMENSIONS NTAX=2 NCHAR=3; FORMAT DATATYPE=STANDARD;\n"
                                       "MATRIX a 01? 'b;x' {01}0- ; END;\n"
                                       "BEGIN PAUP; set crit=parsimony; ENDBLOCK;\n"
                                       "BEGIN TREES; Title 'tree;s'; TREE t = ((a,'b;x'),c); END;"),
                        "((a,'b;x'),c);");
}

static void translates_labels(void **state)
{
    assert_string_equal(
        read_as_newick(
            "#NEXUS begin trees; translate 1 alpha, 2 'b c', x_y gamma,; tree t = ((1,2),'x y'); end;"),
        "((alpha,'b c'),gamma);");
    assert_string_equal(read_as_newick("#NEXUS begin taxa; dimensions ntax=2; taxlabels alpha beta; end;\n"
                                       "begin trees; tree t = (2,1,7); end;"),
                        "(beta,alpha,'7');");
}

static void refuses_what_is_no_nexus(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"(a,b);", "text:1:1: expected '#NEXUS', found '('"},
        {"#NEXUS", "text:1:7: expected a block with a tree, found the end"},
        {"#NEXUS begin taxa; end;", "text:1:24: expected a block with a tree, found the end"},
        {"#NEXUS begin trees; tree", "text:1:25: expected the name of a tree, found the end"},
        {"#NEXUS begin trees; tree x (a,b);", "text:1:28: expected '=', found '('"},
        {"#NEXUS begin trees; tree x = (a,b)", "text:1:35: expected ';', found the end"},
        {"#NEXUS begin trees; translate 1;", "text:1:32: expected the name of a taxon, found ';'"},
        {"#NEXUS begin trees; translate (;", "text:1:31: expected a name to translate, found '('"},
        {"#NEXUS begin trees; junk", "text:1:25: expected ';', found the end"},
        {"#NEXUS hello", "text:1:8: expected a block with a tree, found 'hello'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree tree;
        struct error error = ERROR_INIT;
        assert_int_equal(nexus_parse("text", cases[i].text, strlen(cases[i].text), &trees, &tree, &error),
                         STATUS_OUTSIDE);
        assert_string_equal(error.message, cases[i].message);
    }
}

static const char *nexus_of(const struct tree *tree, const struct character_matrix *matrix)
{
    struct lineage_document document = {"descent", tree, NULL, matrix};
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    nexus_print(&document, stream);
    fclose(stream);
    const char *copy = arena_copy_string(&trees, text);
    free(text);
    return copy;
}

static void writes_taxa_characters_and_the_tree(void **state)
{
    struct tree tree = tree_of("('b c':2,a:1)root;");
    const char *taxa[] = {"a", "root"}, *states[] = {"matrix", "data-dependent", "it's"};
    struct matrix_character characters[] = {{"decay", states, 2}, {"state size", states, 3}};
    uint32_t cells[] = {1, 2 | 4, 2, 0};
    struct character_matrix matrix = {taxa, 2, characters, 2, cells};
    assert_string_equal(nexus_of(&tree, &matrix),
                        "#NEXUS\n\n"
                        "BEGIN TAXA;\n"
                        "    DIMENSIONS NTAX=3;\n"
                        "    TAXLABELS\n"
                        "        root\n"
                        "        'b c'\n"
                        "        a;\n"
                        "END;\n\n"
                        "BEGIN CHARACTERS;\n"
                        "    DIMENSIONS NCHAR=2;\n"
                        "    FORMAT DATATYPE=STANDARD SYMBOLS=\"012\" MISSING=? GAP=-;\n"
                        "    CHARSTATELABELS\n"
                        "        1 decay / 'matrix state' 'data-dependent',\n"
                        "        2 'state size' / 'matrix state' 'data-dependent' 'it''s';\n"
                        "    MATRIX\n"
                        "        root 1?\n"
                        "        'b c' ??\n"
                        "        a 0(12)\n"
                        "    ;\n"
                        "END;\n\n"
                        "BEGIN TREES;\n"
                        "    TREE descent = [&R] ('b c':2,a:1,root:0);\n"
                        "END;\n");
}

/* Inner nodes with names come back as leaves at distance zero. */
static void what_is_written_reads_the_same(void **state)
{
    uint64_t seed = 5;
    for (int round = 0; round < 100; round++) {
        struct tree tree = random_tree(&seed, 2 + chance_below(&seed, 20), 0.3, 0.5);
        for (size_t i = 0; i < tree.count; i++)
            if (tree.nodes[i].name)
                tree.nodes[i].name = arena_format(&trees, "it's (%s); x_y", tree.nodes[i].name);
        struct tree again;
        struct error error = ERROR_INIT;
        const char *text = nexus_of(&tree, NULL);
        assert_int_equal(nexus_parse("text", text, strlen(text), &trees, &again, &error), STATUS_OK);
        for (size_t i = 0; i < tree.count; i++) {
            if (!tree.nodes[i].name)
                continue;
            size_t leaf = node_named(&again, tree.nodes[i].name);
            assert_int_equal(again.nodes[leaf].child_count, 0);
            for (size_t j = 0; j < i; j++) {
                if (!tree.nodes[j].name)
                    continue;
                double before = way_between(&tree, i, j);
                double after = way_between(&again, leaf, node_named(&again, tree.nodes[j].name));
                assert_true(fabs(before - after) < 1e-4);
            }
        }
        assert_string_equal(strstr(nexus_of(&again, NULL), "BEGIN TREES"), strstr(text, "BEGIN TREES"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(reads_the_first_tree),
        WITH_TREES(passes_over_other_blocks),
        WITH_TREES(translates_labels),
        WITH_TREES(refuses_what_is_no_nexus),
        WITH_TREES(writes_taxa_characters_and_the_tree),
        WITH_TREES(what_is_written_reads_the_same),
    };
    return cmocka_run_group_tests_name("nexus", tests, NULL, NULL);
}
