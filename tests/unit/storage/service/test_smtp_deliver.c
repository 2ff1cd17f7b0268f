/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Outcomes of deliveries, room, and crashes. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/flags.h"
#include "storage/service/promises.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/smtp_lab.h"

#define lab world.lab
#define ann smtp_lab_ann
#define bob smtp_lab_bob
#define carl smtp_lab_carl
#define the_session smtp_lab_session

/* ---- outcomes ---- */

static void test_mailboxes(void **state)
{
    struct smtp_lab_delivery made;

    (void)state;
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, ann);
    smtp_lab_to(&made, carl);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_true(smtp_lab_messages(ann) == 1 ||
                smtp_lab_messages(carl) == 1); /* the other one's is handed over */
    uint64_t both = smtp_lab_messages(ann) + smtp_lab_messages(carl);
    assert_int_equal(smtp_lab_deliver(THERE, &made),
                     ERR_OK); /* the same id: the same message */
    assert_int_equal(smtp_lab_messages(ann) + smtp_lab_messages(carl), both);

    made = smtp_lab_delivery(0, "x@far.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID); /* to nobody */
    smtp_lab_to(&made, 12345);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_NOTFOUND);
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, ann);
    made.request->request_id.len = 15;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, ann);
    made.call->body = NULL;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, ann);
    made.call->n_parts = 1;
    made.call->parts =
        (Pr__DeliverCallPart *[]){CALL(DeliverCallPart, deliver_call_part, .body = NULL)};
    assert_int_equal(smtp_lab_deliver(HERE, &made),
                     ERR_INVALID); /* a part without a body, to nobody */
    made.call->parts[0]->body = made.call->body;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    assert_int_equal(smtp_lab_messages(ann) + smtp_lab_messages(carl), both);
}

static void test_too_many(void **state)
{
    static uint64_t ids[DELIVER_RECIPIENTS_MAX + 1];
    struct smtp_lab_delivery made;

    (void)state;
    for (size_t i = 0; i <= DELIVER_RECIPIENTS_MAX; i++)
        ids[i] = ann;
    made = smtp_lab_delivery(0, "x@far.example");
    made.call->account_ids = ids;
    made.call->n_account_ids = DELIVER_RECIPIENTS_MAX + 1;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    made.call->n_account_ids = 1;
    made.call->promised_ids = ids;
    made.call->n_promised_ids = DELIVER_RECIPIENTS_MAX + 1;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    made.call->n_promised_ids = 0;
    made.call->n_parts = 1;
    made.call->parts = (Pr__DeliverCallPart *[]){
        CALL(DeliverCallPart, deliver_call_part, .body = made.call->body,
             .n_account_ids = DELIVER_RECIPIENTS_MAX, .account_ids = ids)};
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
}

/* ---- room ---- */

static void limit(const char *address)
{
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET,
                 .address = arena_string(&lab->arena, bytes_of(address)),
                 .quota = CALL(AccountQuota, account_quota, .messages = 1)));
}

static void test_room(void **state)
{
    struct smtp_lab_delivery made;

    (void)state;
    limit("bob@acme.example");
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, bob);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, bob);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_QUOTA);
    made.call->promised_ids[made.call->n_promised_ids++] = bob;
    calls_identify(made.request);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_QUOTA); /* says the front end */
    smtp_lab_resolve(HERE, 0, "sales@acme.example", "x@far.example");
    calls_identify(made.request);
    assert_int_equal(smtp_lab_deliver(THERE, &made), ERR_QUOTA);
    calls_identify(made.request);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_messages(bob), 2);
}

/* ---- crashes ---- */

static enum world_fate next_fate;

static enum world_fate once(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    enum world_fate fate = next_fate;

    (void)of;
    (void)group;
    (void)command;
    next_fate = WORLD_APPLIED;
    return fate;
}

/* The leader dies before, or behind the entry; whoever repeats the id gets one message, in the
 * mailbox, the queue, and against the limits. */
static void test_crashes(void **state)
{
    static const enum world_fate fates[] = {WORLD_LOST, WORLD_UNKNOWN};

    (void)state;
    world.fate = once;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = smtp_lab_queued();
        uint64_t counted = smtp_lab_sent(ann);
        uint64_t here = smtp_lab_messages(ann);
        struct smtp_lab_delivery made = smtp_lab_delivery(the_session, "ann@acme.example");
        smtp_lab_to(&made, ann);
        smtp_lab_out(&made, "one@else.example", "");
        next_fate = fates[i];
        assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
        for (unsigned again = 0; again < 3; again++)
            assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
        assert_int_equal(smtp_lab_queued(), before + 1);
        assert_int_equal(smtp_lab_sent(ann), counted + 1);
        assert_int_equal(smtp_lab_messages(ann), here + 1);
        lab_invariants(lab, directory_lab_account_of(lab, "ann@acme.example")->group);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, smtp_lab_begin, smtp_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mailboxes),
        TEST(test_too_many),
        TEST(test_room),
        TEST(test_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
