/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a message in the queue costs the mail machine alone, by how many there are: processor
 * time in us to add one, to lease its destination, to report that it waits on, and that it was
 * delivered; in transactions of 64, commit included. And to read the first lanes, and the first
 * messages of one.
 *
 *     bench_queue FOLDER [MESSAGES [LANES [ROUNDS]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/check.h"
#include "storage/machine/machine.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/schema/request_id.h"

enum { GROUP = 1, BATCH = 64, MAP_BYTES_GB = 64, READS = 2000, PAGE = 20, LEASE_MS = 20000 };
#define BEGIN_MS ((uint64_t)1800000000000)

static struct {
    struct db *db;
    uint64_t index;
    uint64_t messages;
    uint64_t lanes;
    uint64_t rounds;
} bench;

static double now_s(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The command number `number`, of one of the kinds below. */
typedef void command_make(uint64_t number, struct buffer *entry);

static void encode(Pr__Command *command, uint64_t number, struct buffer *entry)
{
    command->time_ms = BEGIN_MS + number / 5;
    buffer_clear(entry);
    entry_encode(command, entry);
}

static void raise_make(uint64_t number, struct buffer *entry)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;

    call.format = FORMAT_NEWEST;
    command.call_case = PR__COMMAND__CALL_FORMAT_RAISE;
    command.format_raise = &call;
    encode(&command, number, entry);
}

static void add_make(uint64_t number, struct buffer *entry)
{
    static uint8_t bytes[256];
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Envelope envelope = PR__ENVELOPE__INIT;
    Pr__QueueRecipient recipient = PR__QUEUE_RECIPIENT__INIT;
    Pr__Body body = PR__BODY__INIT;
    ProtobufCBinaryData block = field_of_bytes(bytes_from(bytes, sizeof(bytes)));
    uint8_t random[10] = {0};
    struct request_id id;
    char address[64];

    memcpy(random, &number, sizeof(number));
    id = request_id_make(BEGIN_MS, random);
    command.request_id = field_of_bytes(bytes_from(id.bytes, sizeof(id.bytes)));
    body.size = sizeof(bytes);
    body.block_count = 1;
    body.blocks = &block;
    body.n_blocks = 1;
    body.digest = field_of_bytes(bytes_from(bytes, 32));
    snprintf(address, sizeof(address), "somebody@domain%llu.example",
             (unsigned long long)(number % bench.lanes));
    recipient.address = address;
    envelope.sender = (char[]){"ann@acme.example"};
    deliver.body = &body;
    deliver.envelope = &envelope;
    deliver.queue = (Pr__QueueRecipient *[]){&recipient};
    deliver.n_queue = 1;
    command.call_case = PR__COMMAND__CALL_DELIVER;
    command.deliver = &deliver;
    encode(&command, number, entry);
}

static void lease_make_seen(uint64_t number, uint32_t renewals, struct buffer *entry)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__QueueLease call = PR__QUEUE_LEASE__INIT;
    Pr__QueueLeaseItem asked = PR__QUEUE_LEASE_ITEM__INIT;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;

    item.id = number;
    item.destination = 1;
    asked.item = &item;
    asked.seen_renewals = renewals;
    call.lease = call.node_id = 7;
    call.lease_ms = LEASE_MS;
    call.items = (Pr__QueueLeaseItem *[]){&asked};
    call.n_items = 1;
    command.call_case = PR__COMMAND__CALL_QUEUE_LEASE;
    command.queue_lease = &call;
    encode(&command, bench.messages, entry);
}

static void lease_make(uint64_t number, struct buffer *entry)
{
    lease_make_seen(number, 0, entry);
}

static void lease_again_make(uint64_t number, struct buffer *entry)
{
    lease_make_seen(number, 1, entry);
}

static void report_make(uint64_t number, Pr__QueueRecipient__State state, struct buffer *entry)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__QueueReport call = PR__QUEUE_REPORT__INIT;
    Pr__QueueAttempt attempt = PR__QUEUE_ATTEMPT__INIT;
    Pr__QueueVerdict verdict = PR__QUEUE_VERDICT__INIT;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;

    item.id = number;
    item.destination = 1;
    verdict.recipient = 1;
    verdict.state = state;
    verdict.status = (char[]){"4.7.1"};
    verdict.reply = (char[]){"450 4.7.1 come back in five minutes"};
    verdict.remote = (char[]){"mx.domain.example [192.0.2.1]"};
    attempt.item = &item;
    attempt.lease = 7;
    attempt.counts = true;
    attempt.retry_ms = 300000;
    attempt.verdicts = (Pr__QueueVerdict *[]){&verdict};
    attempt.n_verdicts = 1;
    call.attempts = (Pr__QueueAttempt *[]){&attempt};
    call.n_attempts = 1;
    command.call_case = PR__COMMAND__CALL_QUEUE_REPORT;
    command.queue_report = &call;
    encode(&command, bench.messages, entry);
}

static void deferred_make(uint64_t number, struct buffer *entry)
{
    report_make(number, PR__QUEUE_RECIPIENT__STATE__WAITING, entry);
}

static void delivered_make(uint64_t number, struct buffer *entry)
{
    report_make(number, PR__QUEUE_RECIPIENT__STATE__DELIVERED, entry);
}

/* Applies so many from number 1 on. Returns the microseconds of one. */
static double run(command_make *make, uint64_t count)
{
    struct buffer entries[BATCH];
    double seconds = 0;

    for (unsigned i = 0; i < BATCH; i++)
        buffer_init(&entries[i]);
    for (uint64_t done = 0; done < count; done += BATCH) {
        struct machine_events events = {0};
        struct arena arena;
        uint64_t batch = count - done < BATCH ? count - done : BATCH;
        for (uint64_t i = 0; i < batch; i++)
            make(done + i + 1, &entries[i]);
        double begun = now_s();
        struct db_txn *txn = db_write_begin(bench.db);
        arena_init(&arena);
        for (uint64_t i = 0; i < batch; i++) {
            struct bytes reply;
            machine_apply(txn, GROUP, ++bench.index, 1, buffer_bytes(&entries[i]), &arena,
                          &reply, &events);
        }
        arena_fini(&arena);
        CHECK(db_commit(&txn) == ERR_OK);
        seconds += now_s() - begun;
    }
    for (unsigned i = 0; i < BATCH; i++)
        buffer_fini(&entries[i]);
    return seconds * 1e6 / (double)count;
}

/* A page of lanes, and of the messages of the first. */
static double reads(void)
{
    double begun = now_s();

    for (unsigned i = 0; i < READS; i++) {
        Pr__QueueLanes lanes = PR__QUEUE_LANES__INIT;
        Pr__QueueLanesAnswer found = PR__QUEUE_LANES_ANSWER__INIT;
        Pr__QueueRead read = PR__QUEUE_READ__INIT;
        Pr__QueueReadAnswer messages = PR__QUEUE_READ_ANSWER__INIT;
        struct db_txn *txn = db_read_begin(bench.db);
        struct arena arena;
        arena_init(&arena);
        lanes.until_ms = read.until_ms = UINT64_MAX;
        lanes.limit = read.limit = PAGE;
        CHECK(query_queue_lanes(txn, GROUP, &lanes, &arena, &found) == ERR_OK);
        CHECK(found.n_lanes > 0);
        read.lane = found.lanes[0];
        CHECK(query_queue_read(txn, GROUP, &read, &arena, &messages) == ERR_OK);
        CHECK(messages.n_messages > 0);
        arena_fini(&arena);
        db_abort(&txn);
    }
    return (now_s() - begun) * 1e6 / READS;
}

int main(int argc, char **argv)
{
    struct queue_counts counts;
    struct db_txn *txn;

    bench.messages = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    bench.lanes = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    bench.rounds = argc > 4 ? strtoull(argv[4], NULL, 10) : bench.messages;
    if (argc < 2 || bench.messages == 0 || bench.lanes == 0 || bench.rounds == 0 ||
        bench.rounds > bench.messages) {
        fprintf(stderr, "usage: bench_queue FOLDER [MESSAGES [LANES [ROUNDS]]]\n");
        return 2;
    }
    CHECK(db_open(argv[1], (uint64_t)MAP_BYTES_GB << 30, &bench.db) == ERR_OK);
    run(raise_make, 1);
    double add_us = run(add_make, bench.messages);
    double read_us = reads();
    double lease_us = run(lease_make, bench.rounds);
    double deferred_us = run(deferred_make, bench.rounds);
    run(lease_again_make, bench.rounds);
    double delivered_us = run(delivered_make, bench.rounds);
    txn = db_read_begin(bench.db);
    query_queue_counts(txn, GROUP, &counts);
    db_abort(&txn);
    CHECK(counts.messages == bench.messages - bench.rounds);
    printf("{\"messages\": %llu, \"lanes\": %llu, \"add_us\": %.1f, \"lease_us\": %.1f, "
           "\"deferred_us\": %.1f, \"delivered_us\": %.1f, \"page_us\": %.1f}\n",
           (unsigned long long)bench.messages, (unsigned long long)bench.lanes, add_us,
           lease_us, deferred_us, delivered_us, read_us);
    db_close(&bench.db);
    return 0;
}
