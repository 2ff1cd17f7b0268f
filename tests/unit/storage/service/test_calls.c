/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which calls a role reaches: said here once more, so that no role gains one by a slip. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/calls.h"

#define CALL(name) PR__REQUEST__CALL_##name
enum { CALLS_MAX = 1000 }; /* numbers of calls are below */

static bool is_among(const Pr__Request__CallCase *calls, size_t count,
                     Pr__Request__CallCase call)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i] == call)
            return true;
    return false;
}

static void check(enum service_role role, const Pr__Request__CallCase *calls, size_t count)
{
    for (int i = 0; i < CALLS_MAX; i++) {
        Pr__Request__CallCase call = (Pr__Request__CallCase)i;
        const struct call_row *row = call_find(call);
        bool may = row != NULL && (row->roles & 1U << role) != 0;
        if (may != is_among(calls, count, call))
            fail_msg("role %d, call %d: %s", (int)role, i, may ? "it may" : "it may not");
    }
}

static void test_relay(void **state)
{
    static const Pr__Request__CallCase calls[] = {
        CALL(RESOLVE),      CALL(DELIVER),       CALL(UPLOAD),     CALL(UPLOAD_ABORT),
        CALL(RELAY_DUTIES), CALL(QUEUE_LANES),   CALL(QUEUE_READ), CALL(QUEUE_BODY),
        CALL(QUEUE_WRITE),  CALL(SETTINGS_READ),
    };

    (void)state;
    check(ROLE_RELAY, calls, sizeof(calls) / sizeof(*calls));
}

static void test_smtp(void **state)
{
    static const Pr__Request__CallCase calls[] = {
        CALL(RESOLVE),       CALL(DELIVER),         CALL(UPLOAD),       CALL(UPLOAD_ABORT),
        CALL(MAY_SEND),      CALL(SETTINGS_READ),   CALL(GREYLIST_ASK), CALL(SENDER_DOMAIN_ASK),
        CALL(FIREWALL_READ), CALL(FIREWALL_REPORT), CALL(AUTH_STEP),    CALL(LOGOUT),
    };

    (void)state;
    check(ROLE_SMTP, calls, sizeof(calls) / sizeof(*calls));
}

/* The queue is a relay's and operators', mailboxes are IMAP's, and nobody but operators comes
 * to what operators ask. */
static void test_apart(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS_MAX; i++) {
        const struct call_row *row = call_find((Pr__Request__CallCase)i);
        if (row == NULL)
            continue;
        assert_int_equal(row->call, i);
        assert_int_not_equal(row->roles, 0);
        if (row->roles & 1U << ROLE_OPERATOR)
            assert_int_equal(row->roles, 1U << ROLE_OPERATOR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay),
        cmocka_unit_test(test_smtp),
        cmocka_unit_test(test_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
