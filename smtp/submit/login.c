/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/submit/login.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/digest.h"
#include "storage/schema/entry.h"

struct login {
    struct login_config config;
    struct arena login_arena;
    uint64_t exchange; /* the store's; 0: none */
    uint64_t ticket;   /* the engine's, of the step under way */
    uint64_t call;     /* the store client's */
    uint64_t session;
    uint64_t account_id;
    struct bytes address;
    uint32_t bars;
    bool hides_client;
    unsigned recipients_max;
    struct smtp_auth_answer held; /* its bytes are in the arena */
    bool said;                    /* the client: a message of the exchange */
    bool left;                    /* its client; what the store still answers is undone */
};

struct login *login_new(const struct login_config *config)
{
    struct login *login = calloc(1, sizeof(*login));

    CHECK(login != NULL);
    login->config = *config;
    arena_init(&login->login_arena);
    return login;
}

static void on_logged_out(void *context, enum err err, const Pr__Reply *reply)
{
    (void)context;
    (void)err;
    (void)reply; /* the session ends with the connection to the store in any case */
}

static void log_out(struct login *login)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Logout logout = PR__LOGOUT__INIT;

    request.session = login->session;
    request.call_case = PR__REQUEST__CALL_LOGOUT;
    request.logout = &logout;
    store_call(login->config.store, &request, login->config.step_ms, on_logged_out, NULL);
    login->session = 0;
}

static void destroy(struct login *login)
{
    arena_fini(&login->login_arena);
    free(login);
}

/* A step that is under way may bring a session yet, which nobody else would end. */
void login_free(struct login **login)
{
    if (*login == NULL)
        return;
    if ((*login)->session != 0)
        log_out(*login);
    (*login)->left = true;
    if ((*login)->call == 0)
        destroy(*login);
    *login = NULL;
}

static enum smtp_auth_result result_of(enum err err)
{
    switch (err) {
    case ERR_DENIED:
        return SMTP_AUTH_REFUSED;
    case ERR_INVALID:
    case ERR_MALFORMED:
        return SMTP_AUTH_MALFORMED;
    default:
        return SMTP_AUTH_TEMPORARY;
    }
}

static void take_account(struct login *login, const Pr__AuthStepAnswer *step)
{
    if (login->session != 0)
        log_out(login); /* of one who has not taken the last word of its log-in */
    login->session = step->session;
    login->account_id = step->account_id;
    login->address = arena_copy(&login->login_arena, bytes_of(step->address));
    login->bars = step->bars;
    login->hides_client = step->hide_client;
    login->recipients_max = step->recipients_max;
}

static void give(struct login *login, const struct smtp_auth_answer *answer)
{
    smtp_session_authenticated(login->config.session, login->ticket, answer);
    login->config.answered(login->config.context);
}

void login_release(struct login *login)
{
    give(login, &login->held);
}

/* The firewall hears of it. True: the answer is held back. */
static bool tell(struct login *login, const Pr__AuthStepAnswer *step,
                 struct smtp_auth_answer *answer)
{
    uint32_t secret = 0;

    login->held = *answer;
    login->held.bytes = arena_copy(&login->login_arena, answer->bytes);
    if (step->secret_digest.len >= sizeof(secret)) {
        memcpy(&secret, step->secret_digest.data, sizeof(secret));
        secret = secret % FIREWALL_SECRET_MAX + 1;
    }
    switch (login->config.tried(login->config.context, answer->result == SMTP_AUTH_DONE,
                                step->account_digest, secret)) {
    case LOGIN_HELD:
        return true;
    case LOGIN_TOO_MANY:
        answer->result = SMTP_AUTH_TOO_MANY;
        answer->bytes = bytes_from(NULL, 0);
        return false;
    default:
        return false;
    }
}

/* The client has ended the exchange itself; whose it would have been nobody says. */
static void give_up(struct login *login)
{
    struct smtp_auth_answer answer = {.result = SMTP_AUTH_REFUSED};
    Pr__AuthStepAnswer unknown;

    pr__auth_step_answer__init(&unknown); /* the macro casts a const away */
    login->exchange = 0; /* the store's ends with the next one, or the connection */
    if (!tell(login, &unknown, &answer))
        give(login, &answer);
}

/* The client has gone: nobody is told, and nobody stays logged in. */
static void end_left(struct login *login, const Pr__AuthStepAnswer *step)
{
    if (step != NULL && step->session != 0) {
        login->session = step->session;
        log_out(login);
    }
    destroy(login);
}

static void on_step(void *context, enum err err, const Pr__Reply *reply)
{
    struct login *login = context;
    struct smtp_auth_answer answer = {.result = SMTP_AUTH_TEMPORARY};
    const Pr__AuthStepAnswer *step =
        err == ERR_OK && reply->answer_case == PR__REPLY__ANSWER_AUTH_STEP ? reply->auth_step
                                                                           : NULL;

    login->call = 0;
    login->exchange = 0;
    if (login->left) {
        end_left(login, step);
        return;
    }
    if (err == ERR_OK && reply->err != ERR_OK) {
        answer.result = result_of((enum err)reply->err);
    } else if (step != NULL && step->exchange != 0) {
        login->exchange = step->exchange;
        answer.result = SMTP_AUTH_CONTINUE;
        answer.bytes = bytes_of_field(step->challenge);
    } else if (step != NULL && step->session != 0) {
        take_account(login, step);
        answer.result = SMTP_AUTH_DONE;
        answer.bytes = bytes_of_field(step->challenge);
        answer.account_id = login->account_id;
        answer.login = login->address;
    }
    /* Trouble of ours is nobody's failure. */
    bool decided = answer.result == SMTP_AUTH_DONE || answer.result == SMTP_AUTH_REFUSED;
    if (step != NULL && decided && tell(login, step, &answer))
        return;
    give(login, &answer);
}

static void add_binding(const struct login *login, enum conn_binding kind,
                        struct buffer *buffer, ProtobufCBinaryData *field)
{
    if (conn_channel_binding(login->config.conn, kind, buffer))
        *field = field_of_bytes(buffer_bytes(buffer));
}

void login_step(struct login *login, const struct smtp_action *action)
{
    struct buffer exporter = BUFFER_EMPTY;
    struct buffer end_point = BUFFER_EMPTY;
    struct arena call_arena;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AuthStep step;

    login->ticket = action->ticket;
    if (action->given_up) {
        give_up(login);
        return;
    }
    login->said = action->has_response; /* once it is, it stays so to the end of the exchange */
    arena_init(&call_arena);
    pr__auth_step__init(&step); /* likewise */
    if (action->initial) {
        login->exchange = 0;
        step.mechanism = arena_string(&call_arena, action->mechanism);
        add_binding(login, CONN_BINDING_TLS_EXPORTER, &exporter, &step.exporter);
        add_binding(login, CONN_BINDING_TLS_SERVER_END_POINT, &end_point, &step.end_point);
    }
    step.exchange = login->exchange;
    step.message = field_of_bytes(action->bytes);
    step.initial = action->has_response;
    step.peer_address =
        arena_string(&call_arena, bytes_of(login->config.peer(login->config.context)));
    step.tls = conn_has_tls(login->config.conn);
    step.client = arena_string(&call_arena, smtp_session_envelope(login->config.session)->helo);
    request.call_case = PR__REQUEST__CALL_AUTH_STEP;
    request.auth_step = &step;
    login->call =
        store_call(login->config.store, &request, login->config.step_ms, on_step, login);
    buffer_fini(&exporter);
    buffer_fini(&end_point);
    arena_fini(&call_arena);
}

bool login_waits(const struct login *login)
{
    return login->said && (login->call != 0 || login->exchange != 0);
}

void login_forget(struct login *login)
{
    CHECK(login->call == 0);
    if (login->session != 0)
        log_out(login);
    arena_fini(&login->login_arena);
    *login = (struct login){.config = login->config};
    arena_init(&login->login_arena);
}

uint64_t login_session(const struct login *login)
{
    return login->session;
}

struct bytes login_address(const struct login *login)
{
    return login->address;
}

bool login_may_send(const struct login *login)
{
    return !(login->bars & PR__ACCOUNT_BAR__BAR_SEND);
}

bool login_hides_client(const struct login *login)
{
    return login->hides_client;
}

unsigned login_recipients_max(const struct login *login)
{
    return login->recipients_max;
}
