/* memory.h: allocation that never returns NULL, checked sizes, and a bump arena.
 *
 * When memory is out the program ends with one line on standard error and exit status 3; no caller tests for
 * NULL. Sizes that come from input are multiplied with size_multiply(), which ends the same way on overflow.
 */
#ifndef CLADE_BASE_MEMORY_H
#define CLADE_BASE_MEMORY_H

#include <stddef.h>

void *memory_allocate(size_t size);                           /* uninitialised; freed with free() */
void *memory_allocate_aligned(size_t alignment, size_t size); /* alignment: a power of two, at least 8 */
void *memory_allocate_zero(size_t count, size_t size);
void *memory_resize(void *pointer, size_t size); /* as realloc */
char *memory_copy_string(const char *text);      /* NULL gives NULL */
void *memory_copy(const void *source, size_t size);
size_t size_multiply(size_t a, size_t b);

/* An arena hands out zeroed, 64-byte aligned pieces that all live until the arena is released. */
struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first; NULL while empty */
    size_t used;                /* bytes handed out in all */
};
#define ARENA_INIT \
    {              \
        NULL, 0    \
    }

void *arena_allocate(struct arena *arena, size_t size);
char *arena_copy_string(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull));
/* Room for one more item of `size` bytes behind the `count` items of a growing array: the array itself, or a
 * copy twice as large. Start with NULL and 0; append with `array = arena_extend(arena, array, count, sizeof
 * *array)` and `array[count++] = item`. */
void *arena_extend(struct arena *arena, void *array, size_t count, size_t size);
void arena_release(struct arena *arena);

#endif
