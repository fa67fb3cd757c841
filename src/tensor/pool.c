#include "base/memory.h"
#include "tensor/operation.h"
#include <stdlib.h>
#include <string.h>
#if __has_include(<sanitizer/asan_interface.h>) /* gives empty macros in builds without it */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

/* Buffers are kept in lists by size class: eight classes an octave, so at most an eighth of a buffer is
 * unused. */
enum { CLASS_COUNT = 64 * 8, ALIGNMENT = 64 };

struct buffer { /* stands before the bytes, padded to ALIGNMENT */
    struct buffer *next;
    size_t size;
    int class;
};

struct pool {
    struct buffer *free[CLASS_COUNT];
    size_t used, peak;
};

static int size_class(size_t bytes, size_t *rounded)
{
    if (bytes < 1024)
        bytes = 1024;
    int octave = 63 - __builtin_clzll(bytes);
    size_t step = (size_t)1 << (octave - 3);
    size_t eighth = (bytes - ((size_t)1 << octave) + step - 1) / step;
    *rounded = ((size_t)1 << octave) + eighth * step;
    return octave * 8 + (int)eighth; /* eighth = 8 falls on the next octave's first class, as it should */
}

struct pool *pool_create(void)
{
    return memory_allocate_zero(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < CLASS_COUNT; i++) {
        for (struct buffer *buffer = pool->free[i], *next; buffer; buffer = next) {
            next = buffer->next;
            ASAN_UNPOISON_MEMORY_REGION(buffer + 1, ALIGNMENT + buffer->size - sizeof *buffer);
            free(buffer);
        }
    }
    free(pool);
}

/* Poisoned builds fill buffers with signalling NaN when they are taken and when they are given back, so that
 * what reads a buffer too early or too late computes NaN. The address sanitizer reports accesses outside. */
static void poison(void *data, size_t bytes)
{
#ifdef CLADE_POISON
#ifdef CLADE_DOUBLE
    const uint64_t signalling = 0x7FF4DEADBEEF0001;
#else
    const uint32_t signalling = 0x7FA0DEAD;
#endif
    for (size_t i = 0; i + sizeof signalling <= bytes; i += sizeof signalling)
        memcpy((char *)data + i, &signalling, sizeof signalling);
#else
    (void)data;
    (void)bytes;
#endif
}

void *pool_take(struct pool *pool, size_t bytes)
{
    size_t rounded;
    int class = size_class(bytes, &rounded);
    int found = class; /* a free buffer up to half as large again will do */
    while (found < class + 4 && found < CLASS_COUNT - 1 && !pool->free[found])
        found++;
    struct buffer *buffer = pool->free[found];
    if (buffer) {
        pool->free[found] = buffer->next;
        rounded = buffer->size;
    } else {
        buffer = memory_allocate_aligned(ALIGNMENT, rounded + ALIGNMENT);
        buffer->size = rounded;
        buffer->class = class;
    }
    pool->used += rounded;
    if (pool->used > pool->peak)
        pool->peak = pool->used;
    void *data = (char *)buffer + ALIGNMENT;
    ASAN_POISON_MEMORY_REGION(data, rounded);
    ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    poison(data, bytes);
    return data;
}

void pool_give(struct pool *pool, void *data)
{
    if (!data)
        return;
    struct buffer *buffer = (struct buffer *)((char *)data - ALIGNMENT);
    ASAN_UNPOISON_MEMORY_REGION(data, buffer->size);
    poison(data, buffer->size);
    ASAN_POISON_MEMORY_REGION(data, buffer->size);
    buffer->next = pool->free[buffer->class];
    pool->free[buffer->class] = buffer;
    pool->used -= buffer->size;
}

size_t pool_used(const struct pool *pool)
{
    return pool->used;
}

size_t pool_peak(const struct pool *pool)
{
    return pool->peak;
}

void pool_reset_peak(struct pool *pool)
{
    pool->peak = pool->used;
}
