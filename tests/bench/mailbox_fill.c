/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fills an INBOX of a node that does not run, through the mail machine, without its log:
 *
 *     bench-mailbox-fill DATA-FOLDER GROUP ACCOUNT-ID MESSAGES
 *
 * The group's applied index is put back to what it was, so that the node goes on with its log
 * as if the messages had always been there. Only for a cluster of one node: another one's
 * state would differ.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/base/check.h"
#include "node/mail/summary.h"
#include "storage/client/body_block.h"
#include "storage/db/key.h"
#include "storage/machine/machine.h"
#include "storage/machine/record.h"
#include "storage/schema/entry.h"

enum { BATCH = 1000, BODIES = 64, LANES_MAX = 64 };
#define MAP_BYTES ((uint64_t)16 << 30)

static const char words[][12] = {"meeting", "invoice", "report", "holiday",
                                 "server",  "lunch",   "plan",   "contract"};

/* A message of some 600 bytes, ready to be delivered. */
static void body_make(unsigned number, struct body_codec *codec, struct arena *arena,
                      Pr__Body *body)
{
    struct mail_scanner *scanner = mail_scanner_new();
    struct mail_summary summary;
    struct buffer frame = BUFFER_EMPTY;
    uint8_t *digest = arena_alloc(arena, 32);
    struct bytes text = bytes_of(arena_printf(
        arena,
        "From: Sender %u <sender%u@client.test>\r\nTo: Reader <reader@example.test>\r\n"
        "Subject: %s of %s number %u\r\nDate: Mon, 2 Nov 2026 10:%02u:00 +0000\r\n"
        "Message-ID: <bench.%u@client.test>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        "Hello,\r\n\r\nthis is the %s that we talked about: number %u. Please look at the "
        "%s\r\n"
        "and tell me by Friday what you think of the %s.\r\n\r\nRegards\r\n",
        number, number, words[number % 8], words[number / 8 % 8], number, number % 60, number,
        words[number % 8], number * 977, words[(number + 3) % 8], words[(number + 5) % 8]));

    mail_scanner_feed(scanner, text);
    mail_scanner_finish(scanner, arena, &summary);
    CHECK(crypto_generichash(digest, 32, text.at, text.len, NULL, 0) == 0);
    body_block_compress(codec, text, &frame);
    pr__body__init(body);
    body->size = text.len;
    body->block_count = 1;
    body->blocks = arena_alloc(arena, sizeof(*body->blocks));
    body->blocks[0] = field_of_bytes(arena_copy(arena, buffer_bytes(&frame)));
    body->n_blocks = 1;
    body->digest = field_of_bytes(bytes_from(digest, 32));
    body->summary = field_of_bytes(mail_summary_encode(&summary, arena));
    buffer_fini(&frame);
    mail_scanner_free(&scanner);
}

static void entry_make(uint64_t account_id, Pr__Body *body, struct buffer *entry)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Recipient recipient = PR__RECIPIENT__INIT;
    Pr__Recipient *recipients[] = {&recipient};

    recipient.account_id = account_id;
    deliver.body = body;
    deliver.recipients = recipients;
    deliver.n_recipients = 1;
    command.time_ms = 1793000000000;
    command.call_case = PR__COMMAND__CALL_DELIVER;
    command.deliver = &deliver;
    entry_encode(&command, entry);
}

static void group_get(struct db_txn *txn, uint32_t group, struct group_record *record)
{
    struct key key;
    struct bytes row;

    CHECK(db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK);
    CHECK(group_decode(row, record));
}

/* One transaction; the applied index is afterwards what it was before. */
static void batch_apply(struct db *db, uint32_t group, const struct buffer *entries,
                        unsigned count)
{
    struct db_txn *txn = db_write_begin(db);
    struct group_record before;
    struct group_record after;
    struct record row;
    struct key key;
    struct arena arena;

    arena_init(&arena);
    group_get(txn, group, &before);
    for (unsigned i = 0; i < count; i++) {
        struct machine_events events = {0};
        struct bytes reply;
        machine_apply(txn, group, before.applied + 1 + i, before.term,
                      buffer_bytes(&entries[i % BODIES]), &arena, &reply, &events);
    }
    group_get(txn, group, &after);
    after.applied = before.applied;
    group_encode(&after, &row);
    db_put(txn, TABLE_META, key_group(&key, group), record_bytes(&row));
    CHECK(db_commit(&txn) == ERR_OK);
    arena_fini(&arena);
}

static struct db *lane_open(const char *folder, uint32_t group)
{
    char path[4096];
    struct stat there;
    struct db *db = NULL;
    unsigned lanes = 0;

    for (; lanes < LANES_MAX; lanes++) {
        snprintf(path, sizeof(path), "%s/state-%u", folder, lanes);
        if (stat(path, &there) != 0)
            break;
    }
    CHECK(lanes > 0);
    snprintf(path, sizeof(path), "%s/state-%u", folder, group % lanes);
    CHECK(db_open(path, MAP_BYTES, &db) == ERR_OK);
    return db;
}

static uint64_t number(const char *text)
{
    uint64_t value;

    CHECK(bytes_to_u64(bytes_of(text), &value));
    return value;
}

int main(int argc, char **argv)
{
    static struct buffer entries[BODIES];
    struct body_codec *codec = body_codec_new();
    struct arena arena;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-mailbox-fill DATA-FOLDER GROUP ACCOUNT-ID MESSAGES\n");
        return 2;
    }
    CHECK(sodium_init() >= 0);
    uint32_t group = (uint32_t)number(argv[2]);
    uint64_t left = number(argv[4]);
    struct db *db = lane_open(argv[1], group);
    arena_init(&arena);
    for (unsigned i = 0; i < BODIES; i++) {
        Pr__Body body;
        body_make(i, codec, &arena, &body);
        entry_make(number(argv[3]), &body, &entries[i]);
    }
    while (left > 0) {
        unsigned count = left < BATCH ? (unsigned)left : BATCH;
        batch_apply(db, group, entries, count);
        left -= count;
    }
    for (unsigned i = 0; i < BODIES; i++)
        buffer_fini(&entries[i]);
    arena_fini(&arena);
    body_codec_free(&codec);
    db_close(&db);
    return 0;
}
