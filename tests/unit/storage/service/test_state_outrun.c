/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/state_outrun.h"

static void the_rate_rises_and_is_bounded(void **state)
{
    static const unsigned factors[] = {2, 4, 8, 8, 8};
    struct state_outrun outrun = {0};
    uint32_t group = 0;
    unsigned times = 0;
    (void)state;

    assert_int_equal(state_outrun_factor(&outrun, 7), 1);
    for (unsigned i = 0; i < 5; i++) {
        state_outrun_ended(&outrun, 7, false);
        assert_int_equal(state_outrun_factor(&outrun, 7), factors[i]);
        assert_int_equal(state_outrun_factor(&outrun, 8), 1);
        assert_int_equal(state_outrun_worst(&outrun, &group, &times), i + 1 >= 2);
        assert_int_equal(group, 7);
        assert_int_equal(times, i + 1);
    }
    state_outrun_ended(&outrun, 8, false);
    assert_true(state_outrun_worst(&outrun, &group, &times));
    assert_int_equal(group, 7);
    state_outrun_ended(&outrun, 7, true);
    assert_int_equal(state_outrun_factor(&outrun, 7), 1);
    assert_int_equal(state_outrun_factor(&outrun, 8), 2);
    assert_false(state_outrun_worst(&outrun, &group, &times));
    state_outrun_ended(&outrun, 9, true);
    assert_int_equal(outrun.count, 1);
}

static void there_is_room_for_some(void **state)
{
    struct state_outrun outrun = {0};
    (void)state;

    for (uint32_t group = 0; group < 2 * STATE_OUTRUN_GROUPS_MAX; group++)
        state_outrun_ended(&outrun, group, false);
    assert_int_equal(outrun.count, STATE_OUTRUN_GROUPS_MAX);
    assert_int_equal(state_outrun_factor(&outrun, STATE_OUTRUN_GROUPS_MAX - 1), 2);
    assert_int_equal(state_outrun_factor(&outrun, STATE_OUTRUN_GROUPS_MAX), 1);
    state_outrun_ended(&outrun, 0, false);
    assert_int_equal(state_outrun_factor(&outrun, 0), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_rises_and_is_bounded),
        cmocka_unit_test(there_is_room_for_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
