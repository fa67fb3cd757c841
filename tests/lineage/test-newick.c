#include "base/file.h"
#include "lineage/exchange.h"
#include "lineage/label.h"
#include "lineage/read.h"
#include "trees.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reads_what_the_format_allows(void **state)
{
    static const struct {
        const char *text, *again;
    } cases[] = {
        {"a;", "a;"},
        {"(a,b);", "(a,b);"},
        {" ( a , b ) c ; \n", "(a,b)c;"},
        {"(a:1,b:2.5e-1)c:0;", "(a:1,b:0.25)c:0;"},
        {"(a:-1,b:+2);", "(a:-1,b:2);"},
        {"((a,b)0.95:1,c);", "((a,b)0.95:1,c);"},
        {"('it''s','a b',a_b);", "('it''s','a b','a b');"},
        {"(a[comment [inside]],[&x=1]b)[&R];", "(a,b);"},
        {"(,,);", "(,,);"},
        {"((a));", "((a));"},
        {"('',b);", "(,b);"},
        {"\xEF\xBB\xBF(a,\r\nb);\r\n", "(a,b);"},
        {"('(a:b);',\xCE\xB1);", "('(a:b);',\xCE\xB1);"},
        {"('0.5',b)'0.7';", "('0.5',b)'0.7';"},
        {"(a,b)1e999;", "(a,b)'1e999';"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree tree = tree_of(cases[i].text);
        assert_string_equal(newick_of(&tree), cases[i].again);
    }
}

static void a_number_at_an_inner_node_is_support(void **state)
{
    struct tree tree = tree_of("((a,b)0.95,(c,d)'0.5',7)x;");
    assert_float_equal(tree.nodes[tree.nodes[node_named(&tree, "a")].parent].support, 0.95, 1e-12);
    assert_null(tree.nodes[tree.nodes[node_named(&tree, "a")].parent].name);
    assert_string_equal(tree.nodes[tree.nodes[node_named(&tree, "c")].parent].name, "0.5");
    node_named(&tree, "7");
}

static void refuses_what_is_no_tree(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "text:1:1: expected a tree, found the end"},
        {"[only]", "text:1:7: expected a tree, found the end"},
        {"(a,b)", "text:1:6: expected ';', found the end"},
        {"(a,b;", "text:1:5: expected ',' or ')', found ';'"},
        {"(a,b));", "text:1:6: expected ';', found ')'"},
        {"(a,(b);", "text:1:7: expected ',' or ')', found ';'"},
        {"a,b;", "text:1:2: expected ';', found ','"},
        {"(a b);", "text:1:4: expected ',' or ')', found 'b'"},
        {"(a(b));", "text:1:3: expected ',' or ')', found '('"},
        {"(a,b)(c);", "text:1:6: expected ';', found '('"},
        {"(a,\n  b:x);", "text:2:5: expected the length of a branch, found 'x'"},
        {"(a,b:nan);", "text:1:6: expected the length of a branch, found 'nan'"},
        {"(a,b:'1');", "text:1:6: expected the length of a branch, found '1'"},
        {"(a,b:1e999);", "text:1:6: the length of a branch is out of range"},
        {"(a,b:1:2);", "text:1:7: expected ',' or ')', found ':'"},
        {"(a,b:);", "text:1:6: expected the length of a branch, found ')'"},
        {"('a,b);", "text:1:2: a quoted label does not end"},
        {"(a,b);(c,d);", "text:1:7: expected the end after one tree, found '('"},
        {"(a,[b);", "text:1:4: a comment does not end"},
        {"(a,b#H1);", "text:1:4: networks ('#' in a label) are not read"},
        {"(\xC3\xA9,\xC3\xA9 x);", "text:1:6: expected ',' or ')', found 'x'"},
        {"(a,\xFF);", "text: expected UTF-8 text without control characters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree tree;
        struct error error = ERROR_INIT;
        assert_int_equal(newick_parse("text", cases[i].text, strlen(cases[i].text), &trees, &tree, &error),
                         STATUS_OUTSIDE);
        assert_string_equal(error.message, cases[i].message);
    }
}

static void refuses_a_nul_and_a_label_without_end(void **state)
{
    struct tree tree;
    struct error error = ERROR_INIT;
    assert_int_equal(newick_parse("text", "(a\0,b);", 7, &trees, &tree, &error), STATUS_OUTSIDE);
    char *text = memory_allocate(10000);
    memset(text, 'a', 10000);
    assert_int_equal(newick_parse("text", text, 10000, &trees, &tree, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "text:1:1: a label is longer than 4096 bytes");
    free(text);
}

static void depth_is_limited_only_by_the_number_of_nodes(void **state)
{
    const size_t depth = 200000;
    char *text = memory_allocate(2 * depth + 3);
    memset(text, '(', depth);
    text[depth] = 'a';
    memset(text + depth + 1, ')', depth);
    text[2 * depth + 1] = ';';
    struct tree tree, rerooted;
    struct error error = ERROR_INIT;
    assert_int_equal(newick_parse("text", text, 2 * depth + 2, &trees, &tree, &error), STATUS_OK);
    assert_int_equal(tree.count, depth + 1);
    tree_reroot_at_middle(&tree, &trees, &rerooted);
    memset(text, '(', 2 * depth);
    free(text);
    const size_t many = (1 << 20) + 2;
    text = memory_allocate(many);
    memset(text, '(', many);
    assert_int_equal(newick_parse("text", text, many, &trees, &tree, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "a tree has more than 1048576 nodes"));
    free(text);
}

static const char *label_as(const char *label, enum label_format format)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    label_print(label, format, stream);
    fclose(stream);
    const char *copy = arena_copy_string(&trees, text);
    free(text);
    return copy;
}

static const char *label_text(const char *label)
{
    return label_as(label, LABEL_NEWICK);
}

static void quotes_labels_that_a_reader_would_misread(void **state)
{
    assert_string_equal(label_text("mega-2"), "mega-2");
    assert_string_equal(label_text("S4D"), "S4D");
    assert_string_equal(label_text("\xE2\x88\x9E-former"), "\xE2\x88\x9E-former");
    static const char *const quoted[] = {"a b", "a_b", "a:b", "(a)", "a,b",   "a;b", "[a]",
                                         "#a",  "1.5", "12",  "-a",  "a=\"b", "",    "{a}"};
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++)
        assert_string_equal(label_text(quoted[i]), arena_format(&trees, "'%s'", quoted[i]));
    assert_string_equal(label_as("mega-2", LABEL_NEXUS), "'mega-2'");
    assert_string_equal(label_as("mega2", LABEL_NEXUS), "mega2");
    assert_string_equal(label_text("it's"), "'it''s'");
    assert_string_equal(label_text("a\nb\tc"), "'a b c'");
}

/* Labels of odd characters, lengths, support and any shape come back as they were. */
static void what_is_written_reads_the_same(void **state)
{
    static const char *const parts[] = {"a",
                                        "'",
                                        "(",
                                        ")",
                                        ":",
                                        ";",
                                        ",",
                                        "[",
                                        "]",
                                        "_",
                                        " ",
                                        "-",
                                        "#",
                                        "\"",
                                        "\\",
                                        "1",
                                        ".",
                                        "\xCE\xB1",
                                        "\xE2\x88\x9E",
                                        "&",
                                        "="};
    uint64_t seed = 3;
    for (int round = 0; round < 200; round++) {
        struct tree tree = random_tree(&seed, 2 + chance_below(&seed, 20), 0.3, 0.5);
        for (size_t i = 0; i < tree.count; i++) {
            struct tree_node *node = &tree.nodes[i];
            const char *name = "";
            for (size_t j = 1 + chance_below(&seed, 6); j > 0; j--)
                name = arena_format(&trees, "%s%s", name,
                                    parts[chance_below(&seed, sizeof parts / sizeof *parts)]);
            node->name = node->name ? name : NULL;
            node->length = chance_below(&seed, 4) ? round / 4.0 : NAN;
            node->support = !node->name && chance_below(&seed, 2) ? 0.25 : NAN;
        }
        const char *text = newick_of(&tree);
        struct tree again = tree_of(text);
        assert_string_equal(newick_of(&again), text);
        assert_int_equal(again.count, tree.count);
        for (size_t i = 0; i < tree.count; i++) {
            const struct tree_node *a = &tree.nodes[tree.order[i]], *b = &again.nodes[again.order[i]];
            assert_true(!a->name == !b->name && (!a->name || strcmp(a->name, b->name) == 0));
            assert_true(a->child_count == b->child_count);
            assert_true(a->length == b->length || (isnan(a->length) && isnan(b->length)));
            assert_true(a->support == b->support || (isnan(a->support) && isnan(b->support)));
        }
    }
}

static void a_file_is_read_by_its_beginning(void **state)
{
    struct tree tree;
    struct error error = ERROR_INIT;
    char folder[] = "/tmp/clade-test-newick-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "tree");
    file_write(path, "(a,b);", 6, &error);
    assert_int_equal(tree_read(path, &trees, &tree, &error), STATUS_OK);
    assert_int_equal(tree.count, 3);
    const char *nexus = "\n#nexus begin trees; tree x = (a,b,c); end;";
    file_write(path, nexus, strlen(nexus), &error);
    assert_int_equal(tree_read(path, &trees, &tree, &error), STATUS_OK);
    assert_int_equal(tree.count, 4);
    remove(path);
    assert_int_equal(tree_read(path, &trees, &tree, &error), STATUS_OUTSIDE);
    free(path);
    remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(reads_what_the_format_allows),
        WITH_TREES(a_number_at_an_inner_node_is_support),
        WITH_TREES(refuses_what_is_no_tree),
        WITH_TREES(refuses_a_nul_and_a_label_without_end),
        WITH_TREES(depth_is_limited_only_by_the_number_of_nodes),
        WITH_TREES(quotes_labels_that_a_reader_would_misread),
        WITH_TREES(what_is_written_reads_the_same),
        WITH_TREES(a_file_is_read_by_its_beginning),
    };
    return cmocka_run_group_tests_name("newick", tests, NULL, NULL);
}
