/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <zstd.h>

#include "node/mail/summary.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 41, DAY_S = 86400 };

static const struct query_account account = {GROUP, ACCOUNT};

/* Appends a message as a front end would hand it in. */
static void message_add(struct lab *lab, const char *text, size_t len, uint64_t flags,
                        char *keyword, int64_t internal_s)
{
    struct mail_scanner *scanner = mail_scanner_new();
    struct mail_summary summary;
    uint8_t *frame = malloc(BODY_FRAME_SIZE_MAX);
    Pr__Append append = PR__APPEND__INIT;
    uint8_t id[16] = {1};
    uint32_t blocks = (uint32_t)((len + BODY_BLOCK_SIZE - 1) / BODY_BLOCK_SIZE);

    assert_non_null(frame);
    mail_scanner_feed(scanner, bytes_from(text, len));
    mail_scanner_finish(scanner, &lab->arena, &summary);
    mail_scanner_free(&scanner);
    append.body = lab_body(lab, BYTES("later"), len);
    append.body->summary = field_of_bytes(mail_summary_encode(&summary, &lab->arena));
    append.body->block_count = blocks;
    for (uint32_t i = 0; i < blocks; i++) {
        size_t at = (size_t)i * BODY_BLOCK_SIZE;
        size_t part = len - at < BODY_BLOCK_SIZE ? len - at : BODY_BLOCK_SIZE;
        size_t size = ZSTD_compress(frame, BODY_FRAME_SIZE_MAX, text + at, part, 1);
        assert_false(ZSTD_isError(size));
        append.body->blocks[0] = lab_field(lab, bytes_from(frame, size));
        if (blocks > 1) {
            Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;
            block.upload_id = lab_field(lab, bytes_from(id, sizeof(id)));
            block.number = i;
            block.data = append.body->blocks[0];
            append.body->upload_id = block.upload_id;
            append.body->n_blocks = 0;
            assert_int_equal(
                lab_apply(lab, GROUP, LAB_COMMAND(upload_block, UPLOAD_BLOCK, &block))->err,
                ERR_OK);
        }
    }
    append.account_id = ACCOUNT;
    append.mailbox_id = 1;
    append.flags = flags;
    append.keywords = &keyword;
    append.n_keywords = keyword != NULL;
    append.internal_s = internal_s;
    append.internal_zone = 60;
    assert_int_equal(lab_apply(lab, GROUP, LAB_COMMAND(append, APPEND, &append))->err, ERR_OK);
    free(frame);
}

static const char *const mails[] = {
    /* 1 */ "From: Ann Example <ann@a.example>\r\nTo: bob@b.example\r\n"
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the sea\r\n"
            "Date: Mon, 2 Nov 2026 23:30:00 -0300\r\nX-Tag: one\r\n\r\nShort and plain "
            "text, caf\xc3\xa9.\r\n",
    /* 2 */
    "From: =?iso-8859-1?q?J=FCrgen?= <j@c.example>\r\nTo: ann@a.example\r\n"
    "Cc: list@lists.example\r\nSubject: second\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nEin M=E4rchen, not to be =\r\n"
    "found in parts\r\n",
    /* 3 */
    "From: c@c.example\r\nSubject: multi\r\nDate: Tue, 3 Nov 2026 10:00:00 +0000\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n"
    "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "aGlkZGVuIHRyZWFzdXJl\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\n"
    "secret in no text part\r\n--B--\r\n",
};

static void lab_fill(struct lab *lab)
{
    lab_open(lab);
    message_add(lab, mails[0], strlen(mails[0]), FLAG_SEEN, NULL, 20758 * (int64_t)DAY_S);
    message_add(lab, mails[1], strlen(mails[1]), FLAG_SEEN | FLAG_FLAGGED, (char[]){"work"},
                20759 * (int64_t)DAY_S - 1800); /* 00:30 of the day in its own zone */
    message_add(lab, mails[2], strlen(mails[2]), 0, (char[]){"Other"}, 20760 * (int64_t)DAY_S);
}

static Pr__SearchKey *key_new(struct lab *lab, Pr__SearchKey__Kind kind)
{
    Pr__SearchKey *key = arena_alloc(&lab->arena, sizeof(*key));

    pr__search_key__init(key);
    key->kind = kind;
    return key;
}

static Pr__SearchKey *key_text(struct lab *lab, Pr__SearchKey__Kind kind, const char *text)
{
    Pr__SearchKey *key = key_new(lab, kind);

    key->text = arena_string(&lab->arena, bytes_of(text));
    return key;
}

static Pr__SearchKey *key_number(struct lab *lab, Pr__SearchKey__Kind kind, int64_t number)
{
    Pr__SearchKey *key = key_new(lab, kind);

    key->number = number;
    key->flags = (uint64_t)number;
    return key;
}

static Pr__SearchKey *key_pair(struct lab *lab, Pr__SearchKey__Kind kind, Pr__SearchKey *left,
                               Pr__SearchKey *right)
{
    Pr__SearchKey *key = key_new(lab, kind);

    key->keys = arena_alloc(&lab->arena, 2 * sizeof(*key->keys));
    key->keys[0] = left;
    key->keys[1] = right;
    key->n_keys = right != NULL ? 2 : 1;
    return key;
}

static enum err search_run(struct lab *lab, Pr__SearchKey *key, uint32_t from,
                           Pr__SearchAnswer *answer)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__Search call = PR__SEARCH__INIT;
    enum err err;

    *answer = (Pr__SearchAnswer)PR__SEARCH_ANSWER__INIT;
    call.mailbox_id = 1;
    call.key = key;
    call.from_uid = from;
    err = query_search(txn, account, &call, &lab->arena, answer);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return err;
}

/* The uids found, as bits. */
static unsigned found(struct lab *lab, Pr__SearchKey *key)
{
    Pr__SearchAnswer answer;
    unsigned bits = 0;

    assert_int_equal(search_run(lab, key, 0, &answer), ERR_OK);
    assert_int_equal(answer.next_uid, 0);
    for (size_t i = 0; i < answer.n_uids; i++)
        for (uint32_t uid = answer.uids[i]->first; uid <= answer.uids[i]->last; uid++)
            bits |= 1u << uid;
    return bits;
}

#define KIND(name) PR__SEARCH_KEY__KIND__##name
#define TEXT(name, text) found(&lab, key_text(&lab, KIND(name), text))
#define NUMBER(name, number) found(&lab, key_number(&lab, KIND(name), number))
enum { ONE = 1 << 1, TWO = 1 << 2, THREE = 1 << 3, ALL = ONE | TWO | THREE };

static void keys_find_what_they_say(void **state)
{
    struct lab lab;

    (void)state;
    lab_fill(&lab);
    assert_int_equal(NUMBER(ALL, 0), ALL);
    assert_int_equal(NUMBER(FLAGS_ALL, FLAG_SEEN), ONE | TWO);
    assert_int_equal(NUMBER(FLAGS_ALL, FLAG_SEEN | FLAG_FLAGGED), TWO);
    assert_int_equal(NUMBER(FLAGS_NONE, FLAG_SEEN), THREE);
    assert_int_equal(TEXT(KEYWORD, "WORK"), TWO);
    assert_int_equal(TEXT(KEYWORD, "unknown"), 0);
    assert_int_equal(NUMBER(LARGER, (int64_t)strlen(mails[0])) & ONE, 0);
    assert_int_equal(NUMBER(LARGER, (int64_t)strlen(mails[0]) - 1) & ONE, ONE);
    assert_int_equal(NUMBER(SMALLER, (int64_t)strlen(mails[0])) & ONE, 0);
    assert_int_equal(NUMBER(ON, 20758), ONE);
    assert_int_equal(NUMBER(ON, 20759), TWO);
    assert_int_equal(NUMBER(BEFORE, 20759), ONE);
    assert_int_equal(NUMBER(SINCE, 20759), TWO | THREE);
    assert_int_equal(NUMBER(SENT_ON, 20759), ONE); /* 2 November, where it was written */
    assert_int_equal(NUMBER(SENT_BEFORE, 20760), ONE);
    assert_int_equal(NUMBER(SENT_SINCE, 0), ONE | THREE); /* the second has no date */
    assert_int_equal(NUMBER(MODSEQ, 3), TWO | THREE);
    lab_close(&lab);
}

static void text_is_decoded_and_folded(void **state)
{
    struct lab lab;

    (void)state;
    lab_fill(&lab);
    assert_int_equal(TEXT(FROM, "ANN"), ONE);
    assert_int_equal(TEXT(FROM, "<ann@a.ex"), ONE);
    assert_int_equal(TEXT(FROM, "j\xc3\xbcrg"), TWO);
    assert_int_equal(TEXT(FROM, "jurgen"), TWO);
    assert_int_equal(TEXT(FROM, ""), ALL);
    assert_int_equal(TEXT(TO, "ann"), TWO);
    assert_int_equal(TEXT(CC, "lists.example"), TWO);
    assert_int_equal(TEXT(BCC, ""), 0);
    assert_int_equal(TEXT(SUBJECT, "gr\xc3\xbcsse from"), ONE);
    assert_int_equal(TEXT(BODY, "plain TEXT"), ONE);
    assert_int_equal(TEXT(BODY, "m\xc3\xa4rchen, not to be found"), TWO);
    assert_int_equal(TEXT(BODY, "caf\xc3\xa9."), ONE); /* bytes that no header announced */
    assert_int_equal(TEXT(BODY, "hidden treasure"), THREE);
    assert_int_equal(TEXT(BODY, "secret"), 0);
    assert_int_equal(TEXT(BODY, "lists.example"), 0);
    assert_int_equal(TEXT(TEXT, "lists.example"), TWO);
    assert_int_equal(TEXT(TEXT, "treasure"), THREE);
    assert_int_equal(TEXT(TEXT, "gr\xc3\xbc\xc3\x9f"), ONE);
    Pr__SearchKey *header = key_text(&lab, KIND(HEADER), "ONE");
    header->name = (char[]){"x-tag"};
    assert_int_equal(found(&lab, header), ONE);
    header->text = (char[]){""};
    assert_int_equal(found(&lab, header), ONE);
    header->text = (char[]){"two"};
    assert_int_equal(found(&lab, header), 0);
    header->name = (char[]){"tag"};
    assert_int_equal(found(&lab, header), 0);
    lab_close(&lab);
}

static void trees_are_evaluated(void **state)
{
    struct lab lab;
    Pr__SearchAnswer answer;

    (void)state;
    lab_fill(&lab);
    Pr__SearchKey *uid = key_new(&lab, KIND(UID));
    uid->uids = lab_ranges(&lab, 2, (uint32_t[]){3, 9, 1, 1});
    uid->n_uids = 2;
    assert_int_equal(found(&lab, uid), ONE | THREE);
    Pr__SearchKey *seen = key_number(&lab, KIND(FLAGS_ALL), FLAG_SEEN);
    Pr__SearchKey *body = key_text(&lab, KIND(BODY), "treasure");
    assert_int_equal(found(&lab, key_pair(&lab, KIND(OR), body, uid)), ONE | THREE);
    assert_int_equal(found(&lab, key_pair(&lab, KIND(AND), body, uid)), THREE);
    assert_int_equal(found(&lab, key_pair(&lab, KIND(AND), seen, uid)), ONE);
    assert_int_equal(found(&lab, key_pair(&lab, KIND(NOT), uid, NULL)), TWO);
    assert_int_equal(search_run(&lab, uid, 2, &answer), ERR_OK);
    assert_int_equal(answer.n_uids, 1);
    assert_int_equal(answer.uids[0]->first, 3);
    assert_int_equal(answer.highest_modseq, 4);
    lab_close(&lab);
}

static void limits_come_before_the_work(void **state)
{
    struct lab lab;
    Pr__SearchAnswer answer;
    Pr__SearchKey *key;

    (void)state;
    lab_fill(&lab);
    key = key_new(&lab, KIND(ALL));
    for (unsigned depth = 1; depth < QUERY_SEARCH_DEPTH_MAX; depth++)
        key = key_pair(&lab, KIND(NOT), key, NULL);
    assert_int_equal(search_run(&lab, key, 0, &answer), ERR_OK);
    key = key_pair(&lab, KIND(NOT), key, NULL);
    assert_int_equal(search_run(&lab, key, 0, &answer), ERR_TOOBIG);
    key = key_new(&lab, KIND(AND));
    key->keys = arena_alloc(&lab.arena, QUERY_SEARCH_KEYS_MAX * sizeof(*key->keys));
    key->n_keys = QUERY_SEARCH_KEYS_MAX - 1;
    for (size_t i = 0; i < QUERY_SEARCH_KEYS_MAX; i++)
        key->keys[i] = key_new(&lab, KIND(ALL));
    assert_int_equal(search_run(&lab, key, 0, &answer), ERR_OK);
    key->n_keys++;
    assert_int_equal(search_run(&lab, key, 0, &answer), ERR_TOOBIG);
    key = key_new(&lab, KIND(NOT));
    assert_int_equal(search_run(&lab, key, 0, &answer), ERR_INVALID);
    assert_int_equal(search_run(&lab, key_new(&lab, (Pr__SearchKey__Kind)99), 0, &answer),
                     ERR_UNSUPPORTED);
    assert_int_equal(search_run(&lab, NULL, 0, &answer), ERR_INVALID);
    lab_close(&lab);
}

/* Many large bodies: the work of one call ends, the next goes on. */
static void search_goes_on_where_it_ended(void **state)
{
    const size_t size = 3 * BODY_BLOCK_SIZE;
    struct lab lab;
    char *text = malloc(size);
    unsigned calls = 0;
    unsigned hits = 0;
    Pr__SearchAnswer answer;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', size);
    for (size_t i = 76; i < size; i += 78)
        memcpy(text + i, "\r\n", 2);
    memcpy(text, "Subject: large\r\n\r\n", 18);
    memcpy(text + BODY_BLOCK_SIZE - 6, "across blocks", 13);
    lab_open(&lab);
    for (unsigned i = 0; i < 150; i++)
        message_add(&lab, text, size, 0, NULL, 0);
    Pr__SearchKey *key = key_text(&lab, KIND(BODY), "across blocks");
    for (uint32_t from = 0; calls == 0 || from != 0; calls++) {
        assert_int_equal(search_run(&lab, key, from, &answer), ERR_OK);
        for (size_t i = 0; i < answer.n_uids; i++)
            hits += answer.uids[i]->last - answer.uids[i]->first + 1;
        assert_true(answer.next_uid == 0 || answer.next_uid > from);
        from = answer.next_uid;
    }
    assert_int_equal(hits, 150);
    assert_int_equal(calls, 2);
    lab_close(&lab);
    free(text);
}

/* Bodies and summaries that nobody made right: found by their fixed fields, by nothing else. */
static void damaged_bodies_are_not_found(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    for (unsigned i = 1; i <= 3; i++)
        lab_deliver(&lab, GROUP, ACCOUNT, BYTES("this is no zstd frame"));
    assert_int_equal(NUMBER(FLAGS_NONE, FLAG_SEEN), ALL);
    assert_int_equal(TEXT(BODY, "frame"), 0);
    assert_int_equal(TEXT(TEXT, "zstd"), 0);
    assert_int_equal(TEXT(FROM, ""), 0);
    assert_int_equal(NUMBER(SENT_SINCE, 0), 0);
    lab_close(&lab);
}

/* More changes than one answer takes: asked again and again, they are all there. */
static void changes_come_in_pages(void **state)
{
    enum { MESSAGES = 18000, SEEN_BEFORE = 2000 };
    struct lab lab;
    uint8_t *flags = calloc(MESSAGES + 1, 1); /* as told: 1 and the flags */
    uint8_t *wanted = calloc(MESSAGES + 1, 1);
    uint64_t since = 0;
    unsigned pages = 0;
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    bool more = true;

    (void)state;
    assert_true(flags != NULL && wanted != NULL);
    lab_open(&lab);
    lab.txn = db_write_begin(lab.db);
    for (unsigned i = 0; i < MESSAGES; i++) {
        uint64_t modseq = lab_deliver(&lab, GROUP, ACCOUNT, BYTES("x"))->modseq;
        if (i == SEEN_BEFORE)
            since = modseq;
        if (i > SEEN_BEFORE)
            wanted[i + 1] = 1;
        change.account_id = ACCOUNT;
        change.mailbox_id = 1;
        change.mode = PR__FLAGS_CHANGE__MODE__SET;
        change.n_uids = 1;
        change.flags = FLAG_SEEN;
        change.uids = lab_ranges(&lab, 1, (uint32_t[]){i / 2 + 1, i / 2 + 1});
        if (i % 4 != 0)
            continue;
        lab_apply(&lab, GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change));
        wanted[i / 2 + 1] = i >= SEEN_BEFORE ? 1 + FLAG_SEEN : 0;
    }
    assert_int_equal(db_commit(&lab.txn), ERR_OK);
    struct db_txn *txn = db_read_begin(lab.db);
    for (; more; pages++) {
        Pr__Changes call = PR__CHANGES__INIT;
        Pr__ChangesAnswer answer = PR__CHANGES_ANSWER__INIT;
        call.mailbox_id = 1;
        call.since_modseq = since;
        assert_int_equal(query_changes(txn, account, &call, &lab.arena, &answer), ERR_OK);
        more = answer.more;
        assert_true(answer.info->highest_modseq > since);
        since = answer.info->highest_modseq;
        for (size_t i = 0; i < answer.n_messages; i++) {
            assert_true(answer.messages[i]->modseq > call.since_modseq);
            flags[answer.messages[i]->uid] = (uint8_t)(1 + answer.messages[i]->flags);
        }
    }
    assert_true(pages >= 2);
    assert_memory_equal(flags, wanted, MESSAGES + 1);
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(&lab);
    free(flags);
    free(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_find_what_they_say),
        cmocka_unit_test(text_is_decoded_and_folded),
        cmocka_unit_test(trees_are_evaluated),
        cmocka_unit_test(limits_come_before_the_work),
        cmocka_unit_test(search_goes_on_where_it_ended),
        cmocka_unit_test(damaged_bodies_are_not_found),
        cmocka_unit_test(changes_come_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
