/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 41 };

static const struct query_account account = {GROUP, ACCOUNT};

static Pr__MailboxOpenAnswer open_inbox(struct lab *lab, struct db_txn *txn)
{
    Pr__MailboxOpen call = PR__MAILBOX_OPEN__INIT;
    Pr__MailboxOpenAnswer answer = PR__MAILBOX_OPEN_ANSWER__INIT;
    char name[] = "inbox";

    call.name = name;
    assert_int_equal(query_mailbox_open(txn, account, &call, &lab->arena, &answer), ERR_OK);
    return answer;
}

static void delivered_message_is_read_back(void **state)
{
    struct lab lab;
    struct db_txn *txn;
    Pr__Fetch fetch = PR__FETCH__INIT;
    Pr__FetchAnswer fetched = PR__FETCH_ANSWER__INIT;
    uint8_t large[10000];

    (void)state;
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 31 + i / 256);
    lab_open(&lab);
    Pr__Outcome *first = lab_deliver(&lab, GROUP, ACCOUNT, BYTES("first"));
    assert_int_equal(first->err, ERR_OK);
    assert_int_equal(first->uids[0]->first, 1);
    Pr__Outcome *second = lab_deliver(&lab, GROUP, ACCOUNT, bytes_from(large, sizeof(large)));
    assert_int_equal(second->uids[0]->first, 2);
    assert_true(second->modseq > first->modseq);
    assert_int_equal(lab.events.mailbox_count, 1);
    assert_int_equal(lab.events.mailboxes[0].modseq, second->modseq);

    txn = db_read_begin(lab.db);
    Pr__MailboxOpenAnswer opened = open_inbox(&lab, txn);
    assert_int_equal(opened.info->messages, 2);
    assert_int_equal(opened.info->unseen, 2);
    assert_int_equal(opened.info->uid_next, 3);
    assert_int_equal(opened.info->size, 5 + sizeof(large));
    assert_int_equal(opened.info->special_use, SPECIAL_INBOX);
    assert_int_equal(opened.info->uid_validity, first->uid_validity);
    assert_int_equal(opened.info->highest_modseq, second->modseq);
    assert_int_equal(opened.n_uids, 1);
    assert_int_equal(opened.uids[0]->last, 2);

    fetch.mailbox_id = opened.info->id;
    fetch.uids = lab_ranges(&lab, 1, (uint32_t[]){1, UINT32_MAX});
    fetch.n_uids = 1;
    fetch.with_body = fetch.with_summary = true;
    assert_int_equal(query_fetch(txn, account, &fetch, &lab.arena, &fetched), ERR_OK);
    assert_int_equal(fetched.n_messages, 2);
    assert_int_equal(fetched.next_uid, 0);
    assert_true(bytes_equal(bytes_of_field(fetched.messages[0]->blocks[0]), BYTES("first")));
    assert_true(bytes_equal(bytes_of_field(fetched.messages[1]->blocks[0]),
                            bytes_from(large, sizeof(large))));
    assert_true(bytes_equal(bytes_of_field(fetched.messages[1]->summary), BYTES("summary")));
    assert_int_equal(fetched.messages[0]->internal_s, lab.now_ms / 1000);
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(&lab);
}

static void pages_of_messages_join(void **state)
{
    struct lab lab;
    struct db_txn *txn;
    Pr__Fetch fetch = PR__FETCH__INIT;
    uint32_t next = 1;
    unsigned pages = 0;

    (void)state;
    lab_open(&lab);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(lab_deliver(&lab, GROUP, ACCOUNT, BYTES("some text"))->err, ERR_OK);
    txn = db_read_begin(lab.db);
    fetch.mailbox_id = 1;
    fetch.n_uids = 1;
    fetch.bytes_max = 500;
    for (uint32_t from = 1; from != 0; pages++) {
        Pr__FetchAnswer page = PR__FETCH_ANSWER__INIT;
        fetch.uids = lab_ranges(&lab, 1, (uint32_t[]){from, 100});
        assert_int_equal(query_fetch(txn, account, &fetch, &lab.arena, &page), ERR_OK);
        assert_true(page.n_messages >= 1);
        for (size_t i = 0; i < page.n_messages; i++)
            assert_int_equal(page.messages[i]->uid, next++);
        from = page.next_uid;
        assert_true(from == 0 || from == next);
    }
    assert_int_equal(next, 51);
    assert_true(pages > 5);
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(&lab);
}

/* What is shown of an account that nothing was written to is what will be made. */
static void untouched_account_shows_what_will_be_made(void **state)
{
    struct lab lab;
    struct db_txn *txn;
    Pr__MailboxList call = PR__MAILBOX_LIST__INIT;
    Pr__MailboxListAnswer before = PR__MAILBOX_LIST_ANSWER__INIT;
    Pr__MailboxListAnswer after = PR__MAILBOX_LIST_ANSWER__INIT;

    (void)state;
    lab_open(&lab);
    txn = db_read_begin(lab.db);
    call.with_status = true;
    assert_int_equal(query_mailbox_list(txn, account, &call, &lab.arena, &before), ERR_OK);
    assert_int_equal(open_inbox(&lab, txn).info->highest_modseq, 1);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(before.n_mailboxes, 6);
    assert_string_equal(before.mailboxes[0]->name, "INBOX");
    assert_string_equal(before.mailboxes[1]->name, "Archive");

    lab_deliver(&lab, GROUP, ACCOUNT, BYTES("text"));
    txn = db_read_begin(lab.db);
    assert_int_equal(query_mailbox_list(txn, account, &call, &lab.arena, &after), ERR_OK);
    assert_int_equal(after.n_mailboxes, 6);
    for (size_t i = 0; i < 6; i++) {
        uint8_t packed[2][256];
        if (i == 0) {
            assert_int_equal(after.mailboxes[0]->messages, 1);
            after.mailboxes[0] = before.mailboxes[0];
        }
        size_t len = pr__mailbox_info__pack(before.mailboxes[i], packed[0]);
        assert_int_equal(pr__mailbox_info__pack(after.mailboxes[i], packed[1]), len);
        assert_memory_equal(packed[0], packed[1], len);
        assert_true(before.mailboxes[i]->subscribed && before.mailboxes[i]->exists);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_message_is_read_back),
        cmocka_unit_test(pages_of_messages_join),
        cmocka_unit_test(untouched_account_shows_what_will_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
