/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay may hand in: notices, with the null sender, to whom it likes; once. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/relay_calls.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/smtp_lab.h"

enum { RELAY = 11 };

#define lab world.lab
#define ann smtp_lab_ann
#define bob smtp_lab_bob
#define carl smtp_lab_carl

static enum err deliver(const struct smtp_lab_delivery *made)
{
    return calls_ask(ROLE_RELAY, RELAY, made->request, smtp_deliver);
}

static enum err resolve(const char *address)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_RESOLVE);

    request->resolve =
        CALL(Resolve, resolve, .address = arena_string(&lab->arena, bytes_of(address)),
             .expand = true);
    return calls_ask(ROLE_RELAY, RELAY, request, smtp_resolve);
}

static struct smtp_lab_delivery notice(void)
{
    return smtp_lab_delivery(0, "");
}

static void test_here(void **state)
{
    struct smtp_lab_delivery made;

    (void)state;
    made = notice();
    smtp_lab_to(&made, ann);
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(deliver(&made), ERR_OK); /* the same one */
    assert_int_equal(smtp_lab_messages(ann), 1);
    made.call->envelope = NULL;
    calls_identify(made.request);
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(smtp_lab_messages(ann), 2);
}

/* A sender whose mailbox is full hears all the same what became of the mail. */
static void test_full(void **state)
{
    struct smtp_lab_delivery made = notice();

    (void)state;
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .address = TEXT("bob@acme.example"),
                 .quota = CALL(AccountQuota, account_quota, .messages = 1)));
    smtp_lab_to(&made, bob);
    made.call->promised_ids[made.call->n_promised_ids++] = bob;
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(resolve("bob@acme.example"), ERR_OK);
        assert_int_equal(heard.reply->resolve->targets[0]->account_id, bob);
        calls_identify(made.request);
        assert_int_equal(deliver(&made), ERR_OK);
        assert_int_equal(smtp_lab_messages(bob), i);
    }
    calls_identify(made.request);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_QUOTA); /* of a front end */
}

static void test_elsewhere(void **state)
{
    struct smtp_lab_delivery made = notice();
    const Pr__QueueRecord *record;

    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "off");
    assert_int_equal(resolve("x@far.example"), ERR_OK);
    assert_int_equal(heard.reply->resolve->n_targets, 1);
    assert_string_equal(heard.reply->resolve->targets[0]->remote, "x@far.example");
    assert_true(heard.reply->resolve->targets[0]->keep_sender);
    assert_int_equal(resolve("nobody@acme.example"), ERR_NOTFOUND);
    smtp_lab_out(&made, "x@far.example", "");
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(smtp_lab_queued(), 1);
    record = smtp_lab_newest(1);
    assert_string_equal(record->envelope->sender, "");
    assert_int_equal(record->account_id, 0);
    assert_int_equal(record->tenant_id, 0);
    assert_int_equal(record->class_, PR__QUEUE_CLASS__QUEUE_PERSONAL);

    made = notice(); /* along with one who is here, of another group maybe */
    smtp_lab_to(&made, carl);
    smtp_lab_out(&made, "y@far.example", "")->null_sender = true;
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(smtp_lab_messages(carl), 1);
    assert_int_equal(smtp_lab_queued(), 2);
}

static void test_no_sender(void **state)
{
    struct smtp_lab_delivery made;

    (void)state;
    made = smtp_lab_delivery(0, "ann@acme.example");
    smtp_lab_to(&made, bob);
    assert_int_equal(deliver(&made), ERR_DENIED);
    made = smtp_lab_delivery(0, "ann@acme.example");
    smtp_lab_out(&made, "x@far.example", "");
    assert_int_equal(deliver(&made), ERR_DENIED);
    made = notice();
    smtp_lab_out(&made, "x@far.example", "");
    smtp_lab_out(&made, "y@far.example", "ann@acme.example");
    assert_int_equal(deliver(&made), ERR_DENIED);
    made.call->queue[1]->null_sender = true; /* what else it says does not count */
    assert_int_equal(deliver(&made), ERR_DENIED);
    made.call->parts = (Pr__DeliverCallPart *[]){CALL(DeliverCallPart, deliver_call_part,
                                                      .body = made.call->body, .n_queue = 2,
                                                      .queue = made.call->queue)};
    made.call->n_parts = 1;
    made.call->n_queue = 0;
    assert_int_equal(deliver(&made), ERR_DENIED);
    assert_int_equal(smtp_lab_queued(), 0);
    assert_int_equal(smtp_lab_messages(bob), 0);
}

/* The copy of an account's forward is the account's, when the store has named it so. */
static void test_forward(void **state)
{
    struct smtp_lab_delivery made = notice();

    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.forward", "anyone");
    WANT(OK,
         RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT("bob@acme.example"),
             .forward =
                 CALL(AccountForward, account_forward, LIST(targets, "bob@far.example"))));
    smtp_lab_out(&made, "bob@far.example", "");
    made.call->queue_account_id = bob;
    assert_int_equal(deliver(&made), ERR_DENIED);
    assert_int_equal(resolve("bob@acme.example"), ERR_OK);
    assert_string_equal(smtp_lab_remote_of(heard.reply->resolve)->sender, "");
    made.call->queue_account_id = ann;
    assert_int_equal(deliver(&made), ERR_DENIED);
    made.call->queue_account_id = bob;
    assert_int_equal(deliver(&made), ERR_OK);
    assert_int_equal(smtp_lab_newest(1)->account_id, bob);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, smtp_lab_begin, smtp_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_here),      TEST(test_full),    TEST(test_elsewhere),
        TEST(test_no_sender), TEST(test_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
