/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/account.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/map.h"
#include "storage/machine/blob.h"
#include "storage/machine/moving.h"
#include "storage/transfer/account_body.h"
#include "storage/transfer/changes.h"

/*
 * The order of the rows, and what they are called in a command. Why the copy is whole is told
 * in source.c: `recorded` gets a key before its transaction commits, and a key is forgotten
 * only when the transaction that it was read in sees its last writer.
 */
static const struct copied_table {
    enum db_table table;
    Pr__ImportTable name;
} copied_tables[] = {
    {TABLE_MAILBOX_NAME, PR__IMPORT_TABLE__IMPORT_MAILBOX_NAME},
    {TABLE_KEYWORD, PR__IMPORT_TABLE__IMPORT_KEYWORD},
    {TABLE_MESSAGE, PR__IMPORT_TABLE__IMPORT_MESSAGE},
    {TABLE_UID_RANGE, PR__IMPORT_TABLE__IMPORT_UID_RANGE},
    {TABLE_DELETED, PR__IMPORT_TABLE__IMPORT_DELETED},
    {TABLE_CHANGE, PR__IMPORT_TABLE__IMPORT_CHANGE},
    {TABLE_EXPUNGED, PR__IMPORT_TABLE__IMPORT_EXPUNGED},
    {TABLE_SENDING, PR__IMPORT_TABLE__IMPORT_SENDING},
    {TABLE_MAILBOX, PR__IMPORT_TABLE__IMPORT_MAILBOX},
};
enum { TABLES = sizeof(copied_tables) / sizeof(*copied_tables) };

struct account_copy {
    struct account_copy_config config;
    struct db_watch *watch;
    pthread_mutex_t lock;
    struct transfer_changes *recorded; /* under `lock` */
    bool lost;                         /* under `lock`: more keys than can be kept */
    struct transfer_changes *pending;
    struct transfer_position at; /* rows up to here went; its table is a place in the list */
    struct map sent;             /* blobs */
    struct account_upload upload;
    struct account_copy_look look;
};

/* One command in the making. */
struct making {
    struct account_copy *copy;
    struct db_txn *txn;
    struct arena *arena;
    Pr__ImportRows *rows;
    size_t bytes;
    bool full;
};

/* ---- what is written meanwhile ---- */

static int place_of(enum db_table table)
{
    for (int i = 0; i < TABLES; i++)
        if (copied_tables[i].table == table)
            return i;
    return -1;
}

static void on_changed(void *context, uint64_t txn_number, enum db_table table,
                       struct bytes key)
{
    struct account_copy *copy = context;
    int place = place_of(table);

    if (place < 0 || key.len < 12 ||
        key_last_u64(bytes_from(key.at, 12)) != copy->config.account_id)
        return;
    pthread_mutex_lock(&copy->lock);
    if (!copy->lost) {
        const struct transfer_change change = {txn_number, (unsigned)place, key};
        transfer_changes_add(copy->recorded, &change);
        copy->lost = transfer_changes_bytes(copy->recorded) > ACCOUNT_COPY_KEYS_BYTES / 2;
        if (copy->lost)
            transfer_changes_free(&copy->recorded);
    }
    pthread_mutex_unlock(&copy->lock);
}

static enum err changes_take(struct account_copy *copy)
{
    struct transfer_changes *fresh = transfer_changes_new(copy->config.seed);
    struct transfer_changes *taken = NULL;
    struct transfer_change *list;

    pthread_mutex_lock(&copy->lock);
    if (!copy->lost) {
        taken = copy->recorded;
        copy->recorded = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&copy->lock);
    transfer_changes_free(&fresh);
    if (taken == NULL)
        return ERR_TOOBIG;
    list = transfer_changes_sorted(taken);
    for (size_t i = 0; i < transfer_changes_count(taken); i++)
        transfer_changes_add(copy->pending, &list[i]);
    free(list);
    transfer_changes_free(&taken);
    return transfer_changes_bytes(copy->pending) > ACCOUNT_COPY_KEYS_BYTES / 2 ? ERR_TOOBIG
                                                                               : ERR_OK;
}

/* ---- rows ---- */

/* The blob that a row names; 0: it names none. */
static uint64_t row_blob(enum db_table table, struct bytes value)
{
    struct message_record message;
    struct bytes name;

    if (table == TABLE_MESSAGE)
        return message_decode(value, &message) ? message.blob : 0;
    if (table == TABLE_EXPUNGED)
        return expunged_row_decode(value, &message, &name) ? message.blob : 0;
    return 0;
}

static void body_add(struct making *making, uint64_t blob, Pr__Body *body, size_t bytes)
{
    Pr__ImportBody *added = arena_alloc(making->arena, sizeof(*added));

    pr__import_body__init(added);
    added->source_blob = blob;
    added->body = body;
    making->rows->bodies[making->rows->n_bodies++] = added;
    making->bytes += bytes;
    map_put(&making->copy->sent, blob, making->copy);
}

/* Whether the row's body is there or comes in this command; else the command ends before it. */
static bool body_ready(struct making *making, enum db_table table, struct bytes value)
{
    struct account_copy *copy = making->copy;
    uint64_t blob = row_blob(table, value);
    struct blob_record record;
    Pr__Body *body;
    size_t bytes;

    if (blob == 0 || map_get(&copy->sent, blob) != NULL)
        return true;
    if (!blob_load(making->txn, copy->config.group, blob, &record)) {
        db_fail(making->txn, ERR_MALFORMED); /* a message without its body */
        return false;
    }
    if (record.blocks > BODY_BLOCKS_INLINE_MAX && copy->upload.ready != blob) {
        if (making->rows->n_rows == 0 && making->rows->n_bodies == 0)
            account_upload_begin(&copy->upload, copy->config.attempt, blob);
        return false;
    }
    body =
        account_body(making->txn, copy->config.group, blob, &record,
                     copy->upload.ready == blob ? &copy->upload : NULL, making->arena, &bytes);
    if (body == NULL ||
        (making->bytes > 0 && making->bytes + bytes > copy->config.command_bytes))
        return false;
    copy->upload.ready = copy->upload.ready == blob ? 0 : copy->upload.ready;
    body_add(making, blob, body, bytes);
    return true;
}

/* Returns false when the row does not fit into this command. `value` NULL: it is gone. */
static bool row_add(struct making *making, unsigned place, struct bytes key,
                    const struct bytes *value)
{
    struct account_copy *copy = making->copy;
    Pr__ImportRow *row;

    making->full = making->rows->n_rows >= ACCOUNT_COPY_ROWS ||
                   making->bytes >= copy->config.command_bytes ||
                   (value != NULL && !body_ready(making, copied_tables[place].table, *value));
    if (making->full)
        return false;
    row = arena_alloc(making->arena, sizeof(*row));
    pr__import_row__init(row);
    row->table = copied_tables[place].name;
    key = arena_copy(making->arena, key_behind_account(key));
    row->key = (ProtobufCBinaryData){key.len, arena_alloc(making->arena, key.len + 1)};
    memcpy(row->key.data, key.at, key.len);
    row->gone = value == NULL;
    if (value != NULL && value->len > 0) {
        row->value = (ProtobufCBinaryData){value->len, arena_alloc(making->arena, value->len)};
        memcpy(row->value.data, value->at, value->len);
    }
    making->rows->rows[making->rows->n_rows++] = row;
    making->bytes += row->key.len + row->value.len + 8;
    return true;
}

static void table_add(struct making *making)
{
    struct account_copy *copy = making->copy;
    struct key prefix;
    struct bytes from = {copy->at.key, copy->at.len};
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(making->txn, copied_tables[copy->at.table].table,
                       key_number(&prefix, copy->config.group, copy->config.account_id));
    bool more = from.len == 0 ? db_cursor_first(cursor, &key, &value)
                              : db_cursor_seek(cursor, from, &key, &value);

    if (more && from.len > 0 && bytes_equal(key, from))
        more = db_cursor_next(cursor, &key, &value);
    while (more && row_add(making, copy->at.table, key, &value)) {
        transfer_position_set(&copy->at, copy->at.table, key);
        more = db_cursor_next(cursor, &key, &value);
    }
    db_cursor_close(&cursor);
    if (!making->full)
        transfer_position_set(&copy->at, copy->at.table + 1, bytes_from(NULL, 0));
}

static void changes_add(struct making *making)
{
    struct account_copy *copy = making->copy;
    uint64_t seen = db_txn_number(making->txn);
    size_t count = transfer_changes_count(copy->pending);
    struct transfer_change *list = transfer_changes_sorted(copy->pending);
    struct transfer_changes *kept = transfer_changes_new(copy->config.seed);

    for (size_t i = 0; i < count && db_error(making->txn) == ERR_OK; i++) {
        bool later = transfer_compare(list[i].table, list[i].key, &copy->at) > 0;
        bool held = false;
        struct bytes value;

        if (!later) {
            enum err err =
                db_get(making->txn, copied_tables[list[i].table].table, list[i].key, &value);
            held = making->full ||
                   !row_add(making, list[i].table, list[i].key, err == ERR_OK ? &value : NULL);
        }
        if (held || list[i].txn_number > seen)
            transfer_changes_add(kept, &list[i]);
    }
    free(list);
    transfer_changes_free(&copy->pending);
    copy->pending = kept;
}

/* ---- commands ---- */

static void look_at_account(struct making *making)
{
    struct account_copy *copy = making->copy;
    struct account account;

    account_load(making->txn, copy->config.group, copy->config.account_id, &account);
    copy->look.frozen = account.state == ACCOUNT_THERE &&
                        account.record.place == PLACE_FROZEN &&
                        account.record.attempt == copy->config.attempt;
}

static enum err rows_make(struct making *making, Pr__Command *command)
{
    struct account_copy *copy = making->copy;
    Pr__ImportRows *rows = arena_alloc(making->arena, sizeof(*rows));

    pr__import_rows__init(rows);
    rows->account_id = copy->config.account_id;
    rows->attempt = copy->config.attempt;
    rows->rows = arena_alloc(making->arena, ACCOUNT_COPY_ROWS * sizeof(*rows->rows));
    rows->bodies = arena_alloc(making->arena, ACCOUNT_COPY_ROWS * sizeof(*rows->bodies));
    making->rows = rows;
    while (copy->at.table < TABLES && !making->full && db_error(making->txn) == ERR_OK)
        table_add(making);
    copy->look.through = copy->at.table == TABLES;
    if (copy->look.through && !making->full)
        changes_add(making);
    copy->look.left = transfer_changes_count(copy->pending);
    if (rows->n_rows == 0 && rows->n_bodies == 0)
        return copy->upload.blob != 0 || copy->look.left > 0 ? ERR_BUSY : ERR_NOTFOUND;
    rows->sequence = ++copy->look.sequence;
    copy->look.rows += rows->n_rows;
    copy->look.bytes += making->bytes;
    command->call_case = PR__COMMAND__CALL_IMPORT_ROWS;
    command->import_rows = rows;
    return ERR_OK;
}

static enum err command_make(struct making *making, Pr__Command *command)
{
    struct account_copy *copy = making->copy;
    enum err err = changes_take(copy);

    if (err != ERR_OK)
        return err;
    look_at_account(making);
    /* Twice: rows may end at once with a body that has to be uploaded first. */
    for (unsigned round = 0; round < 2; round++) {
        size_t bytes = 0;
        if (account_upload_next(&copy->upload, making->txn, copy->config.group, making->arena,
                                command, &bytes)) {
            copy->look.bytes += bytes;
            return ERR_OK;
        }
        err = rows_make(making, command);
        if (err != ERR_BUSY)
            return err;
        making->full = false;
    }
    return err;
}

enum err account_copy_next(struct account_copy *copy, struct arena *arena, Pr__Command *command,
                           struct account_copy_look *look)
{
    struct making making = {
        .copy = copy,
        .txn = db_read_begin(copy->config.db),
        .arena = arena,
    };
    enum err err;
    enum err read;

    pr__command__init(command);
    err = command_make(&making, command);
    read = db_commit(&making.txn);
    *look = copy->look;
    return read != ERR_OK ? read : err;
}

enum err account_copy_new(const struct account_copy_config *config, struct account_copy **copy)
{
    struct account_copy *made = calloc(1, sizeof(*made));
    enum err err;

    CHECK(made != NULL);
    CHECK(pthread_mutex_init(&made->lock, NULL) == 0);
    made->config = *config;
    if (made->config.command_bytes == 0)
        made->config.command_bytes = ACCOUNT_COPY_BYTES;
    map_init(&made->sent);
    made->recorded = transfer_changes_new(made->config.seed);
    made->pending = transfer_changes_new(made->config.seed);
    err = db_watch_new(config->db, config->group, on_changed, made, &made->watch);
    if (err != ERR_OK)
        account_copy_free(&made);
    *copy = made;
    return err;
}

void account_copy_free(struct account_copy **copy)
{
    struct account_copy *ending = *copy;

    if (ending == NULL)
        return;
    *copy = NULL;
    db_watch_free(&ending->watch);
    transfer_changes_free(&ending->recorded);
    transfer_changes_free(&ending->pending);
    map_fini(&ending->sent);
    pthread_mutex_destroy(&ending->lock);
    free(ending);
}
