/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_credentials.h"

#include "storage/machine/directory_addresses.h"
#include "storage/schema/entry.h"

static Pr__Credentials *credentials_of(struct apply *apply, Pr__AccountRecord *account)
{
    if (account->credentials == NULL) {
        account->credentials = arena_alloc(apply->arena, sizeof(*account->credentials));
        pr__credentials__init(account->credentials);
    }
    return account->credentials;
}

void directory_password_changed(struct apply *apply, Pr__AccountRecord *account)
{
    Pr__Credentials *credentials = credentials_of(apply, account);

    credentials->scram = NULL;
    credentials->changed_ms = apply->command->time_ms;
}

static enum err account_find(struct apply *apply, const char *address, struct bytes *local,
                             struct bytes *domain, Pr__AccountRecord **account)
{
    enum err err;

    if ((err = directory_address_check(apply, address, local, domain, account)) != ERR_OK)
        return err;
    if (*account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", address);
    return ERR_OK;
}

/* Both keys of a hash, or none. */
static bool keys_fit(ProtobufCBinaryData stored, ProtobufCBinaryData server, size_t size)
{
    return stored.len == server.len && (stored.len == size || stored.len == 0);
}

static enum err keys_check(struct apply *apply, const Pr__ScramKeys *keys)
{
    if (keys_fit(keys->stored_sha1, keys->server_sha1, SCRAM_SHA1_SIZE) &&
        keys_fit(keys->stored_sha256, keys->server_sha256, SCRAM_SHA256_SIZE) &&
        keys->stored_sha1.len + keys->stored_sha256.len > 0)
        return ERR_OK;
    return apply_refuse(apply, ERR_INVALID, "no keys of a password");
}

static enum err salt_check(struct apply *apply, ProtobufCBinaryData salt, uint32_t iterations)
{
    if (salt.len == SCRAM_SALT_SIZE && iterations >= SCRAM_ITERATIONS_MIN &&
        iterations <= SCRAM_ITERATIONS_MAX)
        return ERR_OK;
    return apply_refuse(apply, ERR_INVALID, "a salt of %zu bytes, %u iterations", salt.len,
                        iterations);
}

static bool salt_is(const Pr__Credentials *credentials, ProtobufCBinaryData salt,
                    uint32_t iterations)
{
    return credentials != NULL && credentials->scram_iterations == iterations &&
           bytes_equal(bytes_of_field(credentials->scram_salt), bytes_of_field(salt));
}

static bool has_salt(const Pr__Credentials *credentials)
{
    return credentials != NULL && credentials->scram_salt.len > 0;
}

static enum err set_check(struct apply *apply, const Pr__CredentialsSet *call,
                          const Pr__AccountRecord *account)
{
    enum err err;

    if (call->expected_hash[0] != '\0' &&
        strcmp(call->expected_hash, account->password_hash) != 0)
        return apply_refuse(apply, ERR_CONFLICT, "%s has another password by now",
                            call->address);
    if (strlen(call->password_hash) > DIRECTORY_PASSWORD_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "a password hash of %zu bytes",
                            strlen(call->password_hash));
    if (call->totp_secret != NULL && call->totp_secret->value.len > 0 &&
        (call->totp_secret->value.len < TOTP_SECRET_SIZE_MIN ||
         call->totp_secret->value.len > TOTP_SECRET_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a secret of %zu bytes",
                            call->totp_secret->value.len);
    if (call->scram != NULL && (err = keys_check(apply, call->scram)) != ERR_OK)
        return err;
    if (call->scram_salt.len == 0 && call->scram_iterations == 0) {
        if (call->scram != NULL && !has_salt(account->credentials))
            return apply_refuse(apply, ERR_INVALID, "keys of a password without their salt");
        return ERR_OK;
    }
    if ((err = salt_check(apply, call->scram_salt, call->scram_iterations)) != ERR_OK)
        return err;
    if (call->scram == NULL &&
        !salt_is(account->credentials, call->scram_salt, call->scram_iterations))
        return apply_refuse(apply, ERR_INVALID, "another salt needs new keys of the password");
    return ERR_OK;
}

/* One salt serves all secrets of an account: keys that were made with another one are gone. */
static void salt_set(Pr__Credentials *credentials, ProtobufCBinaryData salt,
                     uint32_t iterations)
{
    if (salt_is(credentials, salt, iterations))
        return;
    credentials->scram_salt = salt;
    credentials->scram_iterations = iterations;
    for (size_t i = 0; i < credentials->n_app_passwords; i++)
        credentials->app_passwords[i]->scram = NULL;
}

enum err apply_credentials_set(struct apply *apply)
{
    const Pr__CredentialsSet *call = apply->command->credentials_set;
    Pr__AccountRecord *account;
    Pr__Credentials *credentials;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = account_find(apply, call->address, &local, &domain, &account)) != ERR_OK ||
        (err = set_check(apply, call, account)) != ERR_OK)
        return err;
    credentials = credentials_of(apply, account);
    if (call->password_hash[0] != '\0') {
        account->password_hash = call->password_hash;
        directory_password_changed(apply, account);
        event_account_ended(apply, account->id);
    }
    if (call->scram_salt.len > 0)
        salt_set(credentials, call->scram_salt, call->scram_iterations);
    if (call->scram != NULL)
        credentials->scram = call->scram;
    if (call->totp_secret != NULL) {
        credentials->totp_secret = call->totp_secret->value;
        credentials->totp_step = 0;
    }
    directory_account_store(apply, local, domain, account);
    apply->outcome->id = account->id;
    return ERR_OK;
}

/* ---- app passwords ---- */

static enum err app_password_check(struct apply *apply, const Pr__AppPasswordAdd *call,
                                   const Pr__Credentials *credentials)
{
    const Pr__AppPassword *password = call->password;
    enum err err;

    if (password == NULL || password->name[0] == '\0' ||
        !directory_text_valid(bytes_of(password->name), APP_PASSWORD_NAME_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "the name of an app password is 1 to %d bytes",
                            APP_PASSWORD_NAME_SIZE_MAX);
    if (password->digest.len != APP_PASSWORD_DIGEST_SIZE ||
        password->scopes & ~(uint32_t)APP_PASSWORD_SCOPES)
        return apply_refuse(apply, ERR_INVALID, "no app password");
    if (credentials != NULL && credentials->n_app_passwords >= APP_PASSWORDS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%s has %d app passwords, and cannot have more",
                            call->address, APP_PASSWORDS_MAX);
    for (size_t i = 0; credentials != NULL && i < credentials->n_app_passwords; i++)
        if (strcmp(credentials->app_passwords[i]->name, password->name) == 0)
            return apply_refuse(apply, ERR_EXISTS, "%s has an app password %s already",
                                call->address, password->name);
    if (password->scram != NULL && (err = keys_check(apply, password->scram)) != ERR_OK)
        return err;
    if (call->scram_salt.len == 0 && call->scram_iterations == 0)
        return password->scram == NULL
                   ? ERR_OK
                   : apply_refuse(apply, ERR_INVALID, "keys of a password without their salt");
    if ((err = salt_check(apply, call->scram_salt, call->scram_iterations)) != ERR_OK)
        return err;
    if (has_salt(credentials) &&
        !salt_is(credentials, call->scram_salt, call->scram_iterations))
        return apply_refuse(apply, ERR_CONFLICT, "%s has another salt by now", call->address);
    return ERR_OK;
}

enum err apply_app_password_add(struct apply *apply)
{
    const Pr__AppPasswordAdd *call = apply->command->app_password_add;
    Pr__AccountRecord *account;
    Pr__Credentials *credentials;
    Pr__AppPassword **wider;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = account_find(apply, call->address, &local, &domain, &account)) != ERR_OK ||
        (err = app_password_check(apply, call, account->credentials)) != ERR_OK)
        return err;
    credentials = credentials_of(apply, account);
    if (call->scram_salt.len > 0)
        salt_set(credentials, call->scram_salt, call->scram_iterations);
    wider = arena_alloc(apply->arena, (credentials->n_app_passwords + 1) * sizeof(*wider));
    for (size_t i = 0; i < credentials->n_app_passwords; i++)
        wider[i] = credentials->app_passwords[i];
    if (credentials->next_app_password == 0)
        credentials->next_app_password = 1;
    call->password->id = credentials->next_app_password++;
    call->password->created_ms = apply->command->time_ms;
    wider[credentials->n_app_passwords++] = call->password;
    credentials->app_passwords = wider;
    directory_account_store(apply, local, domain, account);
    apply->outcome->id = call->password->id;
    return ERR_OK;
}

enum err apply_app_password_remove(struct apply *apply)
{
    const Pr__AppPasswordRemove *call = apply->command->app_password_remove;
    Pr__AccountRecord *account;
    Pr__Credentials *credentials;
    struct bytes local;
    struct bytes domain;
    size_t kept = 0;
    enum err err;

    if ((err = account_find(apply, call->address, &local, &domain, &account)) != ERR_OK)
        return err;
    credentials = credentials_of(apply, account);
    for (size_t i = 0; i < credentials->n_app_passwords; i++)
        if (credentials->app_passwords[i]->id != call->id)
            credentials->app_passwords[kept++] = credentials->app_passwords[i];
    if (kept == credentials->n_app_passwords)
        return apply_refuse(apply, ERR_NOTFOUND, "%s has no app password %llu", call->address,
                            (unsigned long long)call->id);
    credentials->n_app_passwords = kept;
    directory_account_store(apply, local, domain, account);
    apply->outcome->id = account->id;
    /* Nobody knows which sessions began with it. */
    event_account_ended(apply, account->id);
    return ERR_OK;
}

enum err apply_totp_used(struct apply *apply)
{
    const Pr__TotpUsed *call = apply->command->totp_used;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    struct bytes row;
    struct key key;
    enum err err;

    if (db_get(apply->txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, call->account_id),
               &row) != ERR_OK)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %llu",
                            (unsigned long long)call->account_id);
    if ((err = account_find(apply, arena_string(apply->arena, row), &local, &domain,
                            &account)) != ERR_OK)
        return err;
    if (account->credentials == NULL || account->credentials->totp_secret.len == 0)
        return apply_refuse(apply, ERR_INVALID, "%s has no one-time passwords",
                            account->address);
    if (call->step <= account->credentials->totp_step)
        return apply_refuse(apply, ERR_CONFLICT, "the one-time password was used before");
    account->credentials->totp_step = call->step;
    directory_account_store(apply, local, domain, account);
    return ERR_OK;
}

/* ---- the cluster's own account ---- */

static bool key_fits(ProtobufCBinaryData key)
{
    return key.len == ROLE_KEY_SIZE || key.len == 0;
}

static void key_take(ProtobufCBinaryData *known, ProtobufCBinaryData given)
{
    if (known->len == 0)
        *known = given;
}

enum err apply_role_account_make(struct apply *apply)
{
    const Pr__RoleAccountMake *call = apply->command->role_account_make;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    Pr__AccountRecord account = PR__ACCOUNT_RECORD__INIT;
    Pr__GroupRecord *group;
    struct bytes local;
    struct bytes domain;
    struct key key;
    Pr__AccountRecord *known;

    if (cluster == NULL)
        return apply->outcome->err;
    if (!key_fits(call->srs_key) || !key_fits(call->auth_key))
        return apply_refuse(apply, ERR_INVALID, "keys of another size than %d bytes",
                            ROLE_KEY_SIZE);
    if (cluster->role_account_id == 0) {
        if ((group = directory_group_choose(apply)) == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group");
        if (directory_address_check(apply, ROLE_ADDRESS, &local, &domain, &known) != ERR_OK)
            return apply->outcome->err;
        account.id = cluster->role_account_id = cluster->next_account_id++;
        account.address = arena_string(apply->arena, BYTES(ROLE_ADDRESS));
        account.group = group->group;
        account.created_ms = apply->command->time_ms;
        directory_account_store(apply, local, domain, &account);
        db_put(apply->txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account.id),
               BYTES(ROLE_ADDRESS));
        directory_group_count(apply, group, true);
    }
    key_take(&cluster->srs_key, call->srs_key);
    key_take(&cluster->auth_key, call->auth_key);
    directory_cluster_store(apply, cluster);
    apply->outcome->id = cluster->role_account_id;
    return ERR_OK;
}
