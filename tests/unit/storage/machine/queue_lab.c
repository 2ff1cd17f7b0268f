/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/machine/queue_lab.h"

#include <stdio.h>
#include <stdlib.h>

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

/* Of one that nobody has; 0 of others. */
static uint32_t free_renewals(struct lab *lab, uint64_t id, uint32_t destination)
{
    const Pr__QueueRecord *record = queue_lab_record(lab, id);

    for (size_t i = 0; record != NULL && i < record->n_destinations; i++)
        if (record->destinations[i]->number == destination &&
            record->destinations[i]->lease == 0)
            return record->destinations[i]->renewals;
    return 0;
}

Pr__Outcome *queue_lab_lease(struct lab *lab, uint64_t lease, uint64_t id, uint32_t destination,
                             const Pr__QueueDestination *seen)
{
    Pr__QueueLease call = PR__QUEUE_LEASE__INIT;
    Pr__QueueLeaseItem asked = PR__QUEUE_LEASE_ITEM__INIT;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;

    item.id = id;
    item.destination = destination;
    asked.item = &item;
    asked.seen_lease = seen != NULL ? seen->lease : 0;
    asked.seen_renewals = seen != NULL ? seen->renewals : free_renewals(lab, id, destination);
    call.lease = lease;
    call.node_id = QUEUE_NODE;
    call.lease_ms = QUEUE_LEASE_MS;
    call.n_items = 1;
    call.items = (Pr__QueueLeaseItem *[]){&asked};
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_lease, QUEUE_LEASE, &call));
}

Pr__Outcome *queue_lab_report(struct lab *lab, struct queue_lab_verdict verdict)
{
    Pr__QueueReport call = PR__QUEUE_REPORT__INIT;
    Pr__QueueAttempt attempt = PR__QUEUE_ATTEMPT__INIT;
    Pr__QueueVerdict said = PR__QUEUE_VERDICT__INIT;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;

    item.id = verdict.id;
    item.destination = verdict.destination;
    said.recipient = verdict.recipient;
    said.state = verdict.state;
    said.tell = verdict.tell;
    said.status = text_of(lab, "4.2.1");
    said.reply = text_of(lab, "the mailbox is locked");
    said.remote = text_of(lab, "mx.example [192.0.2.1]");
    attempt.item = &item;
    attempt.lease = verdict.lease;
    attempt.counts = !verdict.untried;
    attempt.retry_ms = verdict.retry_ms;
    attempt.n_verdicts = verdict.recipient != 0;
    attempt.verdicts = (Pr__QueueVerdict *[]){&said};
    call.n_attempts = 1;
    call.attempts = (Pr__QueueAttempt *[]){&attempt};
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_report, QUEUE_REPORT, &call));
}

Pr__Outcome *queue_lab_told(struct lab *lab, uint64_t id, uint32_t notice, size_t count,
                            uint32_t *recipients)
{
    Pr__QueueTold call = PR__QUEUE_TOLD__INIT;

    call.id = id;
    call.notice = notice;
    call.n_recipients = count;
    call.recipients = recipients;
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_told, QUEUE_TOLD, &call));
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

static size_t lane_due(struct lab *lab, struct db_txn *txn, const Pr__QueueLane *lane,
                       uint64_t until_ms, struct queue_due *rows, size_t room)
{
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueItem after = PR__QUEUE_ITEM__INIT;
    size_t count = 0;

    read.lane = (Pr__QueueLane *)(uintptr_t)lane;
    read.until_ms = until_ms;
    read.limit = 2;
    do {
        pr__queue_read_answer__init(&answer);
        CHECK(query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &answer) == ERR_OK);
        for (size_t i = 0; i < answer.n_messages && count < room; i++) {
            const Pr__QueueRecord *record = answer.messages[i];
            bool notice = *lane->domain == '\0';
            CHECK(record->n_recipients > 0 && (notice || record->n_destinations == 1));
            after.id = record->id;
            after.destination = notice ? 0 : record->destinations[0]->number;
            read.after = &after;
            read.after_due_ms = notice ? record->notice_ms : record->destinations[0]->due_ms;
            CHECK(record->class_ == lane->class_ && record->tenant_id == lane->tenant_id);
            CHECK(notice || strcmp(record->destinations[0]->domain, lane->domain) == 0);
            CHECK(i > 0 || read.after_due_ms >= lane->due_ms);
            rows[count++] = (struct queue_due){read.after_due_ms, after.id, after.destination};
        }
    } while (answer.more && count < room);
    return count;
}

static int by_due(const void *left, const void *right)
{
    const struct queue_due *one = left;
    const struct queue_due *other = right;

    if (one->due_ms != other->due_ms)
        return one->due_ms < other->due_ms ? -1 : 1;
    if (one->id != other->id)
        return one->id < other->id ? -1 : 1;
    return (one->destination > other->destination) - (one->destination < other->destination);
}

void queue_lab_due_sort(struct queue_due *rows, size_t count)
{
    qsort(rows, count, sizeof(*rows), by_due);
}

size_t queue_lab_due(struct lab *lab, uint64_t until_ms, struct queue_due *rows, size_t room)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__QueueLanesAnswer answer = PR__QUEUE_LANES_ANSWER__INIT;
    Pr__QueueLanes lanes = PR__QUEUE_LANES__INIT;
    size_t count = 0;

    lanes.until_ms = until_ms;
    lanes.limit = 2;
    do {
        pr__queue_lanes_answer__init(&answer);
        CHECK(query_queue_lanes(txn, QUEUE_GROUP, &lanes, &lab->arena, &answer) == ERR_OK);
        for (size_t i = 0; i < answer.n_lanes; i++) {
            size_t first = count;
            lanes.after = answer.lanes[i];
            count += lane_due(lab, txn, answer.lanes[i], until_ms, rows + count, room - count);
            CHECK(count == room || rows[first].due_ms == answer.lanes[i]->due_ms);
        }
    } while (answer.more);
    CHECK(db_commit(&txn) == ERR_OK);
    queue_lab_due_sort(rows, count);
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

void queue_lab_apply_again(struct lab *lab)
{
    struct lab other;
    uint8_t digests[2][32];

    lab_open(&other);
    other.txn = db_write_begin(other.db);
    for (size_t i = 0; i < lab->entry_count; i++) {
        other.index = lab->entries[i].index - 1;
        lab_apply_entry(&other, QUEUE_GROUP, lab->entries[i].entry);
    }
    CHECK(db_commit(&other.txn) == ERR_OK);
    queue_lab_digest(lab, digests[0]);
    queue_lab_digest(&other, digests[1]);
    CHECK(memcmp(digests[0], digests[1], sizeof(digests[0])) == 0);
    CHECK(lab->replies == other.replies);
    lab_close(&other);
}
