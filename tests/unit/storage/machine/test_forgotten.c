/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Change rows of expunged messages: the oldest are forgotten, and nobody is told less for it.
 */
#include "storage/machine/account.h"
#include "storage/machine/apply.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/machine/expunged_lab.h"

/* The invariants are checked by brute force: not for tens of thousands of bodies. */
static int teardown_large(void **state)
{
    lab_close(*state);
    return 0;
}

static Pr__ChangesAnswer *changes(struct lab *lab, uint64_t since)
{
    Pr__ChangesAnswer *answer = arena_alloc(&lab->arena, sizeof(*answer));
    Pr__Changes call = PR__CHANGES__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    pr__changes_answer__init(answer);
    call.mailbox_id = INBOX;
    call.since_modseq = since;
    assert_int_equal(query_changes(txn, account, &call, &lab->arena, answer), ERR_OK);
    db_abort(&txn);
    return answer;
}

static uint64_t uids_in(Pr__UidRange *const *ranges, size_t count)
{
    uint64_t uids = 0;

    for (size_t i = 0; i < count; i++)
        uids += ranges[i]->last - ranges[i]->first + 1;
    return uids;
}

/* One expunge that leaves more ranges than are kept, between messages that stay. */
static void test_many_ranges_at_once(void **state)
{
    enum { COUNT = 2 * APPLY_MESSAGES_MAX };
    struct lab *lab = *state;
    Pr__Expunge call = PR__EXPUNGE__INIT;

    lab->txn = db_write_begin(lab->db);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            lab_deliver(lab, GROUP, ACCOUNT, BYTES("t"));
        for (uint32_t uid = round * COUNT + 1; uid <= (round + 1) * COUNT; uid += 2)
            flag(lab, INBOX, uid, uid, FLAG_DELETED);
        call.account_id = ACCOUNT;
        call.mailbox_id = INBOX;
        assert_int_equal(lab_apply(lab, GROUP, LAB_COMMAND(expunge, EXPUNGE, &call))->n_uids,
                         COUNT / 2);
    }
    assert_int_equal(db_commit(&lab->txn), ERR_OK);
    lab->txn = NULL;
    assert_int_equal(uids_in(changes(lab, 1)->vanished, changes(lab, 1)->n_vanished), COUNT);
}

/* Every second message goes, one by one: as many ranges as messages. */
static void test_old_ranges_are_forgotten(void **state)
{
    enum { COUNT = CHANGE_RANGES_MAX + 200 };
    struct lab *lab = *state;
    Pr__ChangesAnswer *answer;
    uint64_t middle = 0;

    lab->txn = db_write_begin(lab->db);
    for (unsigned i = 0; i < 2 * COUNT; i++)
        lab_deliver(lab, GROUP, ACCOUNT, BYTES("t"));
    flag(lab, INBOX, 2, 2, FLAG_FLAGGED); /* a row of flags in front of the ranges */
    for (unsigned i = 0; i < COUNT; i++) {
        Pr__Outcome *outcome = expunge(lab, 2 * i + 1, 2 * i + 1, false);
        if (i == COUNT - 100)
            middle = outcome->modseq;
    }
    assert_int_equal(db_commit(&lab->txn), ERR_OK);
    lab->txn = NULL;
    lab_invariants(lab, GROUP);

    answer = changes(lab, middle);
    assert_int_equal(uids_in(answer->vanished, answer->n_vanished), 99);
    answer = changes(lab, 2 * COUNT + 1); /* from before the oldest row that is left */
    assert_int_equal(uids_in(answer->vanished, answer->n_vanished), COUNT);
    assert_int_equal(answer->n_messages, 1);
    assert_int_equal(answer->messages[0]->uid, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_old_ranges_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_ranges_at_once, setup, teardown_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
