/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands on messages answer. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 41, INBOX = 1, SENT = 3 };

static void begin(struct lab *lab, unsigned messages)
{
    lab_open(lab);
    for (unsigned i = 0; i < messages; i++)
        assert_int_equal(lab_deliver(lab, GROUP, ACCOUNT, BYTES("text"))->err, ERR_OK);
}

static Pr__Outcome *flags_add(struct lab *lab, uint32_t first, uint32_t last, uint64_t flags,
                              int64_t unchanged_since)
{
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;

    change.account_id = ACCOUNT;
    change.mailbox_id = INBOX;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.flags = flags;
    change.uids = lab_ranges(lab, 1, (uint32_t[]){first, last});
    change.n_uids = 1;
    change.unchanged_since_given = unchanged_since >= 0;
    change.unchanged_since = (uint64_t)unchanged_since;
    return lab_apply(lab, GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change));
}

static Pr__MessageInfo **fetch_all(struct lab *lab, uint32_t mailbox_id, size_t count)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__Fetch call = PR__FETCH__INIT;
    Pr__FetchAnswer answer = PR__FETCH_ANSWER__INIT;

    call.mailbox_id = mailbox_id;
    call.uids = lab_ranges(lab, 1, (uint32_t[]){1, UINT32_MAX});
    call.n_uids = 1;
    assert_int_equal(
        query_fetch(txn, (struct query_account){GROUP, ACCOUNT}, &call, &lab->arena, &answer),
        ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(answer.n_messages, count);
    return answer.messages;
}

/* "1:3,7" */
static const char *ranges_text(struct lab *lab, Pr__UidRange **ranges, size_t count)
{
    char *text = arena_string(&lab->arena, BYTES(""));

    for (size_t i = 0; i < count; i++)
        text =
            ranges[i]->first == ranges[i]->last
                ? arena_printf(&lab->arena, "%s%s%u", text, i > 0 ? "," : "", ranges[i]->first)
                : arena_printf(&lab->arena, "%s%s%u:%u", text, i > 0 ? "," : "",
                               ranges[i]->first, ranges[i]->last);
    return text;
}

/* RFC 7162 section 3.1.3. */
static void unchanged_since_spares_newer_changes(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, 5);
    Pr__Outcome *first = flags_add(&lab, 2, 4, FLAG_SEEN, -1);
    assert_string_equal(ranges_text(&lab, first->uids, first->n_uids), "2:4");
    uint64_t since = first->modseq;
    assert_int_equal(flags_add(&lab, 3, 3, FLAG_FLAGGED, -1)->modseq, since + 1);
    Pr__Outcome *second = flags_add(&lab, 1, 9, FLAG_ANSWERED, (int64_t)since);
    assert_int_equal(second->err, ERR_OK);
    assert_string_equal(ranges_text(&lab, second->uids, second->n_uids), "1:2,4:5");
    assert_string_equal(ranges_text(&lab, second->failed_uids, second->n_failed_uids), "3");
    Pr__Outcome *third = flags_add(&lab, 1, 9, FLAG_DRAFT, 0);
    assert_int_equal(third->n_uids, 0);
    assert_string_equal(ranges_text(&lab, third->failed_uids, third->n_failed_uids), "1:5");
    Pr__MessageInfo **messages = fetch_all(&lab, INBOX, 5);
    assert_int_equal(messages[2]->flags, FLAG_SEEN | FLAG_FLAGGED);
    assert_int_equal(messages[1]->flags, FLAG_SEEN | FLAG_ANSWERED);
    lab_close(&lab);
}

static void same_flags_keep_the_modseq(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, 3);
    uint64_t modseq = flags_add(&lab, 1, 3, FLAG_SEEN, -1)->modseq;
    Pr__Outcome *again = flags_add(&lab, 1, 3, FLAG_SEEN, -1);
    assert_int_equal(again->n_uids, 0);
    assert_int_equal(again->modseq, modseq);
    assert_int_equal(lab.events.mailbox_count, 0);
    assert_int_equal(fetch_all(&lab, INBOX, 3)[2]->modseq, modseq);
    lab_close(&lab);
}

static void copies_answer_both_sides(void **state)
{
    struct lab lab;
    Pr__Copy copy = PR__COPY__INIT;

    (void)state;
    begin(&lab, 6);
    flags_add(&lab, 3, 3, FLAG_DELETED, -1);
    Pr__Expunge expunge = PR__EXPUNGE__INIT;
    expunge.account_id = copy.account_id = ACCOUNT;
    expunge.mailbox_id = copy.mailbox_id = INBOX;
    Pr__Outcome *gone = lab_apply(&lab, GROUP, LAB_COMMAND(expunge, EXPUNGE, &expunge));
    assert_string_equal(ranges_text(&lab, gone->uids, gone->n_uids), "3");
    copy.target_mailbox_id = SENT;
    copy.uids = lab_ranges(&lab, 2, (uint32_t[]){4, 5, 1, 4});
    copy.n_uids = 2;
    Pr__Outcome *copied = lab_apply(&lab, GROUP, LAB_COMMAND(copy, COPY, &copy));
    assert_string_equal(ranges_text(&lab, copied->source_uids, copied->n_source_uids),
                        "1:2,4:5");
    assert_string_equal(ranges_text(&lab, copied->uids, copied->n_uids), "1:4");
    Pr__MessageInfo **from = fetch_all(&lab, INBOX, 5);
    Pr__MessageInfo **to = fetch_all(&lab, SENT, 4);
    assert_memory_equal(from[2]->email_id.data, to[2]->email_id.data, 16);
    assert_true(memcmp(to[1]->email_id.data, to[2]->email_id.data, 16) != 0);
    assert_int_equal(copied->modseq, to[3]->modseq);
    copy.move = true;
    Pr__Outcome *moved = lab_apply(&lab, GROUP, LAB_COMMAND(copy, COPY, &copy));
    assert_string_equal(ranges_text(&lab, moved->source_uids, moved->n_source_uids), "1:2,4:5");
    assert_string_equal(ranges_text(&lab, moved->uids, moved->n_uids), "5:8");
    assert_int_equal(lab.events.mailbox_count, 2);
    assert_int_equal(fetch_all(&lab, INBOX, 1)[0]->uid, 6);
    copy.mailbox_id = SENT; /* to itself: new uids at the end */
    copy.uids = lab_ranges(&lab, 1, (uint32_t[]){1, 2});
    copy.n_uids = 1;
    moved = lab_apply(&lab, GROUP, LAB_COMMAND(copy, COPY, &copy));
    assert_string_equal(ranges_text(&lab, moved->uids, moved->n_uids), "9:10");
    assert_int_equal(fetch_all(&lab, SENT, 8)[0]->uid, 3);
    lab_invariants(&lab, GROUP);
    lab_close(&lab);
}

static void keywords_have_a_limit(void **state)
{
    struct lab lab;
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    Pr__Copy copy = PR__COPY__INIT;
    char name[16];
    char *names[] = {name};
    Pr__Command *command = LAB_COMMAND(flags_change, FLAGS_CHANGE, &change);

    (void)state;
    begin(&lab, 2);
    change.account_id = copy.account_id = ACCOUNT;
    change.mailbox_id = copy.mailbox_id = INBOX;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.uids = copy.uids = lab_ranges(&lab, 1, (uint32_t[]){1, 1});
    change.n_uids = copy.n_uids = 1;
    change.keywords = names;
    change.n_keywords = 1;
    for (unsigned i = 0; i <= KEYWORD_COUNT_MAX; i++) {
        snprintf(name, sizeof(name), "Word%u", i);
        assert_int_equal(lab_apply(&lab, GROUP, command)->err,
                         i < KEYWORD_COUNT_MAX ? ERR_OK : ERR_TOOBIG);
    }
    snprintf(name, sizeof(name), "wORD7"); /* known: case does not matter */
    assert_int_equal(lab_apply(&lab, GROUP, command)->n_uids, 0);
    assert_true(fetch_all(&lab, INBOX, 2)[0]->flags == UINT64_MAX << KEYWORD_FIRST_BIT);
    copy.target_mailbox_id = SENT;
    assert_int_equal(lab_apply(&lab, GROUP, LAB_COMMAND(copy, COPY, &copy))->err, ERR_OK);
    assert_true(fetch_all(&lab, SENT, 1)[0]->flags == UINT64_MAX << KEYWORD_FIRST_BIT);
    lab_invariants(&lab, GROUP);
    lab_close(&lab);
}

/* The uids go on behind what was ever there, also when all is gone. */
static void uids_are_not_used_again(void **state)
{
    struct lab lab;
    Pr__Expunge expunge = PR__EXPUNGE__INIT;

    (void)state;
    begin(&lab, 3);
    flags_add(&lab, 1, 3, FLAG_DELETED, -1);
    expunge.account_id = ACCOUNT;
    expunge.mailbox_id = INBOX;
    lab_apply(&lab, GROUP, LAB_COMMAND(expunge, EXPUNGE, &expunge));
    lab_reopen(&lab);
    assert_int_equal(lab_deliver(&lab, GROUP, ACCOUNT, BYTES("next"))->uids[0]->first, 4);
    lab_invariants(&lab, GROUP);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unchanged_since_spares_newer_changes),
        cmocka_unit_test(same_flags_keep_the_modseq),
        cmocka_unit_test(copies_answer_both_sides),
        cmocka_unit_test(keywords_have_a_limit),
        cmocka_unit_test(uids_are_not_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
