/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a front end of SMTP may have sent to other hosts: what the store has named to it, and
 * what who is logged in may send; whatever it says itself. */
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

/* ---- what leaves the cluster ---- */

static void test_no_relay(void **state)
{
    struct smtp_lab_delivery made = smtp_lab_delivery(0, "ann@acme.example");

    (void)state;
    smtp_lab_out(&made, "victim@else.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    smtp_lab_to(&made, ann); /* along with a good one, and in a part */
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made.call->n_queue = 0;
    made.call->n_parts = 1;
    Pr__QueueRecipient *hidden =
        CALL(QueueRecipient, queue_recipient, .address = TEXT("victim@else.example"));
    made.call->parts = (Pr__DeliverCallPart *[]){CALL(DeliverCallPart, deliver_call_part,
                                                      .body = made.call->body, .n_queue = 1,
                                                      .queue = &hidden)};
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    assert_int_equal(smtp_lab_queued(), 0);
    assert_int_equal(smtp_lab_messages(ann), 0);
}

/* An alias sends it on: to whom, and under which sender, as the store has said. */
static void test_promise(void **state)
{
    const Pr__ResolvedTarget *target;
    struct smtp_lab_delivery made;

    (void)state;
    target =
        smtp_lab_remote_of(smtp_lab_resolve(HERE, 0, "sales@acme.example", "x@near.example"));
    assert_string_not_equal(target->sender, "");
    made = smtp_lab_delivery(0, "X@near.example");
    smtp_lab_out(&made, target->remote, target->sender);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_queued(), 1);
    assert_int_equal(smtp_lab_newest(1)->account_id, 0);

    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, target->sender);
    assert_int_equal(smtp_lab_deliver(THERE, &made),
                     ERR_UNAVAILABLE); /* nobody was told there */
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE); /* under any name */
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, "boss@acme.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, "y@far.example", target->sender);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, target->sender)->null_sender = true;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, target->sender);
    made.call->queue_account_id = bob; /* it is nobody's forward */
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);

    promises_connection_closed(world.service.promises, HERE);
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, target->sender);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    assert_int_equal(smtp_lab_queued(), 1);
}

/* A notice stays one from nobody: what was promised to it is no leave for other senders. */
static void test_promise_to_nobody(void **state)
{
    const Pr__ResolvedTarget *target =
        smtp_lab_remote_of(smtp_lab_resolve(HERE, 0, "sales@acme.example", ""));
    struct smtp_lab_delivery made = smtp_lab_delivery(0, "boss@bank.example");

    (void)state;
    assert_string_equal(target->sender, "");
    smtp_lab_out(&made, target->remote, "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made.call->envelope->sender = TEXT("");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
}

static void test_forward(void **state)
{
    const Pr__ResolvedTarget *target;
    struct smtp_lab_delivery made;

    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.forward", "anyone");
    WANT(OK,
         RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT("bob@acme.example"),
             .forward =
                 CALL(AccountForward, account_forward, LIST(targets, "bob@far.example"))));
    target =
        smtp_lab_remote_of(smtp_lab_resolve(HERE, 0, "bob@acme.example", "x@near.example"));
    assert_int_equal(target->forward_account_id, bob);
    made = smtp_lab_delivery(0, "x@near.example");
    smtp_lab_out(&made, target->remote, target->sender);
    made.call->queue_account_id = ann; /* lays it at another one's door */
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made.call->queue_account_id = bob;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_newest(1)->account_id, bob);
}

/* ---- who is logged in ---- */

static void test_submission(void **state)
{
    uint32_t group = directory_lab_account_of(lab, "ann@acme.example")->group;
    struct smtp_lab_delivery made = smtp_lab_delivery(the_session, "Ann@acme.example");

    (void)state;
    smtp_lab_out(&made, "victim@else.example", "");
    smtp_lab_out(&made, "other@else.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_newest(group)->account_id, ann);
    made = smtp_lab_delivery(the_session, "bob@acme.example");
    smtp_lab_out(&made, "victim@else.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_DENIED);
    made.call->envelope->sender = TEXT("no address");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_DENIED);
    made.call->envelope->sender = TEXT("");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_out(&made, "victim@else.example", "boss@acme.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_out(&made, "victim@else.example", "");
    made.call->queue_account_id = bob;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
}

static void test_submission_barred(void **state)
{
    struct smtp_lab_delivery made;

    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example",
                 "sending.message_recipients", "1");
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_out(&made, "one@else.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    smtp_lab_out(&made, "two@else.example", "");
    calls_identify(made.request);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "off");
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_out(&made, "one@else.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_to(&made, bob);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("ann@acme.example"), .bars_set = PR__ACCOUNT_BAR__BAR_SEND));
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    smtp_lab_to(&made, bob);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_DENIED);
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("ann@acme.example")));
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_NOSESSION);
}

/* The session ends while the directory is asked whether a recipient is known by now, and the
 * domain turns out to be nobody's here. */
static void test_session_ends_meanwhile(void **state)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_RESOLVE);

    (void)state;
    WANT(OK, directory_lab_domain(lab, "more.example", "acme"));
    request->session = the_session;
    request->resolve =
        CALL(Resolve, resolve, .address = TEXT("nobody@more.example"), .expand = true);
    calls_send(ROLE_SMTP, HERE, request, smtp_resolve);
    assert_int_equal(heard.count, 0);
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("more.example")));
    sessions_connection_closed(world.service.sessions, HERE);
    world_run(world.now_ms);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.reply->err, ERR_NOSESSION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, smtp_lab_begin, smtp_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_relay),
        TEST(test_promise),
        TEST(test_promise_to_nobody),
        TEST(test_forward),
        TEST(test_submission),
        TEST(test_submission_barred),
        TEST(test_session_ends_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
