/* Field numbers are those of onnx.proto (ONNX IR version 10). A message is written whole before its length is
 * known, so each level has a buffer of its own that is then copied into the level above. */
#include "onnx-model.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

struct message {
    unsigned char *bytes;
    size_t size;
};

enum wire { VARINT = 0, LENGTH = 2, FIXED32 = 5 };

static void put(struct message *m, const void *bytes, size_t size)
{
    m->bytes = memory_resize(m->bytes, m->size + size + 1);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void put_varint(struct message *m, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(m, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_key(struct message *m, unsigned field, enum wire wire)
{
    put_varint(m, field << 3 | wire);
}

static void put_integer(struct message *m, unsigned field, int64_t value)
{
    put_key(m, field, VARINT);
    put_varint(m, (uint64_t)value);
}

static void put_float(struct message *m, unsigned field, float value)
{
    put_key(m, field, FIXED32);
    put(m, &value, sizeof value);
}

static void put_text(struct message *m, unsigned field, const char *text)
{
    put_key(m, field, LENGTH);
    put_varint(m, strlen(text));
    put(m, text, strlen(text));
}

/* Takes the part's bytes. */
static void put_message(struct message *m, unsigned field, struct message part)
{
    put_key(m, field, LENGTH);
    put_varint(m, part.size);
    put(m, part.bytes, part.size);
    free(part.bytes);
}

static struct message attribute_proto(const struct onnx_attribute *a)
{
    enum { NAME = 1, FLOAT = 2, INT = 3, STRING = 4, TYPE = 20 };
    struct message m = {0};
    put_text(&m, NAME, a->name);
    if (a->type == ONNX_FLOAT)
        put_float(&m, FLOAT, a->f);
    else if (a->type == ONNX_INT)
        put_integer(&m, INT, a->i);
    else
        put_text(&m, STRING, a->s);
    put_integer(&m, TYPE, a->type);
    return m;
}

static struct message node_proto(const struct onnx_node *node)
{
    enum { INPUT = 1, OUTPUT = 2, NAME = 3, TYPE = 4, ATTRIBUTE = 5, DOMAIN = 7 };
    struct message m = {0};
    for (int i = 0; i < node->input_count; i++)
        put_text(&m, INPUT, node->inputs[i].name);
    for (int i = 0; i < node->output_count; i++)
        put_text(&m, OUTPUT, node->outputs[i].name);
    put_text(&m, NAME, "operation");
    put_text(&m, TYPE, node->type);
    for (int i = 0; i < node->attribute_count; i++)
        put_message(&m, ATTRIBUTE, attribute_proto(&node->attributes[i]));
    put_text(&m, DOMAIN, "com.microsoft");
    return m;
}

static struct message value_info_proto(const struct onnx_port *port)
{
    enum {
        NAME = 1,
        TYPE = 2,
        TENSOR = 1,
        ELEMENT = 1,
        SHAPE = 2,
        DIMENSION = 1,
        VALUE = 1,
        ELEMENT_FLOAT = 1
    };
    struct message m = {0}, type = {0}, tensor = {0}, shape = {0};
    for (int i = 0; i < port->rank; i++) {
        struct message dimension = {0};
        put_integer(&dimension, VALUE, port->shape[i]);
        put_message(&shape, DIMENSION, dimension);
    }
    put_integer(&tensor, ELEMENT, ELEMENT_FLOAT);
    put_message(&tensor, SHAPE, shape);
    put_message(&type, TENSOR, tensor);
    put_text(&m, NAME, port->name);
    put_message(&m, TYPE, type);
    return m;
}

static struct message graph_proto(const struct onnx_node *node)
{
    enum { NODE = 1, NAME = 2, INPUT = 11, OUTPUT = 12 };
    struct message m = {0};
    put_message(&m, NODE, node_proto(node));
    put_text(&m, NAME, "graph");
    for (int i = 0; i < node->input_count; i++)
        if (*node->inputs[i].name)
            put_message(&m, INPUT, value_info_proto(&node->inputs[i]));
    for (int i = 0; i < node->output_count; i++)
        put_message(&m, OUTPUT, value_info_proto(&node->outputs[i]));
    return m;
}

static struct message operator_set(const char *domain, int64_t number)
{
    enum { DOMAIN = 1, VERSION = 2 };
    struct message m = {0};
    put_text(&m, DOMAIN, domain);
    put_integer(&m, VERSION, number);
    return m;
}

unsigned char *onnx_model(const struct onnx_node *node, size_t *size)
{
    enum { IR_VERSION = 1, GRAPH = 7, OPERATOR_SET = 8 };
    struct message m = {0};
    put_integer(&m, IR_VERSION, 10);
    put_message(&m, GRAPH, graph_proto(node));
    put_message(&m, OPERATOR_SET, operator_set("", 21));
    put_message(&m, OPERATOR_SET, operator_set("com.microsoft", 1));
    *size = m.size;
    return m.bytes;
}
