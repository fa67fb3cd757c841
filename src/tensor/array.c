#include "tensor/array.h"
#include "base/error.h"
#include "base/memory.h"
#include <stdlib.h>

bool array_shape_size(int rank, const int64_t *shape, int64_t *size)
{
    if (rank < 0 || rank > ARRAY_MAX_RANK)
        return false;
    int64_t product = 1; /* of the lengths that are not zero */
    bool empty = false;
    for (int axis = 0; axis < rank; axis++) {
        if (shape[axis] < 0)
            return false;
        if (shape[axis] == 0)
            empty = true;
        else if (shape[axis] > ARRAY_MAX_SIZE / product)
            return false;
        else
            product *= shape[axis];
    }
    *size = empty ? 0 : product;
    return true;
}

void array_allocate(struct array *array, int rank, const int64_t *shape)
{
    int64_t size;
    if (!array_shape_size(rank, shape, &size))
        BUG("array_allocate: the shape was not checked");
    *array = (struct array){.rank = rank};
    for (int axis = 0; axis < rank; axis++)
        array->shape[axis] = shape[axis];
    array->data = memory_allocate(size_multiply((size_t)size, sizeof(real)));
}

void array_release(struct array *array)
{
    free(array->data);
    *array = (struct array){0};
}

int64_t array_size(const struct array *array)
{
    int64_t size;
    if (!array_shape_size(array->rank, array->shape, &size))
        BUG("array_size: the array has no valid shape");
    return size;
}
