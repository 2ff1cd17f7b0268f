/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/arena.h"

static void test_blocks_are_zero_and_aligned(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t size = 0; size < 3000; size++) {
        uint8_t *block = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)block % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(block[i], 0);
            block[i] = 0xFF;
        }
    }
    /* The memory that is kept by a reset was written to, and must be zero again. */
    arena_reset(&arena);
    const uint8_t *block = arena_alloc(&arena, 4000);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(block[i], 0);
    arena_fini(&arena);
    assert_null(arena.newest);
}

static void test_blocks_do_not_overlap(void **state)
{
    enum { COUNT = 500 };
    uint8_t *blocks[COUNT];
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(&arena, i * 37 % 9000 + 1);
        memset(blocks[i], (int)(i % 251), i * 37 % 9000 + 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(blocks[i][0], i % 251);
        assert_int_equal(blocks[i][i * 37 % 9000], i % 251);
    }
    arena_fini(&arena);
}

static void test_copies(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    char source[] = "ab\0c";
    struct bytes copy = arena_copy(&arena, bytes_from(source, 4));
    char *string = arena_string(&arena, bytes_from(source, 4));
    char *large = arena_printf(&arena, "%05000d|%s", 7, "end");
    struct bytes nothing = arena_copy(&arena, (struct bytes){NULL, 0});
    memset(source, 'x', sizeof(source));
    assert_true(bytes_equal(copy, BYTES("ab\0c")));
    assert_int_equal(copy.at[4], 0);
    assert_string_equal(string, "ab");
    assert_int_equal(string[3], 'c');
    assert_int_equal(strlen(large), 5004);
    assert_string_equal(large + 4999, "7|end");
    assert_non_null(nothing.at);
    assert_int_equal(nothing.len, 0);
    arena_fini(&arena);
}

static void test_reset_keeps_it_usable(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    arena_reset(&arena);
    assert_null(arena.newest);
    arena_alloc(&arena, 100000); /* a block of its own, which is not kept */
    arena_reset(&arena);
    assert_null(arena.newest);
    void *first = arena_alloc(&arena, 16);
    arena_alloc(&arena, 100000);
    arena_alloc(&arena, 5000);
    arena_reset(&arena);
    assert_ptr_equal(arena_alloc(&arena, 16), first);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_zero_and_aligned),
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_reset_keeps_it_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
