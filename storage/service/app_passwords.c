/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Second secrets of an account: passwords for one program, and the key of one-time codes. */
#include <sodium.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/auth/totp.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/addresses.h"
#include "storage/service/login_secrets.h"
#include "storage/service/operator.h"

/* An app password, whose verifiers are being made. */
struct app_making {
    struct service_call *call;
    uint64_t id; /* in the directory; 0: not there yet */
    struct bytes address;
    char text[AUTH_APP_TEXT_SIZE];
    uint8_t digest[AUTH_DIGEST_SIZE];
    uint8_t salt[AUTH_SALT_SIZE];
    bool has_salt;
    uint32_t iterations;
    struct auth_scram_keys keys;
};

static void app_making_free(struct app_making *making)
{
    sodium_memzero(making, sizeof(*making));
    free(making);
}

/* A request that comes twice is carried out once: what the second one has made up counts for
 * nothing, and is told to nobody. */
static void refuse_second(struct service_call *call, enum err err)
{
    call_fail(call, err == ERR_OK ? ERR_CONFLICT : ERR_UNKNOWN,
              err == ERR_OK ? "this request came before, or another one since: the secret that "
                              "counts was told then and cannot be told again; make a new one"
                            : "it was made, but whether the secret here is the one that counts "
                              "is not known; make a new one");
}

static bool app_counts(const struct app_making *making)
{
    struct service_call *call = making->call;
    struct db_txn *txn = service_directory_begin(call->service);
    const Pr__AccountRecord *account =
        directory_account(txn, making->address, &call->call_arena);
    bool counts = false;

    db_abort(&txn);
    const Pr__Credentials *known = account != NULL ? account->credentials : NULL;
    for (size_t i = 0; known != NULL && i < known->n_app_passwords && !counts; i++)
        counts = known->app_passwords[i]->id == making->id &&
                 bytes_equal(bytes_of_field(known->app_passwords[i]->digest),
                             bytes_from(making->digest, sizeof(making->digest)));
    return counts;
}

static void on_app_known(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct app_making *making = context;
    struct service_call *call = making->call;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AppPasswordMakeAnswer answer = PR__APP_PASSWORD_MAKE_ANSWER__INIT;

    (void)index;
    (void)unused;
    if (err != ERR_OK || !app_counts(making)) {
        app_making_free(making);
        refuse_second(call, err);
        return;
    }
    answer.id = making->id;
    answer.password = making->text;
    reply.answer_case = PR__REPLY__ANSWER_APP_PASSWORD_MAKE;
    reply.app_password_make = &answer;
    call_reply(call, &reply);
    app_making_free(making);
}

static void on_app_added(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct app_making *making = context;
    struct service_call *call = making->call;

    (void)index;
    if (err != ERR_OK || outcome->err != ERR_OK) {
        app_making_free(making);
        call_outcome(call, err, outcome);
        return;
    }
    making->id = outcome->id;
    replicator_read(call->service->replicator, DIRECTORY_GROUP, call->deadline_ms, on_app_known,
                    making);
}

static void make_in_pool(void *context)
{
    struct app_making *making = context;

    if (!making->has_salt || auth_scram_make(bytes_of(making->text), making->salt,
                                             making->iterations, &making->keys) != ERR_OK)
        making->keys.present = false;
}

static void app_made(void *context)
{
    struct app_making *making = context;
    struct service_call *call = making->call;
    const Pr__AppPasswordMake *asked = call->request->app_password_make;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AppPasswordAdd add = PR__APP_PASSWORD_ADD__INIT;
    Pr__AppPassword password = PR__APP_PASSWORD__INIT;

    password.name = asked->name;
    password.scopes = asked->scopes;
    password.digest = (ProtobufCBinaryData){sizeof(making->digest), making->digest};
    add.address = arena_string(&call->call_arena, making->address);
    add.password = &password;
    if (making->keys.present) {
        password.scram = login_scram_record(&making->keys, &call->call_arena);
        add.scram_salt = (ProtobufCBinaryData){sizeof(making->salt), making->salt};
        add.scram_iterations = making->iterations;
    }
    command.request_id = call->request->request_id;
    command.call_case = PR__COMMAND__CALL_APP_PASSWORD_ADD;
    command.app_password_add = &add;
    write_start(call->service, DIRECTORY_GROUP, &command, call->deadline_ms, on_app_added,
                making);
}

/* The salt that the account has, or is going to have. */
static void app_salt(struct app_making *making, const Pr__AccountRecord *account,
                     const Pr__ClusterRecord *cluster)
{
    const Pr__Credentials *known = account->credentials;

    making->iterations = AUTH_SCRAM_ITERATIONS;
    if (known != NULL && known->scram_salt.len == AUTH_SALT_SIZE) {
        memcpy(making->salt, known->scram_salt.data, AUTH_SALT_SIZE);
        making->iterations = known->scram_iterations;
        making->has_salt = true;
    } else if (cluster != NULL && cluster->auth_key.len == AUTH_SERVER_KEY_SIZE) {
        auth_scram_salt(cluster->auth_key.data, making->address, making->salt);
        making->has_salt = true;
    }
}

void app_password_make_call(struct service_call *call)
{
    Pr__AppPasswordMake *asked = call->request->app_password_make;
    uint8_t random[AUTH_APP_RANDOM_SIZE];
    struct bytes address;

    if (!operator_address(call, asked->address, &address))
        return;
    if (asked->name[0] == '\0') {
        call_fail(call, ERR_INVALID,
                  "an app password needs a name that tells what it is for, like \"phone\"");
        return;
    }
    struct app_making *making = calloc(1, sizeof(*making));
    CHECK(making != NULL);
    making->call = call;
    making->address = address;
    struct db_txn *txn = service_directory_begin(call->service);
    const Pr__AccountRecord *account = directory_account(txn, address, &call->call_arena);
    if (account != NULL)
        app_salt(making, account, directory_cluster(txn, &call->call_arena));
    db_abort(&txn);
    randombytes_buf(random, sizeof(random));
    auth_app_password_make(random, making->text);
    sodium_memzero(random, sizeof(random));
    CHECK(auth_app_password_digest(bytes_of(making->text), making->digest));
    loop_work(call->service->loop, make_in_pool, app_made, making);
}

void app_password_remove_call(struct service_call *call)
{
    Pr__AppPasswordRemove *remove = call->request->app_password_remove;
    Pr__Command command = PR__COMMAND__INIT;
    struct bytes address;

    if (!operator_address(call, remove->address, &address))
        return;
    remove->address = arena_string(&call->call_arena, address);
    command.call_case = PR__COMMAND__CALL_APP_PASSWORD_REMOVE;
    command.app_password_remove = remove;
    write_call(call, DIRECTORY_GROUP, &command);
}

static bool totp_counts(struct service_call *call)
{
    const struct bytes *secret = call->context;
    struct db_txn *txn = service_directory_begin(call->service);
    const Pr__AccountRecord *account =
        directory_account(txn, bytes_of(call->request->totp_make->address), &call->call_arena);

    db_abort(&txn);
    struct bytes stored = account != NULL && account->credentials != NULL
                              ? bytes_of_field(account->credentials->totp_secret)
                              : BYTES("");
    return bytes_equal(stored, *secret);
}

static void on_totp_known(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct service_call *call = context;
    const struct bytes *secret = call->context;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__TotpMakeAnswer answer = PR__TOTP_MAKE_ANSWER__INIT;
    struct buffer text = BUFFER_EMPTY;
    struct buffer uri = BUFFER_EMPTY;

    (void)index;
    (void)unused;
    if (err != ERR_OK || !totp_counts(call)) {
        refuse_second(call, err);
        return;
    }
    if (secret->len > 0) {
        auth_totp_secret_text(*secret, &text);
        auth_totp_uri(*secret, BYTES("Postraft"), bytes_of(call->request->totp_make->address),
                      &uri);
    }
    answer.secret = arena_string(&call->call_arena, buffer_bytes(&text));
    answer.uri = arena_string(&call->call_arena, buffer_bytes(&uri));
    reply.answer_case = PR__REPLY__ANSWER_TOTP_MAKE;
    reply.totp_make = &answer;
    buffer_fini(&text);
    buffer_fini(&uri);
    call_reply(call, &reply);
}

static void on_totp_set(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct service_call *call = context;

    (void)index;
    if (err != ERR_OK || outcome->err != ERR_OK)
        call_outcome(call, err, outcome);
    else
        replicator_read(call->service->replicator, DIRECTORY_GROUP, call->deadline_ms,
                        on_totp_known, call);
}

void totp_make_call(struct service_call *call)
{
    Pr__TotpMake *asked = call->request->totp_make;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__CredentialsSet set = PR__CREDENTIALS_SET__INIT;
    Pr__BytesValue value = PR__BYTES_VALUE__INIT;
    struct bytes address;

    if (!operator_address(call, asked->address, &address))
        return;
    asked->address = arena_string(&call->call_arena, address);
    struct bytes *secret = arena_alloc(&call->call_arena, sizeof(*secret));
    uint8_t *made = arena_alloc(&call->call_arena, AUTH_TOTP_SECRET_SIZE);
    randombytes_buf(made, AUTH_TOTP_SECRET_SIZE);
    *secret = bytes_from(made, asked->off ? 0 : AUTH_TOTP_SECRET_SIZE);
    call->context = secret;
    value.value = field_of_bytes(*secret);
    set.address = asked->address;
    set.totp_secret = &value;
    command.request_id = call->request->request_id;
    command.call_case = PR__COMMAND__CALL_CREDENTIALS_SET;
    command.credentials_set = &set;
    write_start(call->service, DIRECTORY_GROUP, &command, call->deadline_ms, on_totp_set, call);
}
