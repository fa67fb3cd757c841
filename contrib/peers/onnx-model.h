/* onnx-model.h: an ONNX model of one node, as the bytes of its protobuf. */
#ifndef CLADE_PEERS_ONNX_MODEL_H
#define CLADE_PEERS_ONNX_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum { ONNX_MAX_RANK = 4, ONNX_MAX_PORTS = 6, ONNX_MAX_ATTRIBUTES = 4 };

struct onnx_port {
    const char *name; /* "": an optional input left out */
    int rank;
    int64_t shape[ONNX_MAX_RANK];
};

struct onnx_attribute {
    const char *name;
    enum { ONNX_FLOAT = 1, ONNX_INT = 2, ONNX_STRING = 3 } type; /* as in the format */
    float f;
    int64_t i;
    const char *s;
};

/* An operator of the domain com.microsoft on single-precision tensors. */
struct onnx_node {
    const char *type;
    struct onnx_port inputs[ONNX_MAX_PORTS], outputs[ONNX_MAX_PORTS];
    struct onnx_attribute attributes[ONNX_MAX_ATTRIBUTES];
    int input_count, output_count, attribute_count;
};

/* The caller frees the bytes. */
unsigned char *onnx_model(const struct onnx_node *node, size_t *size);

#endif
