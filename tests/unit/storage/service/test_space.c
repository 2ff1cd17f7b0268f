/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/space.h"

#define MIB ((uint64_t)1024 * 1024)

static void reserve_is_a_part_of_the_disk_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(space_reserve(300 * MIB, 0), 64 * MIB);
    assert_int_equal(space_reserve(4000 * MIB, 0), 200 * MIB);
    assert_int_equal(space_reserve(4000000 * MIB, 0), 1024 * MIB);
    assert_int_equal(space_reserve(300 * MIB, 7), 7);
}

static void it_takes_more_to_go_on_than_to_stop(void **state)
{
    (void)state;
    assert_false(space_short(100, 100, false));
    assert_true(space_short(99, 100, false));
    assert_true(space_short(100, 100, true));
    assert_true(space_short(124, 100, true));
    assert_false(space_short(125, 100, true));
}

static void map_is_larger_than_the_disk_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(space_map(1000 * MIB, 0), SPACE_MAP_MIN);
    assert_int_equal(space_map(100000 * MIB + 5, 0), 800000 * MIB);
    assert_int_equal(space_map(~(uint64_t)0, 0), SPACE_MAP_MAX);
    assert_int_equal(space_map(1000 * MIB, 7 * MIB), 7 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserve_is_a_part_of_the_disk_within_bounds),
        cmocka_unit_test(map_is_larger_than_the_disk_within_bounds),
        cmocka_unit_test(it_takes_more_to_go_on_than_to_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
