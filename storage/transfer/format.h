/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_FORMAT_H
#define STORAGE_TRANSFER_FORMAT_H

#include "storage/transfer/digest.h"
#include "storage/transfer/position.h"

/*
 * What travels in a transfer. Numbers are big endian. Both begin with a version byte.
 *
 *   position  table u8, key length u16, key
 *   question  version, position from where on, then leaves: position up to where, rows u32,
 *             digest of the receiver's rows in between
 *   answer    version, then items, each a kind and what belongs to it
 *
 * Items of an answer: first ranges, from where the question began, then changes, then LAST.
 */
enum {
    TRANSFER_FORMAT_VERSION = 1,
    TRANSFER_LEAVES_MAX = 1024,        /* of a question */
    TRANSFER_ROW_SIZE_MAX = 2 << 20,   /* value; the largest there is, an outcome, is 1 MB */
    TRANSFER_ANSWER_SIZE_MAX = 7 << 20 /* below what one RPC message may be */
};

/* How much goes in one step. Tests make them small. */
struct transfer_limits {
    size_t leaf_bytes;    /* rows under one digest */
    size_t read_bytes;    /* rows looked at in one read transaction */
    size_t rows_bytes;    /* rows of ranges in one answer */
    size_t changes_bytes; /* changed rows in one answer, but for the last */
    size_t last_bytes;  /* changed rows that may come with the end of the copy; at most 4 MiB */
    size_t write_bytes; /* rows in one write transaction; the applier waits meanwhile */
    size_t keys_bytes;  /* memory for changed keys that did not go yet */
    uint64_t read_ms;   /* no further range is looked at after that */
};
extern const struct transfer_limits transfer_limits;

struct transfer_leaf {
    struct transfer_position to;
    uint32_t rows;
    uint8_t digest[TRANSFER_DIGEST_SIZE];
};

struct transfer_question {
    struct transfer_position from;
    struct bytes leaves; /* the rest, for leaf_next() */
};

void transfer_question_begin(struct buffer *question, const struct transfer_position *from);
void transfer_question_leaf(struct buffer *question, const struct transfer_leaf *leaf);
MUST_CHECK enum err transfer_question_decode(struct bytes packed,
                                             struct transfer_question *question);
/* ERR_OK; ERR_NOTFOUND at the end; ERR_MALFORMED. */
MUST_CHECK enum err transfer_leaf_next(struct bytes *leaves, struct transfer_leaf *leaf);

enum transfer_item_kind {
    TRANSFER_ROW = 1,  /* row: of the range that the next REPLACED ends */
    TRANSFER_EQUAL,    /* position: up to here the receiver's rows are right */
    TRANSFER_REPLACED, /* position: up to here there are the rows that came, and no others */
    TRANSFER_PUT,      /* row: changed since its range was looked at */
    TRANSFER_GONE,     /* key: deleted since */
    TRANSFER_LAST,     /* index: the receiver now has the state of that entry */
};

struct transfer_item {
    enum transfer_item_kind kind;
    struct transfer_row row;           /* of ROW, PUT, GONE */
    struct transfer_position position; /* of EQUAL, REPLACED */
    uint64_t index;                    /* of LAST */
};

void transfer_answer_begin(struct buffer *answer);
void transfer_answer_row(struct buffer *answer, enum transfer_item_kind kind,
                         const struct transfer_row *row);
void transfer_answer_position(struct buffer *answer, enum transfer_item_kind kind,
                              const struct transfer_position *position);
void transfer_answer_last(struct buffer *answer, uint64_t index);
MUST_CHECK enum err transfer_answer_open(struct bytes packed, struct bytes *items);
/* As leaf_next(). */
MUST_CHECK enum err transfer_item_next(struct bytes *items, struct transfer_item *item);

#endif
