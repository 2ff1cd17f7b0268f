/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_TRANSFER_COPYING_H
#define TESTS_UNIT_STORAGE_TRANSFER_COPYING_H

#include "storage/transfer/sink.h"
#include "storage/transfer/source.h"

/* One copy, played by hand: every step a call, so that anything may happen between two. */
struct copying {
    struct db *from;
    struct db *to;
    uint32_t group;
    struct transfer_source *source;
    struct transfer_sink *sink;
    struct buffer question;
    struct buffer answer;
    struct buffer reply; /* an answer that was not taken yet */
    bool ahead;          /* there is one */
    enum { COPY_BEGIN, COPY_ASK, COPY_ANSWER, COPY_WRITE, COPY_DONE } next;
    unsigned steps;
    uint64_t index;
    uint8_t digest[32]; /* of the source, when it gave the last answer */
};

/* Small enough that a few hundred rows take many steps. */
extern const struct transfer_limits copying_small;

/* Limits NULL: by chance the small or the default ones. */
void copying_open(struct copying *copying, struct db *from, struct db *to, uint32_t group,
                  const struct transfer_limits *limits, uint64_t *seed);
/* Does the next thing; returns false when the copy is done. */
bool copying_step(struct copying *copying);
/* May be called at any step: what a crash of either side is. */
void copying_close(struct copying *copying);

/* Aborts unless the receiver has what the source had at its index. */
void copying_check(struct copying *copying);
void copying_digest(struct db *db, uint32_t group, uint8_t digest[32]);

#endif
