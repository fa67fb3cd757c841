#include "base/xml.h"
#include "lineage/exchange.h"
#include <math.h>

static const struct {
    const char *id, *element, *name, *type;
} keys[] = {
    {"name", "node", "name", "string"},        {"title", "node", "title", "string"},
    {"date", "node", "date", "string"},        {"year", "node", "year", "double"},
    {"family", "node", "family", "string"},    {"kind", "node", "kind", "string"},
    {"primary", "edge", "primary", "boolean"}, {"changed", "edge", "changed", "string"},
    {"length", "edge", "length", "double"},    {"support", "edge", "support", "double"},
};

static void print_text(FILE *stream, const char *key, const char *text)
{
    if (!text)
        return;
    fprintf(stream, "      <data key=\"%s\">", key);
    xml_print(stream, text);
    fputs("</data>\n", stream);
}

static void print_number(FILE *stream, const char *key, double number)
{
    if (!isnan(number))
        fprintf(stream, "      <data key=\"%s\">%.6g</data>\n", key, number);
}

static void print_id(const struct lineage_document *document, const char *attribute, size_t node,
                     FILE *stream)
{
    const char *name = document->tree->nodes[node].name;
    fprintf(stream, " %s=\"", attribute);
    if (name)
        xml_print(stream, name);
    else
        fprintf(stream, "split:%zu", node);
    fputc('"', stream);
}

static void print_node(const struct lineage_document *document, size_t index, FILE *stream)
{
    const char *key = document->tree->nodes[index].name;
    size_t found = key ? network_find(document->network, key) : NETWORK_NONE;
    fputs("    <node", stream);
    print_id(document, "id", index, stream);
    fputs(">\n", stream);
    if (found != NETWORK_NONE) {
        const struct network_node *variant = &document->network->nodes[found];
        print_text(stream, "name", variant->name);
        print_text(stream, "title", variant->title);
        print_text(stream, "date", variant->date);
        print_number(stream, "year", date_year(variant->date));
        print_text(stream, "family", variant->family);
        print_text(stream, "kind", variant->kind);
    }
    fputs("    </node>\n", stream);
}

static const char *change_of(const struct lineage_document *document, size_t node)
{
    const char *key = document->tree->nodes[node].name;
    size_t found = key ? network_find(document->network, key) : NETWORK_NONE;
    if (found == NETWORK_NONE || document->network->nodes[found].primary == NETWORK_NONE)
        return NULL;
    return document->network->edges[document->network->nodes[found].primary].changed;
}

static void print_branch(const struct lineage_document *document, size_t index, FILE *stream)
{
    const struct tree_node *node = &document->tree->nodes[index];
    if (node->parent == TREE_NONE)
        return;
    fputs("    <edge", stream);
    print_id(document, "source", node->parent, stream);
    print_id(document, "target", index, stream);
    fputs(">\n", stream);
    print_text(stream, "primary", "true");
    print_text(stream, "changed", change_of(document, index));
    print_number(stream, "length", node->length);
    print_number(stream, "support", node->support);
    fputs("    </edge>\n", stream);
}

static void print_donor(const struct network *network, const struct network_edge *edge, FILE *stream)
{
    fputs("    <edge source=\"", stream);
    xml_print(stream, network->nodes[edge->parent].key);
    fputs("\" target=\"", stream);
    xml_print(stream, network->nodes[edge->child].key);
    fputs("\">\n", stream);
    print_text(stream, "primary", "false");
    print_text(stream, "changed", edge->changed);
    fputs("    </edge>\n", stream);
}

void graphml_print(const struct lineage_document *document, FILE *stream)
{
    const struct network *network = document->network;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\" "
          "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
          "xsi:schemaLocation=\"http://graphml.graphdrawing.org/xmlns "
          "http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd\">\n",
          stream);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        fprintf(stream, "  <key id=\"%s\" for=\"%s\" attr.name=\"%s\" attr.type=\"%s\"/>\n", keys[i].id,
                keys[i].element, keys[i].name, keys[i].type);
    fprintf(stream, "  <graph id=\"%s\" edgedefault=\"directed\">\n", document->method);
    for (size_t i = 0; i < document->tree->count; i++)
        print_node(document, i, stream);
    for (size_t i = 0; i < document->tree->count; i++)
        print_branch(document, i, stream);
    for (size_t i = 0; i < network->edge_count; i++)
        if (!network->edges[i].primary)
            print_donor(network, &network->edges[i], stream);
    fputs("  </graph>\n</graphml>\n", stream);
}
