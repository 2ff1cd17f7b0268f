/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/verifiers.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/login_secrets.h"

enum { WRITE_MS = 10000 };

/* Verifiers being made, then written. */
struct making {
    struct verifiers *verifiers;
    struct arena making_arena;
    char *address;
    char *hash; /* they are of the password with this hash: CONFLICT when there is a new one */
    uint8_t *password;
    size_t len;
    uint8_t salt[AUTH_SALT_SIZE];
    struct auth_scram_keys keys;
};

struct verifiers {
    struct service *service; /* NULL: closed; lives until the last one ends */
    unsigned making;
};

struct verifiers *verifiers_new(struct service *service)
{
    struct verifiers *verifiers = calloc(1, sizeof(*verifiers));

    CHECK(verifiers != NULL);
    verifiers->service = service;
    return verifiers;
}

static void making_free(struct making *making)
{
    struct verifiers *verifiers = making->verifiers;

    sodium_memzero(&making->keys, sizeof(making->keys));
    arena_wipe(&making->making_arena);
    free(making);
    if (--verifiers->making == 0 && verifiers->service == NULL)
        free(verifiers);
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)err; /* the next log-in makes them again */
    (void)outcome;
    (void)index;
    making_free(context);
}

static void make_in_pool(void *context)
{
    struct making *making = context;

    /* A password that SASLprep refuses has no verifiers; keys.present says so. */
    if (auth_scram_make(bytes_from(making->password, making->len), making->salt,
                        AUTH_SCRAM_ITERATIONS, &making->keys) != ERR_OK)
        making->keys.present = false;
}

static void made(void *context)
{
    struct making *making = context;
    struct service *service = making->verifiers->service;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__CredentialsSet set = PR__CREDENTIALS_SET__INIT;

    if (service == NULL || !making->keys.present) {
        making_free(making);
        return;
    }
    set.address = making->address;
    set.expected_hash = making->hash;
    set.scram_salt = (ProtobufCBinaryData){sizeof(making->salt), making->salt};
    set.scram_iterations = AUTH_SCRAM_ITERATIONS;
    set.scram = login_scram_record(&making->keys, &making->making_arena);
    command.call_case = PR__COMMAND__CALL_CREDENTIALS_SET;
    command.credentials_set = &set;
    write_start(service, DIRECTORY_GROUP, &command, clock_monotonic_ms() + WRITE_MS, on_written,
                making);
}

/* The account's salt: the one that it has, or the one that it seems to have. False: there are
 * to be no verifiers. */
static bool choose_salt(struct service *service, const Pr__AccountRecord *account,
                        struct bytes address, uint8_t salt[AUTH_SALT_SIZE])
{
    const Pr__Credentials *known = account != NULL ? account->credentials : NULL;
    struct arena arena;
    bool may = known == NULL || known->totp_secret.len == 0;
    const struct settings_place cluster_wide = {0};

    bool salted = known != NULL && known->scram_salt.len == AUTH_SALT_SIZE &&
                  known->scram_iterations == AUTH_SCRAM_ITERATIONS;
    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(service);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &arena);
    may = may && cluster != NULL && cluster->auth_key.len == AUTH_SERVER_KEY_SIZE &&
          settings_number(txn, cluster_wide, SETTING_AUTH_SCRAM) != 0 &&
          (salted || known == NULL || known->n_app_passwords == 0);
    if (may && salted)
        memcpy(salt, known->scram_salt.data, AUTH_SALT_SIZE);
    else if (may)
        auth_scram_salt(cluster->auth_key.data, address, salt);
    db_abort(&txn);
    arena_fini(&arena);
    return may;
}

static void make(struct service *service, const Pr__AccountRecord *account,
                 struct bytes address, struct bytes hash, struct bytes password)
{
    struct verifiers *verifiers = service->verifiers;
    uint8_t salt[AUTH_SALT_SIZE];

    if (verifiers == NULL || verifiers->making == VERIFIERS_MAKING_MAX ||
        service_format(service, DIRECTORY_GROUP) < FORMAT_ADDRESSES ||
        !choose_salt(service, account, address, salt))
        return;
    struct making *making = calloc(1, sizeof(*making));
    CHECK(making != NULL);
    verifiers->making++;
    making->verifiers = verifiers;
    arena_init(&making->making_arena);
    making->address = arena_string(&making->making_arena, address);
    making->hash = arena_string(&making->making_arena, hash);
    making->len = password.len;
    making->password = arena_alloc(&making->making_arena, password.len + 1);
    memcpy(making->password, password.at, password.len);
    memcpy(making->salt, salt, sizeof(salt));
    loop_work(service->loop, make_in_pool, made, making);
}

void verifiers_seen(struct service *service, const Pr__AccountRecord *account,
                    enum auth_secret secret, struct bytes password)
{
    const Pr__Credentials *known = account->credentials;

    if (secret == AUTH_SECRET_PASSWORD && password.len > 0 &&
        (known == NULL || known->scram == NULL))
        make(service, account, bytes_of(account->address), bytes_of(account->password_hash),
             password);
}

void verifiers_set(struct service *service, struct bytes address, struct bytes hash,
                   struct bytes password)
{
    struct arena arena;

    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(service);
    const Pr__AccountRecord *account = directory_account(txn, address, &arena);
    db_abort(&txn);
    make(service, account, address, hash, password);
    arena_fini(&arena);
}

void verifiers_free(struct verifiers **verifiers)
{
    struct verifiers *closing = *verifiers;

    if (closing == NULL)
        return;
    *verifiers = NULL;
    closing->service = NULL;
    if (closing->making == 0)
        free(closing);
}
