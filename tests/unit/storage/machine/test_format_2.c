/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the last release of format 2 applied: storage/format_replay.h. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/format_replay.h"

static const struct format_replay replay = {"format_2", 100, 8};

static void same_entries_make_the_same_rows_and_replies(void **state)
{
    (void)state;
    format_replay_compare(&replay);
}

static void old_tables_can_be_used_and_raised(void **state)
{
    (void)state;
    format_replay_raise(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_entries_make_the_same_rows_and_replies),
        cmocka_unit_test(old_tables_can_be_used_and_raised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
