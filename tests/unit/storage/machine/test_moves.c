/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts move between groups while they are in use. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "storage/machine/account.h"
#include "storage/machine/moving.h"
#include "storage/schema/entry.h"
#include "tests/unit/storage/moving.h"

enum { SEEDS = 4, STEPS_BEFORE = 400, MOVES = 6, COMMANDS_REPLAYED = 20 };

static struct model *model_make(uint64_t seed)
{
    struct model *model = malloc(sizeof(*model));

    assert_non_null(model);
    printf("seed %llu\n", (unsigned long long)seed);
    model_open(model, seed);
    moving_open(model);
    for (unsigned step = 0; step < STEPS_BEFORE; step++)
        model_step(model);
    return model;
}

static void model_end(struct model *model)
{
    model_close(model);
    free(model);
}

static void all_compare(struct model *model, bool look)
{
    for (unsigned i = 0; i < MODEL_ACCOUNTS; i++)
        model_compare(model, &model->accounts[i], look);
    for (uint32_t group = 1; group <= MOVING_OTHER_GROUP; group++)
        lab_invariants(&model->lab, group);
}

static uint32_t other_group(struct model *model, const struct model_account *account)
{
    uint32_t group;

    do
        group = 1 + model_below(model, MOVING_OTHER_GROUP);
    while (group == account->group);
    return group;
}

/* Rows of the account that a group still has, its own row left out. */
static unsigned rows_left(struct model *model, uint32_t group, uint64_t account_id)
{
    static const enum db_table tables[] = {TABLE_MAILBOX_NAME, TABLE_MESSAGE,  TABLE_CHANGE,
                                           TABLE_IMPORT,       TABLE_EXPUNGED, TABLE_MOVING,
                                           TABLE_SENDING};
    struct db_txn *txn = db_read_begin(model->lab.db);
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        struct key prefix;
        struct bytes key;
        struct bytes value;
        struct db_cursor *cursor =
            db_cursor_open(txn, tables[i], key_number(&prefix, group, account_id));
        for (bool more = db_cursor_first(cursor, &key, &value); more;
             more = db_cursor_next(cursor, &key, &value))
            count++;
        db_cursor_close(&cursor);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    return count;
}

static void tick_all(struct model *model)
{
    Pr__Tick tick = PR__TICK__INIT;

    tick.rows = 4096;
    for (uint32_t group = 1; group <= MOVING_OTHER_GROUP; group++)
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(lab_apply(&model->lab, group, LAB_COMMAND(tick, TICK, &tick))->err,
                             ERR_OK);
}

static void moved_accounts_are_as_the_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model *model = model_make(seed);

        for (unsigned move = 0; move < MOVES; move++) {
            struct model_account *account = &model->accounts[move % 2];
            uint32_t from = account->group;
            struct mover mover;

            assert_int_equal(moving_ask(model, account, other_group(model, account)), ERR_OK);
            assert_int_equal(moving_ask(model, account, from), ERR_BUSY);
            moving_begin(&mover, model, account, seed * 100 + move);
            for (unsigned step = 0; moving_next(&mover); step++) {
                for (uint32_t i = model_below(model, 3); i > 0; i--)
                    model_step(model);
                if (step % 16 == 0)
                    all_compare(model, model_below(model, 4) == 0);
            }
            assert_int_not_equal(account->group, from);
            all_compare(model, false);
            tick_all(model);
            assert_int_equal(rows_left(model, from, account->id), 0);
            all_compare(model, true);
        }
        model_end(model);
    }
}

/* What is on its way in a network comes late; nothing of it may count. */
static void replay_late(struct model *model, size_t begun)
{
    for (unsigned i = 0; i < COMMANDS_REPLAYED; i++) {
        size_t at = begun + model_below(model, (uint32_t)(model->lab.entry_count - begun));
        const struct lab_entry *entry = &model->lab.entries[at];
        const Pr__Command *command = entry_decode(entry->entry, &model->lab.arena);

        if (command->call_case >= PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM &&
            command->call_case != PR__COMMAND__CALL_ACCOUNT_MOVE_CANCEL)
            lab_apply_entry(&model->lab, entry->group, entry->entry);
    }
}

/* Whoever moves the account dies at any step, again and again; entries of dead attempts come
 * late; at times the operator thinks better of it. */
static void moves_survive_crashes(void **state)
{
    unsigned cancelled = 0;
    unsigned crashes = 0;
    unsigned moved = 0;
    unsigned old_steps = 0;

    (void)state;
    for (uint64_t seed = 11; seed < 11 + SEEDS; seed++) {
        struct model *model = model_make(seed);

        for (unsigned move = 0; move < MOVES; move++) {
            struct model_account *account = &model->accounts[move % 2];
            struct mover mover;
            struct mover old = {.step = MOVING_IDLE}; /* does not know that it was replaced */
            uint32_t from = account->group;
            unsigned patience = 10;
            size_t begun = model->lab.entry_count;

            assert_int_equal(moving_ask(model, account, other_group(model, account)), ERR_OK);
            moving_begin(&mover, model, account, seed * 100 + move);
            while (moving_next(&mover)) {
                for (uint32_t i = model_below(model, 3); i > 0; i--)
                    model_step(model);
                for (uint32_t i = model_below(model, 4); i > 0 && mover.step != MOVING_CLAIM;
                     i--)
                    old_steps += moving_next(&old);
                if (model_below(model, patience) != 0)
                    continue;
                patience += 5;
                crashes++;
                moving_crash(&old);
                if (model_below(model, 3) != 0 && mover.step > MOVING_CLAIM) {
                    old = mover;
                    old.replaced = true;
                    mover.copy = NULL;
                } else if (model_below(model, 2)) {
                    account_copy_free(&mover.copy);
                    lab_reopen(&model->lab);
                }
                moving_crash(&mover);
                if (model_below(model, 8) == 0) {
                    Pr__AccountMoveCancel cancel = PR__ACCOUNT_MOVE_CANCEL__INIT;
                    cancel.address =
                        arena_printf(&model->lab.arena, "user%u@example.org", move % 2);
                    cancelled += lab_apply(&model->lab, 0,
                                           LAB_COMMAND(account_move_cancel, ACCOUNT_MOVE_CANCEL,
                                                       &cancel))
                                     ->err == ERR_OK;
                }
                moving_recover(&mover);
            }
            while (moving_next(&old))
                old_steps++;
            moving_crash(&old);
            moving_recover(&mover);
            assert_int_equal(mover.step, MOVING_IDLE);
            moved += account->group != from;
            replay_late(model, begun);
            all_compare(model, true);
            moving_recover(&mover);
            assert_int_equal(mover.step, MOVING_IDLE);
            all_compare(model, false);
        }
        tick_all(model);
        all_compare(model, true);
        for (unsigned i = 0; i < 2; i++)
            for (uint32_t group = 1; group <= MOVING_OTHER_GROUP; group++)
                if (group != model->accounts[i].group)
                    assert_int_equal(rows_left(model, group, model->accounts[i].id), 0);
        model_end(model);
    }
    printf("%u crashes, %u moved, %u cancelled, %u steps of those replaced\n", crashes, moved,
           cancelled, old_steps);
    assert_true(crashes > 40 && moved > SEEDS * MOVES / 2 && cancelled > 1 && old_steps > 20);
}

static Pr__Body *large_body(struct lab *lab)
{
    Pr__Body *body = lab_body(lab, BYTES("unused"), 2 * (uint64_t)BODY_BLOCK_SIZE + 5);
    static uint8_t frame[BODY_FRAME_SIZE_MAX];

    body->upload_id = lab_id(lab);
    body->block_count = 3;
    body->n_blocks = 0;
    for (uint32_t number = 0; number < 3; number++) {
        Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;
        memset(frame, (int)('a' + number), sizeof(frame));
        block.upload_id = body->upload_id;
        block.number = number;
        block.data = lab_field(lab, bytes_from(frame, sizeof(frame) - number));
        assert_int_equal(
            lab_apply(lab, MODEL_GROUP, LAB_COMMAND(upload_block, UPLOAD_BLOCK, &block))->err,
            ERR_OK);
    }
    return body;
}

static struct bytes block_of(struct db_txn *txn, uint32_t group, uint64_t account_id,
                             uint32_t uid, struct arena *arena)
{
    struct message_record message;
    struct key key;
    struct bytes row;
    size_t len = 0;
    struct bytes at;
    struct bytes piece;

    assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&key, group, account_id, 1, uid), &row),
                     ERR_OK);
    assert_true(message_decode(row, &message));
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_BLOCK, key_number(&key, group, message.blob));
    uint8_t *to = arena_alloc(arena, 3 * BODY_FRAME_SIZE_MAX);
    for (bool more = db_cursor_first(cursor, &at, &piece); more;
         more = db_cursor_next(cursor, &at, &piece)) {
        memcpy(to + len, piece.at, piece.len);
        len += piece.len;
    }
    db_cursor_close(&cursor);
    return bytes_from(to, len);
}

/* A body of several blocks goes as an upload, once for the two messages that share it. */
static void large_bodies_move_once(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct model_account *account;
    Pr__Append append = PR__APPEND__INIT;
    Pr__Copy copy = PR__COPY__INIT;
    struct mover mover;

    (void)state;
    assert_non_null(model);
    model_open(model, 3);
    moving_open(model);
    account = &model->accounts[MODEL_GROUP - 1];
    assert_int_equal(account->group, MODEL_GROUP);
    append.account_id = copy.account_id = account->id;
    append.mailbox_id = copy.mailbox_id = copy.target_mailbox_id = 1;
    append.body = large_body(&model->lab);
    assert_int_equal(
        lab_apply(&model->lab, MODEL_GROUP, LAB_COMMAND(append, APPEND, &append))->err, ERR_OK);
    copy.uids = lab_ranges(&model->lab, 1, (const uint32_t[]){1, 1});
    copy.n_uids = 1;
    assert_int_equal(lab_apply(&model->lab, MODEL_GROUP, LAB_COMMAND(copy, COPY, &copy))->err,
                     ERR_OK);
    struct db_txn *txn = db_read_begin(model->lab.db);
    struct bytes before = block_of(txn, MODEL_GROUP, account->id, 1, &model->lab.arena);
    db_abort(&txn);
    assert_int_equal(moving_ask(model, account, MOVING_OTHER_GROUP), ERR_OK);
    moving_begin(&mover, model, account, 1);
    while (moving_next(&mover))
        ;
    txn = db_read_begin(model->lab.db);
    for (uint32_t uid = 1; uid <= 2; uid++)
        assert_true(bytes_equal(
            block_of(txn, MOVING_OTHER_GROUP, account->id, uid, &model->lab.arena), before));
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct blob_record blob;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_BLOB, key_group(&prefix, MOVING_OTHER_GROUP));
    assert_true(db_cursor_first(cursor, &key, &row));
    assert_true(blob_decode(row, &blob));
    assert_int_equal(blob.blocks, 3);
    assert_false(db_cursor_next(cursor, &key, &row));
    db_cursor_close(&cursor);
    db_abort(&txn);
    lab_invariants(&model->lab, MODEL_GROUP);
    lab_invariants(&model->lab, MOVING_OTHER_GROUP);
    model_end(model);
}

/* A write that met a move has left no trace: it takes effect when the account stays, and not
 * when it was cancelled first. */
static void refused_writes_leave_no_trace(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct model_account *account;
    struct mover mover;
    Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
    Pr__Command *command = LAB_COMMAND(mailbox_create, MAILBOX_CREATE, &create);
    Pr__AccountMoveCancel cancel = PR__ACCOUNT_MOVE_CANCEL__INIT;
    Pr__Cancel fence = PR__CANCEL__INIT;

    (void)state;
    assert_non_null(model);
    model_open(model, 4);
    moving_open(model);
    account = &model->accounts[MODEL_GROUP - 1];
    assert_int_equal(moving_ask(model, account, MOVING_OTHER_GROUP), ERR_OK);
    moving_begin(&mover, model, account, 2);
    while (!account->frozen)
        assert_true(moving_next(&mover));
    create.account_id = account->id;
    create.name = arena_string(&model->lab.arena, BYTES("new"));
    command->request_id = lab_id(&model->lab);
    assert_int_equal(lab_apply(&model->lab, MODEL_GROUP, command)->err, ERR_MOVED);
    moving_crash(&mover);
    cancel.address = arena_printf(&model->lab.arena, "user%d@example.org", MODEL_GROUP - 1);
    assert_int_equal(lab_apply(&model->lab, 0,
                               LAB_COMMAND(account_move_cancel, ACCOUNT_MOVE_CANCEL, &cancel))
                         ->err,
                     ERR_OK);
    moving_recover(&mover);
    assert_int_equal(lab_apply(&model->lab, MODEL_GROUP, command)->err, ERR_OK);
    create.name = arena_string(&model->lab.arena, BYTES("newer"));
    command->request_id = lab_id(&model->lab);
    fence.cancelled_id = command->request_id;
    Pr__Outcome *first =
        lab_apply(&model->lab, MODEL_GROUP, LAB_COMMAND(cancel, CANCEL, &fence));
    assert_int_equal(first->err, ERR_CANCELLED);
    assert_int_equal(first->id, 0);
    Pr__Outcome *again =
        lab_apply(&model->lab, MODEL_GROUP, LAB_COMMAND(cancel, CANCEL, &fence));
    assert_int_equal(again->err, ERR_CANCELLED);
    assert_int_equal(again->id, 1); /* it was before */
    assert_int_equal(lab_apply(&model->lab, MODEL_GROUP, command)->err, ERR_CANCELLED);
    model_end(model);
}

static void the_directory_refuses_what_cannot_be(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct model_account *account;
    struct mover mover;

    (void)state;
    assert_non_null(model);
    model_open(model, 5);
    moving_open(model);
    account = &model->accounts[0];
    assert_int_equal(moving_ask(model, account, account->group), ERR_EXISTS);
    assert_int_equal(moving_ask(model, account, 0), ERR_NOTFOUND);
    assert_int_equal(moving_ask(model, account, 77), ERR_NOTFOUND);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(moving_ask(model, account, 1 + account->group % 5), ERR_OK);
        moving_begin(&mover, model, account, i);
        while (moving_next(&mover))
            ;
    }
    assert_int_equal(moving_ask(model, account, 1 + account->group % 5), ERR_BUSY);
    unsigned hours = 0;
    enum err err = ERR_BUSY;
    for (; err == ERR_BUSY && hours < 48; hours++) {
        model->lab.now_ms += 3600 * 1000;
        err = moving_ask(model, account, 1 + account->group % 5);
    }
    assert_int_equal(err, ERR_OK);
    assert_in_range(hours, 24, 25);
    model_end(model);
}

/* Each command of an attempt that another one has taken over from. */
static void an_old_attempt_is_refused(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct model_account *account;
    struct mover mover;
    Pr__MoveStart start = PR__MOVE_START__INIT;
    Pr__MoveFreeze freeze = PR__MOVE_FREEZE__INIT;
    Pr__ImportBegin begin = PR__IMPORT_BEGIN__INIT;
    Pr__ImportRows rows = PR__IMPORT_ROWS__INIT;
    Pr__ImportEnd end = PR__IMPORT_END__INIT;
    Pr__MoveEnd stays = PR__MOVE_END__INIT;

    (void)state;
    assert_non_null(model);
    model_open(model, 6);
    moving_open(model);
    account = &model->accounts[MODEL_GROUP - 1];
    assert_int_equal(moving_ask(model, account, MOVING_OTHER_GROUP), ERR_OK);
    moving_begin(&mover, model, account, 1);
    while (mover.step != MOVING_COPY)
        assert_true(moving_next(&mover));
    uint64_t old = mover.attempt;
    moving_crash(&mover);
    moving_recover(&mover);
    while (mover.step != MOVING_COPY)
        assert_true(moving_next(&mover));
    start.account_id = freeze.account_id = begin.account_id = rows.account_id = end.account_id =
        stays.account_id = account->id;
    start.attempt = freeze.attempt = begin.attempt = rows.attempt = end.attempt =
        stays.attempt = old;
    start.to = MOVING_OTHER_GROUP;
    begin.from = MODEL_GROUP;
    begin.limit = end.limit = 100;
    rows.sequence = 1;
    end.kind = PR__IMPORT_END__KIND__DROPPED;
    struct lab *lab = &model->lab;
#define REFUSED(group, name, NAME, call)                                                       \
    assert_int_equal(lab_apply(lab, group, LAB_COMMAND(name, NAME, call))->err, ERR_CONFLICT)
    REFUSED(MODEL_GROUP, move_start, MOVE_START, &start);
    REFUSED(MODEL_GROUP, move_freeze, MOVE_FREEZE, &freeze);
    REFUSED(MODEL_GROUP, move_end, MOVE_END, &stays);
    REFUSED(MOVING_OTHER_GROUP, import_begin, IMPORT_BEGIN, &begin);
    REFUSED(MOVING_OTHER_GROUP, import_rows, IMPORT_ROWS, &rows);
    REFUSED(MOVING_OTHER_GROUP, import_end, IMPORT_END, &end);
    rows.attempt = mover.attempt;
    rows.sequence = mover.look.sequence + 2; /* and none may be left out */
    REFUSED(MOVING_OTHER_GROUP, import_rows, IMPORT_ROWS, &rows);
    while (moving_next(&mover))
        ;
    assert_int_equal(account->group, MOVING_OTHER_GROUP);
    begin.from = MOVING_OTHER_GROUP;
    begin.attempt = mover.attempt + 1000;
    begin.account_id = model->accounts[0].id; /* it is in use there */
    lab_deliver(lab, model->accounts[0].group, model->accounts[0].id, BYTES("text"));
    assert_int_equal(lab_apply(lab, model->accounts[0].group,
                               LAB_COMMAND(import_begin, IMPORT_BEGIN, &begin))
                         ->err,
                     ERR_EXISTS);
    model_end(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_bodies_move_once),
        cmocka_unit_test(an_old_attempt_is_refused),
        cmocka_unit_test(refused_writes_leave_no_trace),
        cmocka_unit_test(the_directory_refuses_what_cannot_be),
        cmocka_unit_test(moved_accounts_are_as_the_model_says),
        cmocka_unit_test(moves_survive_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
