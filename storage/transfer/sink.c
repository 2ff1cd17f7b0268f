/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/sink.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "storage/transfer/walk.h"

struct transfer_sink {
    struct transfer_sink_config config;
    struct transfer_tables tables;
    struct transfer_position asked_to; /* of the last question */
    uint64_t asked_bytes;
    struct transfer_position next;    /* where the next question begins */
    struct bytes items;               /* of the answer, not written yet */
    struct transfer_position written; /* own rows up to here are right, but for changes */
    bool last;
    bool done;
    uint64_t index; /* of LAST */
    struct transfer_sink_progress progress;
};

/* One write transaction. */
struct writing {
    struct transfer_sink *sink;
    struct db_txn *txn;
    size_t room;
    /* The first own row behind `written`, once looked up. */
    bool ahead_known;
    bool ahead_is;
    struct transfer_position ahead;
};

struct transfer_sink *transfer_sink_new(const struct transfer_sink_config *config)
{
    struct transfer_sink *sink = calloc(1, sizeof(*sink));

    CHECK(sink != NULL);
    sink->config = *config;
    if (sink->config.limits == NULL)
        sink->config.limits = &transfer_limits;
    sink->asked_to = transfer_end;
    transfer_tables_own(&sink->tables);
    return sink;
}

void transfer_sink_free(struct transfer_sink **sink)
{
    free(*sink);
    *sink = NULL;
}

enum err transfer_sink_begin(struct transfer_sink *sink)
{
    const struct local_copy copy = {sink->config.source, sink->config.wall_ms};
    struct db_txn *txn = db_write_begin(sink->config.db);
    enum err err;

    local_partial_set(txn, sink->config.group, &copy);
    err = db_commit(&txn);
    return err == ERR_OK ? db_sync(sink->config.db) : err;
}

/* ---- questions ---- */

/* Adds the digest of the next own rows. Returns false when that was the last of them. */
static bool add_leaf(struct transfer_sink *sink, struct transfer_walk *walk,
                     struct buffer *question)
{
    struct transfer_leaf leaf = {.to = transfer_end};
    struct transfer_digest digest;
    struct transfer_row row;
    size_t bytes = 0;

    transfer_digest_begin(&digest, sink->config.seed);
    while (bytes < sink->config.limits->leaf_bytes && transfer_walk_next(walk, &row)) {
        leaf.rows++;
        bytes += row.key.len + row.value.len;
        transfer_digest_row(&digest, &row);
        if (bytes >= sink->config.limits->leaf_bytes)
            transfer_position_set(&leaf.to, row.table, row.key);
    }
    transfer_digest_end(&digest, leaf.digest);
    transfer_question_leaf(question, &leaf);
    sink->asked_to = leaf.to;
    sink->asked_bytes += bytes;
    return !transfer_position_is_end(&leaf.to);
}

enum err transfer_sink_question(struct transfer_sink *sink, struct buffer *question)
{
    uint64_t begun_ms = sink->config.now_ms();
    uint64_t took_ms = 0;
    struct db_txn *txn = db_read_begin(sink->config.db);
    struct transfer_walk walk;

    CHECK(!sink->last);
    transfer_question_begin(question, &sink->next);
    sink->asked_to = sink->next;
    sink->asked_bytes = 0;
    if (!transfer_position_is_end(&sink->next)) {
        bool more = true;
        transfer_walk_begin(&walk, txn, &sink->tables, sink->config.group, &sink->next);
        for (unsigned i = 0; more && i < TRANSFER_LEAVES_MAX &&
                             sink->asked_bytes < sink->config.limits->read_bytes &&
                             took_ms < sink->config.limits->read_ms;
             i++) {
            more = add_leaf(sink, &walk, question);
            took_ms = sink->config.now_ms() - begun_ms;
        }
        transfer_walk_end(&walk);
    }
    sink->progress.bytes_compared += sink->asked_bytes;
    if (took_ms > sink->progress.read_longest_ms)
        sink->progress.read_longest_ms = took_ms;
    return db_commit(&txn);
}

/* ---- answers ---- */

static bool row_fits(const struct transfer_sink *sink, const struct transfer_row *row)
{
    struct key group;

    key_group(&group, sink->config.group);
    return row->table < sink->tables.count && row->key.len >= group.len &&
           memcmp(row->key.at, group.at, group.len) == 0;
}

/* What has been seen of an answer while it is checked. */
struct checking {
    struct transfer_position at; /* the last row or range */
    bool in_range;               /* rows without their REPLACED */
    bool changes;                /* ranges are over */
    bool last;
};

static bool item_fits(struct transfer_sink *sink, const struct transfer_item *item,
                      struct checking *checking)
{
    const struct transfer_row *row = &item->row;

    if (checking->last)
        return false;
    switch (item->kind) {
    case TRANSFER_ROW:
        if (checking->changes || !row_fits(sink, row) ||
            transfer_compare(row->table, row->key, &checking->at) <= 0)
            return false;
        transfer_position_set(&checking->at, row->table, row->key);
        checking->in_range = true;
        return true;
    case TRANSFER_EQUAL:
    case TRANSFER_REPLACED:
        if (checking->changes || (item->kind == TRANSFER_EQUAL && checking->in_range) ||
            transfer_position_compare(&item->position, &checking->at) <
                (checking->in_range ? 0 : 1))
            return false;
        checking->at = item->position;
        checking->in_range = false;
        return true;
    case TRANSFER_PUT:
    case TRANSFER_GONE:
        checking->changes = true;
        return row_fits(sink, row) &&
               transfer_compare(row->table, row->key, &checking->at) <= 0;
    case TRANSFER_LAST:
        checking->last = true;
        return transfer_position_is_end(&checking->at);
    }
    return false;
}

enum err transfer_sink_receive(struct transfer_sink *sink, struct bytes answer)
{
    struct checking checking = {.at = sink->next};
    struct transfer_item item;
    struct bytes items;
    uint64_t rows = 0;
    uint64_t bytes = 0;
    enum err err = transfer_answer_open(answer, &items);

    CHECK(sink->items.len == 0 && !sink->last);
    if (err != ERR_OK)
        return err;
    sink->items = items;
    while ((err = transfer_item_next(&items, &item)) == ERR_OK) {
        if (!item_fits(sink, &item, &checking) ||
            checking.in_range != (item.kind == TRANSFER_ROW)) {
            err = ERR_MALFORMED;
            break;
        }
        rows += item.row.key.len > 0;
        bytes += item.row.key.len + item.row.value.len;
        if (item.kind == TRANSFER_LAST)
            sink->index = item.index;
    }
    if (err != ERR_NOTFOUND || checking.in_range || sink->items.len == 0 ||
        transfer_position_compare(&checking.at, &sink->asked_to) > 0) {
        sink->items = bytes_from(NULL, 0);
        return ERR_MALFORMED;
    }
    sink->next = checking.at;
    sink->last = checking.last;
    sink->progress.rows_received += rows;
    sink->progress.bytes_received += bytes;
    return ERR_OK;
}

/* ---- writing ---- */

static void ahead_look(struct writing *writing)
{
    struct transfer_sink *sink = writing->sink;
    struct transfer_walk walk;
    struct transfer_row row;

    if (writing->ahead_known)
        return;
    transfer_walk_begin(&walk, writing->txn, &sink->tables, sink->config.group, &sink->written);
    writing->ahead_is = transfer_walk_next(&walk, &row);
    if (writing->ahead_is)
        transfer_position_set(&writing->ahead, row.table, row.key);
    transfer_walk_end(&walk);
    writing->ahead_known = true;
}

/* Deletes own rows behind `written` and before `to`; with `with_it` that one too. Returns false
 * when the transaction is full before that is done. */
static bool delete_up_to(struct writing *writing, const struct transfer_position *to,
                         bool with_it)
{
    struct transfer_sink *sink = writing->sink;

    for (;;) {
        ahead_look(writing);
        if (!writing->ahead_is || db_error(writing->txn) != ERR_OK)
            return true;
        int order = transfer_position_compare(&writing->ahead, to);
        if (order > 0 || (order == 0 && !with_it))
            return true;
        if (writing->room == 0)
            return false;
        db_delete(writing->txn, sink->tables.at[writing->ahead.table],
                  bytes_from(writing->ahead.key, writing->ahead.len));
        sink->written = writing->ahead;
        sink->progress.rows_deleted++;
        writing->ahead_known = false;
        writing->room -=
            writing->room < TRANSFER_DELETE_COST ? writing->room : TRANSFER_DELETE_COST;
    }
}

static void put(struct writing *writing, const struct transfer_row *row)
{
    size_t cost = row->key.len + row->value.len + 64;

    db_put(writing->txn, writing->sink->tables.at[row->table], row->key, row->value);
    writing->room -= writing->room < cost ? writing->room : cost;
}

/* A row of a range: what is here before it goes, itself is written unless it is here. */
static bool write_row(struct writing *writing, const struct transfer_row *row)
{
    struct transfer_sink *sink = writing->sink;
    struct transfer_position at;
    struct bytes own;
    bool here;

    transfer_position_set(&at, row->table, row->key);
    if (!delete_up_to(writing, &at, false))
        return false;
    here = writing->ahead_is && transfer_position_compare(&writing->ahead, &at) == 0;
    if (!here || db_get(writing->txn, sink->tables.at[row->table], row->key, &own) != ERR_OK ||
        !bytes_equal(own, row->value))
        put(writing, row);
    if (here)
        writing->ahead_known = false;
    sink->written = at;
    return true;
}

/* Returns false when it must be gone on with in another transaction. */
static bool write_item(struct writing *writing, const struct transfer_item *item)
{
    struct transfer_sink *sink = writing->sink;

    switch (item->kind) {
    case TRANSFER_ROW:
        return write_row(writing, &item->row);
    case TRANSFER_EQUAL:
        sink->written = item->position;
        writing->ahead_known = false;
        return true;
    case TRANSFER_REPLACED:
        if (!delete_up_to(writing, &item->position, true))
            return false;
        sink->written = item->position;
        return true;
    case TRANSFER_PUT:
        put(writing, &item->row);
        return true;
    case TRANSFER_GONE:
        if (db_delete(writing->txn, sink->tables.at[item->row.table], item->row.key))
            sink->progress.rows_deleted++;
        writing->room -=
            writing->room < TRANSFER_DELETE_COST ? writing->room : TRANSFER_DELETE_COST;
        return true;
    case TRANSFER_LAST:
        if (machine_applied(writing->txn, sink->config.group) != item->index)
            db_fail(writing->txn, ERR_MALFORMED);
        local_partial_clear(writing->txn, sink->config.group);
        return true;
    }
    return true;
}

enum err transfer_sink_write(struct transfer_sink *sink, bool *more)
{
    uint64_t begun_ms = sink->config.now_ms();
    uint64_t took_ms;
    struct writing writing = {
        .sink = sink,
        .txn = db_write_begin(sink->config.db),
        .room = sink->config.limits->write_bytes,
    };
    struct bytes rest = sink->items;
    struct transfer_item item;
    enum err err = ERR_OK;

    while (writing.room > 0 && db_error(writing.txn) == ERR_OK &&
           (err = transfer_item_next(&rest, &item)) == ERR_OK) {
        if (!write_item(&writing, &item))
            break;
        sink->items = rest;
    }
    *more = sink->items.len > 0;
    CHECK(err == ERR_OK || err == ERR_NOTFOUND);
    err = db_commit(&writing.txn);
    sink->done = err == ERR_OK && sink->last && !*more;
    took_ms = sink->config.now_ms() - begun_ms;
    if (took_ms > sink->progress.write_longest_ms)
        sink->progress.write_longest_ms = took_ms;
    return err;
}

bool transfer_sink_last(const struct transfer_sink *sink)
{
    return sink->last;
}

bool transfer_sink_done(const struct transfer_sink *sink, uint64_t *index)
{
    *index = sink->done ? sink->index : 0;
    return sink->done;
}

void transfer_sink_progress(const struct transfer_sink *sink,
                            struct transfer_sink_progress *progress)
{
    *progress = sink->progress;
}
