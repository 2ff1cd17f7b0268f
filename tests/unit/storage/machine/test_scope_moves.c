/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts that come to a group bring along where they are counted. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/machine/scope_lab.h"

enum { FROM = 2, ATTEMPT = 40, SOURCE_BLOB = 77, SIZE = 5, LAST = 8 };

static Pr__ImportRow *row_make(struct lab *lab, Pr__ImportTable table, struct bytes key,
                               const struct record *value)
{
    Pr__ImportRow *row = arena_alloc(&lab->arena, sizeof(*row));

    pr__import_row__init(row);
    row->table = table;
    row->key = lab_field(lab, key);
    row->value = lab_field(lab, record_bytes(value));
    return row;
}

static Pr__Outcome *begin(struct lab *lab, uint64_t attempt)
{
    Pr__ImportBegin call = PR__IMPORT_BEGIN__INIT;

    call.account_id = ANN;
    call.from = FROM;
    call.attempt = attempt;
    call.limit = 100;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(import_begin, IMPORT_BEGIN, &call));
}

static Pr__Outcome *end(struct lab *lab, uint64_t attempt, Pr__ImportEnd__Kind kind)
{
    Pr__ImportEnd call = PR__IMPORT_END__INIT;

    call.account_id = ANN;
    call.attempt = attempt;
    call.kind = kind;
    call.sequence = 1;
    call.limit = 100;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(import_end, IMPORT_END, &call));
}

/* The account's own row, with a message in its INBOX. */
static Pr__Outcome *rows(struct lab *lab, uint64_t attempt, uint64_t domain_id)
{
    struct account_record account = {.modseq = 2,
                                     .mailboxes = 1,
                                     .inbox = INBOX,
                                     .names = 1,
                                     .messages = 1,
                                     .size = SIZE,
                                     .domain_id = domain_id};
    struct mailbox_record mailbox = {.special = SPECIAL_INBOX,
                                     .uid_validity = 9,
                                     .uid_next = 2,
                                     .tail_first = 1,
                                     .messages = 1,
                                     .unseen = 1,
                                     .size = SIZE,
                                     .modseq = 2,
                                     .name = BYTES("INBOX")};
    struct message_record message = {.modseq = 2, .made = 2, .blob = SOURCE_BLOB, .size = SIZE};
    Pr__ImportBody body = PR__IMPORT_BODY__INIT;
    Pr__ImportBody *bodies[] = {&body};
    Pr__ImportRow *list[4];
    Pr__ImportRows call = PR__IMPORT_ROWS__INIT;
    struct record record;

    account_encode(&account, &record);
    list[0] = row_make(lab, PR__IMPORT_TABLE__IMPORT_MAILBOX, BYTES("\0\0\0\0"), &record);
    mailbox_encode(&mailbox, &record);
    list[1] = row_make(lab, PR__IMPORT_TABLE__IMPORT_MAILBOX, BYTES("\0\0\0\1"), &record);
    message_encode(&message, &record);
    list[2] =
        row_make(lab, PR__IMPORT_TABLE__IMPORT_MESSAGE, BYTES("\0\0\0\1\0\0\0\1"), &record);
    name_encode(&(struct name_record){.mailbox = INBOX, .subscribed = true}, &record);
    list[3] = row_make(lab, PR__IMPORT_TABLE__IMPORT_MAILBOX_NAME, BYTES("INBOX"), &record);
    body.source_blob = SOURCE_BLOB;
    body.body = lab_body(lab, BYTES("12345"), SIZE);
    call.account_id = ANN;
    call.attempt = attempt;
    call.sequence = 1;
    call.bodies = bodies;
    call.n_bodies = 1;
    call.rows = list;
    call.n_rows = 4;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(import_rows, IMPORT_ROWS, &call));
}

static void counted_when_it_is_whole(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_SCOPES);
    for (uint64_t attempt = ATTEMPT; attempt < ATTEMPT + 3; attempt++) {
        /* A new attempt takes away what the one before it had brought. */
        assert_int_equal(begin(&lab, attempt)->err, ERR_OK);
        assert_int_equal(rows(&lab, attempt, DOMAIN_A)->err, ERR_OK);
        scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 0, 0);
        assert_int_equal(end(&lab, attempt, PR__IMPORT_END__KIND__DONE)->err, ERR_OK);
        scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 1, SIZE);
        if (attempt != ATTEMPT + 1)
            continue;
        assert_int_equal(end(&lab, attempt, PR__IMPORT_END__KIND__DROPPED)->err, ERR_OK);
        scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 0, 0);
    }
    assert_int_equal(end(&lab, ATTEMPT + 2, PR__IMPORT_END__KIND__SETTLED)->err, ERR_OK);
    assert_int_equal(
        scope_lab_deliver_to(&lab, "123", ANN, scope_lab_of(&lab, DOMAIN_A, 0, 0, 0))->err,
        ERR_OK);
    scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 2, LAST);
    lab_close(&lab);
}

static Pr__Outcome *enrol(struct lab *lab, uint64_t domain_id)
{
    Pr__ScopeEnrolment enrolment = PR__SCOPE_ENROLMENT__INIT;
    Pr__ScopeEnrolment *list[] = {&enrolment};
    Pr__ScopeEnrol call = PR__SCOPE_ENROL__INIT;

    enrolment.account_id = ANN;
    enrolment.scopes = scope_lab_of(lab, domain_id, 0, 0, 0);
    call.accounts = list;
    call.n_accounts = 1;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_enrol, SCOPE_ENROL, &call));
}

static enum err deliver(struct lab *lab)
{
    return (enum err)scope_lab_deliver_to(lab, "123", ANN, scope_lab_of(lab, DOMAIN_A, 0, 0, 0))
        ->err;
}

/* It is counted when it is whole, and stands still until the directory says that it is here. */
static void written_to_when_it_is_settled(void **state)
{
    static const struct {
        unsigned format;
        enum err delivered; /* before that */
        uint64_t enrolled;
    } rows_of[] = {{FORMAT_SCOPES, ERR_OK, 1}, {FORMAT_ADDRESSES, ERR_MOVED, 0}};

    (void)state;
    for (unsigned i = 0; i < sizeof(rows_of) / sizeof(*rows_of); i++) {
        struct lab lab;
        bool early = rows_of[i].delivered == ERR_OK;
        lab_open(&lab);
        scope_lab_format(&lab, SCOPE_GROUP, rows_of[i].format);
        assert_int_equal(begin(&lab, ATTEMPT)->err, ERR_OK);
        assert_int_equal(rows(&lab, ATTEMPT, DOMAIN_A)->err, ERR_OK);
        assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__SETTLED)->err, ERR_CONFLICT);
        assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__DONE)->err, ERR_OK);
        assert_int_equal(deliver(&lab), rows_of[i].delivered);
        assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__DONE)->err,
                         ERR_OK); /* again */
        assert_int_equal(deliver(&lab), rows_of[i].delivered);
        assert_int_equal(enrol(&lab, DOMAIN_B)->id, rows_of[i].enrolled);
        assert_int_equal(end(&lab, ATTEMPT - 1, PR__IMPORT_END__KIND__SETTLED)->err,
                         ERR_CONFLICT);
        assert_int_equal(deliver(&lab), rows_of[i].delivered);
        assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__SETTLED)->err, ERR_OK);
        assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__SETTLED)->err, ERR_OK);
        assert_int_equal(deliver(&lab), ERR_OK);
        assert_int_equal(enrol(&lab, DOMAIN_B)->id, early ? 0 : 1);
        scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_B, early ? 5 : 2,
                         early ? SIZE + 12 : SIZE + 3);
        lab_close(&lab);
    }
}

/* One that leaves again before it was settled: its start is behind the flip that brought it. */
static void thawed_by_the_next_start(void **state)
{
    struct lab lab;
    Pr__MoveStart start = PR__MOVE_START__INIT;

    (void)state;
    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_ADDRESSES);
    assert_int_equal(begin(&lab, ATTEMPT)->err, ERR_OK);
    assert_int_equal(rows(&lab, ATTEMPT, DOMAIN_A)->err, ERR_OK);
    assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__DONE)->err, ERR_OK);
    start.account_id = ANN;
    start.to = FROM;
    start.attempt = ATTEMPT + 1;
    assert_int_equal(
        lab_apply(&lab, SCOPE_GROUP, LAB_COMMAND(move_start, MOVE_START, &start))->err, ERR_OK);
    assert_int_equal(deliver(&lab), ERR_OK);
    /* What comes late of how it came ends nothing. */
    assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__SETTLED)->err, ERR_OK);
    assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__DROPPED)->err, ERR_OK);
    assert_int_equal(deliver(&lab), ERR_OK);
    scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 3, SIZE + 6);
    lab_close(&lab);
}

/* A group below the format answers as a release would that does not know such a row. */
static void refused_below_the_format(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_DEPTH);
    assert_int_equal(begin(&lab, ATTEMPT)->err, ERR_OK);
    assert_int_equal(rows(&lab, ATTEMPT, DOMAIN_A)->err, ERR_MALFORMED);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_SCOPES);
    assert_int_equal(rows(&lab, ATTEMPT, DOMAIN_A)->err, ERR_OK);
    assert_int_equal(end(&lab, ATTEMPT, PR__IMPORT_END__KIND__DONE)->err, ERR_OK);
    scope_lab_expect(&lab, OF_DOMAIN, DOMAIN_A, 1, SIZE);
    lab_close(&lab);
    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_DEPTH);
    assert_int_equal(begin(&lab, ATTEMPT)->err, ERR_OK);
    assert_int_equal(rows(&lab, ATTEMPT, 0)->err, ERR_OK); /* as it always was */
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_when_it_is_whole),
        cmocka_unit_test(written_to_when_it_is_settled),
        cmocka_unit_test(thawed_by_the_next_start),
        cmocka_unit_test(refused_below_the_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
