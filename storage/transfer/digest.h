/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_DIGEST_H
#define STORAGE_TRANSFER_DIGEST_H

#include <sodium.h>

#include "storage/transfer/position.h"

/*
 * The digest of a run of rows: BLAKE2b with 128 bits. It makes some 800 MB a second on one
 * core, more than a disk gives next to its other work; a faster hash without a key would let
 * the writers of mails choose what collides. The seed is random for each transfer.
 */
enum { TRANSFER_DIGEST_SIZE = 16, TRANSFER_SEED_SIZE = 16 };

struct transfer_digest {
    crypto_generichash_state state;
};

void transfer_digest_begin(struct transfer_digest *digest,
                           const uint8_t seed[TRANSFER_SEED_SIZE]);
void transfer_digest_row(struct transfer_digest *digest, const struct transfer_row *row);
void transfer_digest_end(struct transfer_digest *digest, uint8_t bytes[TRANSFER_DIGEST_SIZE]);

#endif
