/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/session_state.h"

/* What the driver has to do next, in order. */

static bool lend_output(struct smtp_session *session, size_t len, struct smtp_action *action)
{
    session->output_lent = len;
    *action = (struct smtp_action){
        .want = SMTP_WANT_WRITE,
        .bytes = bytes_from(buffer_bytes(&session->output).at, len),
    };
    return true;
}

static bool next_abort(struct smtp_session *session, struct smtp_action *action)
{
    size_t before = session->abort_behind;

    session->abort_behind = 0;
    if (before > 0)
        return lend_output(session, before, action);
    session->abort_pending = false;
    *action = (struct smtp_action){.want = SMTP_WANT_ABORT, .refusal = session->abort_refusal};
    return true;
}

static const enum smtp_want questions[SMTP_STATE_COUNT] = {
    [SMTP_STATE_GREET] = SMTP_WANT_GREET,   [SMTP_STATE_AUTH] = SMTP_WANT_AUTH,
    [SMTP_STATE_SENDER] = SMTP_WANT_SENDER, [SMTP_STATE_BEGIN] = SMTP_WANT_BEGIN,
    [SMTP_STATE_COMMIT] = SMTP_WANT_COMMIT, [SMTP_STATE_XCLIENT] = SMTP_WANT_XCLIENT,
};

static bool next_question(struct smtp_session *session, struct smtp_action *action)
{
    enum smtp_want want = questions[session->state];

    /* An answer may take its time: what was said before leaves first. Only BEGIN is answered at
     * once, and its reply goes out together with those to MAIL and RCPT. */
    if (want != SMTP_WANT_BEGIN && buffer_len(&session->output) > 0)
        return lend_output(session, buffer_len(&session->output), action);
    session->ticket_pending = false;
    *action = (struct smtp_action){.want = want, .ticket = session->ticket};
    if (want == SMTP_WANT_COMMIT) {
        session->body_open = false;
        buffer_release(&session->body_piece);
    } else if (want == SMTP_WANT_SENDER) {
        action->bytes = session->envelope.sender;
    } else if (want == SMTP_WANT_AUTH) {
        action->bytes = buffer_bytes(&session->auth.response);
        action->mechanism = session->auth.mechanism;
        action->initial = session->auth.initial;
        action->has_response = session->auth.has_response;
        action->given_up = session->auth.given_up != SMTP_REPLY_OK;
    }
    return true;
}

static bool next_of_message(struct smtp_session *session, struct smtp_action *action)
{
    if (session->abort_pending)
        return next_abort(session, action);
    if (buffer_len(&session->body_piece) > 0) {
        session->body_lent = true;
        *action = (struct smtp_action){
            .want = SMTP_WANT_BODY,
            .bytes = buffer_bytes(&session->body_piece),
        };
        return true;
    }
    return session->ticket_pending && next_question(session, action);
}

bool smtp_session_next(struct smtp_session *session, struct smtp_action *action)
{
    smtp_session_drop_lent(session);
    if (next_of_message(session, action) || smtp_recipient_next(session, action))
        return true;
    if (buffer_len(&session->output) > 0)
        return lend_output(session, buffer_len(&session->output), action);
    if (session->start_tls_pending) {
        session->start_tls_pending = false;
        *action = (struct smtp_action){.want = SMTP_WANT_START_TLS};
        return true;
    }
    if (session->close_pending) {
        session->close_pending = false;
        *action = (struct smtp_action){.want = SMTP_WANT_CLOSE};
        return true;
    }
    return false;
}
