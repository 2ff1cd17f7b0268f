/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/login.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/firewall.h"
#include "storage/service/login_oauth.h"
#include "storage/service/login_secrets.h"
#include "storage/service/password_check.h"
#include "storage/service/sessions.h"
#include "storage/service/verifiers.h"
#include "storage/service/watch.h"

/* An exchange. Between two messages of its client it has no call. */
struct login {
    struct login *next;
    struct login **self;
    struct logins *logins;
    uint64_t id; /* random; how the front end names it */
    uint32_t connection;
    uint64_t begun_ms;
    struct service_call *call;
    bool left;    /* its connection has closed while it had a call */
    bool at_once; /* IMAP's LOGIN: all in one call */
    bool barred;  /* its account may not log in: told to the log alone */
    struct auth_config config;
    struct auth_oauth *oauth; /* of OAUTHBEARER */
    struct auth_exchange *exchange;
    struct arena login_arena;
    struct bytes folded;        /* the name, as it was looked up */
    Pr__AccountRecord *account; /* NULL: no such user, or not looked up yet */
    const char *peer;
    uint8_t *password; /* that was right; wiped at the end */
    size_t password_len;
};

struct logins {
    struct service *service;
    struct password_checks *checks;
    struct auth_config config;
    bool has_key; /* the cluster's own; until then one of this process */
    struct login *first;
    unsigned count;
    struct loop_timer *sweep;
    bool closed; /* lives until the last one ends */
};

static void login_free(struct login *login)
{
    struct logins *logins = login->logins;

    *login->self = login->next;
    if (login->next != NULL)
        login->next->self = login->self;
    auth_exchange_free(&login->exchange);
    auth_oauth_free(&login->oauth);
    arena_wipe(&login->login_arena);
    free(login);
    if (--logins->count == 0 && logins->closed)
        free(logins);
}

static void on_sweep(void *context)
{
    struct logins *logins = context;
    uint64_t now_ms = clock_monotonic_ms();

    for (struct login *login = logins->first, *next; login != NULL; login = next) {
        next = login->next;
        if (login->call == NULL && now_ms - login->begun_ms > LOGIN_EXCHANGE_MS)
            login_free(login);
    }
}

struct logins *logins_new(struct service *service)
{
    struct logins *logins = calloc(1, sizeof(*logins));

    CHECK(logins != NULL);
    logins->service = service;
    logins->checks = password_checks_new(service->loop);
    randombytes_buf(logins->config.server_key, sizeof(logins->config.server_key));
    logins->config.decoy_hash = password_checks_decoy(logins->checks);
    logins->sweep =
        loop_timer_start(service->loop, LOGIN_SWEEP_MS, LOGIN_SWEEP_MS, on_sweep, logins);
    return logins;
}

void logins_connection_closed(struct logins *logins, uint32_t connection)
{
    if (logins == NULL)
        return;
    for (struct login *login = logins->first, *next; login != NULL; login = next) {
        next = login->next;
        if (login->connection != connection)
            continue;
        login->left = true;
        if (login->call == NULL)
            login_free(login);
    }
}

/* Ends with an error that says nothing of the client. */
static void fail(struct login *login, enum err err)
{
    struct service_call *call = login->call;

    login_free(login);
    call_fail(call, err, NULL);
}

static void fill_tried(const struct login *login, Pr__AuthStepAnswer *answer)
{
    struct bytes name =
        login->folded.len > 0 ? login->folded : auth_exchange_name(login->exchange);
    struct firewall_key key = firewalls_key(login->logins->service);

    answer->tried = arena_string(&login->call->call_arena, name);
    answer->account_digest = name.len > 0 ? firewall_account_digest(&key, name) : 0;
}

static const char *program_of(const struct login *login)
{
    return login->call->role == ROLE_SMTP ? "smtp" : "imap";
}

static void refuse(struct login *login, const char *why)
{
    struct service_call *call = login->call;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AuthStepAnswer answer = PR__AUTH_STEP_ANSWER__INIT;
    uint8_t digest[AUTH_DIGEST_SIZE];

    if (!login->left)
        firewalls_login(login->logins->service, login->connection, login->peer, false);
    fill_tried(login, &answer);
    log_info(NULL, "login refused",
             LOG_FIELDS(LOG_TEXT("user", answer.tried), LOG_TEXT("program", program_of(login)),
                        LOG_U64("connection", login->connection), LOG_TEXT("peer", login->peer),
                        LOG_TEXT("reason", login->barred ? "the account is barred" : why)));
    if (login->at_once) {
        login_free(login);
        call_fail(call, ERR_DENIED, NULL);
        return;
    }
    if (auth_exchange_tried(login->exchange, digest))
        answer.secret_digest = (ProtobufCBinaryData){sizeof(digest), digest};
    answer.refusal = arena_string(&call->call_arena, bytes_of(why));
    answer.expired = auth_exchange_token(login->exchange) == AUTH_TOKEN_EXPIRED;
    reply.err = ERR_DENIED;
    reply.answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    reply.auth_step = &answer;
    login_free(login);
    call_reply(call, &reply);
}

static void let_in(struct login *login)
{
    struct service_call *call = login->call;
    struct service *service = call->service;
    const Pr__AccountRecord *account = login->account;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__LoginAnswer logged_in = PR__LOGIN_ANSWER__INIT;
    Pr__AuthStepAnswer answer = PR__AUTH_STEP_ANSWER__INIT;

    if (login->left) { /* a session would never end: its connection has ended before it */
        fail(login, ERR_CLOSED);
        return;
    }
    if (login_is_outdated(service, account, auth_exchange_result(login->exchange))) {
        fail(login, ERR_UNAVAILABLE); /* tried again, it is decided by what is true now */
        return;
    }
    struct session *session = session_open(service->sessions, call->connection, account->id,
                                           account->group, account->address);
    session->unwatched = call->role == ROLE_SMTP;
    firewalls_login(service, login->connection, login->peer, true);
    log_info(
        NULL, "login",
        LOG_FIELDS(LOG_TEXT("user", account->address), LOG_TEXT("program", program_of(login)),
                   LOG_U64("connection", login->connection), LOG_TEXT("peer", login->peer)));
    verifiers_seen(service, account, auth_exchange_result(login->exchange)->secret,
                   bytes_from(login->password, login->password_len));
    if (login->at_once) {
        logged_in.session = session->id;
        logged_in.address = account->address;
        reply.answer_case = PR__REPLY__ANSWER_LOGIN;
        reply.login = &logged_in;
    } else {
        fill_tried(login, &answer);
        login_settings(service, account, &login->login_arena, &answer);
        answer.session = session->id;
        answer.address = account->address;
        answer.account_id = account->id;
        answer.bars = account->bars;
        reply.answer_case = PR__REPLY__ANSWER_AUTH_STEP;
        reply.auth_step = &answer;
    }
    call_reply(call, &reply); /* before the login goes: the address is its account's */
    login_free(login);
}

static void on_step_used(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct login *login = context;

    (void)index;
    if (err != ERR_OK)
        fail(login, ERR_UNAVAILABLE);
    else if (outcome->err != ERR_OK)
        refuse(login, auth_refusal_text(AUTH_REFUSAL_TOTP_SPENT));
    else
        let_in(login);
}

/* A one-time code counts once in the cluster. */
static void conclude(struct login *login)
{
    const struct auth_result *result = auth_exchange_result(login->exchange);
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TotpUsed used = PR__TOTP_USED__INIT;

    if (!result->totp_used) {
        let_in(login);
        return;
    }
    used.account_id = login->account->id;
    used.step = result->totp_step;
    command.call_case = PR__COMMAND__CALL_TOTP_USED;
    command.totp_used = &used;
    write_start(login->logins->service, DIRECTORY_GROUP, &command, login->call->deadline_ms,
                on_step_used, login);
}

static void challenge(struct login *login)
{
    struct service_call *call = login->call;
    struct bytes text = auth_exchange_challenge(login->exchange);
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AuthStepAnswer answer = PR__AUTH_STEP_ANSWER__INIT;

    answer.exchange = login->id;
    answer.challenge = field_of_bytes(text);
    reply.answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    reply.auth_step = &answer;
    login->call = NULL;
    call_reply(call, &reply);
}

static void go_on(struct login *login, enum auth_next next);

static void on_password_checked(void *context, enum err err)
{
    struct login *login = context;

    if (err == ERR_OK) {
        struct bytes password = auth_exchange_password(login->exchange);
        login->password = arena_alloc(&login->login_arena, password.len);
        login->password_len = password.len;
        memcpy(login->password, password.at, password.len);
    }
    if (err == ERR_OK || err == ERR_DENIED)
        go_on(login, auth_exchange_password_checked(login->exchange, err == ERR_OK));
    else
        fail(login, err);
}

static void on_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct login *login = context;
    struct logins *logins = login->logins;
    struct auth_secrets secrets;

    (void)index;
    (void)unused;
    if (err != ERR_OK || logins->service->logins == NULL) {
        fail(login, ERR_UNAVAILABLE);
        return;
    }
    login->folded = login_fold(auth_exchange_name(login->exchange), &login->login_arena);
    struct db_txn *txn = service_directory_begin(logins->service);
    login->account = directory_account(txn, login->folded, &login->login_arena);
    db_abort(&txn);
    bool may =
        login->account != NULL && login_secrets(login->account, &login->login_arena, &secrets);
    login->barred = login->account != NULL && !may;
    go_on(login, auth_exchange_user(login->exchange, login->folded, may ? &secrets : NULL,
                                    clock_wall_ms() / 1000));
}

static void go_on(struct login *login, enum auth_next next)
{
    switch (next) {
    case AUTH_CONTINUE:
        challenge(login);
        break;
    case AUTH_NEED_USER:
        replicator_read(login->logins->service->replicator, DIRECTORY_GROUP,
                        login->call->deadline_ms, on_fresh, login);
        break;
    case AUTH_NEED_PASSWORD:
        password_check(login->logins->checks, auth_exchange_password_hash(login->exchange),
                       login->account != NULL, auth_exchange_password(login->exchange),
                       on_password_checked, login);
        break;
    case AUTH_DONE:
        conclude(login);
        break;
    case AUTH_REFUSED:
        refuse(login, auth_refusal_text(auth_exchange_refusal(login->exchange)));
        break;
    }
}

/*
 * Clients who begin and do not go on must not keep others out: beyond the limit the oldest that
 * waits for its client gives way. False: all are being worked on.
 */
static bool make_room(struct logins *logins)
{
    struct login *oldest = NULL; /* the list begins with the newest */

    if (logins->count < LOGIN_EXCHANGES_MAX)
        return true;
    for (struct login *login = logins->first; login != NULL; login = login->next)
        if (login->call == NULL)
            oldest = login;
    if (oldest != NULL)
        login_free(oldest);
    return oldest != NULL;
}

/* NULL: too many, and the call has been refused. */
static struct login *login_new(struct service_call *call, enum auth_mechanism mechanism,
                               struct auth_channel *channel, const char *peer)
{
    struct logins *logins = call->service->logins;

    if (logins == NULL || !make_room(logins)) {
        call_fail(call, logins == NULL ? ERR_UNAVAILABLE : ERR_BUSY, NULL);
        return NULL;
    }
    if (!logins->has_key)
        logins->has_key = login_server_key(logins->service, logins->config.server_key);
    struct login *login = calloc(1, sizeof(*login));
    CHECK(login != NULL);
    channel->scope = call->role == ROLE_SMTP ? AUTH_SCOPE_SUBMISSION : AUTH_SCOPE_IMAP;
    randombytes_buf(channel->nonce, sizeof(channel->nonce));
    *login = (struct login){
        .next = logins->first,
        .self = &logins->first,
        .logins = logins,
        .connection = call->connection,
        .begun_ms = clock_monotonic_ms(),
        .call = call,
        .config = logins->config,
        .oauth = mechanism == AUTH_OAUTHBEARER ? login_oauth(call->service) : NULL,
    };
    login->config.oauth = login->oauth;
    login->exchange = auth_exchange_new(mechanism, &login->config, channel);
    do
        randombytes_buf(&login->id, sizeof(login->id));
    while (login->id == 0);
    arena_init(&login->login_arena);
    login->peer = arena_string(&login->login_arena, bytes_of(peer));
    if (login->next != NULL)
        login->next->self = &login->next;
    logins->first = login;
    logins->count++;
    return login;
}

void login_call(struct service_call *call)
{
    Pr__Login *asked = call->request->login;
    struct auth_channel channel = {.offered = AUTH_OFFER(AUTH_PLAIN)};
    struct login *login = login_new(call, AUTH_PLAIN, &channel, asked->peer_address);

    if (login == NULL)
        return;
    login->at_once = true;
    size_t user_len = strlen(asked->user);
    size_t password_len = strlen(asked->password);
    size_t len = user_len + password_len + 2;
    uint8_t *message = arena_alloc(&login->login_arena, len);
    message[0] = message[user_len + 1] = '\0';
    memcpy(message + 1, asked->user, user_len);
    memcpy(message + user_len + 2, asked->password, password_len);
    sodium_memzero(asked->password, password_len);
    enum auth_next next =
        auth_exchange_step(login->exchange, bytes_from(message, len), clock_wall_ms() / 1000);
    sodium_memzero(message, len);
    go_on(login, next);
}

/* NULL when there is none of that id that waits for its client on this connection. */
static struct login *find(const struct service_call *call, uint64_t id)
{
    const struct logins *logins = call->service->logins;
    struct login *login = logins != NULL ? logins->first : NULL;

    while (login != NULL && login->id != id)
        login = login->next;
    return login != NULL && login->connection == call->connection && login->call == NULL ? login
                                                                                         : NULL;
}

/* The exchange has its own copy of what it needs; this may be a password. */
static void wipe(const Pr__AuthStep *step)
{
    sodium_memzero(step->message.data, step->message.len);
}

static void begin(struct service_call *call, struct bytes message)
{
    const Pr__AuthStep *step = call->request->auth_step;
    struct auth_channel channel = {
        .offered = login_offered(step),
        .tls_exporter = bytes_of_field(step->exporter),
        .tls_server_end_point = bytes_of_field(step->end_point),
    };
    enum auth_mechanism mechanism =
        auth_mechanism_find(bytes_of(step->mechanism), channel.offered);

    if (mechanism == AUTH_MECHANISM_NONE || !step->tls ||
        step->exporter.len > AUTH_BINDING_SIZE_MAX ||
        step->end_point.len > AUTH_BINDING_SIZE_MAX) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return;
    }
    struct login *login = login_new(call, mechanism, &channel, step->peer_address);
    if (login == NULL)
        return;
    enum auth_next next =
        step->initial ? auth_exchange_step(login->exchange, message, clock_wall_ms() / 1000)
                      : auth_exchange_begin(login->exchange);
    wipe(step);
    go_on(login, next);
}

void auth_step_call(struct service_call *call)
{
    const Pr__AuthStep *step = call->request->auth_step;
    struct bytes message = bytes_of_field(step->message);

    if (step->exchange == 0) {
        begin(call, message);
        return;
    }
    struct login *login = find(call, step->exchange);
    if (login == NULL) {
        call_fail(call, ERR_NOSESSION, NULL);
        return;
    }
    login->call = call;
    enum auth_next next = auth_exchange_step(login->exchange, message, clock_wall_ms() / 1000);
    wipe(step);
    go_on(login, next);
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
    struct logins *closing = *logins;

    if (closing == NULL)
        return;
    *logins = NULL;
    loop_timer_stop(&closing->sweep);
    closing->count++; /* it goes below, not with one of these */
    closing->closed = true;
    for (struct login *login = closing->first, *next; login != NULL; login = next) {
        next = login->next;
        if (login->call == NULL)
            login_free(login);
    }
    password_checks_free(&closing->checks);
    if (--closing->count == 0)
        free(closing);
}
