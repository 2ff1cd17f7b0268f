/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message that comes in several parts: all of it is accepted, or nothing. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/apply.h"
#include "storage/schema/flags.h"
#include "storage/schema/request_id.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { ANN = 7, BEA = 8, CY = 9, OTHER_GROUP = 5, THIRD_GROUP = 6, DOMAIN = 4 };

static int setup(void **state)
{
    static struct lab lab;

    queue_lab_open(&lab, FORMAT_ADDRESSES);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, QUEUE_GROUP);
    lab_close(*state);
    return 0;
}

/* What lies in an INBOX: the blocks of its messages, one behind the other. */
static struct bytes inbox(struct lab *lab, uint64_t account_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__Fetch fetch = PR__FETCH__INIT;
    Pr__FetchAnswer fetched = PR__FETCH_ANSWER__INIT;
    struct buffer all = BUFFER_EMPTY;
    struct bytes text;

    fetch.mailbox_id = 1;
    fetch.uids = lab_ranges(lab, 1, (uint32_t[]){1, UINT32_MAX});
    fetch.n_uids = 1;
    fetch.with_body = true;
    assert_int_equal(query_fetch(txn, (struct query_account){QUEUE_GROUP, account_id}, &fetch,
                                 &lab->arena, &fetched),
                     ERR_OK);
    for (size_t i = 0; i < fetched.n_messages; i++)
        buffer_add(&all, bytes_of_field(fetched.messages[i]->blocks[0]));
    text = arena_copy(&lab->arena, buffer_bytes(&all));
    buffer_fini(&all);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return text;
}

/* The Deliver that a hand-over pushes, by its number. */
static Pr__Command *handover(struct lab *lab, uint64_t id)
{
    struct query_handover found;
    struct db_txn *txn = db_read_begin(lab->db);

    memset(&found, 0, sizeof(found));
    assert_true(query_handover_next(txn, QUEUE_GROUP, id - 1, &lab->arena, &found));
    assert_int_equal(found.id, id);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return entry_decode(found.entries[found.entry_count - 1], &lab->arena);
}

/* A member who gets the message and the list's gets both. */
static void each_part_goes_to_its_own(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "[direct]");
    queue_lab_part(&message, "[list]");
    queue_lab_part(&message, "[third]");
    queue_lab_to(&message, 0, ANN);
    queue_lab_out(&message, 0, "x@direct.example");
    queue_lab_to(&message, 1, ANN);
    queue_lab_to(&message, 1, BEA);
    queue_lab_to(&message, 1, BEA);
    queue_lab_out(&message, 1, "x@list.example");
    queue_lab_out(&message, 2, "x@third.example");
    message.deliver->queue_account_id = ANN;
    message.deliver->parts[1]->queue_account_id = BEA; /* whose forward it is */
    assert_int_equal(queue_lab_send(&message)->id, 1);
    assert_true(bytes_equal(inbox(lab, ANN), BYTES("[direct][list]")));
    assert_true(bytes_equal(inbox(lab, BEA), BYTES("[list]")));
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 3);
    assert_string_equal(queue_lab_record(lab, 1)->recipients[0]->address, "x@direct.example");
    assert_string_equal(queue_lab_record(lab, 2)->recipients[0]->address, "x@list.example");
    assert_string_equal(queue_lab_record(lab, 3)->recipients[0]->address, "x@third.example");
    assert_int_equal(queue_lab_record(lab, 1)->account_id, ANN);
    assert_int_equal(queue_lab_record(lab, 2)->account_id, 0);
    assert_int_equal(queue_lab_record(lab, 3)->account_id, BEA);
    assert_int_equal(queue_lab_record(lab, 1)->size, strlen("[direct]"));
    assert_int_equal(queue_lab_record(lab, 2)->size, strlen("[list]"));
}

/* To nobody but members of a list: the message's own body is for nobody. */
static void a_first_part_for_nobody_is_not_kept(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "[direct]");
    queue_lab_part(&message, "[list]");
    queue_lab_to(&message, 1, ANN);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    queue_lab_begin(&message, lab, "");
    queue_lab_part(&message, "[list]");
    message.deliver->body = NULL;
    queue_lab_to(&message, 1, ANN);
    Pr__Outcome *outcome = queue_lab_send(&message);
    assert_int_equal(outcome->uids[0]->first, 2);
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 2);
    assert_true(bytes_equal(inbox(lab, ANN), BYTES("[list][list]")));
}

/* The ids must be the same in all releases: what was handed over is known by them. */
static void ids_of_parts_follow_from_the_delivery(void **state)
{
    static const uint8_t random[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const uint8_t expected[2][REQUEST_ID_SIZE] = {
        {0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x01, 0x02, 0xf9, 0x78, 0xe0, 0xbd, 0x9f, 0x89,
         0xa2, 0xd8},
        {0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x01, 0x02, 0xc4, 0x0a, 0xb1, 0xc1, 0x60, 0x37,
         0xd1, 0xfd},
    };
    struct request_id id = request_id_make(1800000000000, random);
    struct request_id seen[2 * DELIVER_PARTS_MAX];

    (void)state;
    assert_memory_equal(request_id_of_part(&id, 0).bytes, id.bytes, sizeof(id.bytes));
    for (uint32_t part = 1; part <= 2; part++) {
        struct request_id made = request_id_of_part(&id, part);
        assert_memory_equal(made.bytes, expected[part - 1], sizeof(made.bytes));
    }
    for (uint32_t i = 0; i < 2 * DELIVER_PARTS_MAX; i++) {
        struct request_id other = id;
        other.bytes[REQUEST_ID_SIZE - 1] ^= 1;
        seen[i] = request_id_of_part(i % 2 == 0 ? &id : &other, i / 2);
        assert_int_equal(request_id_time_ms(&seen[i]), 1800000000000);
        for (uint32_t before = 0; before < i; before++)
            assert_memory_not_equal(seen[i].bytes, seen[before].bytes, REQUEST_ID_SIZE);
    }
}

/* Two bodies for one group come under two ids, and are both taken there. */
static void each_part_is_handed_over_under_its_own_id(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    struct request_id id;

    queue_lab_begin(&message, lab, "[direct]");
    queue_lab_part(&message, "[list]");
    queue_lab_handover(&message, 0, OTHER_GROUP, BEA);
    queue_lab_handover(&message, 1, OTHER_GROUP, BEA);
    queue_lab_handover(&message, 1, THIRD_GROUP, CY);
    queue_lab_to(&message, 1, ANN);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_true(lab->events.handover_added);
    memcpy(id.bytes, message.command->request_id.data, sizeof(id.bytes));
    const Pr__Command *first = handover(lab, 1);
    const Pr__Command *second = handover(lab, 2);
    const Pr__Command *third = handover(lab, 3);
    assert_memory_equal(first->request_id.data, id.bytes, REQUEST_ID_SIZE);
    assert_memory_equal(second->request_id.data, request_id_of_part(&id, 1).bytes,
                        REQUEST_ID_SIZE);
    assert_memory_equal(third->request_id.data, second->request_id.data, REQUEST_ID_SIZE);
    assert_true(
        bytes_equal(bytes_of_field(first->deliver->body->blocks[0]), BYTES("[direct]")));
    assert_true(bytes_equal(bytes_of_field(second->deliver->body->blocks[0]), BYTES("[list]")));
    for (unsigned i = 0; i < 2; i++) { /* pushed twice, taken once */
        Pr__Command *pushed[] = {handover(lab, 1), handover(lab, 2)};
        lab_apply(lab, OTHER_GROUP, pushed[0]);
        lab_apply(lab, OTHER_GROUP, pushed[1]);
    }
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t messages;
    uint64_t size;
    query_account_usage(txn, (struct query_account){OTHER_GROUP, BEA}, &messages, &size);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(messages, 2);
    for (uint64_t number = 1; number <= 3; number++) {
        Pr__HandoverDone done = PR__HANDOVER_DONE__INIT;
        done.handover_id = number;
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(handover_done, HANDOVER_DONE, &done));
        lab_invariants(lab, QUEUE_GROUP);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
}

static void expect_refused(struct queue_lab_message *message, enum err err)
{
    struct lab *lab = message->lab;
    uint8_t before[32];
    uint8_t after[32];
    Pr__Outcome *outcome;

    /* Without an id nothing is remembered of it: but for the applied index all stays. */
    message->command->request_id.len = 0;
    lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(tick, TICK, &(Pr__Tick)PR__TICK__INIT));
    queue_lab_digest(lab, before);
    lab->index--;
    struct db_txn *txn = db_write_begin(lab->db);
    lab->txn = txn;
    lab->index++;
    outcome = queue_lab_send(message);
    lab->txn = NULL;
    db_abort(&txn);
    assert_int_equal(outcome->err, err);
    lab->index--;
    queue_lab_digest(lab, after);
    assert_memory_equal(before, after, sizeof(before));
}

/* Everybody's room is looked at before anybody gets anything. */
static void a_part_without_room_refuses_all(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;

    quota.bytes = 3;
    queue_lab_begin(&message, lab, "[direct]");
    queue_lab_part(&message, "[list]");
    queue_lab_to(&message, 0, ANN);
    queue_lab_out(&message, 0, "x@direct.example");
    queue_lab_handover(&message, 0, OTHER_GROUP, CY);
    queue_lab_to(&message, 1, BEA)->quota = &quota;
    queue_lab_limits(&message, ANN, 1, 5, 5);
    Pr__Outcome *outcome = queue_lab_send(&message);
    assert_int_equal(outcome->err, ERR_QUOTA);
    assert_int_equal(queue_lab_messages(lab, ANN), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(
            queue_lab_rows(lab, (enum db_table[]){TABLE_QUEUE, TABLE_BLOB, TABLE_SENDING,
                                                  TABLE_HANDOVER}[i]),
            0);
}

/* Room for one more message, or for the bytes of one, is not enough for two. */
static void limits_of_accounts_count_over_all_parts(void **state)
{
    struct lab *lab = *state;

    for (unsigned i = 0; i < 4; i++) {
        struct queue_lab_message message;
        Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;
        bool enough = i % 2 == 1;
        uint64_t before = queue_lab_messages(lab, ANN);
        if (i < 2)
            quota.messages = before + 1 + enough;
        else
            quota.bytes = before * 5 + 9 + enough;
        queue_lab_begin(&message, lab, "12345");
        queue_lab_part(&message, "abcde");
        queue_lab_to(&message, 0, ANN)->quota = &quota;
        queue_lab_to(&message, 1, ANN)->quota = &quota;
        assert_int_equal(queue_lab_send(&message)->err, enough ? ERR_OK : ERR_QUOTA);
        assert_int_equal(queue_lab_messages(lab, ANN), before + (enough ? 2 : 0));
    }
}

/* What the group may hold of a domain, as well. */
static void limits_of_domains_count_over_all_parts(void **state)
{
    struct lab *lab = *state;
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    Pr__AccountScopes scopes = PR__ACCOUNT_SCOPES__INIT;

    grant.share = &share;
    share.kind = PR__SCOPE_KIND__SCOPE_DOMAIN;
    share.scope_id = scopes.domain_id = DOMAIN;
    share.limit = scopes.domain_limit = 3;
    share.granted_bytes = 1000;
    for (uint64_t granted = 2; granted <= 3; granted++) {
        struct queue_lab_message message;
        share.version = share.granted_messages = granted;
        assert_int_equal(
            lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(scope_grant, SCOPE_GRANT, &grant))->err,
            ERR_OK);
        queue_lab_begin(&message, lab, "one");
        queue_lab_part(&message, "two");
        queue_lab_to(&message, 0, ANN)->scopes = &scopes;
        queue_lab_to(&message, 1, ANN)->scopes = &scopes;
        queue_lab_to(&message, 1, BEA)->scopes = &scopes;
        Pr__Outcome *outcome = queue_lab_send(&message);
        assert_int_equal(outcome->err, granted == 2 ? ERR_GRANT : ERR_OK);
        if (granted == 2)
            assert_int_equal(outcome->share->need_messages, 3);
    }
    assert_int_equal(queue_lab_messages(lab, ANN), 2);
    assert_int_equal(queue_lab_messages(lab, BEA), 1);
}

static void parts_are_bounded(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out_many(&message, 0, DELIVER_RECIPIENTS_MAX - 2);
    queue_lab_part(&message, "other");
    queue_lab_handover(&message, 1, OTHER_GROUP, BEA);
    queue_lab_to(&message, 1, ANN);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    message.command->request_id = lab_id(lab);
    queue_lab_out(&message, 1, "x@one.example");
    assert_int_equal(queue_lab_send(&message)->err, ERR_TOOBIG);

    queue_lab_begin(&message, lab, "text");
    for (unsigned i = 1; i <= DELIVER_PARTS_MAX; i++) {
        queue_lab_part(&message, "part");
        queue_lab_to(&message, i, CY);
    }
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(queue_lab_messages(lab, CY), DELIVER_PARTS_MAX);
    queue_lab_part(&message, "part");
    queue_lab_to(&message, DELIVER_PARTS_MAX + 1, CY);
    expect_refused(&message, ERR_TOOBIG);
}

static void parts_that_cannot_be_are_refused(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    lab_deliver(lab, QUEUE_GROUP, ANN, BYTES("before"));
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_part(&message, "for nobody");
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_part(&message, "")->body = NULL;
    queue_lab_to(&message, 1, ANN);
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_part(&message, "to the group itself");
    queue_lab_handover(&message, 1, QUEUE_GROUP, BEA);
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_part(&message, "no such body")->body->block_count = 2;
    queue_lab_to(&message, 1, ANN);
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_part(&message, "nobody's account");
    queue_lab_to(&message, 1, 0);
    expect_refused(&message, ERR_INVALID);
}

static Pr__Body *uploaded(struct lab *lab, ProtobufCBinaryData id)
{
    Pr__Body *body = lab_body(lab, BYTES("unused"), 2 * BODY_BLOCK_SIZE - 5);

    body->n_blocks = 0;
    body->block_count = 2;
    body->upload_id = id;
    return body;
}

/* A body that is uploaded is one part's. */
static void each_part_has_an_upload_of_its_own(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    ProtobufCBinaryData ids[2] = {lab_id(lab), lab_id(lab)};

    for (unsigned i = 0; i < 4; i++) {
        Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;
        block.upload_id = ids[i / 2];
        block.number = i % 2;
        block.data = lab_field(lab, BYTES("a block"));
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(upload_block, UPLOAD_BLOCK, &block));
    }
    queue_lab_begin(&message, lab, "text");
    queue_lab_part(&message, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_out(&message, 1, "a@b.example");
    message.deliver->body = uploaded(lab, ids[0]);
    message.deliver->parts[0]->body = uploaded(lab, ids[0]);
    assert_int_equal(queue_lab_send(&message)->err, ERR_INVALID);
    assert_int_equal(queue_lab_rows(lab, TABLE_UPLOAD), 2);
    lab_invariants(lab, QUEUE_GROUP);
    message.command->request_id = lab_id(lab);
    message.deliver->parts[0]->body = uploaded(lab, ids[1]);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_UPLOAD), 0);
}

/* Accounts that are gone are left out; a part for nobody else is, too. */
static void parts_of_removed_accounts_are_left_out(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    purge.account_id = ANN;
    purge.limit = 1000;
    lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge));
    queue_lab_begin(&message, lab, "text");
    queue_lab_part(&message, "other");
    queue_lab_to(&message, 0, ANN);
    queue_lab_to(&message, 1, ANN);
    assert_int_equal(queue_lab_send(&message)->err, ERR_NOTFOUND);
    message.command->request_id = lab_id(lab);
    queue_lab_to(&message, 1, BEA);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
    assert_true(bytes_equal(inbox(lab, BEA), BYTES("other")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_part_goes_to_its_own),
        TEST(a_first_part_for_nobody_is_not_kept),
        cmocka_unit_test(ids_of_parts_follow_from_the_delivery),
        TEST(each_part_is_handed_over_under_its_own_id),
        TEST(a_part_without_room_refuses_all),
        TEST(limits_of_accounts_count_over_all_parts),
        TEST(limits_of_domains_count_over_all_parts),
        TEST(parts_are_bounded),
        TEST(parts_that_cannot_be_are_refused),
        TEST(each_part_has_an_upload_of_its_own),
        TEST(parts_of_removed_accounts_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
