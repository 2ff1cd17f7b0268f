/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_WEIGHT_ESTIMATE_H
#define STORAGE_SERVICE_WEIGHT_ESTIMATE_H

#include "storage/db/db.h"

/*
 * What a group weighs on this disk. LMDB knows how many pages a table has, of all groups of a
 * database together, and not how many rows lie between two keys. So the pages of a database are
 * shared out among its groups by the bodies that each has; and these are counted where they are
 * few, else estimated from samples all over the group.
 *
 * The sum over the mail groups of a database is exact, to the page. A group's share is off by
 * - nothing where the samples are all that there is (up to some 16,000 bodies), else by what
 *   512 samples of 32 bodies each give: for sizes as mail has them mostly within a tenth,
 *   seldom off by a quarter (test_weight_estimate.c);
 * - as much as its mail compresses differently from the other groups' in the same database.
 */
enum {
    WEIGHT_SAMPLES = 512,
    WEIGHT_SAMPLE_ROWS = 32,
    WEIGHT_ROW_BYTES =
        1024, /* of a body's other rows: summary, message, indexes, halves of pages */
};

struct weight {
    uint64_t bodies;
    uint64_t bytes; /* before they were compressed, and WEIGHT_ROW_BYTES for each */
};

/* At most WEIGHT_SAMPLES * WEIGHT_SAMPLE_ROWS rows are read. */
struct weight weight_estimate(struct db_txn *txn, uint32_t group);

/* The bytes of the pages of a database's tables: those of the directory alone, and of mail. */
struct weight_pages {
    uint64_t directory;
    uint64_t mail;
};
struct weight_pages weight_pages(struct db *db);

/* The part of `pages` that falls to one of weights whose sum is `sum`. */
uint64_t weight_share(uint64_t pages, uint64_t weight, uint64_t sum);

#endif
