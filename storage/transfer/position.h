/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_POSITION_H
#define STORAGE_TRANSFER_POSITION_H

#include "node/base/buffer.h"
#include "storage/db/db.h"

/*
 * The rows of a group in one order: table by table, by key. A position stands behind a row
 * (which need not be there), before all of them (all zero), or behind all (table
 * TRANSFER_TABLE_END).
 *
 * Tables have a number of the transfer's own: their place in the list of names that the
 * receiver begins with, because two releases may number theirs differently.
 */
enum {
    TRANSFER_TABLES_MAX = 64,
    TRANSFER_TABLE_END = 255,
};

struct transfer_tables {
    unsigned count;
    enum db_table
        at[TRANSFER_TABLES_MAX]; /* TABLE_COUNT: one that this release does not know */
};

/* All of this release's that are copied, in its order. */
void transfer_tables_own(struct transfer_tables *tables);
/* Their names as the receiver sends them, and back. ERR_MALFORMED. */
void transfer_tables_encode(const struct transfer_tables *tables, struct buffer *names);
MUST_CHECK enum err transfer_tables_decode(struct bytes names, struct transfer_tables *tables);

struct transfer_position {
    unsigned table;
    size_t len;
    uint8_t key[DB_KEY_SIZE_MAX];
};

/* A row's key begins with its group. The bytes are borrowed. */
struct transfer_row {
    unsigned table;
    struct bytes key;
    struct bytes value;
};

extern const struct transfer_position transfer_end;

void transfer_position_set(struct transfer_position *position, unsigned table,
                           struct bytes key);
bool transfer_position_is_end(const struct transfer_position *position);
/* As memcmp(): below 0 for a row that comes before the one the position stands behind. */
int transfer_compare(unsigned table, struct bytes key,
                     const struct transfer_position *position);
int transfer_position_compare(const struct transfer_position *a,
                              const struct transfer_position *b);

#endif
