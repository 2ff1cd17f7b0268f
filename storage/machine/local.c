/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/local.h"

#include <endian.h>

#include "storage/db/key.h"

enum { VERSION = 1, COPY_SIZE = 1 + 8 + 8 };

bool local_partial(struct db_txn *txn, uint32_t group, struct local_copy *copy)
{
    struct key key;
    struct bytes row;
    uint64_t numbers[2] = {0, 0};

    if (db_get(txn, TABLE_LOCAL, key_group(&key, group), &row) != ERR_OK)
        return false;
    if (row.len == COPY_SIZE && row.at[0] == VERSION)
        memcpy(numbers, row.at + 1, sizeof(numbers));
    if (copy != NULL)
        *copy = (struct local_copy){be64toh(numbers[0]), be64toh(numbers[1])};
    return true;
}

void local_partial_set(struct db_txn *txn, uint32_t group, const struct local_copy *copy)
{
    uint64_t numbers[2] = {htobe64(copy->source), htobe64(copy->begun_ms)};
    uint8_t row[COPY_SIZE] = {VERSION};
    struct key key;

    memcpy(row + 1, numbers, sizeof(numbers));
    db_put(txn, TABLE_LOCAL, key_group(&key, group), bytes_from(row, sizeof(row)));
}

void local_partial_clear(struct db_txn *txn, uint32_t group)
{
    struct key key;

    db_delete(txn, TABLE_LOCAL, key_group(&key, group));
}
