/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"
#include "node/mail/text.h"

/* LOGIN, AUTHENTICATE PLAIN (RFC 3501 section 6.2, RFC 4616, RFC 4959). */

struct login {
    Pr__Login call;
};

static bool refused_in_clear(struct imap_session *session)
{
    if (session->has_tls)
        return false;
    imap_finish(session, "NO", "PRIVACYREQUIRED", "Passwords are not taken in the clear");
    imap_count_bad(session);
    return true;
}

static void login_delayed(struct imap_session *session)
{
    imap_finish(session, "NO", "AUTHENTICATIONFAILED", "Wrong name or password");
    if (session->login_failures >= IMAP_LOGIN_FAILURES_MAX)
        imap_session_bye(session, "Too many failed log-ins");
}

static void login_failed(struct imap_session *session)
{
    struct login *login = session->running->work;

    session->login_failures++;
    imap_session_event(session, IMAP_EVENT_LOGIN_FAILED, bytes_of(login->call.user));
    /* Guessing becomes slow, and only for the one who guesses. */
    imap_session_delay(session, IMAP_LOGIN_DELAY_MS, login_delayed);
}

static void login_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    if (err == ERR_DENIED) {
        login_failed(session);
        return;
    }
    if (err == ERR_OK &&
        (reply->answer_case != PR__REPLY__ANSWER_LOGIN || reply->login->session == 0))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_finish(session, "NO", "UNAVAILABLE",
                    "Logging in is not possible, try again later");
        return;
    }
    session->store_id = reply->login->session;
    session->reader.size_max = IMAP_COMMAND_SIZE_MAX;
    imap_session_move(session, IMAP_STATE_LOGGED_IN);
    imap_session_event(session, IMAP_EVENT_LOGIN, bytes_of(reply->login->address));
    session->bad_count = 0;
    imap_finish(
        session, "OK",
        arena_printf(&session->command_arena, "CAPABILITY %s", imap_capabilities(session)),
        "Logged in");
}

static void login_start(struct imap_session *session, struct bytes user, struct bytes password)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_LOGIN);
    struct login *login = imap_alloc(session, sizeof(*login));
    struct arena *arena = &session->command_arena;

    session->running->work = login;
    pr__login__init(&login->call);
    login->call.user = arena_string(arena, user);
    login->call.password = arena_string(arena, password);
    login->call.peer_address = arena_string(arena, bytes_of(session->peer_address));
    request->login = &login->call;
    imap_session_call(session, request, false, login_answered);
}

void imap_run_login(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;

    if (!refused_in_clear(session))
        login_start(session, arguments->login.user, arguments->login.password);
}

/* authorization NUL authentication NUL password */
static void plain_message(struct imap_session *session, struct bytes message)
{
    size_t first = bytes_find(message, '\0');
    struct bytes authorization = {message.at, first};
    struct bytes rest = bytes_skip(message, first + 1);
    size_t second = bytes_find(rest, '\0');
    struct bytes user = {rest.at, second};
    struct bytes password = bytes_skip(rest, second + 1);

    if (first == message.len || second == rest.len || user.len == 0 || password.len == 0 ||
        bytes_find(password, '\0') < password.len) {
        imap_finish_bad(session, "The PLAIN message is malformed");
        return;
    }
    if (authorization.len > 0 && !bytes_equal(authorization, user)) {
        imap_finish(session, "NO", "AUTHORIZATIONFAILED",
                    "Acting for somebody else is not possible");
        return;
    }
    login_start(session, user, password);
}

static void plain_line(struct imap_session *session, struct bytes line)
{
    struct buffer message = BUFFER_EMPTY;

    session->running->reads = false;
    if (bytes_equal(line, BYTES("*"))) {
        imap_finish_bad(session, "Cancelled");
        return;
    }
    if (!mail_base64_decode(line, &message))
        imap_finish_bad(session, "This is not base64");
    else
        plain_message(session, arena_copy(&session->command_arena, buffer_bytes(&message)));
    buffer_fini(&message);
}

void imap_run_authenticate(struct imap_session *session)
{
    struct imap_running *running = session->running;
    const struct imap_arguments *arguments = &running->arguments;

    if (refused_in_clear(session))
        return;
    if (!bytes_equal_nocase(arguments->authenticate.mechanism, BYTES("PLAIN"))) {
        imap_finish(session, "NO", "CANNOT", "The mechanism is not known");
        return;
    }
    if (arguments->authenticate.has_initial) {
        struct bytes initial = arguments->authenticate.initial;
        /* "=" is an empty message (RFC 4959 section 3). */
        plain_line(session, bytes_equal(initial, BYTES("=")) ? BYTES("") : initial);
        return;
    }
    running->reads = true;
    running->on_line = plain_line;
    imap_say(session, "+ \r\n");
}
