/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Request ids, uploads and hand-overs over several commands; limits. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/db/key.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, OTHER_GROUP = 4, ACCOUNT = 41, FAR_ACCOUNT = 50 };

static unsigned rows(struct lab *lab, uint32_t group, enum db_table table)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct key key;
    struct bytes at;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, table, key_group(&key, group));
    unsigned count = 0;

    for (bool more = db_cursor_first(cursor, &at, &row); more;
         more = db_cursor_next(cursor, &at, &row))
        count++;
    db_cursor_close(&cursor);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return count;
}

static uint64_t messages(struct lab *lab, uint32_t group, uint64_t account_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t count;
    uint64_t size;

    query_account_usage(txn, (struct query_account){group, account_id}, &count, &size);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return count;
}

static Pr__Command *delivery(struct lab *lab, uint64_t account_id)
{
    Pr__Command *command = arena_alloc(&lab->arena, sizeof(*command));
    Pr__Deliver *deliver = arena_alloc(&lab->arena, sizeof(*deliver));
    Pr__Recipient *recipient = arena_alloc(&lab->arena, sizeof(*recipient));

    pr__command__init(command);
    pr__deliver__init(deliver);
    pr__recipient__init(recipient);
    recipient->account_id = account_id;
    deliver->recipients = arena_alloc(&lab->arena, sizeof(*deliver->recipients));
    deliver->recipients[0] = recipient;
    deliver->n_recipients = 1;
    deliver->body = lab_body(lab, BYTES("text"), 4);
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = deliver;
    return command;
}

static Pr__Outcome *cancel(struct lab *lab, ProtobufCBinaryData id)
{
    Pr__Cancel call = PR__CANCEL__INIT;

    call.cancelled_id = id;
    return lab_apply(lab, GROUP, LAB_COMMAND(cancel, CANCEL, &call));
}

static void repeated_id_gets_the_same_answer(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    Pr__Command *command = delivery(&lab, ACCOUNT);
    command->request_id = lab_id(&lab);
    Pr__Outcome *first = lab_apply(&lab, GROUP, command);
    Pr__Outcome *second = lab_apply(&lab, GROUP, command);
    assert_int_equal(first->err, ERR_OK);
    assert_int_equal(second->uids[0]->first, first->uids[0]->first);
    assert_int_equal(second->modseq, first->modseq);
    assert_int_equal(messages(&lab, GROUP, ACCOUNT), 1);

    /* A refusal is remembered too, also when the command would be good now. */
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    change.account_id = ACCOUNT;
    change.mailbox_id = 7;
    Pr__Command *early = LAB_COMMAND(flags_change, FLAGS_CHANGE, &change);
    early->request_id = lab_id(&lab);
    assert_int_equal(lab_apply(&lab, GROUP, early)->err, ERR_NOTFOUND);
    Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
    create.account_id = ACCOUNT;
    create.name = (char[]){"x"};
    assert_int_equal(
        lab_apply(&lab, GROUP, LAB_COMMAND(mailbox_create, MAILBOX_CREATE, &create))->id, 7);
    assert_int_equal(lab_apply(&lab, GROUP, early)->err, ERR_NOTFOUND);
    /* The other group knows nothing of it. */
    assert_int_equal(lab_apply(&lab, OTHER_GROUP, command)->err, ERR_OK);
    lab_close(&lab);
}

static void cancel_settles(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    Pr__Command *command = delivery(&lab, ACCOUNT);
    command->request_id = lab_id(&lab);
    assert_int_equal(cancel(&lab, command->request_id)->err, ERR_CANCELLED);
    assert_int_equal(cancel(&lab, command->request_id)->err, ERR_CANCELLED);
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_CANCELLED);
    assert_int_equal(messages(&lab, GROUP, ACCOUNT), 0);

    command->request_id = lab_id(&lab);
    Pr__Outcome *done = lab_apply(&lab, GROUP, command);
    Pr__Outcome *asked = cancel(&lab, command->request_id);
    assert_int_equal(asked->err, ERR_OK);
    assert_int_equal(asked->modseq, done->modseq);
    assert_int_equal(asked->uids[0]->first, 1);
    command->request_id.len = 3;
    assert_int_equal(cancel(&lab, command->request_id)->err, ERR_INVALID);
    lab_close(&lab);
}

static void old_ids_are_forgotten(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    for (unsigned i = 0; i < 10; i++) {
        Pr__Command *command = delivery(&lab, ACCOUNT);
        command->request_id = lab_id(&lab);
        lab_apply(&lab, GROUP, command);
    }
    assert_int_equal(rows(&lab, GROUP, TABLE_DEDUPE), 10);
    /* A hand-over that comes late has an old id; its row must outlive the next commands. */
    ProtobufCBinaryData old_id = lab_id(&lab);
    lab.now_ms += (uint64_t)25 * 60 * 60 * 1000;
    Pr__Command *late = delivery(&lab, ACCOUNT);
    late->request_id = old_id;
    assert_int_equal(lab_apply(&lab, GROUP, late)->err, ERR_OK);
    for (unsigned i = 0; i < 10; i++) {
        Pr__Command *command = delivery(&lab, ACCOUNT);
        command->request_id = lab_id(&lab);
        lab_apply(&lab, GROUP, command);
    }
    assert_int_equal(rows(&lab, GROUP, TABLE_DEDUPE), 11);
    assert_int_equal(messages(&lab, GROUP, ACCOUNT), 21);
    lab_apply(&lab, GROUP, late);
    assert_int_equal(messages(&lab, GROUP, ACCOUNT), 21);
    lab_close(&lab);
}

static Pr__Outcome *upload(struct lab *lab, uint32_t group, ProtobufCBinaryData id,
                           uint32_t number, struct bytes data)
{
    Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;

    block.upload_id = id;
    block.number = number;
    block.data = lab_field(lab, data);
    return lab_apply(lab, group, LAB_COMMAND(upload_block, UPLOAD_BLOCK, &block));
}

/* A body of three blocks, uploaded under `id`. */
static Pr__Body *large_body(struct lab *lab, ProtobufCBinaryData id)
{
    Pr__Body *body = lab_body(lab, BYTES("unused"), 3 * BODY_BLOCK_SIZE - 5);

    body->n_blocks = 0;
    body->block_count = 3;
    body->upload_id = id;
    return body;
}

static void upload_becomes_a_body(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    ProtobufCBinaryData id = lab_id(&lab);
    Pr__Command *command = delivery(&lab, ACCOUNT);
    command->deliver->body = large_body(&lab, id);
    assert_int_equal(upload(&lab, GROUP, id, 0, BYTES("zero"))->err, ERR_OK);
    assert_int_equal(upload(&lab, GROUP, id, 2, BYTES("two"))->err, ERR_INVALID);
    assert_int_equal(upload(&lab, GROUP, id, 1, BYTES("one"))->err, ERR_OK);
    assert_int_equal(upload(&lab, GROUP, id, 1, BYTES("changed"))->err, ERR_OK);
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_INVALID); /* not complete */
    assert_int_equal(upload(&lab, GROUP, id, 2, BYTES("two"))->err, ERR_OK);
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_OK);
    assert_int_equal(rows(&lab, GROUP, TABLE_UPLOAD), 0);
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_INVALID); /* used up */
    lab_invariants(&lab, GROUP);

    struct db_txn *txn = db_read_begin(lab.db);
    Pr__BodyRead call = PR__BODY_READ__INIT;
    Pr__BodyReadAnswer answer = PR__BODY_READ_ANSWER__INIT;
    call.mailbox_id = call.uid = 1;
    call.first_block = 1;
    call.block_count = 10;
    assert_int_equal(query_body_read(txn, (struct query_account){GROUP, ACCOUNT}, &call,
                                     &lab.arena, &answer),
                     ERR_OK);
    assert_int_equal(answer.block_count, 3);
    assert_int_equal(answer.n_blocks, 2);
    assert_true(bytes_equal(bytes_of_field(answer.blocks[0]), BYTES("one")));
    assert_true(bytes_equal(bytes_of_field(answer.blocks[1]), BYTES("two")));
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(&lab);
}

static void uploads_are_dropped(void **state)
{
    struct lab lab;
    Pr__UploadDrop drop = PR__UPLOAD_DROP__INIT;
    struct db_txn *txn;

    (void)state;
    lab_open(&lab);
    ProtobufCBinaryData id = lab_id(&lab);
    upload(&lab, GROUP, id, 0, BYTES("named"));
    upload(&lab, GROUP, lab_id(&lab), 0, BYTES("old"));
    lab.now_ms += 1000;
    upload(&lab, GROUP, lab_id(&lab), 0, BYTES("young"));
    drop.upload_id = id;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            lab_apply(&lab, GROUP, LAB_COMMAND(upload_drop, UPLOAD_DROP, &drop))->err, ERR_OK);
    assert_int_equal(rows(&lab, GROUP, TABLE_UPLOAD), 2);
    txn = db_read_begin(lab.db);
    assert_true(query_uploads_stale(txn, GROUP, lab.now_ms));
    assert_false(query_uploads_stale(txn, GROUP, lab.now_ms - 1000));
    assert_int_equal(db_commit(&txn), ERR_OK);
    drop = (Pr__UploadDrop)PR__UPLOAD_DROP__INIT;
    drop.before_ms = lab.now_ms;
    drop.limit = 5;
    lab_apply(&lab, GROUP, LAB_COMMAND(upload_drop, UPLOAD_DROP, &drop));
    assert_int_equal(rows(&lab, GROUP, TABLE_UPLOAD), 1);
    assert_int_equal(rows(&lab, GROUP, TABLE_BLOCK), 1); /* the others' went with them */
    lab_invariants(&lab, GROUP);
    lab_close(&lab);
}

/* What a hand-over makes in the other group is the same message. */
static void handover_arrives(bool large)
{
    struct lab lab;
    Pr__Handover handover = PR__HANDOVER__INIT;
    Pr__Handover *handovers[] = {&handover};
    struct query_handover next = {.id = 0};
    Pr__HandoverDone done = PR__HANDOVER_DONE__INIT;

    lab_open(&lab);
    Pr__Command *command = delivery(&lab, ACCOUNT);
    Pr__Command *far = delivery(&lab, FAR_ACCOUNT);
    command->request_id = lab_id(&lab);
    if (large) {
        ProtobufCBinaryData id = lab_id(&lab);
        command->deliver->body = large_body(&lab, id);
        for (uint32_t i = 0; i < 3; i++)
            upload(&lab, GROUP, id, i, BYTES("a block"));
    }
    handover.group = OTHER_GROUP;
    handover.recipients = far->deliver->recipients;
    handover.n_recipients = 1;
    command->deliver->handovers = handovers;
    command->deliver->n_handovers = 1;
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_OK);
    assert_true(lab.events.handover_added);
    lab_invariants(&lab, GROUP);

    struct db_txn *txn = db_read_begin(lab.db);
    next.now_ms = lab.now_ms + 5000;
    assert_true(query_handover_next(txn, GROUP, 0, &lab.arena, &next));
    assert_int_equal(next.group, OTHER_GROUP);
    assert_int_equal(next.entry_count, large ? 4 : 1);
    assert_false(query_handover_next(txn, GROUP, next.id, &lab.arena,
                                     &(struct query_handover){.id = 0}));
    assert_int_equal(db_commit(&txn), ERR_OK);
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < next.entry_count; i++)
            assert_int_equal(lab_apply_entry(&lab, OTHER_GROUP, next.entries[i])->err, ERR_OK);
    assert_int_equal(messages(&lab, OTHER_GROUP, FAR_ACCOUNT), 1);
    done.handover_id = next.id;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            lab_apply(&lab, GROUP, LAB_COMMAND(handover_done, HANDOVER_DONE, &done))->err,
            ERR_OK);
    assert_int_equal(rows(&lab, GROUP, TABLE_HANDOVER), 0);
    lab_invariants(&lab, GROUP);
    lab_close(&lab);
}

static void handovers_arrive_once(void **state)
{
    (void)state;
    handover_arrives(false);
    handover_arrives(true);
}

static void large_commands_are_refused(void **state)
{
    struct lab lab;
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    Pr__Command *command = LAB_COMMAND(flags_change, FLAGS_CHANGE, &change);

    (void)state;
    lab_open(&lab);
    lab.txn = db_write_begin(lab.db);
    for (unsigned i = 0; i < 10001; i++)
        assert_int_equal(lab_deliver(&lab, GROUP, ACCOUNT, BYTES("x"))->err, ERR_OK);
    assert_int_equal(db_commit(&lab.txn), ERR_OK);
    change.account_id = ACCOUNT;
    change.mailbox_id = 1;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.flags = FLAG_DELETED;
    change.n_uids = 1;
    change.uids = lab_ranges(&lab, 1, (uint32_t[]){1, 10001});
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_TOOBIG);
    change.uids = lab_ranges(&lab, 1, (uint32_t[]){2, 10001});
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_OK);
    /* A mailbox of any size goes at once; its rows are freed behind later commands. */
    Pr__MailboxRename rename = PR__MAILBOX_RENAME__INIT;
    rename.account_id = ACCOUNT;
    rename.mailbox_id = 1;
    rename.name = (char[]){"old"};
    assert_int_equal(
        lab_apply(&lab, GROUP, LAB_COMMAND(mailbox_rename, MAILBOX_RENAME, &rename))->err,
        ERR_OK);
    Pr__MailboxDelete delete = PR__MAILBOX_DELETE__INIT;
    delete.account_id = ACCOUNT;
    delete.mailbox_id = 1;
    assert_int_equal(
        lab_apply(&lab, GROUP, LAB_COMMAND(mailbox_delete, MAILBOX_DELETE, &delete))->err,
        ERR_OK);
    assert_int_equal(messages(&lab, GROUP, ACCOUNT), 0);
    unsigned left = rows(&lab, GROUP, TABLE_MESSAGE);
    assert_true(left > 9000);
    for (unsigned i = 0; i < 200 && rows(&lab, GROUP, TABLE_DOOMED) > 0; i++) {
        cancel(&lab, lab_id(&lab));
        unsigned now = rows(&lab, GROUP, TABLE_MESSAGE);
        assert_true(now <= left && left - now <= 256);
        left = now;
    }
    assert_int_equal(left, 0);
    assert_int_equal(rows(&lab, GROUP, TABLE_BLOCK), 0);
    assert_int_equal(rows(&lab, GROUP, TABLE_CHANGE), 0);
    assert_int_equal(rows(&lab, GROUP, TABLE_DOOMED), 0);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_id_gets_the_same_answer),
        cmocka_unit_test(cancel_settles),
        cmocka_unit_test(old_ids_are_forgotten),
        cmocka_unit_test(upload_becomes_a_body),
        cmocka_unit_test(uploads_are_dropped),
        cmocka_unit_test(handovers_arrive_once),
        cmocka_unit_test(large_commands_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
