/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/digest.h"

#include <endian.h>

#include "node/base/check.h"

void transfer_digest_begin(struct transfer_digest *digest,
                           const uint8_t seed[TRANSFER_SEED_SIZE])
{
    CHECK(crypto_generichash_init(&digest->state, seed, TRANSFER_SEED_SIZE,
                                  TRANSFER_DIGEST_SIZE) == 0);
}

/* With the lengths in front, so that no two runs of rows give the same bytes. */
void transfer_digest_row(struct transfer_digest *digest, const struct transfer_row *row)
{
    uint32_t head[3] = {htobe32(row->table), htobe32((uint32_t)row->key.len),
                        htobe32((uint32_t)row->value.len)};

    crypto_generichash_update(&digest->state, (const uint8_t *)head, sizeof(head));
    if (row->key.len > 0)
        crypto_generichash_update(&digest->state, row->key.at, row->key.len);
    if (row->value.len > 0)
        crypto_generichash_update(&digest->state, row->value.at, row->value.len);
}

void transfer_digest_end(struct transfer_digest *digest, uint8_t bytes[TRANSFER_DIGEST_SIZE])
{
    CHECK(crypto_generichash_final(&digest->state, bytes, TRANSFER_DIGEST_SIZE) == 0);
}
