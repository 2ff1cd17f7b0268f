/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/greylist.h"

#include "storage/machine/record_row.h"
#include "storage/schema/entry.h"

void greylist_encode(const struct greylist_record *greylist, struct record *record)
{
    record_begin(record);
    put_u8(record, greylist->passed);
    put_u64(record, greylist->first_ms);
    put_u64(record, greylist->seen_ms);
    put_u64(record, greylist->expires_ms);
    put_u64(record, greylist->indexed_ms);
}

bool greylist_decode(struct bytes row, struct greylist_record *greylist)
{
    struct reader reader = reader_begin(row);

    greylist->passed = get_bool(&reader);
    greylist->first_ms = get_u64(&reader);
    greylist->seen_ms = get_u64(&reader);
    greylist->expires_ms = get_u64(&reader);
    greylist->indexed_ms = get_u64(&reader);
    return reader_done(&reader);
}

/* ---- rows ---- */

/* The row, expired or not. */
static bool row_load(struct db_txn *txn, uint32_t group, struct bytes digest,
                     struct greylist_record *greylist)
{
    struct key key;
    struct bytes row;

    *greylist = (struct greylist_record){0};
    if (db_get(txn, TABLE_GREYLIST, key_greylist(&key, group, digest), &row) != ERR_OK)
        return false;
    if (!greylist_decode(row, greylist))
        db_fail(txn, ERR_MALFORMED);
    return true;
}

bool greylist_load(struct db_txn *txn, uint32_t group, struct bytes digest, uint64_t now_ms,
                   struct greylist_record *greylist)
{
    return row_load(txn, group, digest, greylist) && greylist->expires_ms > now_ms;
}

static void row_store(struct apply *apply, struct bytes digest,
                      const struct greylist_record *greylist)
{
    struct key key;
    struct record row;

    greylist_encode(greylist, &row);
    db_put(apply->txn, TABLE_GREYLIST, key_greylist(&key, apply->group, digest),
           record_bytes(&row));
}

static void due_put(struct apply *apply, uint64_t time_ms, struct bytes digest)
{
    struct key key;

    db_put(apply->txn, TABLE_GREYLIST, key_greylist_due(&key, apply->group, time_ms, digest),
           bytes_from(NULL, 0));
}

static void due_delete(struct apply *apply, uint64_t time_ms, struct bytes digest)
{
    struct key key;

    db_delete(apply->txn, TABLE_GREYLIST,
              key_greylist_due(&key, apply->group, time_ms, digest));
}

/* ---- the order of expiry ---- */

struct due {
    uint64_t time_ms;
    uint8_t digest[GREYLIST_KEY_SIZE];
};

static bool due_first(struct apply *apply, struct due *due)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_GREYLIST, key_greylist_all_due(&prefix, apply->group));
    bool found = db_cursor_first(cursor, &key, &row);

    if (found && key.len != prefix.len + sizeof(due->time_ms) + sizeof(due->digest)) {
        db_fail(apply->txn, ERR_MALFORMED);
        found = false;
    }
    if (found) {
        due->time_ms = key_last_u64(bytes_from(key.at, key.len - sizeof(due->digest)));
        memcpy(due->digest, key.at + key.len - sizeof(due->digest), sizeof(due->digest));
    }
    db_cursor_close(&cursor);
    return found;
}

/* The first row of the order: its key goes when it expires at that time, or when it must go
 * anyway; else the row is put where it belongs. Returns whether the key went. */
static bool due_settle(struct apply *apply, const struct due *due, bool must)
{
    struct bytes digest = bytes_from(due->digest, sizeof(due->digest));
    struct greylist_record greylist;
    struct key key;

    if (!row_load(apply->txn, apply->group, digest, &greylist)) {
        db_fail(apply->txn, ERR_MALFORMED); /* an order of what is not there */
        return false;
    }
    due_delete(apply, due->time_ms, digest);
    if (greylist.expires_ms <= due->time_ms || must) {
        db_delete(apply->txn, TABLE_GREYLIST, key_greylist(&key, apply->group, digest));
        apply->record.greylist--;
        return true;
    }
    greylist.indexed_ms = greylist.expires_ms;
    row_store(apply, digest, &greylist);
    due_put(apply, greylist.indexed_ms, digest);
    return false;
}

void greylist_step(struct apply *apply)
{
    uint64_t now_ms = apply_clock_ms(apply);
    struct due due;

    if (apply->record.greylist == 0 || now_ms < apply->record.greylist_due_ms)
        return;
    for (unsigned rows = 0; rows < GREYLIST_STEP_ROWS; rows++) {
        if (!due_first(apply, &due)) {
            apply->record.greylist_due_ms = 0;
            return;
        }
        apply->record.greylist_due_ms = due.time_ms;
        if (due.time_ms > now_ms)
            return;
        due_settle(apply, &due, false);
    }
}

static void make_room(struct apply *apply)
{
    struct due due;

    for (unsigned looks = 1; apply->record.greylist >= GREYLIST_ROWS_MAX; looks++)
        if (!due_first(apply, &due) || due_settle(apply, &due, looks == GREYLIST_LOOKS_MAX))
            return;
}

/* ---- the command ---- */

static uint64_t later(uint64_t time_ms, uint64_t by_ms)
{
    return by_ms < UINT64_MAX - time_ms ? time_ms + by_ms : UINT64_MAX;
}

static enum err seen_check(struct apply *apply, const Pr__GreylistSeen *call)
{
    if (call->key.len != GREYLIST_KEY_SIZE)
        return apply_refuse(apply, ERR_INVALID, "a key of %zu bytes", call->key.len);
    if (call->keep_ms == 0 || call->passed_keep_ms == 0 ||
        call->keep_ms > GREYLIST_KEEP_MAX_MS || call->passed_keep_ms > GREYLIST_KEEP_MAX_MS)
        return apply_refuse(apply, ERR_INVALID, "keys kept for %llu and %llu ms",
                            (unsigned long long)call->keep_ms,
                            (unsigned long long)call->passed_keep_ms);
    return ERR_OK;
}

enum err apply_greylist_seen(struct apply *apply)
{
    const Pr__GreylistSeen *call = apply->command->greylist_seen;
    struct bytes digest = bytes_of_field(call->key);
    uint64_t now_ms = apply_clock_ms(apply);
    struct greylist_record greylist;
    bool known;
    enum err err;

    if ((err = seen_check(apply, call)) != ERR_OK)
        return err;
    known = row_load(apply->txn, apply->group, digest, &greylist);
    if (!known || greylist.expires_ms <= now_ms) {
        greylist.passed = false;
        greylist.first_ms = now_ms;
    }
    if (now_ms >= greylist.first_ms && now_ms - greylist.first_ms >= call->wait_ms)
        greylist.passed = true;
    greylist.seen_ms = now_ms;
    greylist.expires_ms = later(now_ms, greylist.passed ? call->passed_keep_ms : call->keep_ms);
    if (!known)
        make_room(apply);
    else if (greylist.expires_ms < greylist.indexed_ms)
        due_delete(apply, greylist.indexed_ms, digest);
    if (!known || greylist.expires_ms < greylist.indexed_ms) {
        greylist.indexed_ms = greylist.expires_ms;
        due_put(apply, greylist.indexed_ms, digest);
        if (apply->record.greylist == 0 || greylist.indexed_ms < apply->record.greylist_due_ms)
            apply->record.greylist_due_ms = greylist.indexed_ms;
    }
    apply->record.greylist += !known;
    row_store(apply, digest, &greylist);
    apply->outcome->id = greylist.first_ms;
    if (greylist.passed)
        return ERR_OK;
    return apply_refuse(apply, ERR_BUSY, "%llu of %llu ms since it was seen first",
                        (unsigned long long)(now_ms - greylist.first_ms),
                        (unsigned long long)call->wait_ms);
}
