/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/session.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

#define IN(state) SMTP_IN(SMTP_STATE_##state)

/* Where each state may go; smtp_session_move() checks every move against it. */
static const unsigned moves[SMTP_STATE_COUNT] = {
    [SMTP_STATE_GREET] = IN(GREET) | IN(CONNECTED) | IN(CLOSED),
    [SMTP_STATE_CONNECTED] = IN(READY) | IN(XCLIENT) | IN(CLOSED),
    [SMTP_STATE_XCLIENT] = IN(GREET) | IN(CONNECTED) | IN(READY) | IN(CLOSED),
    [SMTP_STATE_READY] =
        IN(READY) | IN(XCLIENT) | IN(AUTH) | IN(SENDER) | IN(MAIL) | IN(TLS) | IN(CLOSED),
    [SMTP_STATE_AUTH] = IN(READY) | IN(AUTH) | IN(CLOSED),
    [SMTP_STATE_SENDER] = IN(READY) | IN(MAIL) | IN(CLOSED),
    [SMTP_STATE_MAIL] = IN(READY) | IN(RCPT) | IN(CLOSED),
    [SMTP_STATE_RCPT] = IN(READY) | IN(RCPT) | IN(BEGIN) | IN(CLOSED),
    [SMTP_STATE_BEGIN] = IN(READY) | IN(DATA) | IN(CHUNK) | IN(CLOSED),
    [SMTP_STATE_DATA] = IN(READY) | IN(COMMIT) | IN(CLOSED),
    [SMTP_STATE_CHUNK] = IN(READY) | IN(CHUNKS) | IN(COMMIT) | IN(CLOSED),
    [SMTP_STATE_CHUNKS] = IN(READY) | IN(CHUNK) | IN(CLOSED),
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

void smtp_session_abort_body(struct smtp_session *session, enum smtp_reply refusal)
{
    if (!session->body_open)
        return;
    buffer_release(&session->body_piece);
    session->body_lent = false;
    session->body_open = false;
    session->abort_pending = true;
    session->abort_refusal = refusal;
    session->abort_behind = buffer_len(&session->output);
}

void smtp_session_ask(struct smtp_session *session, enum smtp_state state)
{
    CHECK(session->ticket == 0);
    smtp_session_move(session, state);
    session->ticket = smtp_session_ticket(session);
    session->ticket_pending = true;
}

/* Behind what was written so far. */
static void end_session(struct smtp_session *session)
{
    buffer_wipe(&session->auth.response);
    session->ticket = 0;
    session->ticket_pending = false;
    session->lookup_count = 0;
    session->skip.left = 0;
    session->close_pending = true;
    smtp_session_move(session, SMTP_STATE_CLOSED);
}

void smtp_session_close(struct smtp_session *session, enum smtp_reply reply)
{
    session->breached = session->breached || smtp_reply_flags(reply) & SMTP_REPLY_BREACH;
    smtp_session_abort_body(session,
                            smtp_reply_code(reply) < 400 ? SMTP_REPLY_TAKEN_BACK : reply);
    smtp_reply_write(reply, session->trace_id, &session->output);
    end_session(session);
}

unsigned smtp_verdict_flags(const struct smtp_verdict *verdict)
{
    return verdict->line.len > 0 ? verdict->flags : smtp_reply_flags(verdict->reply);
}

void smtp_verdict_write(const struct smtp_session *session, const struct smtp_verdict *verdict,
                        struct buffer *output)
{
    if (verdict->line.len > 0)
        buffer_add(output, verdict->line);
    else
        smtp_reply_write(verdict->reply, session->trace_id, output);
}

/* What a reply that was written does to the session. */
static void apply(struct smtp_session *session, unsigned flags)
{
    if (flags & SMTP_REPLY_CLOSE)
        end_session(session);
    else if ((flags & SMTP_REPLY_ERROR) && ++session->errors >= session->config->errors_max)
        smtp_session_close(session, SMTP_REPLY_ERRORS);
}

void smtp_session_reply(struct smtp_session *session, enum smtp_reply reply)
{
    unsigned flags = smtp_reply_flags(reply);

    if (flags & SMTP_REPLY_CLOSE) {
        smtp_session_close(session, reply);
        return;
    }
    smtp_reply_write(reply, session->trace_id, &session->output);
    apply(session, flags);
}

void smtp_session_say(struct smtp_session *session, const struct smtp_verdict *verdict)
{
    if (verdict->line.len == 0) {
        smtp_session_reply(session, verdict->reply);
        return;
    }
    buffer_add(&session->output, verdict->line);
    apply(session, verdict->flags);
}

static void prepare_skip(struct smtp_session *session, uint64_t left,
                         const struct smtp_verdict *verdict, unsigned count)
{
    CHECK(session->skip.left == 0);
    session->skip.left = left;
    session->skip.flags = smtp_verdict_flags(verdict);
    for (unsigned i = 0; i < count; i++)
        smtp_verdict_write(session, verdict, &session->skip.reply);
}

void smtp_session_skip(struct smtp_session *session, uint64_t left,
                       const struct smtp_verdict *verdict, unsigned count)
{
    prepare_skip(session, left, verdict, count);
    if (left == 0)
        smtp_session_skipped(session);
}

void smtp_session_skipped(struct smtp_session *session)
{
    buffer_add(&session->output, buffer_bytes(&session->skip.reply));
    buffer_release(&session->skip.reply);
    apply(session, session->skip.flags);
    if (session->going_down && session->state != SMTP_STATE_CLOSED)
        smtp_session_close(session, SMTP_REPLY_GOING_DOWN);
}

void smtp_session_forget_transaction(struct smtp_session *session)
{
    CHECK(!session->body_open);
    session->envelope = (struct smtp_envelope){
        .helo = session->envelope.helo,
        .extended = session->envelope.extended,
        .tls = session->tls,
        .service = session->config->service,
        .authenticated = session->authenticated,
        .account_id = session->account_id,
        .login = buffer_bytes(&session->login),
    };
    session->recipients = NULL;
    session->recipients_room = 0;
    session->recipients_refused = 0;
    session->chunk = (struct smtp_chunk){.active = false};
    session->lookups = NULL;
    session->lookup_first = 0;
    session->lookup_count = 0;
    arena_fini(&session->transaction_arena);
    arena_init(&session->transaction_arena);
}

/* What was prepared is said when the rest of a chunk is read. */
static void end_transaction(struct smtp_session *session)
{
    smtp_session_forget_transaction(session);
    smtp_session_move(session, SMTP_STATE_READY);
    session->trace_id[0] = '\0';
    if (session->skip.left == 0)
        smtp_session_skipped(session);
}

void smtp_session_finish(struct smtp_session *session, const struct smtp_verdict *verdict,
                         bool each)
{
    bool lmtp = session->config->service == SMTP_SERVICE_LMTP;
    unsigned count = session->envelope.recipient_count;

    if (session->chunk.active && !session->chunk.last) {
        session->chunks_failed = true;
        session->chunks_failed_count = lmtp ? count : 1;
    }
    if (verdict->reply == SMTP_REPLY_ACCEPTED && verdict->line.len == 0)
        session->errors = 0;
    prepare_skip(session, session->chunk.left, verdict, each && lmtp ? count : 1);
    end_transaction(session);
}

void smtp_session_finish_each(struct smtp_session *session, struct buffer *replies,
                              unsigned flags, bool accepted)
{
    CHECK(session->chunk.left == 0);
    if (accepted)
        session->errors = 0;
    session->skip.reply = *replies;
    session->skip.flags = flags;
    end_transaction(session);
}

void smtp_session_abandon(struct smtp_session *session)
{
    smtp_session_abort_body(session, SMTP_REPLY_TAKEN_BACK);
    smtp_session_forget_transaction(session);
}

void smtp_session_restart(struct smtp_session *session, enum smtp_state state)
{
    smtp_auth_forget(session);
    session->helo[0] = '\0';
    session->envelope = (struct smtp_envelope){.extended = false};
    session->ticket = 0;
    smtp_session_forget_transaction(session);
    smtp_session_move(session, state);
}

void smtp_session_greet(struct smtp_session *session)
{
    session->greeted = true;
    buffer_printf(&session->output, "220 %s %s\r\n", session->config->hostname,
                  session->config->service == SMTP_SERVICE_LMTP ? "LMTP" : "ESMTP");
    smtp_session_move(session, SMTP_STATE_CONNECTED);
}

void smtp_session_welcome(struct smtp_session *session)
{
    if (session->config->ask_greet)
        smtp_session_ask(session, SMTP_STATE_GREET);
    else
        smtp_session_greet(session);
}

void smtp_session_drop_lent(struct smtp_session *session)
{
    if (session->output_lent == buffer_len(&session->output))
        buffer_release(&session->output);
    else
        buffer_drop(&session->output, session->output_lent);
    if (session->body_lent)
        buffer_clear(&session->body_piece);
    session->output_lent = 0;
    session->body_lent = false;
}

void smtp_session_tls_started(struct smtp_session *session)
{
    smtp_session_drop_lent(session);
    if (session->state != SMTP_STATE_TLS)
        return;
    session->tls = true;
    smtp_session_restart(session, SMTP_STATE_CONNECTED);
}

bool smtp_session_waiting(const struct smtp_session *session)
{
    return session->lookup_count > 0 || session->ticket != 0;
}

bool smtp_session_early(const struct smtp_session *session)
{
    return session->early;
}

bool smtp_session_breached(const struct smtp_session *session)
{
    return session->breached;
}

bool smtp_session_in_message(const struct smtp_session *session)
{
    return (IN(BEGIN) | IN(DATA) | IN(CHUNK) | IN(CHUNKS) | IN(COMMIT)) &
           SMTP_IN(session->state);
}

void smtp_session_time_out(struct smtp_session *session)
{
    smtp_session_drop_lent(session);
    if (session->state != SMTP_STATE_CLOSED && !smtp_session_waiting(session))
        smtp_session_close(session, SMTP_REPLY_TIMED_OUT);
}

void smtp_session_go_down(struct smtp_session *session)
{
    smtp_session_drop_lent(session);
    session->going_down = true;
    if (session->state == SMTP_STATE_CLOSED || smtp_session_in_message(session))
        return;
    smtp_session_close(session, SMTP_REPLY_GOING_DOWN);
}

struct smtp_session *smtp_session_new(const struct smtp_config *config,
                                      const struct smtp_connection *connection)
{
    struct smtp_session *session = calloc(1, sizeof(*session));

    CHECK(session != NULL);
    CHECK(config->errors_max > 0 && config->recipients_max > 0);
    CHECK(config->service < SMTP_SERVICE_COUNT);
    CHECK(config->service != SMTP_SERVICE_SUBMISSION || config->auth_failures_max > 0);
    session->config = config;
    session->tls = connection->tls;
    session->trusted = connection->trusted;
    session->xclient_allowed = connection->xclient;
    session->now_s = connection->now_s;
    session->refused = connection->refused;
    session->refused_context = connection->context;
    session->envelope.tls = connection->tls;
    session->envelope.service = config->service;
    arena_init(&session->transaction_arena);
    session->state = SMTP_STATE_GREET;
    smtp_session_welcome(session);
    return session;
}

void smtp_session_free(struct smtp_session **session)
{
    if (*session == NULL)
        return;
    buffer_wipe(&(*session)->line);
    smtp_auth_forget(*session);
    buffer_fini(&(*session)->output);
    buffer_fini(&(*session)->body_piece);
    buffer_fini(&(*session)->skip.reply);
    arena_fini(&(*session)->transaction_arena);
    free(*session);
    *session = NULL;
}

const struct smtp_envelope *smtp_session_envelope(const struct smtp_session *session)
{
    return &session->envelope;
}
