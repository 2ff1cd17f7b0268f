/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An account comes to this group: its rows, as the group that it leaves has them, but for the
 * numbers of bodies, which are this group's own. A row of the import table maps one to the
 * other and holds a reference, so that a body which rows come and go for is sent once.
 */
#include <endian.h>

#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "storage/machine/moving.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

/* What an import may write, and how long a key is behind the account. */
static const struct import_table {
    enum db_table table;
    size_t key_min;
    size_t key_max;
} import_tables[] = {
    [PR__IMPORT_TABLE__IMPORT_MAILBOX] = {TABLE_MAILBOX, 4, 4},
    [PR__IMPORT_TABLE__IMPORT_MAILBOX_NAME] = {TABLE_MAILBOX_NAME, 1, MAILBOX_NAME_SIZE_MAX},
    [PR__IMPORT_TABLE__IMPORT_KEYWORD] = {TABLE_KEYWORD, 8, 8},
    [PR__IMPORT_TABLE__IMPORT_MESSAGE] = {TABLE_MESSAGE, 8, 8},
    [PR__IMPORT_TABLE__IMPORT_UID_RANGE] = {TABLE_UID_RANGE, 8, 8},
    [PR__IMPORT_TABLE__IMPORT_DELETED] = {TABLE_DELETED, 8, 8},
    [PR__IMPORT_TABLE__IMPORT_CHANGE] = {TABLE_CHANGE, 12, 12},
    [PR__IMPORT_TABLE__IMPORT_EXPUNGED] = {TABLE_EXPUNGED, 16, 16},
    [PR__IMPORT_TABLE__IMPORT_SENDING] = {TABLE_SENDING, 0, 0},
};

/* NULL: none that this format knows. */
static const struct import_table *table_of(const struct apply *apply, const Pr__ImportRow *row)
{
    size_t number = (size_t)row->table;

    if (row->table <= PR__IMPORT_TABLE__IMPORT_NONE ||
        number >= sizeof(import_tables) / sizeof(*import_tables) ||
        (row->table == PR__IMPORT_TABLE__IMPORT_SENDING &&
         apply_format(apply) < FORMAT_ADDRESSES))
        return NULL;
    return &import_tables[number];
}

/* ---- room for the rows ---- */

/* Whether an import may replace what this group has of the account. Nothing that is in use: by
 * the directory an account is in the group that it moves from, which is another one. */
static bool replaceable(const struct account *account, bool moves,
                        const struct moving_record *moving)
{
    switch (account->state) {
    case ACCOUNT_NEW:
    case ACCOUNT_AWAY:
        return true;
    case ACCOUNT_THERE:
        return moves && (moving->state == MOVING_IN_DONE || moving->state == MOVING_OUT_FROZEN);
    default:
        return false;
    }
}

static void rows_clear(struct apply *apply, uint64_t account_id, struct moving_record *moving,
                       uint32_t limit)
{
    unsigned rows = limit < APPLY_PURGE_MAX ? limit : APPLY_PURGE_MAX;

    unsigned gone = account_rows_free(apply, account_id, rows);

    gone += doom_forget(apply, account_id, rows - gone);
    if (gone < rows)
        moving->state = MOVING_IN_ROWS;
    else
        apply_refuse(apply, ERR_BUSY, "there is more to free: again");
}

enum err apply_import_begin(struct apply *apply)
{
    const Pr__ImportBegin *call = apply->command->import_begin;
    struct moving_record moving;
    struct account account;
    bool moves;

    if (call->account_id == 0 || call->attempt == 0 || call->from == 0 ||
        call->from == apply->group || call->limit == 0)
        return apply_refuse(apply, ERR_INVALID, "an import of no account, or from group %u",
                            call->from);
    account_load(apply->txn, apply->group, call->account_id, &account);
    moves = moving_load(apply->txn, apply->group, account.id, &moving);
    if (moves && !moving_is_out(&moving) && moving.attempt == call->attempt) {
        if (moving.state != MOVING_IN_CLEAR)
            return ERR_OK;
    } else {
        if (account.state == ACCOUNT_GONE)
            return account_writable(apply, &account);
        if (call->attempt <= account.record.attempt)
            return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt");
        if (!replaceable(&account, moves, &moving))
            return apply_refuse(apply, ERR_EXISTS, "the account is in this group");
        account.state = ACCOUNT_AWAY;
        account.record = (struct account_record){
            .place = PLACE_IMPORTED, .peer = call->from, .attempt = call->attempt};
        account_store(apply->txn, &account);
        moving = (struct moving_record){.state = MOVING_IN_CLEAR,
                                        .peer = call->from,
                                        .attempt = call->attempt,
                                        .begun_ms = apply->command->time_ms};
    }
    rows_clear(apply, account.id, &moving, call->limit);
    moving_store(apply, account.id, &moving);
    return apply->outcome->err;
}

/* ---- rows ---- */

static bool blob_mapped(struct apply *apply, uint64_t account_id, uint64_t source,
                        uint64_t *blob)
{
    struct key key;
    struct bytes row;

    if (db_get(apply->txn, TABLE_IMPORT, key_import(&key, apply->group, account_id, source),
               &row) != ERR_OK)
        return false;
    if (!blob_id_decode(row, blob))
        db_fail(apply->txn, ERR_MALFORMED);
    return true;
}

static bool blob_known(struct apply *apply, uint64_t source)
{
    const Pr__ImportRows *call = apply->command->import_rows;
    uint64_t blob;

    for (size_t i = 0; i < call->n_bodies; i++)
        if (call->bodies[i]->source_blob == source)
            return true;
    return blob_mapped(apply, call->account_id, source, &blob);
}

static bool value_valid(struct apply *apply, const Pr__ImportRow *row, bool own_row)
{
    struct bytes value = bytes_of_field(row->value);
    struct message_record message;
    struct account_record account;
    struct mailbox_record mailbox;
    struct change_record change;
    struct sending_record sending;
    struct name_record name;
    struct bytes text;
    uint32_t uid;

    switch (row->table) {
    case PR__IMPORT_TABLE__IMPORT_MAILBOX:
        if (!own_row)
            return mailbox_decode(value, &mailbox);
        return account_decode(value, &account) && !account.gone &&
               (apply_format(apply) >= FORMAT_SCOPES ||
                (account.domain_id == 0 && account.tenant_id == 0));
    case PR__IMPORT_TABLE__IMPORT_MAILBOX_NAME:
        return name_decode(value, &name);
    case PR__IMPORT_TABLE__IMPORT_KEYWORD:
        return value.len >= 1 && value.len <= KEYWORD_SIZE_MAX + 1;
    case PR__IMPORT_TABLE__IMPORT_MESSAGE:
        return message_decode(value, &message) && blob_known(apply, message.blob);
    case PR__IMPORT_TABLE__IMPORT_UID_RANGE:
        return uid_decode(value, &uid);
    case PR__IMPORT_TABLE__IMPORT_DELETED:
        return value.len == 0;
    case PR__IMPORT_TABLE__IMPORT_CHANGE:
        return change_decode(value, &change);
    case PR__IMPORT_TABLE__IMPORT_EXPUNGED:
        return expunged_row_decode(value, &message, &text) && blob_known(apply, message.blob);
    case PR__IMPORT_TABLE__IMPORT_SENDING:
        return sending_decode(value, &sending);
    default:
        return false;
    }
}

/* The account's own row, which never goes. */
static bool is_own_row(const Pr__ImportRow *row)
{
    return row->table == PR__IMPORT_TABLE__IMPORT_MAILBOX && row->key.len == 4 &&
           key_last_u32(bytes_of_field(row->key)) == 0;
}

static enum err rows_check(struct apply *apply, const Pr__ImportRows *call)
{
    if (call->n_rows > IMPORT_ROWS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu rows; %d are the most", call->n_rows,
                            IMPORT_ROWS_MAX);
    for (size_t i = 0; i < call->n_rows; i++) {
        const Pr__ImportRow *row = call->rows[i];
        const struct import_table *table = table_of(apply, row);
        bool own_row = is_own_row(row);

        if (table == NULL || row->key.len < table->key_min || row->key.len > table->key_max ||
            (row->gone && own_row) || (!row->gone && !value_valid(apply, row, own_row)))
            return apply_refuse(apply, ERR_MALFORMED, "row %zu cannot be taken", i);
    }
    return ERR_OK;
}

static enum err bodies_check(struct apply *apply, const Pr__ImportRows *call,
                             struct blob_source *sources)
{
    unsigned uploaded = 0;
    enum err err;

    for (size_t i = 0; i < call->n_bodies; i++) {
        if ((err = blob_check(apply, call->bodies[i]->body, &sources[i])) != ERR_OK)
            return err;
        uploaded += sources[i].uploaded;
    }
    if (uploaded > 1)
        return apply_refuse(apply, ERR_INVALID, "two uploads in one command");
    return ERR_OK;
}

static void bodies_store(struct apply *apply, const Pr__ImportRows *call,
                         const struct blob_source *sources)
{
    for (size_t i = 0; i < call->n_bodies; i++) {
        uint64_t source = call->bodies[i]->source_blob;
        struct record row;
        struct key key;
        uint64_t blob;

        if (blob_mapped(apply, call->account_id, source, &blob))
            continue;
        blob_id_encode(blob_make(apply, call->bodies[i]->body, &sources[i], 1), &row);
        db_put(apply->txn, TABLE_IMPORT,
               key_import(&key, apply->group, call->account_id, source), record_bytes(&row));
    }
}

/* The body of a row that goes or is replaced; 0: there is no such row. */
static uint64_t blob_before(struct apply *apply, enum db_table table, struct bytes key)
{
    struct message_record message;
    struct bytes name;
    struct bytes row;

    if (db_get(apply->txn, table, key, &row) != ERR_OK)
        return 0;
    if (table == TABLE_MESSAGE ? message_decode(row, &message)
                               : expunged_row_decode(row, &message, &name))
        return message.blob;
    db_fail(apply->txn, ERR_MALFORMED);
    return 0;
}

/* A row that refers to a body, and is counted. */
static void row_with_body(struct apply *apply, const Pr__ImportRow *from, enum db_table table,
                          struct bytes key, struct moving_record *moving)
{
    uint64_t *count = table == TABLE_MESSAGE ? &moving->messages : &moving->expunged;
    uint64_t before = blob_before(apply, table, key);
    struct message_record message = {0};
    struct bytes name = bytes_from(NULL, 0);
    struct record row;

    if (!from->gone) {
        if (table == TABLE_MESSAGE)
            message_decode(bytes_of_field(from->value), &message);
        else
            expunged_row_decode(bytes_of_field(from->value), &message, &name);
        if (!blob_mapped(apply, apply->command->import_rows->account_id, message.blob,
                         &message.blob))
            db_fail(apply->txn, ERR_MALFORMED); /* it was checked */
        blob_reference(apply, message.blob);
        if (table == TABLE_MESSAGE)
            message_encode(&message, &row);
        else
            expunged_encode(&message, name, &row);
        db_put(apply->txn, table, key, record_bytes(&row));
        *count += before == 0;
    } else if (before != 0) {
        db_delete(apply->txn, table, key);
        (*count)--;
    }
    if (before != 0)
        blob_release(apply, before);
}

/* What the other group says of the place is of no use here. */
static void own_row_store(struct apply *apply, const Pr__ImportRow *from)
{
    struct account account;
    struct account_record taken;

    account_load(apply->txn, apply->group, apply->command->import_rows->account_id, &account);
    if (!account_decode(bytes_of_field(from->value), &taken))
        db_fail(apply->txn, ERR_MALFORMED); /* it was checked */
    taken.place = account.record.place;
    taken.peer = account.record.peer;
    taken.attempt = account.record.attempt;
    account.record = taken;
    account_store(apply->txn, &account);
}

static void row_store(struct apply *apply, const Pr__ImportRow *row,
                      struct moving_record *moving)
{
    enum db_table table = table_of(apply, row)->table;
    struct key at;
    struct bytes key = key_of_account(
        &at, apply->group, apply->command->import_rows->account_id, bytes_of_field(row->key));

    if (is_own_row(row))
        own_row_store(apply, row);
    else if (table == TABLE_MESSAGE || table == TABLE_EXPUNGED)
        row_with_body(apply, row, table, key, moving);
    else if (row->gone)
        db_delete(apply->txn, table, key);
    else
        db_put(apply->txn, table, key, bytes_of_field(row->value));
}

/* Whether the import of that attempt is under way; refuses else. */
static enum err import_load(struct apply *apply, uint64_t account_id, uint64_t attempt,
                            struct moving_record *moving)
{
    if (!moving_load(apply->txn, apply->group, account_id, moving) || moving_is_out(moving) ||
        moving->attempt != attempt || moving->state == MOVING_IN_CLEAR)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt, or an end");
    return ERR_OK;
}

enum err apply_import_rows(struct apply *apply)
{
    const Pr__ImportRows *call = apply->command->import_rows;
    struct blob_source *sources =
        arena_alloc(apply->arena, (call->n_bodies + 1) * sizeof(*sources));
    struct moving_record moving;
    enum err err;

    if ((err = import_load(apply, call->account_id, call->attempt, &moving)) != ERR_OK)
        return err;
    if (call->sequence <= moving.sequence)
        return ERR_OK; /* it came before, by another way */
    if (moving.state != MOVING_IN_ROWS || call->sequence != moving.sequence + 1)
        return apply_refuse(apply, ERR_CONFLICT, "rows %llu after %llu",
                            (unsigned long long)call->sequence,
                            (unsigned long long)moving.sequence);
    if ((err = bodies_check(apply, call, sources)) != ERR_OK ||
        (err = rows_check(apply, call)) != ERR_OK)
        return err;
    bodies_store(apply, call, sources);
    for (size_t i = 0; i < call->n_rows; i++)
        row_store(apply, call->rows[i], &moving);
    moving.sequence = call->sequence;
    moving_store(apply, call->account_id, &moving);
    return ERR_OK;
}

/* ---- the end ---- */

static enum err import_done(struct apply *apply, struct moving_record *moving)
{
    const Pr__ImportEnd *call = apply->command->import_end;
    struct account account;

    if (moving->state == MOVING_IN_DONE)
        return ERR_OK;
    account_load(apply->txn, apply->group, call->account_id, &account);
    if (call->sequence != moving->sequence || account.record.mailboxes == 0 ||
        moving->messages != account.record.messages ||
        moving->expunged != account.record.expunged)
        return apply_refuse(apply, ERR_MALFORMED,
                            "%llu messages and %llu expunged; there must be %llu and %llu",
                            (unsigned long long)moving->messages,
                            (unsigned long long)moving->expunged,
                            (unsigned long long)account.record.messages,
                            (unsigned long long)account.record.expunged);
    /* Nobody writes to it before the directory says that it is here: until then the attempt can
     * still be given up. */
    account.record.place = apply_format(apply) >= FORMAT_ADDRESSES ? PLACE_FROZEN : PLACE_HERE;
    account_store(apply->txn, &account);
    moving->state = MOVING_IN_DONE;
    moving_store(apply, account.id, moving);
    return ERR_OK;
}

/* The directory says that the account is here. */
static enum err import_settled(struct apply *apply, const struct moving_record *moving)
{
    struct account account;

    if (moving->state != MOVING_IN_DONE)
        return apply_refuse(apply, ERR_CONFLICT, "not all rows are here");
    account_load(apply->txn, apply->group, apply->command->import_end->account_id, &account);
    if (account.record.place == PLACE_FROZEN) {
        account.record.place = PLACE_HERE;
        account_store(apply->txn, &account);
    }
    moving_delete(apply, account.id);
    doom_import(apply, account.id);
    return ERR_OK;
}

/* Nothing of it was ever used here. */
static enum err import_dropped(struct apply *apply, struct moving_record *moving)
{
    const Pr__ImportEnd *call = apply->command->import_end;
    struct account account;
    struct moving_record clearing = *moving;

    account_load(apply->txn, apply->group, call->account_id, &account);
    account.state = ACCOUNT_AWAY;
    account.record = (struct account_record){
        .place = PLACE_ELSEWHERE, .peer = moving->peer, .attempt = moving->attempt};
    account_store(apply->txn, &account);
    clearing.state = MOVING_IN_CLEAR;
    rows_clear(apply, account.id, &clearing, call->limit);
    if (clearing.state == MOVING_IN_CLEAR)
        moving_store(apply, account.id, &clearing);
    else
        moving_delete(apply, account.id);
    return apply->outcome->err;
}

enum err apply_import_end(struct apply *apply)
{
    const Pr__ImportEnd *call = apply->command->import_end;
    struct moving_record moving;
    enum err err;

    if (call->kind == PR__IMPORT_END__KIND__DONE) {
        if ((err = import_load(apply, call->account_id, call->attempt, &moving)) != ERR_OK)
            return err;
        return import_done(apply, &moving);
    }
    if (!moving_load(apply->txn, apply->group, call->account_id, &moving) ||
        moving_is_out(&moving))
        return ERR_OK; /* ended before */
    if (moving.attempt != call->attempt)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt");
    if (call->kind == PR__IMPORT_END__KIND__DROPPED) {
        if (call->limit == 0)
            return apply_refuse(apply, ERR_INVALID, "an end that frees nothing");
        return import_dropped(apply, &moving);
    }
    if (call->kind != PR__IMPORT_END__KIND__SETTLED)
        return apply_refuse(apply, ERR_UNSUPPORTED, "an end that is not known");
    return import_settled(apply, &moving);
}
