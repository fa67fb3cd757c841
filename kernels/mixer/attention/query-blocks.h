/* query-blocks.h: work that goes block by block along the queries, so that what is wide exists for one block
 * at a time. */
#ifndef CLADE_KERNELS_QUERY_BLOCKS_H
#define CLADE_KERNELS_QUERY_BLOCKS_H

#include "block/kernel.h"

/* What a block of `rows` queries from `start` on gives: [B, rows, ..]. */
typedef tensor *query_block(void *argument, int64_t start, int64_t rows);

/* The blocks of `size` of queries `start` to `end` - 1, one after the other, joined along axis 1; halves, so
 * that each row is copied log(blocks) times. */
static inline tensor *join_query_blocks(query_block *one, void *argument, int64_t start, int64_t end,
                                        int64_t size)
{
    int64_t blocks = (end - start + size - 1) / size;
    if (blocks <= 1)
        return one(argument, start, end - start);
    int64_t middle = start + blocks / 2 * size;
    tensor *earlier = join_query_blocks(one, argument, start, middle, size);
    tensor *later = join_query_blocks(one, argument, middle, end, size);
    return tensor_concat(2, (tensor *[]){earlier, later}, 1);
}

#endif
