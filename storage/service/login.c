/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/login.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"
#include "storage/service/passwords.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"

#define DIGEST_SIZE 32

struct login {
    struct login *next;
    struct service_call *call;
    Pr__AccountRecord *account; /* in the call's arena; NULL: no such user */
    const char *hash;
    bool right;
    uint8_t digest[DIGEST_SIZE];
};

struct remembered {
    uint8_t digest[DIGEST_SIZE];
    uint64_t until_ms;
};

struct logins {
    uint8_t key[DIGEST_SIZE];
    char decoy[crypto_pwhash_STRBYTES]; /* what an unknown user's password is compared with */
    struct remembered remembered[LOGIN_REMEMBERED_MAX];
    struct login *waiting;
    struct login **waiting_end;
    unsigned waiting_count;
    unsigned running;
};

struct logins *logins_new(void)
{
    struct logins *logins = calloc(1, sizeof(*logins));
    uint8_t secret[DIGEST_SIZE];

    CHECK(logins != NULL);
    CHECK(sodium_init() >= 0);
    randombytes_buf(logins->key, sizeof(logins->key));
    randombytes_buf(secret, sizeof(secret));
    CHECK(crypto_pwhash_str(logins->decoy, (const char *)secret, sizeof(secret),
                            PASSWORDS_PASSES, PASSWORDS_MEMORY) == 0);
    logins->waiting_end = &logins->waiting;
    return logins;
}

static struct remembered *slot_of(struct logins *logins, const uint8_t digest[DIGEST_SIZE])
{
    return &logins->remembered[(digest[0] | digest[1] << 8) % LOGIN_REMEMBERED_MAX];
}

static void digest_of(const struct logins *logins, const char *hash, const char *password,
                      uint8_t digest[DIGEST_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, logins->key, sizeof(logins->key), DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)hash, strlen(hash) + 1);
    crypto_generichash_update(&state, (const uint8_t *)password, strlen(password));
    crypto_generichash_final(&state, digest, DIGEST_SIZE);
}

/* Ends the log-in: a session, or a refusal that does not tell a wrong name from a wrong
 * password. */
static void conclude(struct login *login)
{
    struct service_call *call = login->call;
    const Pr__Login *asked = call->request->login;

    sodium_memzero(asked->password, strlen(asked->password));
    log_info(NULL, login->right ? "login" : "login refused",
             LOG_FIELDS(LOG_TEXT("user", asked->user), LOG_TEXT("peer", asked->peer_address)));
    if (!login->right) {
        call_fail(call, ERR_DENIED, NULL);
        free(login);
        return;
    }
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__LoginAnswer answer = PR__LOGIN_ANSWER__INIT;
    struct session *session =
        session_open(call->service->sessions, call->connection, login->account->id,
                     login->account->group, login->account->address);
    answer.session = session->id;
    answer.address = login->account->address;
    reply.answer_case = PR__REPLY__ANSWER_LOGIN;
    reply.login = &answer;
    call_reply(call, &reply);
    free(login);
}

static void hash_in_pool(void *context)
{
    struct login *login = context;
    const char *password = login->call->request->login->password;

    login->right = crypto_pwhash_str_verify(login->hash, password, strlen(password)) == 0 &&
                   login->account != NULL;
}

static void run_next(struct service *service);

static void back_in_loop(void *context)
{
    struct login *login = context;
    struct service *service = login->call->service;
    struct logins *logins = service->logins;

    if (logins == NULL) { /* the process ends */
        call_fail(login->call, ERR_CLOSED, NULL);
        free(login);
        return;
    }
    logins->running--;
    if (login->right) {
        struct remembered *slot = slot_of(logins, login->digest);
        memcpy(slot->digest, login->digest, DIGEST_SIZE);
        slot->until_ms = clock_monotonic_ms() + LOGIN_REMEMBERED_MS;
    }
    conclude(login);
    run_next(service);
}

static void run_next(struct service *service)
{
    struct logins *logins = service->logins;

    while (logins->running < LOGIN_PARALLEL_MAX && logins->waiting != NULL) {
        struct login *login = logins->waiting;
        logins->waiting = login->next;
        if (logins->waiting == NULL)
            logins->waiting_end = &logins->waiting;
        logins->waiting_count--;
        logins->running++;
        loop_work(service->loop, hash_in_pool, back_in_loop, login);
    }
}

static void check_password(struct service_call *call, Pr__AccountRecord *account)
{
    struct logins *logins = call->service->logins;
    struct login *login = calloc(1, sizeof(*login));
    CHECK(login != NULL);

    login->call = call;
    login->account = account;
    login->hash = account != NULL ? account->password_hash : logins->decoy;
    digest_of(logins, login->hash, call->request->login->password, login->digest);
    struct remembered *slot = slot_of(logins, login->digest);
    if (account != NULL && clock_monotonic_ms() < slot->until_ms &&
        sodium_memcmp(slot->digest, login->digest, DIGEST_SIZE) == 0) {
        login->right = true;
        conclude(login);
        return;
    }
    if (logins->waiting_count == LOGIN_WAITING_MAX) {
        call_fail(call, ERR_BUSY, NULL);
        free(login);
        return;
    }
    *logins->waiting_end = login;
    logins->waiting_end = &login->next;
    logins->waiting_count++;
    run_next(call->service);
}

/* The directory here is as new as the leader's: a changed password counts at once, on every
 * node. */
static void on_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct service_call *call = context;
    struct bytes local;
    struct bytes domain;
    Pr__AccountRecord *account = NULL;

    (void)index;
    (void)unused;
    if (err != ERR_OK || call->service->logins == NULL) {
        call_fail(call, ERR_UNAVAILABLE, NULL);
        return;
    }
    if (address_split(bytes_of(call->request->login->user), &local, &domain)) {
        struct db_txn *txn = service_directory_begin(call->service);
        account = directory_account(txn, address_fold(&call->call_arena, local, domain),
                                    &call->call_arena);
        db_abort(&txn);
    }
    check_password(call, account);
}

void login_call(struct service_call *call)
{
    if (strlen(call->request->login->password) > LOGIN_PASSWORD_SIZE_MAX) {
        call_fail(call, ERR_DENIED, NULL);
        return;
    }
    replicator_read(call->service->replicator, DIRECTORY_GROUP, call->deadline_ms, on_fresh,
                    call);
}

void logout_call(struct service_call *call)
{
    Pr__Reply reply = PR__REPLY__INIT;

    watch_session_closing(call->service, call->session);
    session_close(call->service->sessions, call->session);
    call_reply(call, &reply);
}

void logins_free(struct logins **logins)
{
    if (*logins == NULL)
        return;
    while ((*logins)->waiting != NULL) {
        struct login *login = (*logins)->waiting;
        (*logins)->waiting = login->next;
        call_fail(login->call, ERR_CLOSED, NULL);
        free(login);
    }
    sodium_memzero((*logins)->key, sizeof((*logins)->key));
    free(*logins);
    *logins = NULL;
}
