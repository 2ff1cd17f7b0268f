/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/buffer.h"

static void test_bytes_come_out_as_they_went_in(void **state)
{
    struct buffer buffer = BUFFER_EMPTY;
    uint32_t random = 1;
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    size_t expected = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        random = random * 1664525 + 1013904223;
        size_t len = random >> 24;
        if (random % 3 != 0) {
            uint8_t run[256];
            for (size_t i = 0; i < len; i++)
                run[i] = next_in++;
            buffer_add(&buffer, bytes_from(run, len));
            expected += len;
        } else {
            len = len * 2 < expected ? len * 2 : expected;
            for (size_t i = 0; i < len; i++)
                if (buffer_bytes(&buffer).at[i] != next_out++)
                    fail_msg("round %u", round);
            buffer_drop(&buffer, len);
            expected -= len;
        }
        assert_int_equal(buffer_len(&buffer), expected);
    }
    buffer_fini(&buffer);
}

static void test_writers(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    assert_null(buffer_bytes(&buffer).at);
    buffer_add(&buffer, (struct bytes){NULL, 0});
    buffer_add_string(&buffer, "a");
    buffer_add_byte(&buffer, 'b');
    buffer_printf(&buffer, "%d-%s", 12, "c");
    memcpy(buffer_reserve(&buffer, 100), "de", 2);
    buffer_added(&buffer, 2);
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES("ab12-cde")));
    buffer_printf(&buffer, "%01000d", 1);
    assert_int_equal(buffer_len(&buffer), 1008);
    buffer_drop(&buffer, 1);
    buffer_truncate(&buffer, 2);
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES("b1")));
    buffer_truncate(&buffer, 2);
    buffer_drop(&buffer, 2);
    assert_int_equal(buffer_len(&buffer), 0);
    buffer_fini(&buffer);
    assert_null(buffer.memory);
}

static void test_memory_is_given_back(void **state)
{
    struct buffer buffer = BUFFER_EMPTY;

    (void)state;
    buffer_reserve(&buffer, 1000);
    buffer_added(&buffer, 1000);
    buffer_clear(&buffer);
    assert_non_null(buffer.memory);
    assert_int_equal(buffer_len(&buffer), 0);
    buffer_reserve(&buffer, 1000000);
    buffer_added(&buffer, 1000000);
    buffer_drop(&buffer, 1000000);
    assert_null(buffer.memory);
    assert_int_equal(buffer.size, 0);
    buffer_add_byte(&buffer, 'x');
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES("x")));
    buffer_release(&buffer);
    assert_null(buffer.memory);
}

/* A queue that never runs empty must not grow with what has gone through it. */
static void test_dropped_room_is_used_again(void **state)
{
    struct buffer buffer = BUFFER_EMPTY;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        buffer_add(&buffer, BYTES("0123456789"));
        if (i > 10)
            buffer_drop(&buffer, 10);
    }
    assert_in_range(buffer.size, 110, 2048);
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_as_they_went_in),
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_memory_is_given_back),
        cmocka_unit_test(test_dropped_room_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
