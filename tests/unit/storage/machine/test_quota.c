/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of accounts: refused before the first write, exact to the byte. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ANN = 7, BEA = 8, INBOX = 1, TRASH = 5 };

static int setup(void **state)
{
    static struct lab lab;
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    lab_open(&lab);
    raise.format = FORMAT_DEPTH;
    assert_int_equal(
        lab_apply(&lab, GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err, ERR_OK);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, GROUP);
    lab_close(*state);
    return 0;
}

static Pr__AccountQuota *limit(struct lab *lab, uint64_t bytes, uint64_t messages)
{
    Pr__AccountQuota *quota = arena_alloc(&lab->arena, sizeof(*quota));

    pr__account_quota__init(quota);
    quota->bytes = bytes;
    quota->messages = messages;
    return quota;
}

static uint64_t messages_of(struct lab *lab, uint64_t account_id)
{
    Pr__QuotaReadAnswer answer = PR__QUOTA_READ_ANSWER__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    assert_int_equal(query_quota(txn, (struct query_account){GROUP, account_id}, &answer),
                     ERR_OK);
    db_abort(&txn);
    return answer.messages;
}

/* To both, each with a limit or none. */
static enum err deliver(struct lab *lab, struct bytes text, Pr__AccountQuota *ann,
                        Pr__AccountQuota *bea)
{
    Pr__Deliver call = PR__DELIVER__INIT;
    Pr__Recipient recipients[] = {PR__RECIPIENT__INIT, PR__RECIPIENT__INIT};
    Pr__Recipient *list[] = {&recipients[0], &recipients[1]};

    recipients[0].account_id = ANN;
    recipients[0].quota = ann;
    recipients[1].account_id = BEA;
    recipients[1].quota = bea;
    call.recipients = list;
    call.n_recipients = 2;
    call.body = lab_body(lab, text, text.len);
    return (enum err)lab_apply(lab, GROUP, LAB_COMMAND(deliver, DELIVER, &call))->err;
}

static void test_delivery_to_several(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(deliver(lab, BYTES("12345"), limit(lab, 5, 0), NULL), ERR_OK);
    assert_int_equal(deliver(lab, BYTES("1"), NULL, limit(lab, 5, 0)), ERR_QUOTA);
    assert_int_equal(deliver(lab, BYTES("1"), limit(lab, 0, 1), NULL), ERR_QUOTA);
    assert_int_equal(deliver(lab, BYTES("1"), limit(lab, 4, 0), NULL), ERR_QUOTA);
    assert_int_equal(messages_of(lab, ANN), 1); /* nobody got any of these */
    assert_int_equal(messages_of(lab, BEA), 1);
    assert_int_equal(deliver(lab, BYTES("1"), limit(lab, 6, 2), limit(lab, 0, 0)), ERR_OK);
    assert_int_equal(messages_of(lab, BEA), 2);
}

static enum err append(struct lab *lab, struct bytes text, Pr__AccountQuota *quota)
{
    Pr__Append call = PR__APPEND__INIT;

    call.account_id = ANN;
    call.mailbox_id = INBOX;
    call.body = lab_body(lab, text, text.len);
    call.quota = quota;
    return (enum err)lab_apply(lab, GROUP, LAB_COMMAND(append, APPEND, &call))->err;
}

static enum err copy(struct lab *lab, bool move, Pr__AccountQuota *quota)
{
    Pr__Copy call = PR__COPY__INIT;

    call.account_id = ANN;
    call.mailbox_id = INBOX;
    call.target_mailbox_id = TRASH;
    call.uids = lab_ranges(lab, 1, (uint32_t[]){1, 100});
    call.n_uids = 1;
    call.move = move;
    call.quota = quota;
    return (enum err)lab_apply(lab, GROUP, LAB_COMMAND(copy, COPY, &call))->err;
}

static void test_append_and_copy(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(append(lab, BYTES("123"), limit(lab, 6, 0)), ERR_OK);
    assert_int_equal(append(lab, BYTES("4567"), limit(lab, 6, 0)), ERR_QUOTA);
    assert_int_equal(append(lab, BYTES("456"), limit(lab, 6, 0)), ERR_OK);
    assert_int_equal(copy(lab, false, limit(lab, 11, 0)), ERR_QUOTA);
    assert_int_equal(copy(lab, false, limit(lab, 0, 3)), ERR_QUOTA);
    assert_int_equal(messages_of(lab, ANN), 2);
    assert_int_equal(copy(lab, true, limit(lab, 1, 1)), ERR_OK); /* needs no room */
    assert_int_equal(messages_of(lab, ANN), 2);
}

/* In a group of the first format the fields mean nothing, as to the release that made it. */
static void test_first_format(void **state)
{
    struct lab lab;
    Pr__Deliver call = PR__DELIVER__INIT;
    Pr__Recipient recipient = PR__RECIPIENT__INIT;
    Pr__Recipient *list[] = {&recipient};

    (void)state;
    lab_open(&lab);
    recipient.account_id = ANN;
    recipient.quota = limit(&lab, 1, 0);
    call.recipients = list;
    call.n_recipients = 1;
    call.body = lab_body(&lab, BYTES("long"), 4);
    assert_int_equal(lab_apply(&lab, GROUP, LAB_COMMAND(deliver, DELIVER, &call))->err, ERR_OK);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delivery_to_several, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_and_copy, setup, teardown),
        cmocka_unit_test(test_first_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
