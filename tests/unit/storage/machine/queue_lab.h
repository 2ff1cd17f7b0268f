/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MACHINE_QUEUE_LAB_H
#define TESTS_UNIT_STORAGE_MACHINE_QUEUE_LAB_H

#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

/* Deliveries in parts and with recipients on other hosts, to one group of a lab. */
enum { QUEUE_GROUP = 3, QUEUE_NODE = 5, QUEUE_LEASE_MS = 20000 };

/* A state whose group has that format. */
void queue_lab_open(struct lab *lab, unsigned format);

/* A delivery in the making; its envelope is from ann@acme.example, its command has a fresh
 * request id. */
struct queue_lab_message {
    struct lab *lab;
    Pr__Command *command;
    Pr__Deliver *deliver;
};
void queue_lab_begin(struct queue_lab_message *message, struct lab *lab, const char *text);
/* Another part; those below say which one they mean (0: the first). */
Pr__DeliverPart *queue_lab_part(struct queue_lab_message *message, const char *text);
Pr__Recipient *queue_lab_to(struct queue_lab_message *message, unsigned part,
                            uint64_t account_id);
void queue_lab_handover(struct queue_lab_message *message, unsigned part, uint32_t group,
                        uint64_t account_id);
Pr__QueueRecipient *queue_lab_out(struct queue_lab_message *message, unsigned part,
                                  const char *address);
/* Many recipients on other hosts, all of domain many.example. */
void queue_lab_out_many(struct queue_lab_message *message, unsigned part, unsigned count);
Pr__SendingLimits *queue_lab_limits(struct queue_lab_message *message, uint64_t account_id,
                                    uint32_t recipients, uint32_t hour_max, uint32_t day_max);
Pr__Outcome *queue_lab_send(struct queue_lab_message *message);

/* Commands of whoever sends. */
Pr__Outcome *queue_lab_lease(struct lab *lab, uint64_t lease, uint64_t id, uint32_t destination,
                             const Pr__QueueDestination *seen);
/* One attempt with that verdict on one recipient; recipient 0: without verdict. */
struct queue_lab_verdict {
    uint64_t lease;
    uint64_t id;
    uint32_t destination;
    uint32_t recipient;
    Pr__QueueRecipient__State state;
    bool tell;
    bool untried;
    uint64_t retry_ms;
};
Pr__Outcome *queue_lab_report(struct lab *lab, struct queue_lab_verdict verdict);
Pr__Outcome *queue_lab_told(struct lab *lab, uint64_t id, uint32_t notice, size_t count,
                            uint32_t *recipients);

/* A message to one address, from begin to end; its id. */
uint64_t queue_lab_queue(struct lab *lab, const char *address);
Pr__Outcome *queue_lab_change(struct lab *lab, Pr__QueueChange__Action action, size_t count,
                              const uint64_t *ids);
void queue_lab_hold(struct lab *lab, uint64_t id, const char *reason);
Pr__Outcome *queue_lab_seen(struct lab *lab, uint64_t key, uint64_t wait_ms, uint64_t keep_ms,
                            uint64_t passed_keep_ms);

/* NULL when it is gone. */
Pr__QueueRecord *queue_lab_record(struct lab *lab, uint64_t id);
struct queue_counts queue_lab_counts(struct lab *lab);
/* What is due until then in all lanes, in order, at most `room`. */
struct queue_due {
    uint64_t due_ms;
    uint64_t id;
    uint32_t destination;
};
size_t queue_lab_due(struct lab *lab, uint64_t until_ms, struct queue_due *rows, size_t room);
void queue_lab_due_sort(struct queue_due *rows, size_t count);
struct greylist_view queue_lab_view(struct lab *lab, uint64_t key);
void queue_lab_sent(struct lab *lab, uint64_t account_id, uint64_t *in_hour, uint64_t *in_day);
uint64_t queue_lab_messages(struct lab *lab, uint64_t account_id);
unsigned queue_lab_rows(struct lab *lab, enum db_table table);
/* Of the whole group. */
void queue_lab_digest(struct lab *lab, uint8_t digest[32]);
/* Applies all of it in one transaction elsewhere: that must make the same tables and replies.
 */
void queue_lab_apply_again(struct lab *lab);

#endif
