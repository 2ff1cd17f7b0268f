/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/source.h"

#include <pthread.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "storage/transfer/changes.h"
#include "storage/transfer/walk.h"

/*
 * Why the copy is whole. R is the read transaction of an answer, P the position that its ranges
 * reach.
 * 1. `recorded` gets a key before the transaction that writes it commits. It is taken after R
 *    began: what R sees has been recorded.
 * 2. A taken key behind P whose writer R sees needs nothing: its range comes later, from a
 *    transaction that sees it too. Every other key is sent as R has it; it is forgotten only
 *    when R sees its last writer.
 * 3. So after each answer the receiver has each row up to P as R has it, but for keys that are
 *    still in `pending`. When P is the end and nothing of it was held back, that is the state
 *    at R's applied index.
 */
struct transfer_source {
    struct db *db;
    uint32_t group;
    uint8_t seed[TRANSFER_SEED_SIZE];
    const struct transfer_limits *limits;
    uint64_t (*now_ms)(void);
    struct transfer_tables tables;
    /* Back from a table to the receiver's number, or TRANSFER_TABLE_END: it has none. */
    uint8_t numbers[TABLE_COUNT];
    struct transfer_position reached; /* by the last answer */
    struct db_watch *watch;
    pthread_mutex_t lock;
    struct transfer_changes *recorded; /* under `lock` */
    bool lost; /* under `lock`: more than can be kept, or what the receiver cannot take */
    struct transfer_changes *pending; /* taken, not sent */
    struct transfer_source_progress progress;
};

/* One answer in the making. */
struct answering {
    struct transfer_source *source;
    struct db_txn *txn;
    struct buffer *answer;
    size_t begun;      /* bytes in the buffer before us */
    uint64_t begun_ms; /* when the transaction began */
    size_t looked_at;  /* bytes of own rows */
    struct transfer_position at;
    bool equal; /* the receiver has not been told yet that it is right up to `at` */
    bool full;
};

/* ---- what is written meanwhile ---- */

static void on_changed(void *context, uint64_t txn_number, enum db_table table,
                       struct bytes key)
{
    struct transfer_source *source = context;

    if (table == TABLE_LOCAL)
        return;
    pthread_mutex_lock(&source->lock);
    if (!source->lost) {
        const struct transfer_change change = {txn_number, source->numbers[table], key};
        transfer_changes_add(source->recorded, &change);
        source->lost =
            change.table == TRANSFER_TABLE_END ||
            transfer_changes_bytes(source->recorded) > source->limits->keys_bytes / 2;
        if (source->lost)
            transfer_changes_free(&source->recorded);
    }
    pthread_mutex_unlock(&source->lock);
}

/* Into `pending`. */
static enum err changes_take(struct transfer_source *source)
{
    struct transfer_changes *fresh = transfer_changes_new(source->seed);
    struct transfer_changes *taken = NULL;
    struct transfer_change *list;

    pthread_mutex_lock(&source->lock);
    if (!source->lost) {
        taken = source->recorded;
        source->recorded = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&source->lock);
    transfer_changes_free(&fresh);
    if (taken == NULL)
        return ERR_TOOBIG;
    list = transfer_changes_sorted(taken);
    for (size_t i = 0; i < transfer_changes_count(taken); i++)
        transfer_changes_add(source->pending, &list[i]);
    free(list);
    transfer_changes_free(&taken);
    return transfer_changes_bytes(source->pending) > source->limits->keys_bytes / 2 ? ERR_TOOBIG
                                                                                    : ERR_OK;
}

static size_t answer_len(const struct answering *answering)
{
    return buffer_len(answering->answer) - answering->begun;
}

static void answer_row(struct answering *answering, enum transfer_item_kind kind,
                       const struct transfer_row *row)
{
    if (row->value.len > TRANSFER_ROW_SIZE_MAX) {
        db_fail(answering->txn, ERR_MALFORMED); /* no row of ours is as large */
        return;
    }
    transfer_answer_row(answering->answer, kind, row);
    answering->source->progress.rows++;
    answering->source->progress.bytes += row->key.len + row->value.len;
}

static void answer_change(struct answering *answering, const struct transfer_change *change)
{
    const struct transfer_tables *tables = &answering->source->tables;
    struct transfer_row row = {.table = change->table, .key = change->key};
    enum err err = db_get(answering->txn, tables->at[change->table], change->key, &row.value);

    if (err == ERR_OK)
        answer_row(answering, TRANSFER_PUT, &row);
    else if (err == ERR_NOTFOUND)
        answer_row(answering, TRANSFER_GONE, &row);
}

/* Returns whether all went that had to. */
static bool answer_changes(struct answering *answering)
{
    struct transfer_source *source = answering->source;
    uint64_t seen = db_txn_number(answering->txn);
    size_t count = transfer_changes_count(source->pending);
    struct transfer_change *list = transfer_changes_sorted(source->pending);
    struct transfer_changes *kept = transfer_changes_new(source->seed);
    size_t before = answer_len(answering);
    size_t allowed = transfer_position_is_end(&answering->at) ? source->limits->last_bytes
                                                              : source->limits->changes_bytes;
    bool all = true;

    /* With the ranges before it the answer must not outgrow TRANSFER_ANSWER_SIZE_MAX. */
    if (before + allowed > source->limits->last_bytes)
        allowed = source->limits->last_bytes > before ? source->limits->last_bytes - before : 0;
    for (size_t i = 0; i < count; i++) {
        bool held = answer_len(answering) - before >= allowed;
        bool later = transfer_compare(list[i].table, list[i].key, &answering->at) > 0;

        if (!held && !later)
            answer_change(answering, &list[i]);
        if (list[i].txn_number > seen || (held && !later))
            transfer_changes_add(kept, &list[i]);
        all = all && (!held || later);
    }
    free(list);
    transfer_changes_free(&source->pending);
    source->pending = kept;
    return all;
}

/* ---- ranges ---- */

static void answer_equal(struct answering *answering)
{
    if (answering->equal)
        transfer_answer_position(answering->answer, TRANSFER_EQUAL, &answering->at);
    answering->equal = false;
}

/* Whether the rows from here up to the leaf's end are what the receiver has. */
static bool leaf_is_equal(struct answering *answering, const struct transfer_leaf *leaf)
{
    struct transfer_source *source = answering->source;
    struct transfer_digest digest;
    struct transfer_walk walk;
    struct transfer_row row;
    uint8_t bytes[TRANSFER_DIGEST_SIZE];
    uint32_t rows = 0;

    transfer_digest_begin(&digest, source->seed);
    transfer_walk_begin(&walk, answering->txn, &source->tables, source->group, &answering->at);
    while (rows <= leaf->rows && transfer_walk_next(&walk, &row) &&
           transfer_compare(row.table, row.key, &leaf->to) <= 0) {
        rows++;
        transfer_digest_row(&digest, &row);
        answering->looked_at += row.key.len + row.value.len;
    }
    transfer_walk_end(&walk);
    transfer_digest_end(&digest, bytes);
    return rows == leaf->rows && memcmp(bytes, leaf->digest, sizeof(bytes)) == 0;
}

static void leaf_replace(struct answering *answering, const struct transfer_leaf *leaf)
{
    struct transfer_source *source = answering->source;
    struct transfer_walk walk;
    struct transfer_row row;

    transfer_walk_begin(&walk, answering->txn, &source->tables, source->group, &answering->at);
    while (!answering->full && transfer_walk_next(&walk, &row) &&
           transfer_compare(row.table, row.key, &leaf->to) <= 0) {
        answer_row(answering, TRANSFER_ROW, &row);
        answering->looked_at += row.key.len + row.value.len;
        if (answer_len(answering) >= source->limits->rows_bytes) {
            answering->full = true;
            transfer_position_set(&answering->at, row.table, row.key);
        }
    }
    transfer_walk_end(&walk);
    if (!answering->full)
        answering->at = leaf->to;
    transfer_answer_position(answering->answer, TRANSFER_REPLACED, &answering->at);
}

static enum err answer_ranges(struct answering *answering, struct bytes leaves)
{
    struct transfer_source *source = answering->source;
    struct transfer_leaf leaf;
    enum err err = ERR_OK;

    while (!answering->full && (err = transfer_leaf_next(&leaves, &leaf)) == ERR_OK) {
        if (transfer_position_compare(&leaf.to, &answering->at) <= 0)
            return ERR_MALFORMED;
        if (leaf_is_equal(answering, &leaf)) {
            answering->at = leaf.to;
            answering->equal = true;
        } else {
            answer_equal(answering);
            leaf_replace(answering, &leaf);
        }
        if (answering->looked_at >= source->limits->read_bytes ||
            source->now_ms() - answering->begun_ms >= source->limits->read_ms)
            break;
    }
    answer_equal(answering);
    return err == ERR_NOTFOUND ? ERR_OK : err;
}

/* ---- life ---- */

static enum err answer_in_txn(struct answering *answering, struct bytes packed)
{
    struct transfer_source *source = answering->source;
    struct transfer_question question;
    enum err err = transfer_question_decode(packed, &question);

    if (err != ERR_OK)
        return err;
    if (transfer_position_compare(&question.from, &source->reached) != 0)
        return ERR_MALFORMED;
    if (local_partial(answering->txn, source->group, NULL))
        return ERR_NOTFOUND;
    answering->at = question.from;
    transfer_answer_begin(answering->answer);
    err = answer_ranges(answering, question.leaves);
    if (err == ERR_OK)
        err = changes_take(source);
    if (err == ERR_OK && answer_changes(answering) && transfer_position_is_end(&answering->at))
        transfer_answer_last(answering->answer, machine_applied(answering->txn, source->group));
    return err;
}

enum err transfer_source_answer(struct transfer_source *source, struct bytes question,
                                struct buffer *answer)
{
    struct answering answering = {
        .source = source,
        .begun_ms = source->now_ms(),
        .txn = db_read_begin(source->db),
        .answer = answer,
        .begun = buffer_len(answer),
    };
    enum err err = answer_in_txn(&answering, question);
    uint64_t took_ms = source->now_ms() - answering.begun_ms;

    if (took_ms > source->progress.read_longest_ms)
        source->progress.read_longest_ms = took_ms;
    source->reached = answering.at;
    if (err == ERR_OK)
        return db_commit(&answering.txn);
    db_abort(&answering.txn);
    return err;
}

/* Whether the group has no rows in tables that the receiver does not know. */
static bool tables_fit(struct transfer_source *source, struct db_txn *txn)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    bool fit = true;

    for (unsigned table = 0; table < TABLE_COUNT && fit; table++) {
        if (table == TABLE_LOCAL || source->numbers[table] != TRANSFER_TABLE_END)
            continue;
        struct db_cursor *cursor =
            db_cursor_open(txn, (enum db_table)table, key_group(&prefix, source->group));
        fit = !db_cursor_first(cursor, &key, &value);
        db_cursor_close(&cursor);
    }
    return fit;
}

static enum err source_check(struct transfer_source *source)
{
    struct db_txn *txn = db_read_begin(source->db);
    bool whole =
        !local_partial(txn, source->group, NULL) && machine_applied(txn, source->group) > 0;
    bool fit = tables_fit(source, txn);
    enum err err = db_commit(&txn);

    if (err != ERR_OK)
        return err;
    return !whole ? ERR_NOTFOUND : fit ? ERR_OK : ERR_UNSUPPORTED;
}

static void numbers_set(struct transfer_source *source)
{
    memset(source->numbers, TRANSFER_TABLE_END, sizeof(source->numbers));
    for (unsigned i = 0; i < source->tables.count; i++)
        if (source->tables.at[i] != TABLE_COUNT)
            source->numbers[source->tables.at[i]] = (uint8_t)i;
}

enum err transfer_source_new(const struct transfer_source_config *config,
                             struct transfer_source **source)
{
    struct transfer_source *made = calloc(1, sizeof(*made));
    enum err err;

    CHECK(made != NULL);
    CHECK(pthread_mutex_init(&made->lock, NULL) == 0);
    made->db = config->db;
    made->group = config->group;
    made->limits = config->limits != NULL ? config->limits : &transfer_limits;
    made->now_ms = config->now_ms;
    memcpy(made->seed, config->seed, sizeof(made->seed));
    made->recorded = transfer_changes_new(made->seed);
    made->pending = transfer_changes_new(made->seed);
    err = transfer_tables_decode(config->tables, &made->tables);
    numbers_set(made);
    if (err == ERR_OK) /* before anything is looked at */
        err = db_watch_new(made->db, made->group, on_changed, made, &made->watch);
    if (err == ERR_OK)
        err = source_check(made);
    if (err != ERR_OK)
        transfer_source_free(&made);
    *source = made;
    return err;
}

void transfer_source_free(struct transfer_source **source)
{
    struct transfer_source *ending = *source;

    if (ending == NULL)
        return;
    *source = NULL;
    db_watch_free(&ending->watch);
    transfer_changes_free(&ending->recorded);
    transfer_changes_free(&ending->pending);
    pthread_mutex_destroy(&ending->lock);
    free(ending);
}

void transfer_source_progress(const struct transfer_source *source,
                              struct transfer_source_progress *progress)
{
    *progress = source->progress;
}
