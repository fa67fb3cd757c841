#include "base/xml.h"
#include "lineage/exchange.h"
#include <math.h>
#include <string.h>

static void indent(FILE *stream, size_t depth)
{
    for (size_t i = 0; i < depth && i < 40; i++)
        fputs("  ", stream);
}

static void print_element(FILE *stream, size_t depth, const char *name, const char *attributes,
                          const char *text)
{
    if (!text)
        return;
    indent(stream, depth);
    fprintf(stream, "<%s%s>", name, attributes);
    xml_print(stream, text);
    fprintf(stream, "</%s>\n", name);
}

static const struct network_node *variant_of(const struct lineage_document *document,
                                             const struct tree_node *node)
{
    size_t found = node->name ? network_find(document->network, node->name) : NETWORK_NONE;
    return found == NETWORK_NONE ? NULL : &document->network->nodes[found];
}

/* The schema fixes the order: name, branch_length, confidence, date, property, clade. */
static void open_clade(const struct lineage_document *document, size_t index, size_t depth, FILE *stream)
{
    const struct tree_node *node = &document->tree->nodes[index];
    const struct network_node *variant = variant_of(document, node);
    indent(stream, depth);
    fprintf(stream, "<clade id_source=\"n%zu\">\n", index);
    print_element(stream, depth + 1, "name", "", node->name);
    if (!isnan(node->length)) {
        indent(stream, depth + 1);
        fprintf(stream, "<branch_length>%.6g</branch_length>\n", node->length);
    }
    if (!isnan(node->support)) {
        indent(stream, depth + 1);
        fprintf(stream, "<confidence type=\"%s\">%.6g</confidence>\n", node->name ? "margin" : "bootstrap",
                node->support);
    }
    if (!variant)
        return;
    double year = date_year(variant->date);
    if (!isnan(year)) {
        indent(stream, depth + 1);
        fprintf(stream, "<date unit=\"year\"><value>%.2f</value></date>\n", year);
    }
    static const char property[] = " ref=\"clade:%s\" datatype=\"xsd:string\" applies_to=\"node\"";
    const struct {
        const char *name, *value;
    } properties[] = {{"name", variant->name},
                      {"title", variant->title},
                      {"published", variant->date},
                      {"family", variant->family},
                      {"kind", variant->kind}};
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        char attributes[96];
        snprintf(attributes, sizeof attributes, property, properties[i].name);
        print_element(stream, depth + 1, "property", attributes, properties[i].value);
    }
}

static void print_tree(const struct lineage_document *document, const struct tree *tree, FILE *stream)
{
    size_t node = tree->first_root, depth = 1;
    while (node != TREE_NONE) {
        open_clade(document, node, depth, stream);
        const struct tree_node *at = &tree->nodes[node];
        if (at->first_child != TREE_NONE) {
            node = at->first_child;
            depth++;
            continue;
        }
        indent(stream, depth);
        fputs("</clade>\n", stream);
        while (at->next_sibling == TREE_NONE && at->parent != TREE_NONE) {
            at = &tree->nodes[at->parent];
            indent(stream, --depth);
            fputs("</clade>\n", stream);
        }
        node = at->next_sibling;
    }
}

static size_t find_named(const struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].name && strcmp(tree->nodes[i].name, name) == 0)
            return i;
    return TREE_NONE;
}

static void print_relations(const struct lineage_document *document, const struct tree *tree, FILE *stream)
{
    const struct network *network = document->network;
    for (size_t i = 0; i < network->edge_count; i++) {
        const struct network_edge *edge = &network->edges[i];
        if (edge->primary)
            continue;
        size_t donor = find_named(tree, network->nodes[edge->parent].key);
        size_t child = find_named(tree, network->nodes[edge->child].key);
        if (donor != TREE_NONE && child != TREE_NONE)
            fprintf(stream, "  <clade_relation id_ref_0=\"n%zu\" id_ref_1=\"n%zu\" type=\"donor\"/>\n", donor,
                    child);
    }
}

void phyloxml_print(const struct lineage_document *document, FILE *stream)
{
    struct arena arena = ARENA_INIT;
    struct tree joined;
    tree_join(document->tree, &arena, &joined);
    struct lineage_document whole = *document;
    whole.tree = &joined;
    fputs(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<phyloxml xmlns=\"http://www.phyloxml.org\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xsi:schemaLocation=\"http://www.phyloxml.org http://www.phyloxml.org/1.10/phyloxml.xsd\">\n"
        "<phylogeny rooted=\"true\">\n",
        stream);
    print_element(stream, 1, "name", "", document->method);
    print_tree(&whole, &joined, stream);
    print_relations(&whole, &joined, stream);
    fputs("</phylogeny>\n</phyloxml>\n", stream);
    arena_release(&arena);
}
