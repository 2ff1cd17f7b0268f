/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Change rows of expunged messages: the oldest are forgotten, and nobody is told less for it.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/account.h"
#include "storage/machine/apply.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 7, INBOX = 1 };

static const struct query_account account = {.group = GROUP, .account_id = ACCOUNT};

static void format_raise(struct lab *lab)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    raise.format = FORMAT_DEPTH;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err, ERR_OK);
}

static int setup(void **state)
{
    static struct lab lab;

    lab_open(&lab);
    format_raise(&lab);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, GROUP);
    lab_close(*state);
    return 0;
}

/* The invariants are checked by brute force: not for tens of thousands of bodies. */
static int teardown_large(void **state)
{
    lab_close(*state);
    return 0;
}

static void flag(struct lab *lab, uint32_t mailbox_id, uint32_t first, uint32_t last,
                 uint64_t flags)
{
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    char *keywords[] = {arena_string(&lab->arena, BYTES("work"))};

    change.account_id = ACCOUNT;
    change.mailbox_id = mailbox_id;
    change.uids = lab_ranges(lab, 1, (uint32_t[]){first, last});
    change.n_uids = 1;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.flags = flags;
    change.keywords = keywords;
    change.n_keywords = 1;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change))->err, ERR_OK);
}

static Pr__Outcome *expunge(struct lab *lab, uint32_t first, uint32_t last, bool keep)
{
    Pr__Expunge call = PR__EXPUNGE__INIT;
    Pr__Outcome *outcome;

    flag(lab, INBOX, first, last, FLAG_DELETED | FLAG_SEEN);
    call.account_id = ACCOUNT;
    call.mailbox_id = INBOX;
    call.keep = keep;
    outcome = lab_apply(lab, GROUP, LAB_COMMAND(expunge, EXPUNGE, &call));
    assert_int_equal(outcome->err, ERR_OK);
    return outcome;
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
