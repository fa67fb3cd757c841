#include "base/json.h"
#include "base/text.h"
#include "cases.h"
#include "lineage/exchange.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A network of three with a donor, and names that break careless writers. */
static struct lineage_document odd_document(void)
{
    static struct network network;
    static struct tree tree;
    network = (struct network){0};
    build(&network, "a 2000, b 2001, c 2002", "a>b, b>c, a~c");
    network.nodes[find(&network, "b")].name = "<B & \"b\">";
    network.nodes[find(&network, "c")].title = "it's\x01 \xCE\xB1";
    network.nodes[find(&network, "c")].family = "bad \xFF byte";
    network.edges[network.nodes[find(&network, "c")].primary].changed = "x < y";
    network.edges[network.nodes[find(&network, "b")].primary].margin = 0.25;
    tree_from_network(&network, &arena, &tree);
    return (struct lineage_document){"descent", &tree, &network, NULL};
}

static const char *printed(void (*print)(const struct lineage_document *, FILE *),
                           const struct lineage_document *document)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    print(document, stream);
    fclose(stream);
    const char *copy = arena_copy_string(&arena, text);
    free(text);
    return copy;
}

static void writes_graphml(void **state)
{
    struct lineage_document document = odd_document();
    const char *text = printed(graphml_print, &document);
    assert_non_null(strstr(text, "<graph id=\"descent\" edgedefault=\"directed\">"));
    assert_non_null(strstr(text, "<data key=\"name\">&lt;B &amp; &quot;b&quot;&gt;</data>"));
    assert_non_null(strstr(text, "<data key=\"title\">it&#39;s \xCE\xB1</data>"));
    assert_non_null(strstr(text, "<data key=\"family\">bad \xEF\xBF\xBD byte</data>"));
    assert_non_null(strstr(text, "<data key=\"changed\">x &lt; y</data>"));
    assert_non_null(
        strstr(text, "<edge source=\"a\" target=\"c\">\n      <data key=\"primary\">false</data>"));
    assert_non_null(strstr(text, "<data key=\"support\">0.25</data>"));
    assert_null(strchr(text, '\x01'));
}

static void writes_phyloxml(void **state)
{
    struct lineage_document document = odd_document();
    const char *text = printed(phyloxml_print, &document);
    assert_non_null(
        strstr(text, "<phylogeny rooted=\"true\">\n  <name>descent</name>\n  <clade id_source=\"n0\">"));
    assert_non_null(strstr(text, "<name>b</name>\n      <branch_length>1</branch_length>\n      "
                                 "<confidence type=\"margin\">0.25</confidence>\n      "
                                 "<date unit=\"year\"><value>2001.50</value></date>"));
    assert_non_null(strstr(text,
                           "  </clade>\n  <clade_relation id_ref_0=\"n0\" id_ref_1=\"n2\" type=\"donor\"/>\n"
                           "</phylogeny>"));
}

static void writes_json(void **state)
{
    struct lineage_document document = odd_document();
    struct text text;
    struct error error = ERROR_INIT;
    text_init(&text, 1 << 20);
    struct network *network = (struct network *)document.network;
    network->nodes[find(network, "c")].family = NULL; /* JSON takes no broken text */
    cJSON *json = lineage_json(&document);
    cJSON *nodes = cJSON_GetObjectItem(json, "nodes"), *c = cJSON_GetArrayItem(nodes, 2);
    assert_string_equal(cJSON_GetObjectItem(json, "method")->valuestring, "descent");
    assert_int_equal(cJSON_GetArraySize(nodes), 3);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(nodes, 0), "parent")));
    assert_string_equal(cJSON_GetObjectItem(c, "key")->valuestring, "c");
    assert_string_equal(cJSON_GetObjectItem(c, "parent")->valuestring, "b");
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(c, "donors"), 0)->valuestring, "a");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(c, "margin")));
    assert_float_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(nodes, 1), "margin")->valuedouble, 0.25, 1e-12);
    assert_int_equal(json_print(json, &text, &error), STATUS_OK);
    cJSON_Delete(json);
    text_release(&text);
}

static void branchings_without_names_get_keys(void **state)
{
    struct network network = {0};
    struct tree tree = {0};
    struct error error = ERROR_INIT;
    build(&network, "a 2000, b 2001", "");
    size_t root = tree_add(&tree, &arena, NULL, TREE_NONE, NAN, NAN);
    size_t inner = tree_add(&tree, &arena, NULL, root, 0.5, 0.75);
    tree_add(&tree, &arena, "a", inner, 1, NAN);
    tree_add(&tree, &arena, "b", inner, 1, NAN);
    assert_int_equal(tree_link(&tree, &arena, &error), STATUS_OK);
    struct lineage_document document = {"character", &tree, &network, NULL};
    cJSON *json = lineage_json(&document);
    cJSON *node = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "nodes"), 1);
    assert_string_equal(cJSON_GetObjectItem(node, "key")->valuestring, "split-1");
    assert_float_equal(cJSON_GetObjectItem(node, "support")->valuedouble, 0.75, 1e-12);
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "nodes"), 2), "parent")->valuestring,
        "split-1");
    cJSON_Delete(json);
    const char *text = printed(graphml_print, &document);
    assert_non_null(strstr(text, "<edge source=\"split:1\" target=\"a\">"));
    text = printed(phyloxml_print, &document);
    assert_non_null(strstr(text, "<confidence type=\"bootstrap\">0.75</confidence>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NETWORK(writes_graphml),
        WITH_NETWORK(writes_phyloxml),
        WITH_NETWORK(writes_json),
        WITH_NETWORK(branchings_without_names_get_keys),
    };
    return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
