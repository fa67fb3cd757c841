#include "base/memory.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "clade: out of memory (%zu bytes)\n", size);
    exit(3);
}

void *memory_allocate(size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        out_of_memory(size);
    return pointer;
}

enum { HUGE_PAGE = 1 << 21 };

/* Large blocks ask for huge pages: loops over arrays of megabytes else wait for the translation of
 * addresses. */
void *memory_allocate_aligned(size_t alignment, size_t size)
{
    void *pointer = NULL;
    bool large = size >= HUGE_PAGE;
    if (large && alignment < HUGE_PAGE)
        alignment = HUGE_PAGE;
    if (posix_memalign(&pointer, alignment, size ? size : 1) != 0)
        out_of_memory(size);
#ifdef MADV_HUGEPAGE
    if (large) /* a wish: where it fails, pages are small */
        (void)madvise(pointer, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return pointer;
}

void *memory_allocate_zero(size_t count, size_t size)
{
    size_t total = size_multiply(count, size);
    void *pointer = calloc(total ? total : 1, 1);
    if (!pointer)
        out_of_memory(total);
    return pointer;
}

void *memory_resize(void *pointer, size_t size)
{
    void *resized = realloc(pointer, size ? size : 1);
    if (!resized)
        out_of_memory(size);
    return resized;
}

void *memory_copy(const void *source, size_t size)
{
    void *copy = memory_allocate(size);
    if (size)
        memcpy(copy, source, size);
    return copy;
}

char *memory_copy_string(const char *text)
{
    return text ? memory_copy(text, strlen(text) + 1) : NULL;
}

size_t size_multiply(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        out_of_memory(SIZE_MAX);
    return product;
}

enum {
    ALIGNMENT = 64,
    FIRST_BLOCK = 1 << 14,
    LARGEST_BLOCK = 1 << 24, /* blocks double up to here; a larger piece has a block of its own size */
};

struct arena_block {
    struct arena_block *next;
    size_t capacity; /* bytes from `start` on, a multiple of ALIGNMENT */
    size_t used;     /* likewise */
    char *start;     /* the first aligned byte behind this header */
};

/* calloc() rather than an aligned allocation and memset(): large blocks come as untouched zero pages. */
static struct arena_block *block_create(size_t capacity, struct arena_block *next)
{
    size_t header = sizeof(struct arena_block) + ALIGNMENT;
    if (capacity > SIZE_MAX - header)
        out_of_memory(capacity);
    struct arena_block *block = memory_allocate_zero(1, header + capacity);
    uintptr_t behind = (uintptr_t)(block + 1);
    block->start = (char *)(block + 1) + (ALIGNMENT - behind % ALIGNMENT) % ALIGNMENT;
    block->capacity = capacity;
    block->next = next;
    return block;
}

void *arena_allocate(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        out_of_memory(size);
    size_t rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    struct arena_block *block = arena->blocks;
    if (!block || block->capacity - block->used < rounded) {
        size_t capacity = block ? block->capacity * 2 : FIRST_BLOCK;
        if (capacity > LARGEST_BLOCK)
            capacity = LARGEST_BLOCK;
        if (capacity < rounded)
            capacity = rounded;
        arena->blocks = block = block_create(capacity, block);
    }
    void *piece = block->start + block->used;
    block->used += rounded;
    arena->used += rounded;
    return piece;
}

char *arena_copy_string(struct arena *arena, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(arena_allocate(arena, size), text, size);
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = arena_allocate(arena, size);
    if (length >= 0)
        vsnprintf(text, size, format, again);
    va_end(again);
    return text;
}

void *arena_extend(struct arena *arena, void *array, size_t count, size_t size)
{
    if (count & (count - 1)) /* the capacity is the power of two that is at least `count` */
        return array;
    size_t bytes = size_multiply(count, size);
    void *larger = arena_allocate(arena, count ? size_multiply(bytes, 2) : size);
    return count ? memcpy(larger, array, bytes) : larger;
}

void arena_release(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena)ARENA_INIT;
}
