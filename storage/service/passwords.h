/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PASSWORDS_H
#define STORAGE_SERVICE_PASSWORDS_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "node/runtime/loop.h"

/*
 * New passwords become argon2id hashes (libsodium's text form), in pool threads, a few at a
 * time. Those that wait with the same password share one hash: an operator who adds a thousand
 * accounts with one first password waits for a handful of hashes.
 */
struct passwords;

enum {
    PASSWORDS_PARALLEL = 2,
    PASSWORDS_MEMORY = 19456 * 1024, /* bytes, a hash */
    PASSWORDS_PASSES = 2,
    PASSWORDS_WAITING_MAX = 4096,
};

struct passwords *passwords_new(struct loop *loop);
/* Those that wait end with ERR_CLOSED, in here; the memory goes when the last hash is done. */
void passwords_free(struct passwords **passwords);

/* `hash` is valid during the call. ERR_BUSY: too many wait; this alone comes from within
 * passwords_hash(). */
typedef void passwords_done(void *context, enum err err, struct bytes hash);
void passwords_hash(struct passwords *passwords, struct bytes password, passwords_done *done,
                    void *context);

#endif
