/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each command of a mail group: what it refuses, and that a refusal changes nothing. */
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

enum { GROUP = 3, ACCOUNT = 41, GONE = 42, INBOX = 1, SENT = 3 };

#define CALL(type, TYPE, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&TYPE##__descriptor), __VA_ARGS__})

static Pr__UidRange all = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__uid_range__descriptor),
                           .first = 1,
                           .last = UINT32_MAX};
static Pr__UidRange backward = {
    .base = PROTOBUF_C_MESSAGE_INIT(&pr__uid_range__descriptor), .first = 5, .last = 4};
static Pr__UidRange from_zero = {
    .base = PROTOBUF_C_MESSAGE_INIT(&pr__uid_range__descriptor), .first = 0, .last = 4};
static Pr__UidRange *all_uids[] = {&all};
static Pr__UidRange *backward_uids[] = {&backward};
static Pr__UidRange *zero_uids[] = {&from_zero};

static Pr__Recipient known = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__recipient__descriptor),
                              .account_id = ACCOUNT};
static Pr__Recipient gone = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__recipient__descriptor),
                             .account_id = GONE};
static Pr__Recipient nobody = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__recipient__descriptor)};
static Pr__Recipient *to_known[] = {&known};
static Pr__Recipient *to_gone[] = {&gone};
static Pr__Recipient *to_nobody[] = {&nobody};
static Pr__Recipient *to_many[DELIVER_RECIPIENTS_MAX + 1];

static uint8_t bytes_given[BODY_FRAME_SIZE_MAX + 1];
#define FIELD(length)                                                                          \
    {                                                                                          \
        .len = (length), .data = bytes_given                                                   \
    }
static ProtobufCBinaryData good_block = FIELD(10);
static ProtobufCBinaryData empty_block = FIELD(0);
static ProtobufCBinaryData large_block = FIELD(BODY_FRAME_SIZE_MAX + 1);
static ProtobufCBinaryData two_blocks[] = {FIELD(10), FIELD(10)};
#define BODY(...)                                                                              \
    {                                                                                          \
        .base = PROTOBUF_C_MESSAGE_INIT(&pr__body__descriptor), .digest = FIELD(32),           \
        __VA_ARGS__                                                                            \
    }
static Pr__Body good_body =
    BODY(.size = 9, .block_count = 1, .blocks = &good_block, .n_blocks = 1);
static Pr__Body empty_body = BODY(.size = 0);
static Pr__Body bad_bodies[] = {
    BODY(.size = 9, .block_count = 0),
    BODY(.size = 9, .block_count = 1),
    BODY(.size = 9, .block_count = 1, .blocks = &empty_block, .n_blocks = 1),
    BODY(.size = 9, .block_count = 1, .blocks = &large_block, .n_blocks = 1),
    BODY(.size = 9, .block_count = 2, .blocks = two_blocks, .n_blocks = 2),
    BODY(.size = BODY_BLOCK_SIZE + 1, .block_count = 1, .blocks = &good_block, .n_blocks = 1),
    BODY(.size = BODY_BLOCK_SIZE + 1, .block_count = 2, .blocks = two_blocks, .n_blocks = 2),
    BODY(.size = 9, .block_count = 1, .upload_id = FIELD(16)),
    BODY(.size = 9, .block_count = 1, .upload_id = FIELD(15)),
    BODY(.size = 9, .block_count = 1, .upload_id = FIELD(16), .blocks = &good_block,
         .n_blocks = 1),
};

static Pr__Handover to_self = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__handover__descriptor),
                               .group = GROUP,
                               .recipients = to_known,
                               .n_recipients = 1};
static Pr__Handover to_other = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__handover__descriptor),
                                .group = GROUP + 1,
                                .recipients = to_known,
                                .n_recipients = 1};
static Pr__Handover to_none = {.base = PROTOBUF_C_MESSAGE_INIT(&pr__handover__descriptor),
                               .group = GROUP + 1};
static Pr__Handover *handover_self[] = {&to_self};
static Pr__Handover *handover_other[] = {&to_other};
static Pr__Handover *handover_none[] = {&to_none};

static char text_long[MAILBOX_NAME_SIZE_MAX + 2];
static char text_deep[] = "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21";
static char *good_keywords[] = {(char[]){"$Work"}};
static char *bad_keywords[] = {(char[]){"two words"}};
static char *empty_keyword[] = {(char[]){""}};

#define DELIVER(...) LAB_COMMAND(deliver, DELIVER, CALL(Deliver, pr__deliver, __VA_ARGS__))
#define APPEND(...) LAB_COMMAND(append, APPEND, CALL(Append, pr__append, __VA_ARGS__))
#define FLAGS(...)                                                                             \
    LAB_COMMAND(flags_change, FLAGS_CHANGE, CALL(FlagsChange, pr__flags_change, __VA_ARGS__))
#define COPY(...) LAB_COMMAND(copy, COPY, CALL(Copy, pr__copy, __VA_ARGS__))
#define EXPUNGE(...) LAB_COMMAND(expunge, EXPUNGE, CALL(Expunge, pr__expunge, __VA_ARGS__))
#define CREATE(...)                                                                            \
    LAB_COMMAND(mailbox_create, MAILBOX_CREATE,                                                \
                CALL(MailboxCreate, pr__mailbox_create, __VA_ARGS__))
#define DELETE(...)                                                                            \
    LAB_COMMAND(mailbox_delete, MAILBOX_DELETE,                                                \
                CALL(MailboxDelete, pr__mailbox_delete, __VA_ARGS__))
#define RENAME(...)                                                                            \
    LAB_COMMAND(mailbox_rename, MAILBOX_RENAME,                                                \
                CALL(MailboxRename, pr__mailbox_rename, __VA_ARGS__))
#define SUBSCRIBE(...)                                                                         \
    LAB_COMMAND(mailbox_subscribe, MAILBOX_SUBSCRIBE,                                          \
                CALL(MailboxSubscribe, pr__mailbox_subscribe, __VA_ARGS__))
#define UPLOAD(...)                                                                            \
    LAB_COMMAND(upload_block, UPLOAD_BLOCK, CALL(UploadBlock, pr__upload_block, __VA_ARGS__))
#define PURGE(...)                                                                             \
    LAB_COMMAND(account_purge, ACCOUNT_PURGE,                                                  \
                CALL(AccountPurge, pr__account_purge, __VA_ARGS__))
#define BOX .account_id = ACCOUNT, .mailbox_id = INBOX
#define UIDS(list) .uids = list, .n_uids = 1
#define TO(list) .recipients = list, .n_recipients = 1
#define NAME(text)                                                                             \
    .account_id = ACCOUNT, .name = (char[])                                                    \
    {                                                                                          \
        text                                                                                   \
    }

/* Puts the lab into the state that the rows below are about: a mail in INBOX, an account gone.
 */
static void prepare(struct lab *lab)
{
    lab_open(lab);
    for (size_t i = 0; i < sizeof(to_many) / sizeof(*to_many); i++)
        to_many[i] = &known;
    memset(text_long, 'n', sizeof(text_long) - 1);
    assert_int_equal(lab_apply(lab, GROUP, PURGE(.account_id = GONE, .limit = 10))->err,
                     ERR_OK);
    assert_int_equal(lab_deliver(lab, GROUP, ACCOUNT, BYTES("text"))->err, ERR_OK);
}

static void digest(struct lab *lab, uint8_t digest[32])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, GROUP, digest);
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* The digest without what every entry changes: the row of the group. */
static void refused(const char *name, enum err want, Pr__Command *command)
{
    struct lab one;
    struct lab two;
    uint8_t digests[2][32];

    prepare(&one);
    prepare(&two);
    Pr__Outcome *outcome = lab_apply(&one, GROUP, command);
    if (outcome->err != want)
        fail_msg("%s: %s (%s), not %s", name, err_name((enum err)outcome->err), outcome->text,
                 err_name(want));
    /* An entry that only moves the index. */
    struct db_txn *txn = db_write_begin(two.db);
    struct bytes reply;
    machine_apply(txn, GROUP, ++two.index, 1, BYTES(""), &two.arena, &reply, &two.events);
    assert_int_equal(reply.len, 0);
    assert_int_equal(db_commit(&txn), ERR_OK);
    digest(&one, digests[0]);
    digest(&two, digests[1]);
    if (want != ERR_OK) {
        assert_true(outcome->text[0] != '\0');
        if (memcmp(digests[0], digests[1], 32) != 0)
            fail_msg("%s: refused, but the state has changed", name);
    } else if (memcmp(digests[0], digests[1], 32) == 0) {
        fail_msg("%s: accepted, but nothing has changed", name);
    }
    lab_invariants(&one, GROUP);
    lab_close(&one);
    lab_close(&two);
}

#define ROW(want, command) refused(#command, ERR_##want, command)

static void deliveries(void **state)
{
    (void)state;
    ROW(OK, DELIVER(.body = &good_body, TO(to_known)));
    ROW(OK, DELIVER(.body = &empty_body, TO(to_known)));
    ROW(INVALID, DELIVER(TO(to_known)));
    ROW(INVALID, DELIVER(.body = &good_body));
    ROW(INVALID, DELIVER(.body = &good_body, TO(to_nobody)));
    ROW(NOTFOUND, DELIVER(.body = &good_body, TO(to_gone)));
    ROW(TOOBIG, DELIVER(.body = &good_body, .recipients = to_many,
                        .n_recipients = DELIVER_RECIPIENTS_MAX + 1));
    ROW(INVALID, DELIVER(.body = &good_body, TO(to_known), .handovers = handover_other,
                         .n_handovers = 1)); /* no delivery id */
    for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(*bad_bodies); i++) {
        ROW(INVALID, DELIVER(.body = &bad_bodies[i], TO(to_known)));
        ROW(INVALID, APPEND(BOX, .body = &bad_bodies[i]));
    }
}

static void changes(void **state)
{
    (void)state;
    ROW(OK, APPEND(BOX, .body = &good_body, .flags = FLAG_SEEN));
    ROW(INVALID, APPEND(BOX, .body = &good_body, .flags = 32));
    ROW(INVALID, APPEND(BOX, .body = &good_body, .internal_zone = 10000));
    ROW(INVALID, APPEND(BOX, .body = &good_body, .keywords = bad_keywords, .n_keywords = 1));
    ROW(NOTFOUND, APPEND(.account_id = ACCOUNT, .mailbox_id = 77, .body = &good_body));
    ROW(NOTFOUND, APPEND(.account_id = GONE, .mailbox_id = INBOX, .body = &good_body));
    ROW(OK, FLAGS(BOX, UIDS(all_uids), .mode = 1, .flags = FLAG_SEEN));
    ROW(OK, FLAGS(BOX, UIDS(all_uids), .mode = 1, .keywords = good_keywords, .n_keywords = 1));
    ROW(INVALID, FLAGS(BOX, UIDS(backward_uids), .mode = 1, .flags = FLAG_SEEN));
    ROW(INVALID, FLAGS(BOX, UIDS(zero_uids), .mode = 1, .flags = FLAG_SEEN));
    ROW(INVALID, FLAGS(BOX, UIDS(all_uids), .mode = 1, .flags = 1 << 9));
    ROW(INVALID, FLAGS(BOX, UIDS(all_uids), .keywords = empty_keyword, .n_keywords = 1));
    ROW(UNSUPPORTED, FLAGS(BOX, UIDS(all_uids), .mode = 3, .flags = FLAG_SEEN));
    ROW(NOTFOUND, FLAGS(.account_id = ACCOUNT, UIDS(all_uids), .flags = FLAG_SEEN));
    ROW(OK, COPY(BOX, UIDS(all_uids), .target_mailbox_id = SENT));
    ROW(OK, COPY(BOX, UIDS(all_uids), .target_mailbox_id = INBOX, .move = true));
    ROW(NOTFOUND, COPY(BOX, UIDS(all_uids), .target_mailbox_id = 70));
    ROW(NOTFOUND, COPY(BOX, UIDS(all_uids)));
    ROW(INVALID, COPY(BOX, UIDS(backward_uids), .target_mailbox_id = SENT));
    ROW(INVALID, EXPUNGE(BOX, UIDS(backward_uids)));
    ROW(NOTFOUND, EXPUNGE(.account_id = ACCOUNT, .mailbox_id = 9));
    ROW(INVALID, EXPUNGE(.mailbox_id = INBOX));
}

static void mailboxes(void **state)
{
    (void)state;
    ROW(OK, CREATE(NAME("x/y")));
    ROW(EXISTS, CREATE(NAME("inbox")));
    ROW(EXISTS, CREATE(NAME("Sent")));
    ROW(OK, CREATE(NAME("inBOX/x")));
    ROW(INVALID, CREATE(NAME("")));
    ROW(INVALID, CREATE(NAME("/x")));
    ROW(INVALID, CREATE(NAME("x/")));
    ROW(INVALID, CREATE(NAME("x//y")));
    ROW(INVALID, CREATE(NAME("x\ny")));
    ROW(INVALID, CREATE(NAME("x\x7f")));
    ROW(INVALID, CREATE(NAME("\xc2\x85")));     /* C1 control */
    ROW(INVALID, CREATE(NAME("\xc0\xaf")));     /* no shortest form */
    ROW(INVALID, CREATE(NAME("\xed\xa0\x80"))); /* surrogate */
    ROW(INVALID, CREATE(.account_id = ACCOUNT, .name = text_long));
    ROW(INVALID, CREATE(.account_id = ACCOUNT, .name = text_deep));
    ROW(EXISTS, CREATE(NAME("x"), .special_use = SPECIAL_SENT));
    ROW(INVALID, CREATE(NAME("x"), .special_use = SPECIAL_INBOX));
    ROW(INVALID, CREATE(NAME("x"), .special_use = 99));
    ROW(NOTFOUND, CREATE(.account_id = GONE, .name = (char[]){"x"}));
    ROW(INVALID, CREATE(.name = (char[]){"x"}));
    ROW(OK, DELETE(.account_id = ACCOUNT, .mailbox_id = SENT));
    ROW(INVALID, DELETE(BOX));
    ROW(NOTFOUND, DELETE(.account_id = ACCOUNT, .mailbox_id = 88));
    ROW(OK, RENAME(.mailbox_id = SENT, NAME("Old/Sent")));
    ROW(OK, RENAME(.mailbox_id = INBOX, NAME("INBOX/2026")));
    ROW(EXISTS, RENAME(.mailbox_id = SENT, NAME("Trash")));
    ROW(EXISTS, RENAME(.mailbox_id = SENT, NAME("Inbox")));
    ROW(INVALID, RENAME(.mailbox_id = SENT, NAME("Sent/below")));
    ROW(INVALID, RENAME(.mailbox_id = SENT, NAME("a//b")));
    ROW(NOTFOUND, RENAME(.mailbox_id = 50, NAME("x")));
    ROW(OK, SUBSCRIBE(NAME("not there"), .subscribed = true));
    ROW(OK, SUBSCRIBE(NAME("Sent"), .subscribed = false));
    ROW(INVALID, SUBSCRIBE(NAME("\x01"), .subscribed = true));
    ROW(INVALID, PURGE(.account_id = ACCOUNT));
    ROW(INVALID, PURGE(.limit = 5));
}

static void uploads(void **state)
{
    (void)state;
    ROW(OK, UPLOAD(.upload_id = FIELD(16), .data = FIELD(10)));
    ROW(INVALID, UPLOAD(.upload_id = FIELD(16), .data = FIELD(10), .number = 1));
    ROW(INVALID, UPLOAD(.upload_id = FIELD(16), .data = FIELD(0)));
    ROW(INVALID, UPLOAD(.upload_id = FIELD(16), .data = FIELD(BODY_FRAME_SIZE_MAX + 1)));
    ROW(INVALID, UPLOAD(.upload_id = FIELD(3), .data = FIELD(10)));
    ROW(TOOBIG, UPLOAD(.upload_id = FIELD(16), .data = FIELD(1), .number = BODY_BLOCKS_MAX));
}

/* Commands in the wrong kind of group, and entries that are none. */
static void strangers(void **state)
{
    struct lab lab;

    (void)state;
    refused("a tenant in a mail group", ERR_INVALID,
            LAB_COMMAND(tenant_add, TENANT_ADD,
                        CALL(TenantAdd, pr__tenant_add, .name = (char[]){"t"})));
    refused("no command", ERR_UNSUPPORTED, &(Pr__Command)PR__COMMAND__INIT);
    lab_open(&lab);
    assert_int_equal(lab_apply(&lab, 0, DELIVER(.body = &good_body, TO(to_known)))->err,
                     ERR_INVALID);
    assert_int_equal(lab_apply_entry(&lab, GROUP, BYTES("\x01\xff\xff"))->err, ERR_MALFORMED);
    assert_int_equal(lab_apply_entry(&lab, GROUP, BYTES("\x07"))->err, ERR_MALFORMED);
    Pr__Command *command = DELIVER(.body = &good_body, TO(to_known));
    command->request_id = (ProtobufCBinaryData)FIELD(7);
    assert_int_equal(lab_apply(&lab, GROUP, command)->err, ERR_INVALID);
    lab_close(&lab);
}

/* Handing over to oneself, or to nobody, is refused even with a delivery id. */
static void bad_handovers_are_refused(void **state)
{
    struct lab lab;

    (void)state;
    prepare(&lab);
    Pr__Command *self =
        DELIVER(.body = &good_body, TO(to_known), .handovers = handover_self, .n_handovers = 1);
    Pr__Command *none =
        DELIVER(.body = &good_body, TO(to_known), .handovers = handover_none, .n_handovers = 1);
    self->request_id = lab_id(&lab);
    none->request_id = lab_id(&lab);
    assert_int_equal(lab_apply(&lab, GROUP, self)->err, ERR_INVALID);
    assert_int_equal(lab_apply(&lab, GROUP, none)->err, ERR_INVALID);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deliveries), cmocka_unit_test(changes),
        cmocka_unit_test(mailboxes),  cmocka_unit_test(uploads),
        cmocka_unit_test(strangers),  cmocka_unit_test(bad_handovers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
