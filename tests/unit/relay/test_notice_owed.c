/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/relay/notice.h"

enum {
    UNSAID = 0,
    NEVER = SMTP_NOTIFY_NEVER,
    SUCCESS = SMTP_NOTIFY_SUCCESS,
    FAILURE = SMTP_NOTIFY_FAILURE,
    DELAY = SMTP_NOTIFY_DELAY,
    NOBODY = NOTICE_ACTIONS, /* is told */
};

/* What is said, for each NOTIFY. */
static const struct row {
    enum notice_event event;
    int unsaid, never, success, failure, delay, all;
} rows[] = {
    {NOTICE_EVENT_FAILED, NOTICE_FAILED, NOBODY, NOBODY, NOTICE_FAILED, NOBODY, NOTICE_FAILED},
    {NOTICE_EVENT_DELAYED, NOTICE_DELAYED, NOBODY, NOBODY, NOBODY, NOTICE_DELAYED,
     NOTICE_DELAYED},
    {NOTICE_EVENT_TAKEN, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY},
    {NOTICE_EVENT_RELAYED, NOBODY, NOBODY, NOTICE_RELAYED, NOBODY, NOBODY, NOTICE_RELAYED},
    {NOTICE_EVENT_DELIVERED, NOBODY, NOBODY, NOTICE_DELIVERED, NOBODY, NOBODY,
     NOTICE_DELIVERED},
    {NOTICE_EVENT_EXPANDED, NOBODY, NOBODY, NOTICE_EXPANDED, NOBODY, NOBODY, NOTICE_EXPANDED},
    {NOTICE_EVENT_BY_LOST, NOTICE_RELAYED, NOBODY, NOTICE_RELAYED, NOTICE_RELAYED,
     NOTICE_RELAYED, NOTICE_RELAYED},
    {NOTICE_EVENT_BY_TRACED, NOTICE_RELAYED, NOBODY, NOTICE_RELAYED, NOTICE_RELAYED,
     NOTICE_RELAYED, NOTICE_RELAYED},
};

static void expect(unsigned notify, enum notice_event event, int want)
{
    enum notice_action action = NOTICE_ACTIONS;

    assert_int_equal(notice_owed(notify, event, false, &action), want != NOBODY);
    assert_int_equal(action, want);
    /* Nobody is told of mail from the null sender, whatever it asked for. */
    action = NOTICE_ACTIONS;
    assert_false(notice_owed(notify, event, true, &action));
    assert_int_equal(action, NOTICE_ACTIONS);
}

static void test_owed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect(UNSAID, rows[i].event, rows[i].unsaid);
        expect(NEVER, rows[i].event, rows[i].never);
        expect(SUCCESS, rows[i].event, rows[i].success);
        expect(FAILURE, rows[i].event, rows[i].failure);
        expect(DELAY, rows[i].event, rows[i].delay);
        expect(SUCCESS | FAILURE | DELAY, rows[i].event, rows[i].all);
        /* No client may say so; never is never. */
        expect(NEVER | SUCCESS | FAILURE | DELAY, rows[i].event, NOBODY);
    }
}

static void test_wants_body(void **state)
{
    (void)state;
    assert_true(notice_wants_body(SMTP_RETURN_FULL, true, NOTICE_BODY_SIZE_MAX));
    assert_false(notice_wants_body(SMTP_RETURN_FULL, true, NOTICE_BODY_SIZE_MAX + 1));
    assert_false(notice_wants_body(SMTP_RETURN_FULL, false, 100));
    assert_false(notice_wants_body(SMTP_RETURN_HEADERS, true, 100));
    assert_false(notice_wants_body(SMTP_RETURN_UNSAID, true, 100));
}

static void test_deaf(void **state)
{
    (void)state;
    assert_true(notice_sender_deaf(BYTES("")));
    assert_true(notice_sender_deaf(BYTES("MAILER-DAEMON@there.example")));
    assert_true(notice_sender_deaf(BYTES("mailer-daemon")));
    assert_false(notice_sender_deaf(BYTES("mailer-daemons@there.example")));
    assert_false(notice_sender_deaf(BYTES("a@mailer-daemon.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owed),
        cmocka_unit_test(test_deaf),
        cmocka_unit_test(test_wants_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
