/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/machine.h"

/* With its length in front, so that no two rows run together into the same bytes. */
static void hash_bytes(crypto_generichash_state *state, struct bytes bytes)
{
    uint64_t len = htobe64(bytes.len);

    crypto_generichash_update(state, (const uint8_t *)&len, sizeof(len));
    if (bytes.len > 0)
        crypto_generichash_update(state, bytes.at, bytes.len);
}

void machine_digest(struct db_txn *txn, uint32_t group, uint8_t digest[32])
{
    crypto_generichash_state state;

    CHECK(crypto_generichash_init(&state, NULL, 0, 32) == 0);
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        struct key prefix;
        struct bytes key;
        struct bytes value;
        struct db_cursor *cursor;

        if (table == TABLE_LOCAL)
            continue;
        cursor = db_cursor_open(txn, (enum db_table)table, key_group(&prefix, group));
        bool more = db_cursor_first(cursor, &key, &value);
        /* A table that the first release does not have is not there as long as it is empty:
         * nodes of both releases compare their digests. */
        if (table < TABLE_EXPUNGED || more)
            hash_bytes(&state, bytes_of(db_table_name((enum db_table)table)));
        for (; more; more = db_cursor_next(cursor, &key, &value)) {
            hash_bytes(&state, key);
            hash_bytes(&state, value);
        }
        db_cursor_close(&cursor);
    }
    CHECK(crypto_generichash_final(&state, digest, 32) == 0);
}
