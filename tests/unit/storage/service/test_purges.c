/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What leaders free unasked: how much, when, and that nobody is kept from their turn. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/account.h"
#include "storage/query/limits.h"
#include "storage/schema/flags.h"
#include "storage/service/purges.h"
#include "tests/unit/storage/moving.h"
#include "tests/unit/storage/service/service_world.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

enum { INBOX = 1, TICK_MS = 50, WHILE_MS = 30000 };

static struct place {
    struct model model;
    struct purges *purges;
    uint32_t group; /* that does not answer */
    uint64_t freed; /* messages that commands of one kind asked for */
} * place;

static int begin(void **state)
{
    (void)state;
    place = calloc(1, sizeof(*place));
    assert_non_null(place);
    model_open(&place->model, 1);
    moving_open(&place->model);
    world_begin(&place->model.lab);
    world.undelete_days = 2;
    return 0;
}

static int end(void **state)
{
    (void)state;
    purges_free(&place->purges);
    world_run(world.now_ms);
    world_end();
    model_close(&place->model);
    free(place);
    return 0;
}

static void lead(uint32_t group)
{
    purges_free(&place->purges);
    place->purges = purges_new(&world.service, group);
}

static void run(uint64_t for_ms)
{
    uint64_t until_ms = world.now_ms + for_ms;

    while (world.now_ms < until_ms) {
        purges_tick(place->purges, world.now_ms);
        world_run(world.now_ms + TICK_MS);
    }
}

/* Mail of account `number`, expunged but kept. */
static void expunge_some(unsigned number, unsigned messages)
{
    struct lab *lab = &place->model.lab;
    struct model_account *account = &place->model.accounts[number];
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    Pr__Expunge expunge = PR__EXPUNGE__INIT;

    for (unsigned i = 0; i < messages; i++)
        assert_int_equal(lab_deliver(lab, account->group, account->id, BYTES("text"))->err,
                         ERR_OK);
    change.account_id = expunge.account_id = account->id;
    change.mailbox_id = expunge.mailbox_id = INBOX;
    change.uids = lab_ranges(lab, 1, (uint32_t[]){1, UINT32_MAX});
    change.n_uids = 1;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.flags = FLAG_DELETED;
    assert_int_equal(
        lab_apply(lab, account->group, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change))->err,
        ERR_OK);
    expunge.keep = true;
    assert_int_equal(
        lab_apply(lab, account->group, LAB_COMMAND(expunge, EXPUNGE, &expunge))->err, ERR_OK);
}

static uint64_t expunged_of(unsigned number)
{
    struct model_account *model = &place->model.accounts[number];
    struct account account;
    struct db_txn *txn = db_read_begin(place->model.lab.db);

    account_load(txn, model->group, model->id, &account);
    db_abort(&txn);
    return account.record.expunged;
}

static void nothing_to_free_writes_nothing(void **state)
{
    (void)state;
    for (uint32_t group = 0; group <= MODEL_GROUP; group++) {
        lead(group);
        run(WHILE_MS);
    }
    assert_int_equal(world.writes, 0);
}

static void expunged_mail_goes_after_the_policys_days(void **state)
{
    uint32_t group = place->model.accounts[0].group;

    (void)state;
    expunge_some(0, 3 * PURGES_EXPUNGED_ROWS / 2);
    lead(group);
    run(WHILE_MS);
    assert_int_equal(world.writes, 0);
    world_run(world.now_ms + 2 * DAY_MS - 2 * WHILE_MS);
    run(WHILE_MS / 2);
    assert_int_equal(expunged_of(0), 3 * PURGES_EXPUNGED_ROWS / 2);
    run(WHILE_MS * 3);
    assert_int_equal(expunged_of(0), 0);
    /* In more than one command, and none for nothing. */
    assert_true(world.writes >= 2 && world.writes <= 3);
    for (unsigned i = 0; i < world.writes; i++)
        assert_int_equal(world.calls[i], PR__COMMAND__CALL_EXPUNGED_PURGE);
    lab_invariants(&place->model.lab, group);
}

/* A policy of other days counts from the next look on. */
static void policy_counts_at_once(void **state)
{
    (void)state;
    expunge_some(0, 5);
    lead(place->model.accounts[0].group);
    world.undelete_days = 0;
    run(WHILE_MS);
    assert_int_equal(expunged_of(0), 0);
}

/* Rows of a deleted mailbox, in a group where nobody writes anything. */
static void doomed_rows_go_without_other_commands(void **state)
{
    struct lab *lab = &place->model.lab;
    struct model_account *account = &place->model.accounts[0];
    Pr__MailboxRename rename = PR__MAILBOX_RENAME__INIT;
    Pr__MailboxDelete delete = PR__MAILBOX_DELETE__INIT;
    char name[] = "Old";

    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        lab_deliver(lab, account->group, account->id, BYTES("text"));
    rename.account_id = delete.account_id = account->id;
    rename.mailbox_id = delete.mailbox_id = INBOX;
    rename.name = name;
    assert_int_equal(
        lab_apply(lab, account->group, LAB_COMMAND(mailbox_rename, MAILBOX_RENAME, &rename))
            ->err,
        ERR_OK);
    assert_int_equal(
        lab_apply(lab, account->group, LAB_COMMAND(mailbox_delete, MAILBOX_DELETE, &delete))
            ->err,
        ERR_OK);
    struct db_txn *txn = db_read_begin(lab->db);
    assert_true(query_tick_due(txn, account->group));
    db_abort(&txn);
    lead(account->group);
    run(WHILE_MS);
    assert_true(world.writes > 1);
    for (unsigned i = 0; i < world.writes; i++)
        assert_int_equal(world.calls[i], PR__COMMAND__CALL_TICK);
    txn = db_read_begin(lab->db);
    assert_false(query_tick_due(txn, account->group));
    db_abort(&txn);
    lab_invariants(lab, account->group);
}

/* ---- mail of removed accounts ---- */

static void remove_account(unsigned number)
{
    struct lab *lab = &place->model.lab;
    Pr__AccountRemove remove = PR__ACCOUNT_REMOVE__INIT;

    remove.address = arena_printf(&lab->arena, "user%u@example.org", number);
    remove.keep_ms = DAY_MS;
    assert_int_equal(
        lab_apply(lab, 0, LAB_COMMAND(account_remove, ACCOUNT_REMOVE, &remove))->err, ERR_OK);
}

static bool is_due(unsigned number)
{
    struct lab *lab = &place->model.lab;
    uint64_t id = place->model.accounts[number].id;
    struct db_txn *txn = db_read_begin(lab->db);
    const Pr__PurgeDueRecord *due = limits_purge_due(txn, id - 1, UINT64_MAX, &lab->arena);

    db_abort(&txn);
    return due != NULL && due->account->id == id;
}

static bool is_gone(unsigned number)
{
    struct model_account *model = &place->model.accounts[number];
    struct account account;
    struct db_txn *txn = db_read_begin(place->model.lab.db);

    account_load(txn, model->group, model->id, &account);
    db_abort(&txn);
    return account.record.gone;
}

static void mail_of_removed_accounts_goes_when_it_is_due(void **state)
{
    struct model_account *account = &place->model.accounts[1];

    (void)state;
    for (unsigned i = 0; i < 3 * PURGES_ACCOUNT_MESSAGES; i++)
        lab_deliver(&place->model.lab, account->group, account->id, BYTES("text"));
    remove_account(1);
    lead(DIRECTORY_GROUP);
    run(WHILE_MS);
    assert_int_equal(world.writes, 0);
    world_run(world.now_ms + DAY_MS);
    run(WHILE_MS);
    assert_true(is_gone(1));
    assert_false(is_due(1));
    assert_true(world.writes > 3);
    for (unsigned i = 0; i + 1 < world.writes; i++) {
        assert_int_equal(world.calls[i], PR__COMMAND__CALL_ACCOUNT_PURGE);
        assert_int_equal(world.groups[i], account->group);
    }
    assert_int_equal(world.calls[world.writes - 1], PR__COMMAND__CALL_PURGE_DONE);
    assert_int_equal(world.groups[world.writes - 1], DIRECTORY_GROUP);
    lab_invariants(&place->model.lab, account->group);
}

static enum world_fate one_account_lost(struct service_world *in, uint32_t group,
                                        const Pr__Command *command)
{
    (void)in;
    (void)group;
    return command->call_case == PR__COMMAND__CALL_ACCOUNT_PURGE &&
                   command->account_purge->account_id == place->model.accounts[0].id
               ? WORLD_LOST
               : WORLD_APPLIED;
}

/* An account whose group has no majority does not keep the others from being freed, and has its
 * turn when the group is back. */
static void groups_that_do_not_answer_keep_nobody_waiting(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 2; number++)
        remove_account(number);
    assert_true(place->model.accounts[0].id < place->model.accounts[1].id);
    world_run(world.now_ms + 2 * DAY_MS);
    world.fate = one_account_lost;
    lead(DIRECTORY_GROUP);
    run(WHILE_MS);
    assert_true(is_due(0));
    assert_false(is_due(1));
    world.fate = NULL;
    run(WHILE_MS);
    assert_false(is_due(0));
    assert_true(is_gone(0));
}

static void what_comes_back_finds_nobody(void **state)
{
    (void)state;
    expunge_some(0, 5);
    world.undelete_days = 0;
    lead(place->model.accounts[0].group);
    purges_tick(place->purges, world.now_ms);
    purges_free(&place->purges);
    world_run(world.now_ms + WHILE_MS);
    assert_int_equal(world.writes, 0);
    lead(place->model.accounts[0].group);
    purges_tick(place->purges, world.now_ms);
    assert_true(world_step(world.now_ms)); /* the look; the command is on its way */
    purges_free(&place->purges);
    world_run(world.now_ms + WHILE_MS);
    assert_int_equal(world.writes, 1);
    assert_int_equal(expunged_of(0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_to_free_writes_nothing),
        TEST(expunged_mail_goes_after_the_policys_days),
        TEST(policy_counts_at_once),
        TEST(doomed_rows_go_without_other_commands),
        TEST(mail_of_removed_accounts_goes_when_it_is_due),
        TEST(groups_that_do_not_answer_keep_nobody_waiting),
        TEST(what_comes_back_finds_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
