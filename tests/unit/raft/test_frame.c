/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft/cache.h"
#include "raft/frame.h"

static void release(void *context)
{
    ++*(int *)context;
}

static void test_wrap_released_once(void **state)
{
    int released = 0;
    (void)state;
    struct frame *frame = frame_wrap(BYTES("abc"), release, &released);
    assert_true(bytes_equal(frame_bytes(frame), BYTES("abc")));
    assert_ptr_equal(frame_ref(frame), frame);
    frame_unref(frame);
    assert_int_equal(released, 0);
    frame_unref(frame);
    assert_int_equal(released, 1);
    frame_unref(NULL);
}

static void test_own_memory(void **state)
{
    (void)state;
    struct frame *frame = frame_new(5);
    memcpy(frame_memory(frame), "hello", 5);
    assert_true(bytes_equal(frame_bytes(frame), BYTES("hello")));
    frame_unref(frame);
    frame = frame_new(0);
    assert_int_equal(frame_bytes(frame).len, 0);
    frame_unref(frame);
}

static struct entry entry_of(int *released, uint64_t term)
{
    struct bytes data = BYTES("0123456789");
    return (struct entry){.term = term,
                          .type = ENTRY_COMMAND,
                          .data = data,
                          .owner = frame_wrap(data, release, released)};
}

static void test_cache_keeps_and_lets_go(void **state)
{
    struct cache cache;
    int released = 0;
    (void)state;
    cache_init(&cache, 5);
    for (uint64_t i = 5; i < 205; i++)
        cache_append(&cache, entry_of(&released, i));
    assert_null(cache_get(&cache, 4));
    assert_null(cache_get(&cache, 205));
    for (uint64_t i = 5; i < 205; i++)
        assert_int_equal(cache_get(&cache, i)->term, i);
    cache_drop_before(&cache, 105);
    assert_int_equal(released, 100);
    assert_null(cache_get(&cache, 104));
    cache_truncate(&cache, 150);
    assert_int_equal(released, 155);
    assert_null(cache_get(&cache, 150));
    cache_append(&cache, entry_of(&released, 1000));
    assert_int_equal(cache_get(&cache, 150)->term, 1000);
    assert_int_equal(cache_get(&cache, 149)->term, 149);
    /* Below everything held: it begins anew there. */
    cache_truncate(&cache, 50);
    assert_int_equal(released, 201);
    assert_int_equal(cache.bytes, 0);
    cache_append(&cache, entry_of(&released, 7));
    assert_int_equal(cache_get(&cache, 50)->term, 7);
    cache_fini(&cache);
    assert_int_equal(released, 202);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap_released_once),
        cmocka_unit_test(test_own_memory),
        cmocka_unit_test(test_cache_keeps_and_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
