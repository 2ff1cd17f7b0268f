/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/login_secrets.h"

#include "node/mail/idn.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"

/* Keys of another length than theirs are none. */
static bool take(ProtobufCBinaryData field, uint8_t *at, size_t size)
{
    if (field.len != size)
        return false;
    memcpy(at, field.data, size);
    return true;
}

static void take_keys(const Pr__ScramKeys *record, struct auth_scram_keys *keys)
{
    *keys = (struct auth_scram_keys){.present = false};
    keys->present = record != NULL &&
                    take(record->stored_sha1, keys->stored_sha1, AUTH_SHA1_SIZE) &&
                    take(record->server_sha1, keys->server_sha1, AUTH_SHA1_SIZE) &&
                    take(record->stored_sha256, keys->stored_sha256, AUTH_SHA256_SIZE) &&
                    take(record->server_sha256, keys->server_sha256, AUTH_SHA256_SIZE);
}

static void take_app_passwords(const Pr__Credentials *credentials, struct arena *arena,
                               struct auth_secrets *secrets)
{
    struct auth_app_password *made =
        arena_alloc(arena, credentials->n_app_passwords * sizeof(*made));
    size_t count = 0;

    for (size_t i = 0; i < credentials->n_app_passwords; i++) {
        const Pr__AppPassword *record = credentials->app_passwords[i];
        struct auth_app_password *made_one = &made[count];
        *made_one = (struct auth_app_password){
            .id = record->id,
            .name = bytes_of(record->name),
            .scopes = record->scopes,
            .created_ms = record->created_ms,
        };
        take_keys(record->scram, &made_one->scram);
        if (take(record->digest, made_one->digest, AUTH_DIGEST_SIZE))
            count++;
    }
    secrets->app_passwords = made;
    secrets->app_password_count = count;
}

bool login_secrets(const Pr__AccountRecord *account, struct arena *arena,
                   struct auth_secrets *secrets)
{
    const Pr__Credentials *credentials = account->credentials;

    *secrets = (struct auth_secrets){
        .identity = bytes_of(account->address),
        .password_hash = account->password_hash[0] != '\0' ? account->password_hash : NULL,
    };
    if (account->bars & PR__ACCOUNT_BAR__BAR_LOGIN)
        return false;
    if (credentials == NULL)
        return true;
    secrets->scram = take(credentials->scram_salt, secrets->salt, AUTH_SALT_SIZE);
    secrets->iterations = credentials->scram_iterations;
    take_keys(credentials->scram, &secrets->password_scram);
    take_app_passwords(credentials, arena, secrets);
    secrets->totp_secret = bytes_of_field(credentials->totp_secret);
    secrets->totp_step = credentials->totp_step;
    return true;
}

Pr__ScramKeys *login_scram_record(const struct auth_scram_keys *keys, struct arena *arena)
{
    Pr__ScramKeys *record = arena_alloc(arena, sizeof(*record));
    struct auth_scram_keys *copy = arena_alloc(arena, sizeof(*copy));

    *copy = *keys;
    pr__scram_keys__init(record);
    record->stored_sha1 = (ProtobufCBinaryData){AUTH_SHA1_SIZE, copy->stored_sha1};
    record->server_sha1 = (ProtobufCBinaryData){AUTH_SHA1_SIZE, copy->server_sha1};
    record->stored_sha256 = (ProtobufCBinaryData){AUTH_SHA256_SIZE, copy->stored_sha256};
    record->server_sha256 = (ProtobufCBinaryData){AUTH_SHA256_SIZE, copy->server_sha256};
    return record;
}

unsigned login_offered(const Pr__AuthStep *step)
{
    unsigned mask = AUTH_OFFER(AUTH_PLAIN) | AUTH_OFFER(AUTH_LOGIN) |
                    AUTH_OFFER(AUTH_SCRAM_SHA_1) | AUTH_OFFER(AUTH_SCRAM_SHA_256) |
                    AUTH_OFFER(AUTH_OAUTHBEARER);

    if (step->exporter.len > 0 || step->end_point.len > 0)
        mask |= AUTH_OFFER(AUTH_SCRAM_SHA_1_PLUS) | AUTH_OFFER(AUTH_SCRAM_SHA_256_PLUS);
    return mask;
}

struct bytes login_fold(struct bytes claimed, struct arena *arena)
{
    struct mail_path folded;

    if (mail_address_read(claimed, arena, &folded) != ERR_OK || folded.domain.len == 0)
        return arena_copy(arena, claimed);
    return bytes_of(
        arena_printf(arena, "%.*s@%.*s", BYTES_ARG(folded.local), BYTES_ARG(folded.domain)));
}

static bool has_app_password(const Pr__AccountRecord *account, uint64_t id)
{
    const Pr__Credentials *credentials = account->credentials;

    for (size_t i = 0; credentials != NULL && i < credentials->n_app_passwords; i++)
        if (credentials->app_passwords[i]->id == id)
            return true;
    return false;
}

bool login_is_outdated(struct service *service, const Pr__AccountRecord *then,
                       const struct auth_result *result)
{
    struct db_txn *txn = service_directory_begin(service);
    struct arena arena;

    arena_init(&arena);
    const Pr__AccountRecord *now = directory_account(txn, bytes_of(then->address), &arena);
    db_abort(&txn);
    bool good = now != NULL && now->id == then->id && !(now->bars & PR__ACCOUNT_BAR__BAR_LOGIN);
    if (good && result->secret == AUTH_SECRET_PASSWORD)
        good = strcmp(now->password_hash, then->password_hash) == 0;
    if (good && result->secret == AUTH_SECRET_APP_PASSWORD)
        good = has_app_password(now, result->app_password);
    arena_fini(&arena);
    return !good;
}

bool login_server_key(struct service *service, uint8_t key[AUTH_SERVER_KEY_SIZE])
{
    struct db_txn *txn = service_directory_begin(service);
    struct arena arena;

    arena_init(&arena);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &arena);
    bool there = cluster != NULL && cluster->auth_key.len == AUTH_SERVER_KEY_SIZE;
    if (there)
        memcpy(key, cluster->auth_key.data, AUTH_SERVER_KEY_SIZE);
    db_abort(&txn);
    arena_fini(&arena);
    return there;
}

void login_settings(struct service *service, const Pr__AccountRecord *account,
                    struct arena *arena, Pr__AuthStepAnswer *answer)
{
    struct db_txn *txn = service_directory_begin(service);
    struct settings_place place = settings_place_account(txn, account, arena);

    answer->domain_id = place.domain_id;
    answer->tenant_id = place.tenant_id;
    answer->hide_client = settings_number(txn, place, SETTING_SUBMISSION_HIDE_CLIENT) != 0;
    answer->recipients_max =
        (uint32_t)settings_number(txn, place, SETTING_SENDING_MESSAGE_RECIPIENTS);
    db_abort(&txn);
}
