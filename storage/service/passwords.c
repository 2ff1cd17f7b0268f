/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/passwords.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"

/* Somebody who waits for a hash. */
struct asker {
    struct asker *next;
    passwords_done *done;
    void *context;
};

/* One password, and all who wait for its hash. In the list until the hash is made. */
struct secret {
    struct secret *next;
    struct passwords *passwords;
    uint8_t *text;
    size_t len;
    struct asker *askers;
    bool running;
    bool good;
    char hash[crypto_pwhash_STRBYTES];
};

struct passwords {
    struct loop *loop;
    struct secret *first;
    unsigned running;
    unsigned waiting;
    bool closed;
};

struct passwords *passwords_new(struct loop *loop)
{
    struct passwords *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    CHECK(sodium_init() >= 0);
    made->loop = loop;
    return made;
}

static void secret_answer(struct secret *secret, enum err err)
{
    struct bytes hash = bytes_of(err == ERR_OK ? secret->hash : NULL);

    while (secret->askers != NULL) {
        struct asker *asker = secret->askers;
        secret->askers = asker->next;
        secret->passwords->waiting--;
        asker->done(asker->context, err, hash);
        free(asker);
    }
}

static void secret_free(struct secret *secret)
{
    sodium_memzero(secret->text, secret->len);
    free(secret->text);
    sodium_memzero(secret, sizeof(*secret));
    free(secret);
}

static void secret_unlink(struct secret *secret)
{
    struct secret **at = &secret->passwords->first;

    while (*at != secret)
        at = &(*at)->next;
    *at = secret->next;
}

/* In a pool thread: nobody else touches `text`, `hash` and `good` meanwhile. */
static void secret_work(void *context)
{
    struct secret *secret = context;

    secret->good = crypto_pwhash_str_alg(secret->hash, (const char *)secret->text, secret->len,
                                         PASSWORDS_PASSES, PASSWORDS_MEMORY,
                                         crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static void passwords_go_on(struct passwords *passwords);

static void secret_done(void *context)
{
    struct secret *secret = context;
    struct passwords *passwords = secret->passwords;

    passwords->running--;
    secret_unlink(secret);
    if (passwords->closed) {
        secret_free(secret);
        if (passwords->running == 0)
            free(passwords);
        return;
    }
    CHECK(secret->good); /* the one way to fail is no memory */
    secret_answer(secret, ERR_OK);
    secret_free(secret);
    passwords_go_on(passwords);
}

static void passwords_go_on(struct passwords *passwords)
{
    for (struct secret *secret = passwords->first;
         secret != NULL && passwords->running < PASSWORDS_PARALLEL; secret = secret->next) {
        if (secret->running)
            continue;
        secret->running = true;
        passwords->running++;
        loop_work(passwords->loop, secret_work, secret_done, secret);
    }
}

void passwords_free(struct passwords **passwords)
{
    struct passwords *closing = *passwords;
    struct secret *next;

    if (closing == NULL)
        return;
    *passwords = NULL;
    closing->closed = true;
    for (struct secret *secret = closing->first; secret != NULL; secret = next) {
        next = secret->next;
        secret_answer(secret, ERR_CLOSED);
        if (!secret->running) {
            secret_unlink(secret);
            secret_free(secret);
        }
    }
    if (closing->running == 0)
        free(closing);
}

/* The entry of this password in the list, a new one at its end if there was none. */
static struct secret *secret_find(struct passwords *passwords, struct bytes password)
{
    struct secret **at = &passwords->first;

    for (; *at != NULL; at = &(*at)->next)
        if ((*at)->len == password.len &&
            sodium_memcmp((*at)->text, password.at, password.len) == 0)
            return *at;
    struct secret *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    made->passwords = passwords;
    made->text = malloc(password.len > 0 ? password.len : 1);
    CHECK(made->text != NULL);
    memcpy(made->text, password.at, password.len);
    made->len = password.len;
    *at = made;
    return made;
}

void passwords_hash(struct passwords *passwords, struct bytes password, passwords_done *done,
                    void *context)
{
    if (passwords->closed || passwords->waiting >= PASSWORDS_WAITING_MAX) {
        done(context, passwords->closed ? ERR_CLOSED : ERR_BUSY, bytes_of(NULL));
        return;
    }
    struct secret *secret = secret_find(passwords, password);
    struct asker *asker = calloc(1, sizeof(*asker));
    CHECK(asker != NULL);
    *asker = (struct asker){.next = secret->askers, .done = done, .context = context};
    secret->askers = asker;
    passwords->waiting++;
    passwords_go_on(passwords);
}
