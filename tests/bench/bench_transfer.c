/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast the state of a group is copied, without the network: from one environment to another
 * in this process, each step after the other.
 *
 * usage: bench-transfer FOLDER [MEGABYTES]    an empty folder on the disk that is meant;
 * default 512 Writes a line for an empty receiver, one for a receiver that has it all, one for
 * 1 % changed; and what each would be with a source at a distance of 20 ms, by the times that
 * the steps took here: when each question waits until the answer before is written, and when it
 * goes out as soon as that has come (service/state_fetch_steps.c).
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/machine.h"
#include "storage/transfer/sink.h"
#include "storage/transfer/source.h"

enum { GROUP = 1, PIECE = 4080, BATCH = 256, PIECES_A_MESSAGE = 4 };

static uint64_t now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Times of the steps on a virtual line to the source. In microseconds. */
enum { DISTANCE_US = 20000 };

struct line {
    uint64_t one_by_one;
    uint64_t received; /* the answer that is being looked at, with the next question ahead */
    uint64_t written;  /* all before it */
};

static uint64_t now_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void line_step(struct line *line, uint64_t question, uint64_t answer, uint64_t write)
{
    /* The answer before has come: ask, and write that one meanwhile. */
    uint64_t arrives = line->received + question + 2 * DISTANCE_US + answer;

    line->one_by_one += question + 2 * DISTANCE_US + answer + write;
    line->received = arrives > line->written ? arrives : line->written;
    line->written = line->received + write;
}

static struct db *place(const char *folder, const char *name)
{
    char path[4096];
    struct db *db = NULL;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    CHECK(db_open(path, UINT64_C(64) << 30, &db) == ERR_OK);
    return db;
}

/* Bodies of four pieces, and for each some hundred bytes of rows that change. */
static void fill(struct db *db, uint64_t messages, uint64_t step, uint8_t byte)
{
    uint8_t piece[PIECE];
    struct arena arena;
    struct bytes reply;
    struct machine_events events = {0};
    struct db_txn *txn = db_write_begin(db);

    memset(piece, byte, sizeof(piece));
    for (uint64_t i = 0; i < messages; i += step) {
        struct key key;
        memcpy(piece, &i, sizeof(i));
        for (uint16_t k = 0; k < PIECES_A_MESSAGE; k++)
            db_put(txn, TABLE_BLOCK, key_block(&key, GROUP, i, 0, k),
                   bytes_from(piece, sizeof(piece)));
        db_put(txn, TABLE_MESSAGE, key_uid(&key, GROUP, 1 + i / 1000, 1, (uint32_t)(i % 1000)),
               bytes_from(piece, 90));
        db_put(txn, TABLE_SUMMARY, key_number(&key, GROUP, i), bytes_from(piece, 300));
        if (i / step % BATCH == BATCH - 1) {
            CHECK(db_commit(&txn) == ERR_OK);
            txn = db_write_begin(db);
        }
    }
    arena_init(&arena);
    machine_apply(txn, GROUP, machine_applied(txn, GROUP) + 1, 1, bytes_from(NULL, 0), &arena,
                  &reply, &events);
    arena_fini(&arena);
    CHECK(db_commit(&txn) == ERR_OK);
    CHECK(db_sync(db) == ERR_OK);
}

static void copy(const char *what, struct db *from, struct db *to, uint64_t total)
{
    struct transfer_sink_config to_config = {.db = to, .group = GROUP, .now_ms = now_ms};
    struct transfer_source_config from_config = {.db = from, .group = GROUP, .now_ms = now_ms};
    struct transfer_sink_progress progress;
    struct transfer_source_progress given;
    struct transfer_source *source = NULL;
    struct transfer_sink *sink = transfer_sink_new(&to_config);
    struct transfer_tables tables;
    struct buffer names = BUFFER_EMPTY;
    struct buffer question = BUFFER_EMPTY;
    struct buffer answer = BUFFER_EMPTY;
    uint64_t begun_ms = now_ms();
    uint64_t index = 0;
    unsigned steps = 0;
    struct line line = {0};

    transfer_tables_own(&tables);
    transfer_tables_encode(&tables, &names);
    from_config.tables = buffer_bytes(&names);
    CHECK(transfer_source_new(&from_config, &source) == ERR_OK);
    CHECK(transfer_sink_begin(sink) == ERR_OK);
    for (; !transfer_sink_done(sink, &index); steps++) {
        bool more = true;
        uint64_t times[4] = {now_us()};
        buffer_truncate(&question, 0);
        buffer_truncate(&answer, 0);
        CHECK(transfer_sink_question(sink, &question) == ERR_OK);
        times[1] = now_us();
        CHECK(transfer_source_answer(source, buffer_bytes(&question), &answer) == ERR_OK);
        times[2] = now_us();
        CHECK(transfer_sink_receive(sink, buffer_bytes(&answer)) == ERR_OK);
        while (more)
            CHECK(transfer_sink_write(sink, &more) == ERR_OK);
        times[3] = now_us();
        line_step(&line, times[1] - times[0], times[2] - times[1], times[3] - times[2]);
    }
    CHECK(db_sync(to) == ERR_OK);
    uint64_t took_ms = now_ms() - begun_ms + 1;
    transfer_sink_progress(sink, &progress);
    transfer_source_progress(source, &given);
    printf("%s: %llu MB in %llu ms, %llu MB/s; %llu MB came in %u steps; longest read %llu and "
           "%llu ms, write %llu ms\n",
           what, (unsigned long long)(total >> 20), (unsigned long long)took_ms,
           (unsigned long long)(total / 1000 / took_ms),
           (unsigned long long)(progress.bytes_received >> 20), steps,
           (unsigned long long)given.read_longest_ms,
           (unsigned long long)progress.read_longest_ms,
           (unsigned long long)progress.write_longest_ms);
    printf("    at %u ms: %llu MB/s, one step after the other %llu MB/s\n", DISTANCE_US / 1000,
           (unsigned long long)(total / (line.written + 1)),
           (unsigned long long)(total / (line.one_by_one + 1)));
    transfer_source_free(&source);
    transfer_sink_free(&sink);
    buffer_fini(&names);
    buffer_fini(&question);
    buffer_fini(&answer);
}

int main(int argc, char **argv)
{
    uint64_t total = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) << 20;
    uint64_t messages = total / (PIECES_A_MESSAGE * PIECE + 400);

    if (argc < 2) {
        fprintf(stderr, "usage: bench-transfer FOLDER [MEGABYTES]\n");
        return 2;
    }
    CHECK(sodium_init() >= 0); /* the fast way to hash */
    struct db *from = place(argv[1], "from");
    struct db *to = place(argv[1], "to");
    fill(from, messages, 1, 7);
    copy("an empty receiver", from, to, total);
    copy("a receiver that has it all", from, to, total);
    fill(from, messages, 100, 8);
    copy("1 % of the messages changed", from, to, total);
    db_close(&from);
    db_close(&to);
    return 0;
}
