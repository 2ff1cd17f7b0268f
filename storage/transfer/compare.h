/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_COMPARE_H
#define STORAGE_TRANSFER_COMPARE_H

#include "storage/transfer/format.h"

/*
 * Whether two replicas of a group hold the same rows, while both go on applying. One side asks
 * with the digests of its ranges (a question as of a transfer), the other answers with its own.
 * Each reads in a short transaction of its own, so they may see different entries applied, and
 * a digest that differs says nothing yet.
 *
 * It is certain when a range had one digest here at entries a1..a2, another one there at
 * b1..b2, and the two spans have an entry in common: replicas that have applied the same
 * entries hold the same rows. So a range that differs is looked at again until that is so, or
 * it is equal. (A range that came back to the very bytes that it had before, in between, would
 * be taken for one that never changed; modification sequences ascend, so it does not.)
 *
 * Pieces of bodies are left out: a body has a digest of its own (storage/query/scrub.h).
 */
void compare_tables(struct transfer_tables *tables);

struct compare_scope {
    struct db_txn *txn;
    const struct transfer_tables *tables;
    uint32_t group;
    uint8_t seed[TRANSFER_SEED_SIZE];
};

/* Appends a question about the rows behind *from, as `limits` allow; *from is then where it
 * ends. Returns the bytes looked at. */
size_t compare_ask(const struct compare_scope *scope, const struct transfer_limits *limits,
                   struct transfer_position *from, struct buffer *question);
/* The same range once more, as a question of one leaf; its digest in *leaf. */
void compare_ask_again(const struct compare_scope *scope, const struct transfer_position *from,
                       struct transfer_leaf *leaf, struct buffer *question);
/* Appends TRANSFER_DIGEST_SIZE bytes for each leaf of the question. ERR_MALFORMED. */
MUST_CHECK enum err compare_answer(const struct compare_scope *scope, struct bytes question,
                                   struct buffer *digests);

/* One side's view of a range: the digest that it had from entry `low` to `high`. */
struct compare_sample {
    uint8_t digest[TRANSFER_DIGEST_SIZE];
    uint64_t low;
    uint64_t high; /* 0: nothing yet */
};

void compare_sample_add(struct compare_sample *sample, const uint8_t *digest, uint64_t index);

enum compare_verdict { COMPARE_OPEN, COMPARE_EQUAL, COMPARE_DIFFERENT };
enum compare_verdict compare_verdict(const struct compare_sample *ours,
                                     const struct compare_sample *theirs);

/*
 * Who is alone: `digests` of the replicas that a range was compared on, of one moment. Returns
 * the majority's digest, or NULL: there is none, or there are only two.
 */
const uint8_t *compare_majority(const uint8_t (*digests)[TRANSFER_DIGEST_SIZE], unsigned count);

#endif
