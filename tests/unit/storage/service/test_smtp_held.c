/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail that is held for accounts here, and of whom a sender is told: who may ask for it, and
 * what a relay may do with it later. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/flags.h"
#include "storage/schema/format.h"
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
#define DELIVERED PR__QUEUE_RECIPIENT__STATE__DELIVERED

enum { HOUR_MS = 60 * 60 * 1000 };

static Pr__QueueRecipient *hold(struct smtp_lab_delivery *made, uint64_t account_id,
                                const char *sender)
{
    Pr__QueueRecipient *recipient = smtp_lab_out(made, "some@acme.example", sender);

    made->call->envelope->hold_until_ms = world.now_ms + HOUR_MS;
    recipient->account_id = account_id;
    return recipient;
}

static Pr__QueueRecipient *tell(struct smtp_lab_delivery *made, const char *address)
{
    Pr__QueueRecipient *recipient = smtp_lab_out(made, address, "");

    recipient->state = DELIVERED;
    recipient->tell = true;
    recipient->notify = 2;
    return recipient;
}

/* In the sender's group, wherever the recipients' are. */
static void test_held(void **state)
{
    uint32_t group = directory_lab_account_of(lab, "ann@acme.example")->group;
    struct smtp_lab_delivery made = smtp_lab_delivery(the_session, "ann@acme.example");

    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "off");
    hold(&made, bob, "");
    hold(&made, carl, "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_messages(bob) + smtp_lab_messages(carl), 0);
    assert_int_equal(smtp_lab_queued(), 1);
    const Pr__QueueRecord *record = smtp_lab_newest(group);
    assert_int_equal(record->account_id, ann);
    assert_int_equal(record->n_recipients, 2);
    assert_int_equal(record->recipients[0]->account_id, bob);
    assert_int_equal(record->recipients[1]->account_id, carl);
    assert_int_equal(record->n_destinations, 1);
    assert_string_equal(record->destinations[0]->domain, "@");
}

/* Who is not logged in holds nothing; and notices about it go to nobody that was not asked. */
static void test_who_may(void **state)
{
    struct smtp_lab_delivery made = smtp_lab_delivery(0, "x@far.example");

    (void)state;
    WANT(OK, directory_lab_list(lab, "news@acme.example", "x@far.example", "bob@acme.example"));
    hold(&made, bob, "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    hold(&made, bob, "victim@else.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    hold(&made, bob, "")->null_sender = true;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(the_session, "bob@acme.example"); /* as another one */
    hold(&made, bob, "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_DENIED);
    assert_int_equal(smtp_lab_queued(), 0);
    made = smtp_lab_delivery(the_session, "ann@acme.example");
    hold(&made, bob, "news-bounces@acme.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_queued(), 1);
}

/* What a relay brings at its time finds the room that there is; a notice finds it always. */
static void test_room_at_its_time(void **state)
{
    (void)state;
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .address = TEXT("bob@acme.example"),
                 .quota = CALL(AccountQuota, account_quota, .messages = 1)));
    for (unsigned i = 0; i < 3; i++) {
        struct smtp_lab_delivery made = smtp_lab_delivery(0, "");
        smtp_lab_to(&made, bob);
        if (i == 2)
            made.call->promised_ids[made.call->n_promised_ids++] = bob;
        assert_int_equal(calls_ask(ROLE_RELAY, THERE, made.request, smtp_deliver),
                         i == 1 ? ERR_QUOTA : ERR_OK);
    }
    assert_int_equal(smtp_lab_messages(bob), 2);
}

static void test_told(void **state)
{
    struct smtp_lab_delivery made = smtp_lab_delivery(0, "x@far.example");

    (void)state;
    tell(&made, "bob@acme.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID); /* nobody got it */
    smtp_lab_to(&made, bob);
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_queued(), 1);
    assert_int_equal(smtp_lab_messages(bob), 1);
    uint32_t group = directory_lab_account_of(lab, "bob@acme.example")->group;
    assert_int_equal(smtp_lab_newest(group)->recipients[0]->state, DELIVERED);

    made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, bob);
    tell(&made, "bob@acme.example")->state = PR__QUEUE_RECIPIENT__STATE__WAITING;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_UNAVAILABLE);
    made = smtp_lab_delivery(0, "x@far.example"); /* failed, it says */
    smtp_lab_to(&made, bob);
    tell(&made, "bob@acme.example")->state = PR__QUEUE_RECIPIENT__STATE__FAILED;
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_INVALID);
    made = smtp_lab_delivery(0, ""); /* a relay's notice is told of to nobody */
    smtp_lab_to(&made, bob);
    tell(&made, "bob@acme.example");
    assert_int_equal(calls_ask(ROLE_RELAY, THERE, made.request, smtp_deliver), ERR_DENIED);
    assert_int_equal(smtp_lab_queued(), 1);
    assert_int_equal(smtp_lab_messages(bob), 1);
}

/* Before the format that has the queue, mail arrives, and nobody is told. */
static void test_before_the_format(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_SCOPES);
    bob = smtp_lab_account("bob@acme.example");
    world_begin(lab);
    world.service.sessions = sessions_new();
    world.service.promises = promises_new();
    struct smtp_lab_delivery made = smtp_lab_delivery(0, "x@far.example");
    smtp_lab_to(&made, bob);
    tell(&made, "bob@acme.example");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
    assert_int_equal(smtp_lab_queued(), 0);
    assert_int_equal(smtp_lab_messages(bob), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_held, smtp_lab_begin, smtp_lab_end),
        cmocka_unit_test_setup_teardown(test_who_may, smtp_lab_begin, smtp_lab_end),
        cmocka_unit_test_setup_teardown(test_room_at_its_time, smtp_lab_begin, smtp_lab_end),
        cmocka_unit_test_setup_teardown(test_told, smtp_lab_begin, smtp_lab_end),
        cmocka_unit_test_teardown(test_before_the_format, smtp_lab_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
