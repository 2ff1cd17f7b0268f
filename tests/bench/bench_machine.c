/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deliveries a second into the mail machine alone: entries of one recipient with an
 * incompressible body of 4 KB, in transactions of 64, commit included.
 *
 *     bench_machine FOLDER [MESSAGES [ACCOUNTS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/check.h"
#include "storage/machine/machine.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"

enum {
    GROUP = 1,
    BATCH = 64,
    BODY_SIZE = 4096,
    SUMMARY_SIZE = 600,
    MAP_BYTES_GB = 64,
};

static double now_s(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(uint8_t *bytes, size_t len, uint64_t *seed)
{
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(*seed >> 56);
    }
}

/* The entry of one delivery; `number` decides the account and the id. */
static void entry_make(uint64_t number, uint64_t accounts, struct buffer *entry)
{
    static uint8_t body_bytes[BODY_SIZE];
    static uint8_t summary[SUMMARY_SIZE];
    static uint8_t digest[32];
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Recipient recipient = PR__RECIPIENT__INIT;
    Pr__Recipient *recipients[] = {&recipient};
    Pr__Body body = PR__BODY__INIT;
    ProtobufCBinaryData block = field_of_bytes(bytes_from(body_bytes, BODY_SIZE));
    uint64_t seed = number;
    uint8_t random[10];
    struct request_id id;

    fill(body_bytes, BODY_SIZE, &seed);
    fill(random, sizeof(random), &seed);
    command.time_ms = 1800000000000 + number / 5;
    id = request_id_make(command.time_ms, random);
    command.request_id = field_of_bytes(bytes_from(id.bytes, sizeof(id.bytes)));
    body.size = 2 * BODY_SIZE;
    body.block_count = 1;
    body.blocks = &block;
    body.n_blocks = 1;
    body.digest = field_of_bytes(bytes_from(digest, sizeof(digest)));
    body.summary = field_of_bytes(bytes_from(summary, sizeof(summary)));
    recipient.account_id = 1 + seed % accounts;
    deliver.body = &body;
    deliver.recipients = recipients;
    deliver.n_recipients = 1;
    command.call_case = PR__COMMAND__CALL_DELIVER;
    command.deliver = &deliver;
    buffer_clear(entry);
    entry_encode(&command, entry);
}

/* Applies one batch; returns the seconds it took. */
static double batch_run(struct db *db, uint64_t first, struct buffer entries[BATCH])
{
    double begun = now_s();
    struct db_txn *txn = db_write_begin(db);
    struct arena arena;
    struct machine_events events = {0};

    arena_init(&arena);
    for (uint64_t i = 0; i < BATCH; i++) {
        struct bytes reply;
        machine_apply(txn, GROUP, first + i, 1, buffer_bytes(&entries[i]), &arena, &reply,
                      &events);
    }
    arena_fini(&arena);
    CHECK(db_commit(&txn) == ERR_OK);
    return now_s() - begun;
}

int main(int argc, char **argv)
{
    uint64_t messages = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    uint64_t accounts = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000;
    struct buffer entries[BATCH];
    struct db *db;
    double seconds = 0;

    if (argc < 2 || messages == 0 || accounts == 0) {
        fprintf(stderr, "usage: bench_machine FOLDER [MESSAGES [ACCOUNTS]]\n");
        return 2;
    }
    CHECK(db_open(argv[1], (uint64_t)MAP_BYTES_GB << 30, &db) == ERR_OK);
    for (unsigned i = 0; i < BATCH; i++)
        buffer_init(&entries[i]);
    for (uint64_t index = 1; index <= messages; index += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++)
            entry_make(index + i, accounts, &entries[i]);
        seconds += batch_run(db, index, entries);
    }
    for (unsigned i = 0; i < BATCH; i++)
        buffer_fini(&entries[i]);
    printf("{\"messages\": %llu, \"accounts\": %llu, \"batch\": %d, \"seconds\": %.3f, "
           "\"deliveries_per_s\": %.0f}\n",
           (unsigned long long)messages, (unsigned long long)accounts, BATCH, seconds,
           (double)messages / seconds);
    db_close(&db);
    return 0;
}
