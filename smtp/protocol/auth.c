/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/text.h"
#include "smtp/protocol/session_state.h"

/*
 * AUTH (RFC 4954): the frame around an exchange. What the bytes mean, and whether they are
 * right, is the driver's to say.
 */
static const struct {
    enum smtp_auth_result result;
    enum smtp_reply reply;
} replies[] = {
    {SMTP_AUTH_DONE, SMTP_REPLY_AUTH_OK},
    {SMTP_AUTH_REFUSED, SMTP_REPLY_AUTH_REFUSED},
    {SMTP_AUTH_TEMPORARY, SMTP_REPLY_AUTH_LATER},
    {SMTP_AUTH_WEAK, SMTP_REPLY_AUTH_WEAK},
    {SMTP_AUTH_NEEDS_TLS, SMTP_REPLY_AUTH_NEEDS_TLS},
    {SMTP_AUTH_TRANSITION, SMTP_REPLY_AUTH_TRANSITION},
    {SMTP_AUTH_MALFORMED, SMTP_REPLY_AUTH_SYNTAX},
    {SMTP_AUTH_TOO_MANY, SMTP_REPLY_AUTH_TOO_MANY},
};

static enum smtp_reply reply_of(enum smtp_auth_result result)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
        if (replies[i].result == result)
            return replies[i].reply;
    CHECK(result == SMTP_AUTH_CONTINUE);
    return SMTP_REPLY_AUTH_OK;
}

const char *smtp_auth_offered(const struct smtp_session *session)
{
    const char *list = session->tls ? session->config->auth_tls : session->config->auth_clear;
    bool offered = session->config->service == SMTP_SERVICE_SUBMISSION && list != NULL &&
                   !session->authenticated && (session->tls || !session->config->tls_required);

    return offered ? list : "";
}

/* As it stands in the list, or nothing. */
static struct bytes find_mechanism(const char *list, struct bytes name)
{
    struct bytes rest = bytes_of(list);

    while (rest.len > 0) {
        struct bytes word = bytes_take_word(&rest);
        if (word.len > 0 && bytes_equal_nocase(word, name))
            return word;
    }
    return bytes_from(NULL, 0);
}

/* The exchange is over, with this reply. */
void smtp_auth_end(struct smtp_session *session, const struct smtp_verdict *verdict)
{
    bool refused = (verdict->line.len == 0 && verdict->reply == SMTP_REPLY_AUTH_REFUSED) ||
                   session->auth.given_up != SMTP_REPLY_OK;

    buffer_wipe(&session->auth.response);
    session->auth = (struct smtp_auth){.failures = session->auth.failures + refused};
    smtp_session_move(session, SMTP_STATE_READY);
    smtp_session_say(session, verdict);
    if (session->state != SMTP_STATE_CLOSED && refused &&
        session->auth.failures >= session->config->auth_failures_max)
        smtp_session_close(session, SMTP_REPLY_AUTH_TOO_MANY);
}

static void end_with(struct smtp_session *session, enum smtp_reply reply)
{
    const struct smtp_verdict verdict = {.reply = reply};
    smtp_auth_end(session, &verdict);
}

void smtp_auth_give_up(struct smtp_session *session, enum smtp_reply reply)
{
    struct smtp_auth *auth = &session->auth;

    if (auth->final || !auth->has_response) {
        end_with(session, reply);
        return;
    }
    buffer_wipe(&auth->response);
    auth->initial = false;
    auth->given_up = reply;
    smtp_session_ask(session, SMTP_STATE_AUTH);
}

static bool decode(struct smtp_session *session, struct bytes text)
{
    CHECK(session->auth.response.memory == NULL);
    return mail_base64_decode(text, &session->auth.response);
}

static enum smtp_reply begin(struct smtp_session *session, struct bytes args)
{
    const struct smtp_config *config = session->config;
    struct bytes name = bytes_take_word(&args);
    struct bytes mechanism = find_mechanism(smtp_auth_offered(session), name);

    args = bytes_trim(args);
    if (session->authenticated)
        return SMTP_REPLY_AUTH_ACTIVE;
    if (!session->envelope.extended)
        return SMTP_REPLY_HELO_FIRST;
    if (mechanism.len == 0 && !session->tls &&
        (config->tls_required || find_mechanism(config->auth_tls, name).len > 0))
        return SMTP_REPLY_AUTH_NEEDS_TLS;
    if (mechanism.len == 0)
        return SMTP_REPLY_AUTH_MECHANISM;
    session->auth.mechanism = mechanism;
    session->auth.initial = true;
    session->auth.has_response = args.len > 0;
    if (bytes_equal(args, BYTES("=")) || decode(session, args))
        return SMTP_REPLY_OK;
    buffer_wipe(&session->auth.response);
    return SMTP_REPLY_AUTH_SYNTAX;
}

void smtp_command_auth(struct smtp_session *session, struct bytes args)
{
    enum smtp_reply reply = begin(session, args);

    if (reply == SMTP_REPLY_OK)
        smtp_session_ask(session, SMTP_STATE_AUTH);
    else
        smtp_session_reply(session, reply);
}

static void log_in(struct smtp_session *session)
{
    session->authenticated = true;
    session->envelope.authenticated = true;
    session->envelope.account_id = session->account_id;
    session->envelope.login = buffer_bytes(&session->login);
}

void smtp_session_set_account(struct smtp_session *session, uint64_t account_id,
                              struct bytes login)
{
    session->account_id = account_id;
    buffer_clear(&session->login);
    buffer_add(&session->login, login);
    log_in(session);
}

void smtp_auth_line(struct smtp_session *session, struct bytes line)
{
    struct smtp_auth *auth = &session->auth;

    if (bytes_equal(line, BYTES("*"))) {
        smtp_auth_give_up(session, SMTP_REPLY_AUTH_CANCELLED);
    } else if (!decode(session, line)) {
        smtp_auth_give_up(session, SMTP_REPLY_AUTH_SYNTAX);
    } else if (!auth->final) {
        auth->initial = false;
        auth->has_response = true;
        smtp_session_ask(session, SMTP_STATE_AUTH);
    } else if (line.len > 0) {
        end_with(session, SMTP_REPLY_AUTH_SYNTAX);
    } else {
        log_in(session);
        end_with(session, SMTP_REPLY_AUTH_OK);
    }
}

static void challenge(struct smtp_session *session, struct bytes bytes)
{
    buffer_add_string(&session->output, "334 ");
    mail_base64_encode(bytes, &session->output);
    buffer_add_string(&session->output, "\r\n");
}

void smtp_session_authenticated(struct smtp_session *session, uint64_t ticket,
                                const struct smtp_auth_answer *answer)
{
    if (!smtp_session_takes_answer(session, SMTP_STATE_AUTH, ticket))
        return;
    CHECK(answer->bytes.len <= SMTP_AUTH_BYTES_MAX);
    CHECK(answer->login.len <= SMTP_LOGIN_SIZE_MAX);
    if (session->auth.given_up != SMTP_REPLY_OK) {
        end_with(session, answer->result == SMTP_AUTH_TOO_MANY ? SMTP_REPLY_AUTH_TOO_MANY
                                                               : session->auth.given_up);
        return;
    }
    struct buffer response = session->auth.response; /* the answer may be a part of it */
    buffer_init(&session->auth.response);
    if (answer->result == SMTP_AUTH_DONE) {
        session->account_id = answer->account_id;
        buffer_clear(&session->login);
        buffer_add(&session->login, answer->login);
    }
    if (answer->result == SMTP_AUTH_CONTINUE) {
        challenge(session, answer->bytes);
    } else if (answer->result == SMTP_AUTH_DONE && answer->bytes.len > 0) {
        /* RFC 4954 section 4: what comes with success is a challenge with an empty answer. */
        session->auth.final = true;
        challenge(session, answer->bytes);
    } else if (answer->result == SMTP_AUTH_DONE) {
        log_in(session);
        end_with(session, SMTP_REPLY_AUTH_OK);
    } else {
        end_with(session, reply_of(answer->result));
    }
    buffer_wipe(&response);
}

void smtp_auth_forget(struct smtp_session *session)
{
    buffer_wipe(&session->auth.response);
    session->auth = (struct smtp_auth){.failures = session->auth.failures};
    session->authenticated = false;
    session->account_id = 0;
    buffer_release(&session->login);
}
