/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_CHANGES_H
#define STORAGE_TRANSFER_CHANGES_H

#include "storage/transfer/digest.h"
#include "storage/transfer/position.h"

/* Keys that were written, each once with the number of the last transaction that did. One
 * thread at a time. */
struct transfer_changes;

struct transfer_change {
    uint64_t txn_number;
    unsigned table;
    struct bytes key; /* lives as long as the changes, or until the next add */
};

/* The seed is the key of the hash, so that nobody can choose keys that collide. */
struct transfer_changes *transfer_changes_new(const uint8_t seed[TRANSFER_SEED_SIZE]);
void transfer_changes_free(struct transfer_changes **changes);
void transfer_changes_add(struct transfer_changes *changes,
                          const struct transfer_change *change);
size_t transfer_changes_count(const struct transfer_changes *changes);
/* Memory taken. */
size_t transfer_changes_bytes(const struct transfer_changes *changes);
/* All of them, by table and key; free() the list. */
struct transfer_change *transfer_changes_sorted(const struct transfer_changes *changes);

#endif
