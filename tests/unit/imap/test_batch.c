/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/session/internal.h"

/* Sets of more messages than one write takes: every message is in exactly one batch. */
static const struct imap_session_config config = {.login_failures_max = 1,
                                                  .hostname = "imap.test"};

static uint64_t messages_in(const struct imap_view *view, const struct imap_ranges *ranges)
{
    uint64_t total = 0;

    for (size_t i = 0; i < ranges->count; i++)
        total += imap_view_number_upto(view, ranges->at[i].last) -
                 imap_view_number_upto(view, ranges->at[i].first - 1);
    return total;
}

static void check(struct imap_session *session, struct imap_ranges wanted, unsigned batches)
{
    const struct imap_view *view = &session->selected.view;
    uint64_t left = messages_in(view, &wanted);
    struct imap_ranges batch;
    uint32_t last = 0;

    for (unsigned i = 0; i < batches; i++) {
        assert_true(imap_batch_take(session, &wanted, &batch));
        uint64_t count = messages_in(view, &batch);
        assert_int_equal(count, left < IMAP_BATCH_MESSAGES ? left : IMAP_BATCH_MESSAGES);
        for (size_t r = 0; r < batch.count; r++) {
            assert_true(batch.at[r].first > last && batch.at[r].first <= batch.at[r].last);
            last = batch.at[r].last;
        }
        left -= count;
    }
    assert_int_equal(left, 0);
    assert_false(imap_batch_take(session, &wanted, &batch));
}

static void test_batches(void **state)
{
    struct imap_session *session = imap_session_new(&config, NULL, "192.0.2.1", true, false);
    struct imap_range one[] = {{1, 40000}};
    struct imap_range several[] = {{1, 10}, {90, 120}, {500, 20100}, {20200, 30000}};
    struct imap_range none[] = {{101, 199}};

    (void)state;
    imap_view_add(&session->selected.view, 1, 100);
    imap_view_add(&session->selected.view, 200, 20000);
    for (uint32_t uid = 20002; uid < 30000; uid += 2)
        imap_view_add(&session->selected.view, uid, uid);
    check(session, (struct imap_ranges){one, 1}, 5);
    check(session, (struct imap_ranges){several, 4}, 5);
    check(session, (struct imap_ranges){none, 1}, 0);
    check(session, (struct imap_ranges){NULL, 0}, 0);
    assert_int_equal(several[2].first, 500); /* the caller's stays as it is */
    imap_session_free(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
