/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/password_check.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/passwords.h"

#define DIGEST_SIZE 32

/* One password that is compared. */
struct check {
    struct check *next;
    struct password_checks *checks;
    char hash[crypto_pwhash_STRBYTES];
    char *password;
    size_t len;
    bool real;
    bool right;
    uint8_t digest[DIGEST_SIZE];
    password_checked *done;
    void *context;
};

struct remembered {
    uint8_t digest[DIGEST_SIZE];
    uint64_t until_ms;
};

struct password_checks {
    struct loop *loop;
    bool closed; /* lives until the last hash is done */
    uint8_t key[DIGEST_SIZE];
    char decoy[crypto_pwhash_STRBYTES];
    struct remembered remembered[PASSWORD_CHECKS_REMEMBERED_MAX];
    struct check *waiting;
    struct check **waiting_end;
    unsigned waiting_count;
    unsigned running;
};

struct password_checks *password_checks_new(struct loop *loop)
{
    struct password_checks *checks = calloc(1, sizeof(*checks));
    uint8_t secret[DIGEST_SIZE];

    CHECK(checks != NULL);
    CHECK(sodium_init() >= 0);
    checks->loop = loop;
    randombytes_buf(checks->key, sizeof(checks->key));
    randombytes_buf(secret, sizeof(secret));
    CHECK(crypto_pwhash_str(checks->decoy, (const char *)secret, sizeof(secret),
                            PASSWORDS_PASSES, PASSWORDS_MEMORY) == 0);
    checks->waiting_end = &checks->waiting;
    return checks;
}

const char *password_checks_decoy(const struct password_checks *checks)
{
    return checks->decoy;
}

static struct remembered *slot_of(struct password_checks *checks,
                                  const uint8_t digest[DIGEST_SIZE])
{
    return &checks->remembered[(digest[0] | digest[1] << 8) % PASSWORD_CHECKS_REMEMBERED_MAX];
}

static void digest_of(const struct password_checks *checks, const char *hash,
                      struct bytes password, uint8_t digest[DIGEST_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, checks->key, sizeof(checks->key), DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)hash, strlen(hash) + 1);
    crypto_generichash_update(&state, password.at, password.len);
    crypto_generichash_final(&state, digest, DIGEST_SIZE);
}

/* Frees it, then tells. */
static void conclude(struct check *check, enum err err)
{
    password_checked *done = check->done;
    void *context = check->context;

    sodium_memzero(check->password, check->len);
    free(check->password);
    free(check);
    done(context, err);
}

/* In a pool thread: nobody else touches the check meanwhile. */
static void hash_in_pool(void *context)
{
    struct check *check = context;

    check->right =
        crypto_pwhash_str_verify(check->hash, check->password, check->len) == 0 && check->real;
}

static void run_next(struct password_checks *checks);

static void back_in_loop(void *context)
{
    struct check *check = context;
    struct password_checks *checks = check->checks;
    bool right = check->right;

    checks->running--;
    if (checks->closed) {
        if (checks->running == 0)
            free(checks);
        conclude(check, ERR_CLOSED);
        return;
    }
    if (right) {
        struct remembered *slot = slot_of(checks, check->digest);
        memcpy(slot->digest, check->digest, DIGEST_SIZE);
        slot->until_ms = clock_monotonic_ms() + PASSWORD_CHECKS_REMEMBERED_MS;
    }
    run_next(checks);
    conclude(check, right ? ERR_OK : ERR_DENIED);
}

static void run_next(struct password_checks *checks)
{
    while (checks->running < PASSWORD_CHECKS_PARALLEL_MAX && checks->waiting != NULL) {
        struct check *check = checks->waiting;
        checks->waiting = check->next;
        if (checks->waiting == NULL)
            checks->waiting_end = &checks->waiting;
        checks->waiting_count--;
        checks->running++;
        loop_work(checks->loop, hash_in_pool, back_in_loop, check);
    }
}

void password_check(struct password_checks *checks, const char *hash, bool real,
                    struct bytes password, password_checked *done, void *context)
{
    uint8_t digest[DIGEST_SIZE];

    CHECK(strlen(hash) < crypto_pwhash_STRBYTES);
    digest_of(checks, hash, password, digest);
    const struct remembered *slot = slot_of(checks, digest);
    if (real && clock_monotonic_ms() < slot->until_ms &&
        sodium_memcmp(slot->digest, digest, DIGEST_SIZE) == 0) {
        done(context, ERR_OK);
        return;
    }
    if (checks->waiting_count == PASSWORD_CHECKS_WAITING_MAX) {
        done(context, ERR_BUSY);
        return;
    }
    struct check *check = calloc(1, sizeof(*check));
    CHECK(check != NULL);
    *check = (struct check){
        .checks = checks,
        .password = malloc(password.len + 1),
        .len = password.len,
        .real = real,
        .done = done,
        .context = context,
    };
    CHECK(check->password != NULL);
    memcpy(check->hash, hash, strlen(hash) + 1);
    memcpy(check->password, password.at, password.len);
    check->password[password.len] = '\0';
    memcpy(check->digest, digest, DIGEST_SIZE);
    *checks->waiting_end = check;
    checks->waiting_end = &check->next;
    checks->waiting_count++;
    run_next(checks);
}

void password_checks_free(struct password_checks **checks)
{
    struct password_checks *closing = *checks;

    if (closing == NULL)
        return;
    *checks = NULL;
    closing->closed = true;
    while (closing->waiting != NULL) {
        struct check *check = closing->waiting;
        closing->waiting = check->next;
        conclude(check, ERR_CLOSED);
    }
    sodium_memzero(closing->key, sizeof(closing->key));
    if (closing->running == 0)
        free(closing);
}
