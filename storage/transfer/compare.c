/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/compare.h"

#include "node/base/check.h"
#include "storage/transfer/walk.h"

void compare_tables(struct transfer_tables *tables)
{
    struct transfer_tables all;

    transfer_tables_own(&all);
    tables->count = 0;
    for (unsigned i = 0; i < all.count; i++)
        if (all.at[i] != TABLE_BLOCK)
            tables->at[tables->count++] = all.at[i];
}

/* The rows from where the walk stands: up to leaf->to, or, with `bytes_max`, as many as make so
 * many bytes, and then leaf->to is where they end. Returns the bytes. */
static size_t leaf_look(const struct compare_scope *scope, struct transfer_walk *walk,
                        size_t bytes_max, uint32_t rows_max, struct transfer_leaf *leaf)
{
    struct transfer_digest digest;
    struct transfer_row row;
    size_t bytes = 0;

    leaf->rows = 0;
    transfer_digest_begin(&digest, scope->seed);
    while (bytes < bytes_max && leaf->rows < rows_max && transfer_walk_next(walk, &row) &&
           transfer_compare(row.table, row.key, &leaf->to) <= 0) {
        leaf->rows++;
        bytes += row.key.len + row.value.len;
        transfer_digest_row(&digest, &row);
        if (bytes >= bytes_max)
            transfer_position_set(&leaf->to, row.table, row.key);
    }
    transfer_digest_end(&digest, leaf->digest);
    return bytes;
}

size_t compare_ask(const struct compare_scope *scope, const struct transfer_limits *limits,
                   struct transfer_position *from, struct buffer *question)
{
    struct transfer_walk walk;
    size_t bytes = 0;

    transfer_question_begin(question, from);
    transfer_walk_begin(&walk, scope->txn, scope->tables, scope->group, from);
    for (unsigned i = 0; i < TRANSFER_LEAVES_MAX && bytes < limits->read_bytes &&
                         !transfer_position_is_end(from) && db_error(scope->txn) == ERR_OK;
         i++) {
        struct transfer_leaf leaf = {.to = transfer_end};
        bytes += leaf_look(scope, &walk, limits->leaf_bytes, UINT32_MAX, &leaf);
        transfer_question_leaf(question, &leaf);
        *from = leaf.to;
    }
    transfer_walk_end(&walk);
    return bytes;
}

void compare_ask_again(const struct compare_scope *scope, const struct transfer_position *from,
                       struct transfer_leaf *leaf, struct buffer *question)
{
    struct transfer_walk walk;

    transfer_question_begin(question, from);
    transfer_walk_begin(&walk, scope->txn, scope->tables, scope->group, from);
    leaf_look(scope, &walk, SIZE_MAX, UINT32_MAX, leaf);
    transfer_walk_end(&walk);
    transfer_question_leaf(question, leaf);
}

enum err compare_answer(const struct compare_scope *scope, struct bytes question,
                        struct buffer *digests)
{
    struct transfer_question asked;
    struct transfer_leaf leaf;
    enum err err = transfer_question_decode(question, &asked);

    while (err == ERR_OK && (err = transfer_leaf_next(&asked.leaves, &leaf)) == ERR_OK) {
        struct transfer_walk walk;
        /* One row more shows that there are more: no need to read them all. */
        uint32_t rows_max = leaf.rows < UINT32_MAX ? leaf.rows + 1 : leaf.rows;
        if (transfer_position_compare(&leaf.to, &asked.from) <= 0)
            return ERR_MALFORMED;
        struct transfer_leaf own = {.to = leaf.to};
        transfer_walk_begin(&walk, scope->txn, scope->tables, scope->group, &asked.from);
        leaf_look(scope, &walk, SIZE_MAX, rows_max, &own);
        transfer_walk_end(&walk);
        buffer_add(digests, bytes_from(own.digest, sizeof(own.digest)));
        asked.from = leaf.to;
    }
    return err == ERR_NOTFOUND ? db_error(scope->txn) : err;
}

void compare_sample_add(struct compare_sample *sample, const uint8_t *digest, uint64_t index)
{
    if (sample->high == 0 || memcmp(sample->digest, digest, sizeof(sample->digest)) != 0) {
        memcpy(sample->digest, digest, sizeof(sample->digest));
        sample->low = index;
    }
    sample->high = index;
}

enum compare_verdict compare_verdict(const struct compare_sample *ours,
                                     const struct compare_sample *theirs)
{
    uint64_t low = ours->low > theirs->low ? ours->low : theirs->low;
    uint64_t high = ours->high < theirs->high ? ours->high : theirs->high;

    if (ours->high == 0 || theirs->high == 0)
        return COMPARE_OPEN;
    if (memcmp(ours->digest, theirs->digest, sizeof(ours->digest)) == 0)
        return COMPARE_EQUAL;
    return low <= high ? COMPARE_DIFFERENT : COMPARE_OPEN;
}

const uint8_t *compare_majority(const uint8_t (*digests)[TRANSFER_DIGEST_SIZE], unsigned count)
{
    for (unsigned i = 0; i < count && count > 2; i++) {
        unsigned same = 0;
        for (unsigned j = 0; j < count; j++)
            same += memcmp(digests[i], digests[j], TRANSFER_DIGEST_SIZE) == 0;
        if (same > count / 2)
            return digests[i];
    }
    return NULL;
}
