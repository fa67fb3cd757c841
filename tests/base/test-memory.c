#include "base/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void empty_requests_give_a_pointer(void **state)
{
    void *pieces[] = {memory_allocate(0), memory_allocate_zero(0, 8), memory_resize(NULL, 0),
                      memory_copy("", 0)};
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(pieces[i]);
        free(pieces[i]);
    }
}

static void copies_strings(void **state)
{
    assert_null(memory_copy_string(NULL));
    char *copy = memory_copy_string("delta");
    assert_string_equal(copy, "delta");
    free(copy);
}

static void zeroes(void **state)
{
    unsigned char *bytes = memory_allocate_zero(100, 7);
    for (size_t i = 0; i < 700; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
}

static void allocate_too_much(void)
{
    volatile size_t size = PTRDIFF_MAX;
    free(memory_allocate(size));
}

static void resize_too_much(void)
{
    volatile size_t size = PTRDIFF_MAX;
    free(memory_resize(NULL, size));
}

static void multiply_too_much(void)
{
    size_multiply(SIZE_MAX / 2, 3);
}

static void allocate_zero_too_much(void)
{
    free(memory_allocate_zero(SIZE_MAX / 4, 8));
}

static void arena_too_much(void)
{
    struct arena arena = ARENA_INIT;
    arena_allocate(&arena, SIZE_MAX - 3);
}

static void ends_with_one_line_and_status_3(void (*action)(void), const char *expected)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        action();
        _exit(99);
    }
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    char line[4096], found[4096] = "";
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, "clade: ", 7) == 0) /* a sanitizer may add warnings of its own */
            strcpy(found, line);
    fclose(stream);
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 3);
    assert_string_equal(found, expected);
}

static void running_out_ends_the_program(void **state)
{
    char expected[128];
    snprintf(expected, sizeof expected, "clade: out of memory (%zu bytes)\n", (size_t)PTRDIFF_MAX);
    ends_with_one_line_and_status_3(allocate_too_much, expected);
    ends_with_one_line_and_status_3(resize_too_much, expected);
}

static void overflowing_sizes_end_the_program(void **state)
{
    char expected[128];
    snprintf(expected, sizeof expected, "clade: out of memory (%zu bytes)\n", SIZE_MAX);
    ends_with_one_line_and_status_3(multiply_too_much, expected);
    ends_with_one_line_and_status_3(allocate_zero_too_much, expected);
    snprintf(expected, sizeof expected, "clade: out of memory (%zu bytes)\n", SIZE_MAX - 3);
    ends_with_one_line_and_status_3(arena_too_much, expected);
}

static void arena_pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena arena = ARENA_INIT;
    unsigned char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        size_t size = i * 37 % 5000;
        pieces[i] = arena_allocate(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % 64, 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)(i % 255 + 1), size);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < i * 37 % 5000; j++)
            assert_int_equal(pieces[i][j], i % 255 + 1);
    arena_release(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.used, 0);
}

static void arena_holds_pieces_larger_than_its_blocks(void **state)
{
    struct arena arena = ARENA_INIT;
    char *small = arena_copy_string(&arena, "small");
    unsigned char *large = arena_allocate(&arena, 40 << 20);
    assert_int_equal(large[(40 << 20) - 1], 0);
    assert_string_equal(small, "small");
    assert_int_equal(arena.used, 64 + (40 << 20));
    arena_release(&arena);
}

static void arena_formats(void **state)
{
    struct arena arena = ARENA_INIT;
    assert_string_equal(arena_format(&arena, "%s-%d", "mamba", 2), "mamba-2");
    assert_string_equal(arena_format(&arena, "%s", ""), "");
    assert_null(arena_copy_string(&arena, NULL));
    arena_release(&arena);
}

static void arrays_grow_and_keep_their_items(void **state)
{
    struct arena arena = ARENA_INIT;
    int *items = NULL;
    size_t count = 0;
    for (int i = 0; i < 1000; i++) {
        items = arena_extend(&arena, items, count, sizeof *items);
        items[count++] = i * 3;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i * 3);
    assert_true(arena.used < 4 * 4 * 1024);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_requests_give_a_pointer),
        cmocka_unit_test(copies_strings),
        cmocka_unit_test(zeroes),
        cmocka_unit_test(running_out_ends_the_program),
        cmocka_unit_test(overflowing_sizes_end_the_program),
        cmocka_unit_test(arena_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_holds_pieces_larger_than_its_blocks),
        cmocka_unit_test(arena_formats),
        cmocka_unit_test(arrays_grow_and_keep_their_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
