/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "smtp/submit/sent_too_much.h"

/* 2026-11-22 14:05:30 UTC */
#define TIME_MS UINT64_C(1795356330000)

static struct sent_too_much words;

static const char *said(uint64_t id, bool tenant, unsigned code)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    const struct smtp_refusal *refusal;

    share.kind = PR__SCOPE_KIND__SCOPE_SENDING;
    outcome.id = id;
    outcome.share = tenant ? &share : NULL;
    refusal = sent_too_much(&outcome, &words);
    assert_int_equal(refusal->code, code);
    assert_string_equal(refusal->enhanced, tenant ? "4.7.1" : "4.2.1");
    assert_false(refusal->close);
    return refusal->text;
}

static void who_and_until_when(void **state)
{
    (void)state;
    assert_string_equal(said(TIME_MS, false, 452),
                        "You have sent too much in this time, try again after "
                        "2026-11-22 14:06 UTC");
    assert_string_equal(said(TIME_MS, true, 450),
                        "Your organization has sent too much in this time, try again after "
                        "2026-11-22 14:06 UTC");
}

static void a_time_that_nobody_knows_is_not_said(void **state)
{
    static const char later[] =
        "You have sent too much in this time, try again later or to fewer recipients";

    (void)state;
    assert_string_equal(said(0, false, 452), later);
    assert_string_equal(said(UINT64_MAX, false, 452), later);
    assert_string_equal(sent_too_much(NULL, &words)->text, later);
    assert_string_equal(said(0, true, 450),
                        "Your organization has sent too much in this time, try again later or "
                        "to fewer recipients");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_and_until_when),
        cmocka_unit_test(a_time_that_nobody_knows_is_not_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
