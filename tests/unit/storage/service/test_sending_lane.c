/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose mail to other hosts is, and whether it is bulk: that is the lane it waits in. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/query/settings.h"
#include "storage/service/sending_lane.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/smtp_lab.h"

#define lab world.lab
#define ann smtp_lab_ann
#define bob smtp_lab_bob
#define carl smtp_lab_carl
#define the_session smtp_lab_session

enum { PERSONAL = PR__QUEUE_CLASS__QUEUE_PERSONAL, BULK = PR__QUEUE_CLASS__QUEUE_BULK };

static uint64_t tenant_of(const char *address)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t tenant_id =
        settings_place_account(txn, directory_lab_account_of(lab, address), &lab->arena)
            .tenant_id;

    db_abort(&txn);
    assert_int_not_equal(tenant_id, 0);
    return tenant_id;
}

static void check(uint32_t group, uint64_t tenant_id, int class)
{
    const Pr__QueueRecord *record = smtp_lab_newest(group);

    assert_int_equal(record->tenant_id, tenant_id);
    assert_int_equal(record->class_, class);
}

static uint32_t home(void)
{
    return directory_lab_account_of(lab, "ann@acme.example")->group;
}

static void submit(void)
{
    struct smtp_lab_delivery made = smtp_lab_delivery(the_session, "ann@acme.example");

    smtp_lab_out(&made, "x@far.example", "");
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
}

static void test_submission(void **state)
{
    uint64_t acme = tenant_of("ann@acme.example");

    (void)state;
    submit();
    check(home(), acme, PERSONAL);
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class",
                 "custom");
    submit();
    check(home(), acme, PERSONAL);
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class",
                 "mass");
    submit();
    check(home(), acme, BULK);
}

/* Hands in what the store has named for that address. */
static void expand(uint64_t of, const char *address, const char *sender, uint64_t account_id,
                   bool part)
{
    const Pr__ResolvedTarget *target =
        smtp_lab_remote_of(smtp_lab_resolve(HERE, of, address, sender));
    struct smtp_lab_delivery made = smtp_lab_delivery(of, sender);

    smtp_lab_out(&made, target->remote, target->sender);
    made.call->queue_account_id = account_id;
    Pr__DeliverCallPart *copy = CALL(DeliverCallPart, deliver_call_part,
                                     .body = made.call->body, .n_queue = made.call->n_queue,
                                     .queue = made.call->queue, .queue_account_id = account_id);
    if (part) {
        made.call->parts = &copy;
        made.call->n_parts = 1;
        made.call->n_queue = 0;
        made.call->queue_account_id = 0;
    }
    assert_int_equal(smtp_lab_deliver(HERE, &made), ERR_OK);
}

/* Of the domain that it was written to. */
static void test_alias(void **state)
{
    uint64_t acme = tenant_of("ann@acme.example");
    uint64_t bar = tenant_of("carl@bar.example");

    (void)state;
    assert_int_not_equal(acme, bar);
    for (unsigned part = 0; part < 2; part++) {
        expand(0, "sales@acme.example", "x@near.example", 0, part == 1);
        check(1, acme, PERSONAL);
        expand(0, "all@bar.example", "x@near.example", 0, part == 1);
        check(1, bar, PERSONAL);
    }
    expand(0, "all@bar.example", "", 0, false); /* a notice, which tells nothing */
    check(1, 0, PERSONAL);
    expand(the_session, "all@bar.example", "ann@acme.example", 0, false);
    check(home(), acme, PERSONAL); /* whoever submits */
}

static void test_forward(void **state)
{
    (void)state;
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.forward", "anyone");
    WANT(OK,
         RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT("carl@bar.example"),
             .forward = CALL(AccountForward, account_forward, LIST(targets, "c@far.example"))));
    expand(0, "carl@bar.example", "x@near.example", carl, false);
    check(1, tenant_of("carl@bar.example"), PERSONAL);
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "carl@bar.example", "sending.class",
                 "mass");
    expand(0, "carl@bar.example", "x@near.example", carl, true);
    check(1, tenant_of("carl@bar.example"), PERSONAL); /* he sends nothing */
    expand(0, "carl@bar.example", "", carl, true);
    check(1, tenant_of("carl@bar.example"), PERSONAL);
}

static void test_list(void **state)
{
    uint64_t bar = tenant_of("carl@bar.example");

    (void)state;
    WANT(OK, directory_lab_list(lab, "news@bar.example", "m@far.example", "carl@bar.example"));
    for (unsigned part = 0; part < 2; part++) {
        expand(0, "news@bar.example", "x@near.example", 0, part == 1);
        check(1, bar, BULK);
    }
    expand(the_session, "news@bar.example", "ann@acme.example", 0, true);
    check(home(), tenant_of("ann@acme.example"), BULK);
    struct db_txn *txn = db_read_begin(lab->db);
    assert_true(sending_is_of_list(txn, BYTES("news-bounces@bar.example"), &lab->arena));
    assert_false(sending_is_of_list(txn, BYTES("all-bounces@bar.example"), &lab->arena));
    assert_false(sending_is_of_list(txn, BYTES("-bounces@bar.example"), &lab->arena));
    assert_false(sending_is_of_list(txn, BYTES(""), &lab->arena));
    db_abort(&txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, smtp_lab_begin, smtp_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_submission),
        TEST(test_alias),
        TEST(test_forward),
        TEST(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
