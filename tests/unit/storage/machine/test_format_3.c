/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the last release of format 3 applied: storage/format_replay.h. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/format_replay.h"
#include "tests/unit/storage/machine/queue_lab.h"

static const struct format_replay replay = {"format_3", 150, 12};

static void same_entries_make_the_same_rows_and_replies(void **state)
{
    (void)state;
    format_replay_compare(&replay);
}

static void old_tables_can_be_used_and_raised(void **state)
{
    (void)state;
    format_replay_raise(&replay);
}

/* ---- what came with format 4, in groups that have not been raised ---- */

enum { ANN = 41, BEA = 42, DIRECTORY = 0, NEW_FIRST = 140, NEW_MIN = 16, UNKNOWN = 999 };

static const char unknown_text[] = "a command that this version does not know";

static void raise(struct lab *lab, uint32_t group, unsigned format)
{
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;

    call.format = format;
    assert_int_equal(lab_apply(lab, group, LAB_COMMAND(format_raise, FORMAT_RAISE, &call))->err,
                     ERR_OK);
}

/* A command with a request id, whose call is field `number` and empty. */
static Pr__Outcome *apply_number(struct lab *lab, uint32_t group, uint32_t number)
{
    Pr__Command command = PR__COMMAND__INIT;
    uint8_t call[] = {(uint8_t)((number << 3 & 0x7f) | 0x80 | 2), (uint8_t)(number >> 4), 0};
    struct buffer entry = BUFFER_EMPTY;
    Pr__Outcome *outcome;

    command.time_ms = lab->now_ms;
    command.request_id = lab_id(lab);
    entry_encode(&command, &entry);
    buffer_add(&entry, bytes_from(call, sizeof(call)));
    outcome = lab_apply_entry(lab, group, buffer_bytes(&entry));
    buffer_fini(&entry);
    return outcome;
}

static void digest(struct lab *lab, uint32_t group, uint8_t made[32])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, group, made);
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* One applies what is new, the other what no release knows: rows and replies are the same. */
static void new_commands_are_not_known_in(uint32_t group, unsigned format)
{
    const ProtobufCMessageDescriptor *all = &pr__command__descriptor;
    uint8_t digests[2][32];
    struct lab labs[2];
    unsigned tried = 0;

    for (unsigned i = 0; i < 2; i++) {
        lab_open(&labs[i]);
        raise(&labs[i], group, format);
        for (unsigned field = 0; field < all->n_fields; field++) {
            uint32_t number = all->fields[field].id;
            if (number < NEW_FIRST)
                continue;
            Pr__Outcome *outcome = apply_number(&labs[i], group, i == 0 ? number : UNKNOWN);
            assert_int_equal(outcome->err, ERR_UNSUPPORTED);
            assert_string_equal(outcome->text, unknown_text);
            tried += i;
        }
        digest(&labs[i], group, digests[i]);
    }
    assert_true(tried >= NEW_MIN);
    assert_true(labs[0].replies == labs[1].replies);
    assert_memory_equal(digests[0], digests[1], 32);
    lab_close(&labs[0]);
    lab_close(&labs[1]);
}

static void new_commands_are_not_known_below_their_format(void **state)
{
    (void)state;
    for (unsigned format = FORMAT_FIRST; format < FORMAT_ADDRESSES; format++) {
        new_commands_are_not_known_in(DIRECTORY, format);
        new_commands_are_not_known_in(QUEUE_GROUP, format);
    }
}

/* What changes nothing about who gets a message is not heeded, as by the release before. */
static void limits_of_sending_are_not_heeded(void **state)
{
    uint8_t digests[2][32];
    struct lab labs[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct queue_lab_message message;
        queue_lab_open(&labs[i], FORMAT_SCOPES);
        for (unsigned sent = 0; sent < 3; sent++) {
            queue_lab_begin(&message, &labs[i], "text");
            queue_lab_to(&message, 0, ANN);
            if (i == 0) {
                queue_lab_limits(&message, ANN, 9, 1, 1);
                message.deliver->queue_account_id = ANN;
            } else {
                message.deliver->envelope = NULL;
            }
            assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
        }
        assert_int_equal(queue_lab_messages(&labs[i], ANN), 3);
        queue_lab_digest(&labs[i], digests[i]);
    }
    assert_true(labs[0].replies == labs[1].replies);
    assert_memory_equal(digests[0], digests[1], 32);
    lab_close(&labs[0]);
    lab_close(&labs[1]);
}

enum carried { PARTS, QUEUE, PARTS_AND_QUEUE };

/* To somebody here, and to somebody whom only format 4 reaches. */
static Pr__Outcome *send_both(struct lab *lab, enum carried carried)
{
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    if (carried != QUEUE) {
        queue_lab_part(&message, "other");
        queue_lab_to(&message, 1, BEA);
    }
    if (carried != PARTS)
        queue_lab_out(&message, 0, "a@b.example");
    return queue_lab_send(&message);
}

/* All of a delivery or nothing: half of it would be mail that was accepted and is lost. */
static void a_delivery_is_never_applied_by_half(void **state)
{
    uint8_t digests[2][32];
    struct lab labs[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        queue_lab_open(&labs[i], FORMAT_SCOPES);
        for (unsigned carried = PARTS; carried <= PARTS_AND_QUEUE; carried++) {
            Pr__Outcome *outcome = i == 0 ? send_both(&labs[i], (enum carried)carried)
                                          : apply_number(&labs[i], QUEUE_GROUP, UNKNOWN);
            assert_int_equal(outcome->err, ERR_UNSUPPORTED);
            assert_string_equal(outcome->text, unknown_text);
        }
        queue_lab_digest(&labs[i], digests[i]);
    }
    assert_true(labs[0].replies == labs[1].replies);
    assert_memory_equal(digests[0], digests[1], 32);
    raise(&labs[0], QUEUE_GROUP, FORMAT_ADDRESSES);
    for (unsigned carried = PARTS; carried <= PARTS_AND_QUEUE; carried++)
        assert_int_equal(send_both(&labs[0], (enum carried)carried)->err, ERR_OK);
    assert_int_equal(queue_lab_messages(&labs[0], ANN), 3);
    assert_int_equal(queue_lab_messages(&labs[0], BEA), 2);
    assert_int_equal(queue_lab_counts(&labs[0]).messages, 2);
    lab_close(&labs[0]);
    lab_close(&labs[1]);
}

/* To two mailboxes of one account that has room for one message: each was compared with what
 * the account had before. */
static void room_is_looked_for_as_before(void **state)
{
    static const struct {
        unsigned format;
        enum err err;
    } rows[] = {{FORMAT_SCOPES, ERR_OK}, {FORMAT_ADDRESSES, ERR_QUOTA}};

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;
        struct queue_lab_message message;
        struct lab lab;
        queue_lab_open(&lab, rows[i].format);
        queue_lab_begin(&message, &lab, "text");
        quota.messages = 1;
        for (uint32_t mailbox = 1; mailbox <= 2; mailbox++) {
            Pr__Recipient *recipient = queue_lab_to(&message, 0, ANN);
            recipient->mailbox_id = mailbox;
            recipient->quota = &quota;
        }
        assert_int_equal(queue_lab_send(&message)->err, rows[i].err);
        lab_close(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_entries_make_the_same_rows_and_replies),
        cmocka_unit_test(old_tables_can_be_used_and_raised),
        cmocka_unit_test(new_commands_are_not_known_below_their_format),
        cmocka_unit_test(limits_of_sending_are_not_heeded),
        cmocka_unit_test(a_delivery_is_never_applied_by_half),
        cmocka_unit_test(room_is_looked_for_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
