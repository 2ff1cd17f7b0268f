/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_SCRAM_INTERNAL_H
#define STORAGE_AUTH_SCRAM_INTERNAL_H

#include "storage/auth/auth_internal.h"

enum {
    SCRAM_NONCE_SIZE_MAX = 256, /* the client's part */
    SCRAM_SLOTS = 1 + AUTH_APP_PASSWORDS_MAX,
    SCRAM_KEY_SIZE_MAX = AUTH_SHA256_SIZE,
};

/* client-first-message (RFC 5802 section 7); all parts point into it. */
struct scram_first {
    struct bytes gs2_header;   /* up to and with the second comma */
    uint8_t flag;              /* 'n', 'y' or 'p' */
    struct bytes binding_name; /* with 'p' */
    struct bytes authzid;      /* still escaped */
    struct bytes bare;
    struct bytes name; /* still escaped */
    struct bytes nonce;
};

/* client-final-message. */
struct scram_final {
    struct bytes binding; /* base64 */
    struct bytes nonce;
    struct bytes without_proof;
    struct bytes proof; /* base64 */
};

bool scram_parse_first(struct bytes message, struct scram_first *first);
bool scram_parse_final(struct bytes message, struct scram_final *final);
/* "=2C" and "=3D"; any other "=" is false. `plain` has room for `escaped`. */
bool scram_name_decode(struct bytes escaped, uint8_t *plain, size_t *len);

/* One secret of the account, or an empty slot that only costs time. */
struct scram_slot {
    bool taken;
    enum auth_secret secret;
    uint64_t app_password;
    uint32_t scopes;
    bool needs_code; /* the password, with TOTP on */
    uint8_t stored[SCRAM_KEY_SIZE_MAX];
    uint8_t server[SCRAM_KEY_SIZE_MAX];
};

struct scram_hash {
    const char *openssl_name;
    size_t size;
};
extern const struct scram_hash scram_sha1;
extern const struct scram_hash scram_sha256;

struct scram {
    const struct scram_hash *hash;
    bool plus;
    bool known;            /* there is such a user */
    struct buffer binding; /* what c= must be, in base64 */
    struct buffer nonce;   /* the client's and ours */
    struct buffer message; /* AuthMessage as far as it has come */
    struct scram_slot slots[SCRAM_SLOTS];
};

/*
 * Tries every slot, taken or not. Returns the one whose StoredKey the proof belongs to, or
 * NULL; `signature` (hash->size bytes) is the server's for it, or of nothing.
 */
const struct scram_slot *scram_proof_find(const struct scram *scram, struct auth_work *work,
                                          const uint8_t *proof, uint8_t *signature);

#endif
