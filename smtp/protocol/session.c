/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/session.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

#define IN(state) SMTP_IN(SMTP_STATE_##state)

/* Where each state may go; smtp_session_move() checks every move against it. */
static const unsigned moves[SMTP_STATE_COUNT] = {
    [SMTP_STATE_CONNECTED] = IN(READY) | IN(CLOSED),
    [SMTP_STATE_READY] = IN(READY) | IN(MAIL) | IN(TLS) | IN(CLOSED),
    [SMTP_STATE_MAIL] = IN(READY) | IN(RCPT) | IN(CLOSED),
    [SMTP_STATE_RCPT] = IN(READY) | IN(RCPT) | IN(BEGIN) | IN(CLOSED),
    [SMTP_STATE_BEGIN] = IN(READY) | IN(DATA) | IN(CLOSED),
    [SMTP_STATE_DATA] = IN(READY) | IN(COMMIT) | IN(CLOSED),
    [SMTP_STATE_COMMIT] = IN(READY) | IN(CLOSED),
    [SMTP_STATE_TLS] = IN(CONNECTED) | IN(CLOSED),
    [SMTP_STATE_CLOSED] = 0,
};

void smtp_session_move(struct smtp_session *session, enum smtp_state state)
{
    CHECK(moves[session->state] & SMTP_IN(state));
    session->state = state;
}

uint64_t smtp_session_ticket(struct smtp_session *session)
{
    return ++session->ticket_newest;
}

/* The body is not wanted any more. */
static void abort_body(struct smtp_session *session, enum smtp_reply refusal)
{
    if (!session->body_open)
        return;
    buffer_release(&session->body_piece);
    session->body_lent = false;
    session->body_open = false;
    session->abort_pending = true;
    session->abort_refusal = refusal;
}

static void close_session(struct smtp_session *session, enum smtp_reply reply)
{
    abort_body(session, reply);
    smtp_reply_write(reply, session->trace_id, &session->output);
    session->ticket = 0;
    session->lookup_count = 0;
    session->close_pending = true;
    smtp_session_move(session, SMTP_STATE_CLOSED);
}

void smtp_session_reply(struct smtp_session *session, enum smtp_reply reply)
{
    unsigned flags = smtp_reply_flags(reply);

    if (flags & SMTP_REPLY_CLOSE) {
        close_session(session, reply);
        return;
    }
    smtp_reply_write(reply, session->trace_id, &session->output);
    if (reply == SMTP_REPLY_ACCEPTED)
        session->errors = 0;
    if ((flags & SMTP_REPLY_ERROR) && ++session->errors >= session->config->errors_max)
        close_session(session, SMTP_REPLY_ERRORS);
}

void smtp_session_forget_transaction(struct smtp_session *session)
{
    CHECK(!session->body_open);
    session->envelope = (struct smtp_envelope){
        .helo = session->envelope.helo,
        .extended = session->envelope.extended,
        .tls = session->tls,
    };
    session->recipients = NULL;
    session->recipients_room = 0;
    session->recipients_refused = 0;
    session->lookups = NULL;
    session->lookup_first = 0;
    session->lookup_count = 0;
    arena_fini(&session->transaction_arena);
    arena_init(&session->transaction_arena);
}

/* The transaction is over, with this reply. */
static void finish_transaction(struct smtp_session *session, enum smtp_reply reply)
{
    smtp_session_forget_transaction(session);
    smtp_session_move(session, SMTP_STATE_READY);
    smtp_session_reply(session, reply);
    session->trace_id[0] = '\0';
    if (session->going_down && session->state != SMTP_STATE_CLOSED)
        close_session(session, SMTP_REPLY_GOING_DOWN);
}

static void drop_lent(struct smtp_session *session)
{
    if (session->output_lent)
        buffer_release(&session->output);
    if (session->body_lent)
        buffer_clear(&session->body_piece);
    session->output_lent = false;
    session->body_lent = false;
}

/* ---- input ---- */

/*
 * A line has ended: what stands before its LF, or the reply it gets if that is clear already.
 * While look-ups are under way it has to wait, unless it is one more RCPT.
 */
static void take_line(struct smtp_session *session, struct bytes line, enum smtp_reply refusal,
                      bool early)
{
    if (session->lookup_count > 0 &&
        (refusal != SMTP_REPLY_OK || smtp_command_must_wait(session, line))) {
        session->held = true;
        session->held_refusal = refusal;
        session->held_early = early;
        buffer_clear(&session->line);
        buffer_add(&session->line, line);
    } else if (refusal != SMTP_REPLY_OK) {
        smtp_session_reply(session, refusal);
    } else {
        smtp_command_run(session, line, early);
    }
}

void smtp_session_run_held(struct smtp_session *session)
{
    struct buffer line = session->line;

    if (!session->held)
        return;
    session->held = false;
    buffer_init(&session->line);
    take_line(session, buffer_bytes(&line), session->held_refusal, session->held_early);
    buffer_fini(&line);
}

/* Reads a line that is too long up to its end, keeping nothing. */
static size_t discard_line(struct smtp_session *session, struct bytes input)
{
    size_t len = bytes_find(input, '\n');

    if (len > 0)
        session->discarded_cr = input.at[len - 1] == '\r';
    session->discarded += len;
    if (session->discarded > SMTP_COMMAND_DISCARD_MAX) {
        take_line(session, BYTES(""), SMTP_REPLY_LINE_ENDLESS, false);
        return input.len;
    }
    if (len == input.len)
        return len;
    session->discarded = 0;
    take_line(session, BYTES(""),
              session->discarded_cr ? SMTP_REPLY_LINE_TOO_LONG : SMTP_REPLY_LINE_BARE, false);
    return len + 1;
}

static size_t feed_line(struct smtp_session *session, struct bytes input)
{
    if (session->discarded > 0)
        return discard_line(session, input);
    size_t before = buffer_len(&session->line);
    size_t len = bytes_find(input, '\n');
    if (before + len + 1 > SMTP_COMMAND_PARAMETERS_SIZE_MAX) {
        struct bytes kept = buffer_bytes(&session->line);
        session->discarded = kept.len;
        session->discarded_cr = kept.len > 0 && kept.at[kept.len - 1] == '\r';
        buffer_release(&session->line);
        return discard_line(session, input);
    }
    if (len == input.len) {
        buffer_add(&session->line, input);
        return len;
    }
    bool early = input.len > len + 1;
    if (before == 0) {
        take_line(session, bytes_from(input.at, len), SMTP_REPLY_OK, early);
        return len + 1;
    }
    struct buffer line = session->line;
    buffer_init(&session->line);
    buffer_add(&line, bytes_from(input.at, len));
    take_line(session, buffer_bytes(&line), SMTP_REPLY_OK, early);
    buffer_fini(&line);
    return len + 1;
}

static size_t feed_body(struct smtp_session *session, struct bytes input)
{
    struct smtp_body *body = &session->body;
    size_t used = smtp_body_feed(body, input, &session->body_piece);

    if (body->refusal != SMTP_REPLY_ACCEPTED)
        abort_body(session, body->refusal);
    if (body->at != SMTP_BODY_ENDED)
        return used;
    if (body->refusal != SMTP_REPLY_ACCEPTED) {
        finish_transaction(session, body->refusal);
    } else {
        session->ticket = smtp_session_ticket(session);
        session->ticket_pending = true;
        smtp_session_move(session, SMTP_STATE_COMMIT);
    }
    return used;
}

static bool takes_input(const struct smtp_session *session)
{
    static const unsigned taking = IN(CONNECTED) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(DATA);

    return (taking & SMTP_IN(session->state)) != 0 && !session->held &&
           buffer_len(&session->output) < SMTP_OUTPUT_MAX;
}

size_t smtp_session_feed(struct smtp_session *session, struct bytes input)
{
    size_t used = 0;

    drop_lent(session);
    if (session->held && input.len > 0)
        session->held_early = true;
    while (used < input.len && takes_input(session)) {
        struct bytes rest = bytes_skip(input, used);
        if (session->state != SMTP_STATE_DATA) {
            used += feed_line(session, rest);
            continue;
        }
        size_t taken = feed_body(session, rest);
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}

/* ---- output ---- */

static bool next_of_message(struct smtp_session *session, struct smtp_action *action)
{
    if (session->abort_pending) {
        session->abort_pending = false;
        *action =
            (struct smtp_action){.want = SMTP_WANT_ABORT, .refusal = session->abort_refusal};
        return true;
    }
    if (buffer_len(&session->body_piece) > 0) {
        session->body_lent = true;
        *action = (struct smtp_action){
            .want = SMTP_WANT_BODY,
            .bytes = buffer_bytes(&session->body_piece),
        };
        return true;
    }
    if (!session->ticket_pending)
        return false;
    session->ticket_pending = false;
    bool begin = session->state == SMTP_STATE_BEGIN;
    *action = (struct smtp_action){
        .want = begin ? SMTP_WANT_BEGIN : SMTP_WANT_COMMIT,
        .ticket = session->ticket,
    };
    if (!begin) {
        session->body_open = false;
        buffer_release(&session->body_piece);
    }
    return true;
}

bool smtp_session_next(struct smtp_session *session, struct smtp_action *action)
{
    drop_lent(session);
    if (next_of_message(session, action) || smtp_recipient_next(session, action))
        return true;
    if (buffer_len(&session->output) > 0) {
        session->output_lent = true;
        *action = (struct smtp_action){
            .want = SMTP_WANT_WRITE,
            .bytes = buffer_bytes(&session->output),
        };
        return true;
    }
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

/* ---- answers ---- */

static bool takes_answer(struct smtp_session *session, enum smtp_state state, uint64_t ticket)
{
    drop_lent(session);
    if (session->state != state || session->ticket_pending || ticket != session->ticket)
        return false;
    session->ticket = 0;
    return true;
}

void smtp_session_begun(struct smtp_session *session, uint64_t ticket, enum err result,
                        const char *trace_id)
{
    if (!takes_answer(session, SMTP_STATE_BEGIN, ticket))
        return;
    size_t len = strlen(trace_id);
    CHECK(len < sizeof(session->trace_id));
    memcpy(session->trace_id, trace_id, len + 1);
    if (result != ERR_OK) {
        finish_transaction(session, smtp_reply_of_commit(result));
        return;
    }
    smtp_body_init(&session->body, session->config->message_size_max,
                   session->config->data_line_size_max);
    session->body_open = true;
    smtp_session_move(session, SMTP_STATE_DATA);
    smtp_session_reply(session, SMTP_REPLY_DATA_GO);
}

/*
 * Nobody can say whether the message will be there: neither "250" nor "451" would be true. The
 * client that gets no reply knows as much as we do, and tries again (RFC 5321 section 4.5.4.1).
 */
static void close_without_reply(struct smtp_session *session)
{
    smtp_session_forget_transaction(session);
    session->ticket = 0;
    session->close_pending = true;
    smtp_session_move(session, SMTP_STATE_CLOSED);
}

void smtp_session_committed(struct smtp_session *session, uint64_t ticket, enum err result)
{
    if (!takes_answer(session, SMTP_STATE_COMMIT, ticket))
        return;
    if (result == ERR_UNKNOWN)
        close_without_reply(session);
    else
        finish_transaction(session, smtp_reply_of_commit(result));
}

void smtp_session_tls_started(struct smtp_session *session)
{
    drop_lent(session);
    if (session->state != SMTP_STATE_TLS)
        return;
    session->tls = true;
    session->envelope = (struct smtp_envelope){.tls = true};
    session->helo[0] = '\0';
    smtp_session_forget_transaction(session);
    smtp_session_move(session, SMTP_STATE_CONNECTED);
}

bool smtp_session_waiting(const struct smtp_session *session)
{
    return session->lookup_count > 0 || session->ticket != 0;
}

bool smtp_session_in_message(const struct smtp_session *session)
{
    return (IN(BEGIN) | IN(DATA) | IN(COMMIT)) & SMTP_IN(session->state);
}

void smtp_session_time_out(struct smtp_session *session)
{
    drop_lent(session);
    if (session->state != SMTP_STATE_CLOSED && !smtp_session_waiting(session))
        close_session(session, SMTP_REPLY_TIMED_OUT);
}

void smtp_session_go_down(struct smtp_session *session)
{
    drop_lent(session);
    session->going_down = true;
    if (session->state == SMTP_STATE_CLOSED || smtp_session_in_message(session))
        return;
    close_session(session, SMTP_REPLY_GOING_DOWN);
}

/* ---- life ---- */

struct smtp_session *smtp_session_new(const struct smtp_config *config, bool tls)
{
    struct smtp_session *session = calloc(1, sizeof(*session));

    CHECK(session != NULL);
    CHECK(config->errors_max > 0 && config->recipients_max > 0);
    session->config = config;
    session->tls = tls;
    session->envelope.tls = tls;
    arena_init(&session->transaction_arena);
    buffer_printf(&session->output, "220 %s ESMTP\r\n", config->hostname);
    return session;
}

void smtp_session_free(struct smtp_session **session)
{
    if (*session == NULL)
        return;
    buffer_fini(&(*session)->line);
    buffer_fini(&(*session)->output);
    buffer_fini(&(*session)->body_piece);
    arena_fini(&(*session)->transaction_arena);
    free(*session);
    *session = NULL;
}

const struct smtp_envelope *smtp_session_envelope(const struct smtp_session *session)
{
    return &session->envelope;
}
