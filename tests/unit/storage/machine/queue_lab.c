/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/machine/queue_lab.h"

#include <stdio.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/greylist.h"
#include "storage/schema/flags.h"

void queue_lab_open(struct lab *lab, unsigned format)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    lab_open(lab);
    raise.format = format;
    CHECK(lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err ==
          ERR_OK);
}

/* ---- deliveries ---- */

static char *text_of(struct lab *lab, const char *text)
{
    return arena_string(&lab->arena, bytes_of(text));
}

static void *list_of(struct lab *lab)
{
    return arena_alloc(&lab->arena, 2 * DELIVER_RECIPIENTS_MAX * sizeof(void *));
}

static Pr__Body *body_of(struct lab *lab, const char *text)
{
    return lab_body(lab, bytes_of(text), strlen(text));
}

void queue_lab_begin(struct queue_lab_message *message, struct lab *lab, const char *text)
{
    Pr__Deliver *deliver = arena_alloc(&lab->arena, sizeof(*deliver));
    Pr__Envelope *envelope = arena_alloc(&lab->arena, sizeof(*envelope));
    Pr__Command *command = arena_alloc(&lab->arena, sizeof(*command));

    pr__deliver__init(deliver);
    pr__envelope__init(envelope);
    pr__command__init(command);
    envelope->sender = text_of(lab, "ann@acme.example");
    deliver->body = body_of(lab, text);
    deliver->recipients = list_of(lab);
    deliver->handovers = list_of(lab);
    deliver->queue = list_of(lab);
    deliver->parts = list_of(lab);
    deliver->envelope = envelope;
    command->request_id = lab_id(lab);
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = deliver;
    *message = (struct queue_lab_message){lab, command, deliver};
}

Pr__DeliverPart *queue_lab_part(struct queue_lab_message *message, const char *text)
{
    Pr__DeliverPart *part = arena_alloc(&message->lab->arena, sizeof(*part));

    pr__deliver_part__init(part);
    part->body = body_of(message->lab, text);
    part->recipients = list_of(message->lab);
    part->handovers = list_of(message->lab);
    part->queue = list_of(message->lab);
    message->deliver->parts[message->deliver->n_parts++] = part;
    return part;
}

Pr__Recipient *queue_lab_to(struct queue_lab_message *message, unsigned part,
                            uint64_t account_id)
{
    Pr__Deliver *deliver = message->deliver;
    Pr__Recipient *recipient = arena_alloc(&message->lab->arena, sizeof(*recipient));

    pr__recipient__init(recipient);
    recipient->account_id = account_id;
    if (part == 0)
        deliver->recipients[deliver->n_recipients++] = recipient;
    else
        deliver->parts[part - 1]->recipients[deliver->parts[part - 1]->n_recipients++] =
            recipient;
    return recipient;
}

void queue_lab_handover(struct queue_lab_message *message, unsigned part, uint32_t group,
                        uint64_t account_id)
{
    Pr__Deliver *deliver = message->deliver;
    Pr__Handover *handover = arena_alloc(&message->lab->arena, sizeof(*handover));
    Pr__Recipient *recipient = arena_alloc(&message->lab->arena, sizeof(*recipient));

    pr__handover__init(handover);
    pr__recipient__init(recipient);
    recipient->account_id = account_id;
    handover->group = group;
    handover->recipients = list_of(message->lab);
    handover->recipients[handover->n_recipients++] = recipient;
    if (part == 0)
        deliver->handovers[deliver->n_handovers++] = handover;
    else
        deliver->parts[part - 1]->handovers[deliver->parts[part - 1]->n_handovers++] = handover;
}

Pr__QueueRecipient *queue_lab_out(struct queue_lab_message *message, unsigned part,
                                  const char *address)
{
    Pr__Deliver *deliver = message->deliver;
    Pr__QueueRecipient *recipient = arena_alloc(&message->lab->arena, sizeof(*recipient));

    pr__queue_recipient__init(recipient);
    recipient->address = text_of(message->lab, address);
    if (part == 0)
        deliver->queue[deliver->n_queue++] = recipient;
    else
        deliver->parts[part - 1]->queue[deliver->parts[part - 1]->n_queue++] = recipient;
    return recipient;
}

void queue_lab_out_many(struct queue_lab_message *message, unsigned part, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char address[64];
        snprintf(address, sizeof(address), "user%u@many.example", i);
        queue_lab_out(message, part, address);
    }
}

Pr__SendingLimits *queue_lab_limits(struct queue_lab_message *message, uint64_t account_id,
                                    uint32_t recipients, uint32_t hour_max, uint32_t day_max)
{
    Pr__SendingLimits *limits = arena_alloc(&message->lab->arena, sizeof(*limits));

    pr__sending_limits__init(limits);
    limits->account_id = account_id;
    limits->recipients = recipients;
    limits->hour_max = hour_max;
    limits->day_max = day_max;
    message->deliver->limits = limits;
    return limits;
}

Pr__Outcome *queue_lab_send(struct queue_lab_message *message)
{
    message->command->time_ms = message->lab->now_ms;
    return lab_apply(message->lab, QUEUE_GROUP, message->command);
}

uint64_t queue_lab_queue(struct lab *lab, const char *address)
{
    struct queue_lab_message message;
    Pr__Outcome *outcome;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, address);
    outcome = queue_lab_send(&message);
    CHECK(outcome->err == ERR_OK);
    return outcome->id;
}

/* ---- other commands ---- */

Pr__Outcome *queue_lab_change(struct lab *lab, Pr__QueueChange__Action action, size_t count,
                              const uint64_t *ids)
{
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;

    change.action = action;
    change.n_ids = count;
    change.ids = arena_alloc(&lab->arena, (count + 1) * sizeof(*ids));
    memcpy(change.ids, ids, count * sizeof(*ids));
    change.reason = text_of(lab, "a reason");
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_change, QUEUE_CHANGE, &change));
}

void queue_lab_hold(struct lab *lab, uint64_t id, const char *reason)
{
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;

    change.action = PR__QUEUE_CHANGE__ACTION__HOLD;
    change.n_ids = 1;
    change.ids = &id;
    change.reason = text_of(lab, reason);
    lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_change, QUEUE_CHANGE, &change));
}

static struct bytes digest_of(struct lab *lab, uint64_t key)
{
    uint8_t digest[GREYLIST_KEY_SIZE] = {0};

    memcpy(digest, &key, sizeof(key));
    return arena_copy(&lab->arena, bytes_from(digest, sizeof(digest)));
}

Pr__Outcome *queue_lab_seen(struct lab *lab, uint64_t key, uint64_t wait_ms, uint64_t keep_ms,
                            uint64_t passed_keep_ms)
{
    Pr__GreylistSeen seen = PR__GREYLIST_SEEN__INIT;

    seen.key = field_of_bytes(digest_of(lab, key));
    seen.wait_ms = wait_ms;
    seen.keep_ms = keep_ms;
    seen.passed_keep_ms = passed_keep_ms;
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(greylist_seen, GREYLIST_SEEN, &seen));
}

/* ---- what is there ---- */

Pr__QueueRecord *queue_lab_record(struct lab *lab, uint64_t id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__QueueRecord *record = query_queue_record(txn, QUEUE_GROUP, id, &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return record;
}

struct queue_counts queue_lab_counts(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct queue_counts counts;

    query_queue_counts(txn, QUEUE_GROUP, &counts);
    CHECK(db_commit(&txn) == ERR_OK);
    return counts;
}

size_t queue_lab_due(struct lab *lab, uint64_t until_ms, struct queue_due *rows, size_t room)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct queue_due after = {0, 0};
    size_t count = 0;
    size_t more;

    /* In pages of two. */
    do {
        more = query_queue_due(txn, QUEUE_GROUP, &after, until_ms, rows + count,
                               room - count < 2 ? room - count : 2);
        count += more;
        after = more > 0 ? rows[count - 1] : after;
    } while (more > 0);
    CHECK(db_commit(&txn) == ERR_OK);
    return count;
}

struct greylist_view queue_lab_view(struct lab *lab, uint64_t key)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct greylist_view view;

    query_greylist(txn, QUEUE_GROUP, digest_of(lab, key), &view);
    CHECK(db_commit(&txn) == ERR_OK);
    return view;
}

void queue_lab_sent(struct lab *lab, uint64_t account_id, uint64_t *in_hour, uint64_t *in_day)
{
    struct db_txn *txn = db_read_begin(lab->db);

    query_sending(txn, QUEUE_GROUP, account_id, in_hour, in_day);
    CHECK(db_commit(&txn) == ERR_OK);
}

uint64_t queue_lab_messages(struct lab *lab, uint64_t account_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t messages;
    uint64_t size;

    query_account_usage(txn, (struct query_account){QUEUE_GROUP, account_id}, &messages, &size);
    CHECK(db_commit(&txn) == ERR_OK);
    return messages;
}

unsigned queue_lab_rows(struct lab *lab, enum db_table table)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, table, key_group(&prefix, QUEUE_GROUP));
    unsigned count = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row))
        count++;
    db_cursor_close(&cursor);
    CHECK(db_commit(&txn) == ERR_OK);
    return count;
}

void queue_lab_digest(struct lab *lab, uint8_t digest[32])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, QUEUE_GROUP, digest);
    CHECK(db_commit(&txn) == ERR_OK);
}
