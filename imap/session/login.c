/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "imap/session/internal.h"
#include "node/mail/text.h"
#include "storage/schema/entry.h"

/*
 * LOGIN and AUTHENTICATE (RFC 3501 section 6.2, RFC 9051 section 6.2.2, RFC 4959): the frame
 * around an exchange whose messages the store understands. LOGIN is one of PLAIN in a single
 * message.
 */
struct ending {
    const char *status;
    const char *code;
    const char *text;
};

struct login {
    const char *mechanism;
    uint64_t exchange; /* the store's; 0: it has not begun, or is over */
    Pr__AuthStep call;
    struct ending ending; /* what is held back */
    uint64_t session;     /* the same, of one that was right */
    struct bytes address;
};

static const struct ending wrong = {"NO", "AUTHENTICATIONFAILED", "Wrong name or password"};
static const struct ending expired = {"NO", "EXPIRED", "The token is no longer valid"};
static const struct ending cancelled = {"BAD", NULL, "Cancelled"};

static struct imap_verdict judge(struct imap_session *session, enum imap_attempt attempt,
                                 uint64_t account, struct bytes secret)
{
    if (session->config->judge == NULL)
        return (struct imap_verdict){.text = NULL};
    return session->config->judge(session->owner, attempt, account, secret);
}

static void turn_away(struct imap_session *session, const struct imap_verdict *verdict)
{
    char reason[256];

    snprintf(reason, sizeof(reason), "[%s] %s", verdict->code, verdict->text);
    imap_finish(session, "NO", verdict->code, verdict->text);
    imap_session_bye(session, reason);
}

static bool refused_in_clear(struct imap_session *session)
{
    if (session->has_tls)
        return false;
    imap_finish(session, "NO", "PRIVACYREQUIRED", "Passwords are not taken in the clear");
    imap_count_vain(session);
    return true;
}

/* ---- the end ---- */

static void failure_delayed(struct imap_session *session)
{
    const struct login *login = session->running->work;

    imap_finish(session, login->ending.status, login->ending.code, login->ending.text);
    if (session->login_failures >= session->config->login_failures_max)
        imap_session_bye(session, "Too many failed log-ins");
}

static void fail(struct imap_session *session, const struct ending *ending,
                 const Pr__AuthStepAnswer *step)
{
    struct login *login = session->running->work;
    bool is_known = step != NULL;
    struct imap_verdict verdict =
        judge(session, IMAP_ATTEMPT_WRONG, is_known ? step->account_digest : 0,
              is_known ? bytes_of_field(step->secret_digest) : bytes_from(NULL, 0));

    login->ending = *ending;
    session->logs_in = false;
    session->login_failures++;
    imap_session_event(session, IMAP_EVENT_LOGIN_FAILED, bytes_of(is_known ? step->tried : ""));
    /* Guessing becomes slow, and only for the one who guesses. */
    if (verdict.text != NULL)
        turn_away(session, &verdict);
    else
        imap_session_delay(session,
                           verdict.delay_ms > IMAP_LOGIN_DELAY_MS ? verdict.delay_ms
                                                                  : IMAP_LOGIN_DELAY_MS,
                           failure_delayed);
}

static void let_in(struct imap_session *session)
{
    const struct login *login = session->running->work;

    session->store_id = login->session;
    session->reader.size_max = IMAP_COMMAND_SIZE_MAX;
    imap_session_move(session, IMAP_STATE_LOGGED_IN);
    imap_session_event(session, IMAP_EVENT_LOGIN, login->address);
    session->bad_count = 0;
    imap_finish(
        session, "OK",
        arena_printf(&session->command_arena, "CAPABILITY %s", imap_capabilities(session)),
        "Logged in");
}

static void succeed(struct imap_session *session, const Pr__AuthStepAnswer *step)
{
    struct login *login = session->running->work;
    struct imap_verdict verdict =
        judge(session, IMAP_ATTEMPT_RIGHT, step->account_digest, bytes_from(NULL, 0));

    session->logs_in = false;
    login->session = step->session;
    login->address = arena_copy(&session->command_arena, bytes_of(step->address));
    if (verdict.text != NULL) {
        session->store_id = step->session;
        imap_session_event(session, IMAP_EVENT_TURNED_AWAY, login->address);
        session->store_id = 0;
        turn_away(session, &verdict);
    } else if (verdict.delay_ms > 0) {
        imap_session_delay(session, verdict.delay_ms, let_in);
    } else {
        let_in(session);
    }
}

static void finish_problem(struct imap_session *session, enum err err)
{
    switch (err) {
    case ERR_INVALID:
        imap_finish_bad(session, "The message is malformed");
        break;
    case ERR_UNSUPPORTED:
        imap_finish(session, "NO", "CANNOT", "The mechanism is not known");
        break;
    case ERR_NOSESSION:
        imap_finish(session, "NO", "UNAVAILABLE", "This took too long, begin again");
        break;
    default:
        imap_finish(session, "NO", "UNAVAILABLE",
                    "Logging in is not possible, try again later");
    }
}

/* ---- the exchange ---- */

static void client_line(struct imap_session *session, struct bytes line);

static void expect_message(struct imap_session *session, struct bytes challenge)
{
    buffer_add_string(&session->output, "+ ");
    mail_base64_encode(challenge, &session->output);
    buffer_add_string(&session->output, "\r\n");
    session->running->reads = true;
    session->running->on_line = client_line;
}

static void step_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct login *login = session->running->work;
    const Pr__AuthStepAnswer *step =
        reply != NULL && reply->answer_case == PR__REPLY__ANSWER_AUTH_STEP ? reply->auth_step
                                                                           : NULL;

    login->exchange = 0;
    if (err == ERR_DENIED) {
        fail(session, step != NULL && step->expired ? &expired : &wrong, step);
    } else if (err != ERR_OK || step == NULL) {
        finish_problem(session, err);
    } else if (step->exchange != 0) {
        login->exchange = step->exchange;
        expect_message(session, bytes_of_field(step->challenge));
    } else if (step->session != 0) {
        succeed(session, step);
    } else {
        finish_problem(session, ERR_MALFORMED);
    }
}

/* `message` lives as long as the command. */
static void step(struct imap_session *session, struct bytes message, bool has_message)
{
    struct login *login = session->running->work;
    struct imap_verdict verdict = judge(session, IMAP_ATTEMPT_TRIES, 0, bytes_from(NULL, 0));

    if (verdict.text != NULL) {
        turn_away(session, &verdict);
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_AUTH_STEP);
    struct arena *arena = &session->command_arena;
    pr__auth_step__init(&login->call);
    login->call.exchange = login->exchange;
    if (login->exchange == 0)
        login->call.mechanism = arena_string(arena, bytes_of(login->mechanism));
    login->call.message = field_of_bytes(message);
    login->call.initial = has_message;
    login->call.peer_address = arena_string(arena, bytes_of(session->peer_address));
    login->call.tls = session->has_tls;
    request->auth_step = &login->call;
    session->running->reads = false;
    session->logs_in |= has_message;
    imap_session_call(session, request, false, step_answered);
}

static void encoded_message(struct imap_session *session, struct bytes text)
{
    struct buffer message = BUFFER_EMPTY;
    bool is_base64 = text.len <= IMAP_AUTH_SIZE_MAX && mail_base64_decode(text, &message);

    if (is_base64)
        step(session, arena_copy(&session->command_arena, buffer_bytes(&message)), true);
    else
        imap_finish_bad(session, text.len > IMAP_AUTH_SIZE_MAX ? "The message is too long"
                                                               : "This is not base64");
    if (message.memory != NULL)
        explicit_bzero(message.memory, message.size);
    buffer_fini(&message);
}

static void client_line(struct imap_session *session, struct bytes line)
{
    session->running->reads = false;
    if (!bytes_equal(line, BYTES("*"))) {
        encoded_message(session, line);
    } else if (session->logs_in) {
        /* It has seen what became of its message, and may have learnt from it. */
        fail(session, &cancelled, NULL);
    } else {
        imap_finish(session, cancelled.status, cancelled.code, cancelled.text);
        imap_count_vain(session);
    }
}

static struct login *begin(struct imap_session *session, const char *mechanism)
{
    struct login *login = imap_alloc(session, sizeof(*login));

    login->mechanism = mechanism;
    session->running->work = login;
    return login;
}

void imap_run_login(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;
    struct buffer message = BUFFER_EMPTY;

    if (refused_in_clear(session))
        return;
    begin(session, "PLAIN");
    buffer_reserve(&message, arguments->login.user.len + arguments->login.password.len + 2);
    buffer_add_byte(&message, '\0');
    buffer_add(&message, arguments->login.user);
    buffer_add_byte(&message, '\0');
    buffer_add(&message, arguments->login.password);
    step(session, arena_copy(&session->command_arena, buffer_bytes(&message)), true);
    explicit_bzero(message.memory, message.size);
    buffer_fini(&message);
}

static const char *find_mechanism(struct imap_session *session, struct bytes name)
{
    struct bytes rest = bytes_of(session->config->mechanisms);

    while (rest.len > 0) {
        struct bytes word = bytes_take_word(&rest);
        if (word.len > 0 && bytes_equal_nocase(word, name))
            return arena_string(&session->command_arena, word);
    }
    return NULL;
}

void imap_run_authenticate(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;

    if (refused_in_clear(session))
        return;
    const char *mechanism = find_mechanism(session, arguments->authenticate.mechanism);
    if (mechanism == NULL) {
        imap_finish(session, "NO", "CANNOT", "The mechanism is not known");
        imap_count_vain(session);
        return;
    }
    begin(session, mechanism);
    if (arguments->authenticate.has_initial) {
        struct bytes initial = arguments->authenticate.initial;
        /* "=" is an empty message (RFC 4959 section 3). */
        encoded_message(session, bytes_equal(initial, BYTES("=")) ? BYTES("") : initial);
    } else if (strcmp(mechanism, "LOGIN") == 0) {
        step(session, bytes_from(NULL, 0), false); /* where the server begins */
    } else {
        expect_message(session, bytes_from(NULL, 0));
    }
}
