/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/scram_internal.h"

const struct scram_hash scram_sha1 = {"SHA1", AUTH_SHA1_SIZE};
const struct scram_hash scram_sha256 = {"SHA256", AUTH_SHA256_SIZE};

static void hmac(EVP_MD *md, const uint8_t *key, size_t size, struct bytes message,
                 uint8_t *mac)
{
    unsigned len = 0;

    CHECK(HMAC(md, key, (int)size, message.at, message.len, mac, &len) != NULL);
    CHECK(len == size);
}

const struct scram_slot *scram_proof_find(const struct scram *scram, struct auth_work *work,
                                          const uint8_t *proof, uint8_t *signature)
{
    const struct scram_slot *found = &scram->slots[0];
    bool right = false;
    size_t size = scram->hash->size;
    struct bytes message = buffer_bytes(&scram->message);
    EVP_MD *md = EVP_MD_fetch(NULL, scram->hash->openssl_name, NULL);
    uint8_t key[EVP_MAX_MD_SIZE];
    uint8_t stored[EVP_MAX_MD_SIZE];

    CHECK(md != NULL);
    for (size_t i = 0; i < SCRAM_SLOTS; i++) {
        const struct scram_slot *slot = &scram->slots[i];
        hmac(md, slot->stored, size, message, key);
        for (size_t k = 0; k < size; k++)
            key[k] ^= proof[k];
        CHECK(EVP_Digest(key, size, stored, NULL, md, NULL) == 1);
        work->hmacs++;
        work->digests++;
        work->compares++;
        if (sodium_memcmp(stored, slot->stored, size) == 0 && slot->taken) {
            found = slot;
            right = true;
        }
    }
    hmac(md, found->server, size, message, signature);
    work->hmacs++;
    sodium_memzero(key, sizeof(key));
    EVP_MD_free(md);
    return right ? found : NULL;
}
