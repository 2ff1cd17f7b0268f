/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/transfer/copying.h"

#include <time.h>

#include "node/base/check.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "tests/unit/storage/lab.h"

const struct transfer_limits copying_small = {
    .leaf_bytes = 300,
    .read_bytes = 6000,
    .rows_bytes = 2000,
    .changes_bytes = 800,
    .last_bytes = 6000,
    .write_bytes = 1500,
    .keys_bytes = (size_t)1 << 20,
    .read_ms = 500,
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void copying_digest(struct db *db, uint32_t group, uint8_t digest[32])
{
    struct db_txn *txn = db_read_begin(db);

    machine_digest(txn, group, digest);
    CHECK(db_commit(&txn) == ERR_OK);
}

static bool is_partial(struct db *db, uint32_t group)
{
    struct db_txn *txn = db_read_begin(db);
    bool partial = local_partial(txn, group, NULL);

    CHECK(db_commit(&txn) == ERR_OK);
    return partial;
}

void copying_open(struct copying *copying, struct db *from, struct db *to, uint32_t group,
                  const struct transfer_limits *limits, uint64_t *seed)
{
    struct transfer_sink_config sink = {
        .db = to, .group = group, .source = 7, .limits = limits, .now_ms = now_ms};
    struct transfer_source_config source = {
        .db = from, .group = group, .limits = limits, .now_ms = now_ms};
    struct buffer names = BUFFER_EMPTY;
    struct transfer_tables tables;

    *copying = (struct copying){.from = from, .to = to, .group = group};
    for (unsigned i = 0; i < TRANSFER_SEED_SIZE; i++)
        sink.seed[i] = source.seed[i] = (uint8_t)lab_random(seed, 256);
    if (limits == NULL && lab_random(seed, 4) != 0)
        sink.limits = source.limits = &copying_small;
    transfer_tables_own(&tables);
    transfer_tables_encode(&tables, &names);
    source.tables = buffer_bytes(&names);
    CHECK(transfer_source_new(&source, &copying->source) == ERR_OK);
    copying->sink = transfer_sink_new(&sink);
    buffer_fini(&names);
}

static void ask(struct copying *copying)
{
    buffer_clear(&copying->question);
    CHECK(transfer_sink_question(copying->sink, &copying->question) == ERR_OK);
}

/* The source's part. */
static void answer(struct copying *copying)
{
    struct transfer_item item;
    struct bytes items;
    bool last = false;

    buffer_clear(&copying->reply);
    CHECK(transfer_source_answer(copying->source, buffer_bytes(&copying->question),
                                 &copying->reply) == ERR_OK);
    CHECK(transfer_answer_open(buffer_bytes(&copying->reply), &items) == ERR_OK);
    while (transfer_item_next(&items, &item) == ERR_OK)
        last = item.kind == TRANSFER_LAST;
    if (last)
        copying_digest(copying->from, copying->group, copying->digest);
}

/* Every other time the next question goes out, and is answered, before this is written. */
static void take(struct copying *copying)
{
    struct buffer reply = copying->answer;

    copying->answer = copying->reply;
    copying->reply = reply;
    CHECK(transfer_sink_receive(copying->sink, buffer_bytes(&copying->answer)) == ERR_OK);
    copying->next = COPY_WRITE;
    copying->ahead = copying->steps % 2 == 0 && !transfer_sink_last(copying->sink);
    if (copying->ahead) {
        ask(copying);
        answer(copying);
    }
}

static void write(struct copying *copying)
{
    bool more = false;

    CHECK(is_partial(copying->to, copying->group));
    CHECK(transfer_sink_write(copying->sink, &more) == ERR_OK);
    if (!more)
        copying->next = COPY_ASK;
    if (transfer_sink_done(copying->sink, &copying->index))
        copying->next = COPY_DONE;
    else if (!more && copying->ahead)
        take(copying);
}

bool copying_step(struct copying *copying)
{
    copying->steps++;
    CHECK(copying->steps < 1000000);
    switch (copying->next) {
    case COPY_BEGIN:
        CHECK(transfer_sink_begin(copying->sink) == ERR_OK);
        copying->next = COPY_ASK;
        break;
    case COPY_ASK:
        ask(copying);
        copying->next = COPY_ANSWER;
        break;
    case COPY_ANSWER:
        answer(copying);
        take(copying);
        break;
    case COPY_WRITE:
        write(copying);
        break;
    case COPY_DONE:
        break;
    }
    return copying->next != COPY_DONE;
}

void copying_close(struct copying *copying)
{
    transfer_source_free(&copying->source);
    transfer_sink_free(&copying->sink);
    buffer_fini(&copying->question);
    buffer_fini(&copying->answer);
    buffer_fini(&copying->reply);
}

void copying_check(struct copying *copying)
{
    uint8_t digest[32];
    struct db_txn *txn;

    CHECK(copying->next == COPY_DONE);
    CHECK(!is_partial(copying->to, copying->group));
    copying_digest(copying->to, copying->group, digest);
    CHECK(memcmp(digest, copying->digest, sizeof(digest)) == 0);
    txn = db_read_begin(copying->to);
    CHECK(machine_applied(txn, copying->group) == copying->index);
    CHECK(db_commit(&txn) == ERR_OK);
}
