/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expunged mail: kept, counted apart, brought back, purged. */
#include "storage/machine/account.h"
#include "storage/machine/apply.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/machine/expunged_lab.h"

enum { TRASH = 5 };

static Pr__QuotaReadAnswer usage(struct lab *lab)
{
    Pr__QuotaReadAnswer answer = PR__QUOTA_READ_ANSWER__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    assert_int_equal(query_quota(txn, account, &answer), ERR_OK);
    db_abort(&txn);
    return answer;
}

static unsigned bodies(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_BLOB, key_group(&prefix, GROUP));
    unsigned count = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row))
        count++;
    db_cursor_close(&cursor);
    db_abort(&txn);
    return count;
}

static Pr__ExpungedListAnswer *list(struct lab *lab, Pr__ExpungedList call)
{
    Pr__ExpungedListAnswer *answer = arena_alloc(&lab->arena, sizeof(*answer));
    struct db_txn *txn = db_read_begin(lab->db);

    pr__expunged_list_answer__init(answer);
    assert_int_equal(query_expunged(txn, account, &call, &lab->arena, answer), ERR_OK);
    db_abort(&txn);
    return answer;
}

static Pr__ExpungedListAnswer *list_all(struct lab *lab)
{
    return list(lab, (Pr__ExpungedList)PR__EXPUNGED_LIST__INIT);
}

static Pr__Outcome *undelete(struct lab *lab, const Pr__ExpungedListAnswer *which,
                             const char *to, Pr__AccountQuota *quota)
{
    Pr__Undelete call = PR__UNDELETE__INIT;

    call.account_id = ACCOUNT;
    call.to = arena_string(&lab->arena, bytes_of(to));
    call.quota = quota;
    call.messages = arena_alloc(&lab->arena, which->n_messages * sizeof(*call.messages));
    call.n_messages = which->n_messages;
    for (size_t i = 0; i < which->n_messages; i++)
        call.messages[i] = which->messages[i]->id;
    return lab_apply(lab, GROUP, LAB_COMMAND(undelete, UNDELETE, &call));
}

static uint64_t purge(struct lab *lab, uint64_t before_ms, uint32_t limit)
{
    Pr__ExpungedPurge call = PR__EXPUNGED_PURGE__INIT;
    Pr__Outcome *outcome;

    call.before_ms = before_ms;
    call.limit = limit;
    outcome = lab_apply(lab, GROUP, LAB_COMMAND(expunged_purge, EXPUNGED_PURGE, &call));
    assert_int_equal(outcome->err, ERR_OK);
    return outcome->id;
}

static Pr__FetchAnswer *fetch(struct lab *lab, uint32_t mailbox_id)
{
    Pr__FetchAnswer *answer = arena_alloc(&lab->arena, sizeof(*answer));
    Pr__Fetch call = PR__FETCH__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    pr__fetch_answer__init(answer);
    call.mailbox_id = mailbox_id;
    call.uids = lab_ranges(lab, 1, (uint32_t[]){1, UINT32_MAX});
    call.n_uids = 1;
    assert_int_equal(query_fetch(txn, account, &call, &lab->arena, answer), ERR_OK);
    db_abort(&txn);
    return answer;
}

static Pr__MailboxInfo *find_mailbox(struct lab *lab, const char *name)
{
    Pr__MailboxOpenAnswer answer = PR__MAILBOX_OPEN_ANSWER__INIT;
    Pr__MailboxOpen call = PR__MAILBOX_OPEN__INIT;
    struct db_txn *txn = db_read_begin(lab->db);
    enum err err;

    call.name = arena_string(&lab->arena, bytes_of(name));
    err = query_mailbox_open(txn, account, &call, &lab->arena, &answer);
    db_abort(&txn);
    return err == ERR_OK ? answer.info : NULL;
}

static void test_kept_and_brought_back(void **state)
{
    struct lab *lab = *state;
    Pr__MessageInfo *before;
    Pr__FetchAnswer *after;
    Pr__Outcome *outcome;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    lab_deliver(lab, GROUP, ACCOUNT, BYTES("three"));
    before = fetch(lab, INBOX)->messages[0];
    lab->now_ms += 1000;
    expunge(lab, 1, 1, true);
    assert_int_equal(usage(lab).messages, 1);
    assert_int_equal(usage(lab).size, 5);
    assert_int_equal(usage(lab).expunged, 1);
    assert_int_equal(usage(lab).expunged_size, 3);
    assert_int_equal(bodies(lab), 2);
    assert_int_equal(list_all(lab)->n_messages, 1);
    assert_string_equal(list_all(lab)->messages[0]->mailbox, "INBOX");
    assert_int_equal(list_all(lab)->messages[0]->id->time_ms, lab->now_ms);

    lab_invariants(lab, GROUP);
    outcome = undelete(lab, list_all(lab), "", NULL);
    assert_int_equal(outcome->err, ERR_OK);
    assert_int_equal(outcome->id, 1);
    assert_int_equal(outcome->uids[0]->first, 3);
    assert_int_equal(usage(lab).expunged, 0);
    assert_int_equal(usage(lab).size, 8);
    after = fetch(lab, INBOX);
    assert_int_equal(after->n_messages, 2);
    assert_int_equal(after->messages[1]->flags, FLAG_SEEN | 1u << KEYWORD_FIRST_BIT);
    assert_int_equal(after->messages[1]->internal_s, before->internal_s);
    assert_memory_equal(after->messages[1]->email_id.data, before->email_id.data, 16);
}

/* Said again, it does nothing: what is back is not there to come back. */
static void test_undelete_twice(void **state)
{
    struct lab *lab = *state;
    Pr__ExpungedListAnswer *which;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    expunge(lab, 1, 1, true);
    which = list_all(lab);
    assert_int_equal(undelete(lab, which, "", NULL)->id, 1);
    assert_int_equal(undelete(lab, which, "", NULL)->id, 0);
    assert_int_equal(usage(lab).messages, 1);
}

static void test_not_kept(void **state)
{
    struct lab *lab = *state;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    expunge(lab, 1, 1, false);
    assert_int_equal(usage(lab).expunged, 0);
    assert_int_equal(bodies(lab), 0);
}

/* A move leaves nothing behind that could come back: the message is still there. */
static void test_move_keeps_nothing(void **state)
{
    struct lab *lab = *state;
    Pr__Copy copy = PR__COPY__INIT;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    copy.account_id = ACCOUNT;
    copy.mailbox_id = INBOX;
    copy.target_mailbox_id = TRASH;
    copy.uids = lab_ranges(lab, 1, (uint32_t[]){1, 1});
    copy.n_uids = 1;
    copy.move = true;
    assert_int_equal(lab_apply(lab, GROUP, LAB_COMMAND(copy, COPY, &copy))->err, ERR_OK);
    assert_int_equal(usage(lab).expunged, 0);
    assert_int_equal(usage(lab).messages, 1);
}

static void test_purge_by_age(void **state)
{
    struct lab *lab = *state;
    uint64_t first_ms;

    for (unsigned i = 0; i < 6; i++)
        lab_deliver(lab, GROUP, ACCOUNT, BYTES("text"));
    first_ms = lab->now_ms;
    expunge(lab, 1, 3, true);
    lab->now_ms += 1000;
    expunge(lab, 4, 6, true);
    assert_int_equal(purge(lab, first_ms, 100), 0); /* not older */
    assert_int_equal(usage(lab).expunged, 6);
    assert_int_equal(purge(lab, first_ms + 1, 2), ACCOUNT); /* there is more */
    assert_int_equal(usage(lab).expunged, 4);
    assert_int_equal(purge(lab, first_ms + 1, 2), 0);
    assert_int_equal(usage(lab).expunged, 3);
    assert_int_equal(bodies(lab), 3);
    lab_invariants(lab, GROUP);
    assert_int_equal(purge(lab, UINT64_MAX, 100), 0);
    assert_int_equal(bodies(lab), 0);
}

static uint32_t mailbox_create(struct lab *lab, const char *name)
{
    Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
    Pr__Outcome *outcome;

    create.account_id = ACCOUNT;
    create.name = arena_string(&lab->arena, bytes_of(name));
    outcome = lab_apply(lab, GROUP, LAB_COMMAND(mailbox_create, MAILBOX_CREATE, &create));
    assert_int_equal(outcome->err, ERR_OK);
    return (uint32_t)outcome->id;
}

static void append(struct lab *lab, uint32_t mailbox_id, struct bytes text)
{
    Pr__Append call = PR__APPEND__INIT;

    call.account_id = ACCOUNT;
    call.mailbox_id = mailbox_id;
    call.body = lab_body(lab, text, text.len);
    assert_int_equal(lab_apply(lab, GROUP, LAB_COMMAND(append, APPEND, &call))->err, ERR_OK);
}

static void mailbox_delete(struct lab *lab, uint32_t mailbox_id, bool keep)
{
    Pr__MailboxDelete call = PR__MAILBOX_DELETE__INIT;

    call.account_id = ACCOUNT;
    call.mailbox_id = mailbox_id;
    call.keep = keep;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(mailbox_delete, MAILBOX_DELETE, &call))->err, ERR_OK);
}

/* As the leader of a quiet group: until nothing is doomed. Returns how many it took. */
static unsigned tick_all(struct lab *lab, uint32_t rows)
{
    unsigned count = 0;

    for (;; count++) {
        Pr__Tick tick = PR__TICK__INIT;
        struct db_txn *txn = db_read_begin(lab->db);
        bool due = query_tick_due(txn, GROUP);

        db_abort(&txn);
        if (!due)
            return count;
        tick.rows = rows;
        assert_int_equal(lab_apply(lab, GROUP, LAB_COMMAND(tick, TICK, &tick))->err, ERR_OK);
    }
}

static void test_deleted_mailbox_comes_back(void **state)
{
    struct lab *lab = *state;
    uint32_t id = mailbox_create(lab, "Work/2026");
    uint64_t deleted_ms;

    for (unsigned i = 0; i < 600; i++)
        append(lab, id, BYTES("text"));
    deleted_ms = lab->now_ms += 1000;
    mailbox_delete(lab, id, true);
    assert_int_equal(usage(lab).messages, 0);
    lab->now_ms += 1000;
    assert_true(tick_all(lab, 100) >= 3);
    assert_int_equal(usage(lab).expunged, 600);
    assert_int_equal(list_all(lab)->messages[0]->id->time_ms, deleted_ms);
    assert_null(find_mailbox(lab, "Work/2026"));
    lab_invariants(lab, GROUP);

    assert_int_equal(undelete(lab, list_all(lab), "", NULL)->id, 600);
    assert_non_null(find_mailbox(lab, "Work/2026"));
    assert_int_equal(find_mailbox(lab, "Work/2026")->messages, 600);
    assert_int_equal(usage(lab).expunged, 0);
}

static void test_undelete_elsewhere(void **state)
{
    struct lab *lab = *state;
    Pr__ExpungedList call = PR__EXPUNGED_LIST__INIT;
    uint32_t id = mailbox_create(lab, "Old");

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    append(lab, id, BYTES("two"));
    expunge(lab, 1, 1, true);
    mailbox_delete(lab, id, true);
    tick_all(lab, 100);
    call.mailbox = arena_string(&lab->arena, BYTES("Old"));
    assert_int_equal(list_all(lab)->n_messages, 2);
    assert_int_equal(list(lab, call)->n_messages, 1);
    assert_int_equal(undelete(lab, list_all(lab), "Back/Again", NULL)->id, 2);
    assert_int_equal(find_mailbox(lab, "Back/Again")->messages, 2);
    assert_int_equal(find_mailbox(lab, "INBOX")->messages, 0);
    assert_null(find_mailbox(lab, "Old"));
}

static void test_list_in_pages(void **state)
{
    struct lab *lab = *state;
    Pr__ExpungedList call = PR__EXPUNGED_LIST__INIT;
    Pr__ExpungedListAnswer *page;
    unsigned count = 0;

    for (unsigned i = 0; i < 25; i++) {
        lab_deliver(lab, GROUP, ACCOUNT, BYTES("text"));
        lab->now_ms += 10;
        expunge(lab, i + 1, i + 1, true);
    }
    call.limit = 10;
    do {
        page = list(lab, call);
        for (size_t i = 0; i < page->n_messages; i++)
            assert_int_equal(page->messages[i]->id->uid, ++count);
        call.after = page->next;
    } while (page->next != NULL);
    assert_int_equal(count, 25);
    call = (Pr__ExpungedList)PR__EXPUNGED_LIST__INIT;
    call.since_ms = lab->now_ms - 40;
    assert_int_equal(list(lab, call)->n_messages, 5);
}

/* All or none of a command: what has no room stays where it is. */
static void test_undelete_without_room(void **state)
{
    struct lab *lab = *state;
    Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("12345"));
    lab_deliver(lab, GROUP, ACCOUNT, BYTES("67890"));
    expunge(lab, 1, 2, true);
    quota.bytes = 9;
    assert_int_equal(undelete(lab, list_all(lab), "", &quota)->err, ERR_QUOTA);
    assert_int_equal(usage(lab).expunged, 2);
    quota.bytes = 10;
    quota.messages = 1;
    assert_int_equal(undelete(lab, list_all(lab), "", &quota)->err, ERR_QUOTA);
    quota.messages = 2;
    assert_int_equal(undelete(lab, list_all(lab), "", &quota)->id, 2);
}

static void test_account_purge_frees(void **state)
{
    struct lab *lab = *state;
    Pr__AccountPurge call = PR__ACCOUNT_PURGE__INIT;

    lab_deliver(lab, GROUP, ACCOUNT, BYTES("one"));
    lab_deliver(lab, GROUP, ACCOUNT, BYTES("two"));
    expunge(lab, 1, 1, true);
    call.account_id = ACCOUNT;
    call.limit = 1000;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &call))->err, ERR_OK);
    assert_int_equal(bodies(lab), 0);
}

/* A mailbox that is still being freed when its account goes: nothing of it may stay behind. */
static void test_purge_while_a_mailbox_goes(void **state)
{
    struct lab *lab = *state;
    Pr__AccountPurge call = PR__ACCOUNT_PURGE__INIT;
    uint32_t id = mailbox_create(lab, "Large");
    enum err err;

    for (unsigned i = 0; i < 2000; i++)
        append(lab, id, BYTES("text"));
    mailbox_delete(lab, id, true);
    call.account_id = ACCOUNT;
    call.limit = 100;
    do
        err = (enum err)lab_apply(lab, GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &call))
                  ->err;
    while (err == ERR_CONFLICT);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(bodies(lab), 0);
    tick_all(lab, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_brought_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undelete_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move_keeps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purge_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_mailbox_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undelete_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undelete_without_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_account_purge_frees, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purge_while_a_mailbox_goes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
