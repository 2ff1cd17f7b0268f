/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>
#include <stdlib.h>
#include <zstd.h>

#include "storage/db/key.h"
#include "storage/machine/blob.h"
#include "storage/query/scrub.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 4, BODIES = 12, BIG = 3 * BODY_BLOCK_SIZE + 1000 };

/* The rows of a body with the given id, as the machine makes them. */
static void body_put(struct lab *lab, uint64_t blob, size_t size, uint64_t seed)
{
    struct blob_record record = {.references = 1, .size = size};
    struct apply apply = {.group = GROUP};
    uint8_t *plain = malloc(size + 1);
    uint8_t *frame = malloc(ZSTD_compressBound(BODY_BLOCK_SIZE));
    struct record row;
    struct key key;

    assert_non_null(plain);
    assert_non_null(frame);
    for (size_t i = 0; i < size; i++)
        plain[i] = (uint8_t)(i % 3 == 0 ? lab_random(&seed, 256) : 'a');
    crypto_generichash(record.digest, sizeof(record.digest), plain, size, NULL, 0);
    apply.txn = db_write_begin(lab->db);
    for (size_t at = 0; at < size; at += BODY_BLOCK_SIZE) {
        size_t part = size - at < BODY_BLOCK_SIZE ? size - at : BODY_BLOCK_SIZE;
        size_t len =
            ZSTD_compress(frame, ZSTD_compressBound(BODY_BLOCK_SIZE), plain + at, part, 1);
        assert_false(ZSTD_isError(len));
        blob_block_put(&apply, blob, record.blocks++, bytes_from(frame, len));
    }
    blob_encode(&record, &row);
    db_put(apply.txn, TABLE_BLOB, key_number(&key, GROUP, blob), record_bytes(&row));
    assert_int_equal(db_commit(&apply.txn), ERR_OK);
    free(plain);
    free(frame);
}

static size_t size_of(uint64_t blob)
{
    return blob % 4 == 0 ? BIG : (size_t)(blob * 997);
}

static void fill(struct lab *lab)
{
    for (uint64_t blob = 1; blob <= BODIES; blob++)
        body_put(lab, blob, size_of(blob), blob);
}

/* Runs to the end in steps of `bytes`; which blobs are bad, as bits. */
static unsigned scrub_all(struct lab *lab, size_t bytes, struct scrub_counts *counts)
{
    struct scrub *scrub = scrub_new(GROUP, 0);
    enum scrub_state state;
    unsigned bad = 0;

    do {
        struct db_txn *txn = db_read_begin(lab->db);
        state = scrub_step(scrub, txn, bytes);
        assert_int_equal(db_commit(&txn), ERR_OK);
        if (state == SCRUB_BAD)
            bad |= 1U << scrub_blob(scrub);
    } while (state != SCRUB_END);
    scrub_counts(scrub, counts);
    scrub_free(&scrub);
    return bad;
}

/* One piece of a body: a bit changes, or the piece goes. */
static void damage(struct lab *lab, uint64_t blob, uint32_t block, uint16_t piece, bool gone)
{
    struct db_txn *txn = db_write_begin(lab->db);
    struct key key;
    struct bytes value;
    struct bytes at = key_block(&key, GROUP, blob, block, piece);
    uint8_t copy[BLOB_PIECE_SIZE];

    assert_int_equal(db_get(txn, TABLE_BLOCK, at, &value), ERR_OK);
    memcpy(copy, value.at, value.len);
    copy[value.len / 2] ^= 1;
    if (gone)
        db_delete(txn, TABLE_BLOCK, at);
    else
        db_put(txn, TABLE_BLOCK, at, bytes_from(copy, value.len));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void damage_is_found_wherever_it_is(void **state)
{
    struct lab lab;
    struct scrub_counts counts;
    (void)state;

    lab_open(&lab);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 0);
    fill(&lab);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 0);
    assert_int_equal(counts.blobs, BODIES);
    damage(&lab, 3, 0, 0, false);
    damage(&lab, 8, 2, 3, false);
    damage(&lab, 12, 3, 0, true);
    body_put(&lab, 5, size_of(5) - 1, 5); /* other bytes under the old digest */
    struct blob_record record;
    struct db_txn *txn = db_write_begin(lab.db);
    struct record row;
    struct key key;
    assert_true(blob_load(txn, GROUP, 5, &record));
    record.digest[31] ^= 1;
    blob_encode(&record, &row);
    db_put(txn, TABLE_BLOB, key_number(&key, GROUP, 5), record_bytes(&row));
    assert_int_equal(db_commit(&txn), ERR_OK);
    for (size_t bytes = 2000; bytes < 1 << 21; bytes *= 8)
        assert_int_equal(scrub_all(&lab, bytes, &counts),
                         1U << 3 | 1U << 5 | 1U << 8 | 1U << 12);
    lab_close(&lab);
}

/* Wherever a pass is left, another one goes on: each body is looked at, and a body that was
 * begun is begun anew. */
static void it_goes_on_where_another_was(void **state)
{
    struct lab lab;
    (void)state;

    lab_open(&lab);
    fill(&lab);
    for (uint64_t bad = 1; bad <= BODIES; bad += 3)
        damage(&lab, bad, 0, 0, false);
    unsigned found = 0;
    uint64_t blobs = 0;
    uint64_t from = 0;
    enum scrub_state end = SCRUB_MORE;
    while (end != SCRUB_END) {
        struct scrub *scrub = scrub_new(GROUP, from);
        struct scrub_counts counts;
        uint64_t before = from;
        do {
            struct db_txn *txn = db_read_begin(lab.db);
            end = scrub_step(scrub, txn, 1100);
            assert_int_equal(db_commit(&txn), ERR_OK);
            if (end == SCRUB_BAD)
                found |= 1U << scrub_blob(scrub);
            from = scrub_done(scrub);
        } while (from == before && end != SCRUB_END);
        scrub_counts(scrub, &counts);
        blobs += counts.blobs;
        scrub_free(&scrub);
    }
    assert_int_equal(found, 1U << 1 | 1U << 4 | 1U << 7 | 1U << 10);
    assert_int_equal(blobs, BODIES);
    lab_close(&lab);
}

/* Plays the other node: its blocks, one by one. */
static enum scrub_outcome repair_from(struct lab *lab, struct lab *other, uint64_t blob)
{
    struct scrub_repair *repair = scrub_repair_new(GROUP, blob);
    struct db_txn *theirs = db_read_begin(other->db);
    struct db_txn *ours = db_read_begin(lab->db);
    enum scrub_outcome outcome;
    bool more = true;

    while (more) {
        struct buffer frame = BUFFER_EMPTY;
        struct key prefix;
        struct bytes key;
        struct bytes piece;
        struct bytes start =
            key_block(&prefix, GROUP, blob, scrub_repair_next_block(repair), 0);
        start.len -= 2;
        struct db_cursor *cursor = db_cursor_open(theirs, TABLE_BLOCK, start);
        for (bool next = db_cursor_first(cursor, &key, &piece); next;
             next = db_cursor_next(cursor, &key, &piece))
            buffer_add(&frame, piece);
        db_cursor_close(&cursor);
        more = buffer_len(&frame) > 0 && scrub_repair_block(repair, ours, buffer_bytes(&frame));
        buffer_fini(&frame);
    }
    db_abort(&theirs);
    db_abort(&ours);
    struct db_txn *txn = db_write_begin(lab->db);
    outcome = scrub_repair_write(repair, txn);
    assert_int_equal(db_commit(&txn), ERR_OK);
    scrub_repair_free(&repair);
    return outcome;
}

static void a_body_is_repaired_byte_for_byte(void **state)
{
    struct lab lab;
    struct lab other;
    struct scrub_counts counts;
    uint8_t before[32];
    uint8_t after[32];
    struct db_txn *txn;
    (void)state;

    lab_open(&lab);
    lab_open(&other);
    fill(&lab);
    fill(&other);
    txn = db_read_begin(lab.db);
    machine_digest(txn, GROUP, before);
    db_abort(&txn);
    damage(&lab, 4, 1, 2, true);
    damage(&lab, 4, 3, 0, false);
    damage(&lab, 7, 0, 0, false);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 1U << 4 | 1U << 7);
    assert_int_equal(repair_from(&lab, &other, 4), SCRUB_REPAIRED);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 1U << 7);
    damage(&other, 7, 0, 0, false);
    assert_int_equal(repair_from(&lab, &other, 7), SCRUB_USELESS);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 1U << 7);
    damage(&other, 7, 0, 0, false); /* the same bit: as it was */
    assert_int_equal(repair_from(&lab, &other, 7), SCRUB_REPAIRED);
    assert_int_equal(scrub_all(&lab, 1 << 20, &counts), 0);
    txn = db_read_begin(lab.db);
    machine_digest(txn, GROUP, after);
    db_abort(&txn);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(repair_from(&lab, &other, 99), SCRUB_GONE);
    lab_close(&lab);
    lab_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found_wherever_it_is),
        cmocka_unit_test(it_goes_on_where_another_was),
        cmocka_unit_test(a_body_is_repaired_byte_for_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
