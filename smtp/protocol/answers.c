/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

/* What the driver answers; RESOLVE is in recipient.c, AUTH in auth.c. */

bool smtp_session_takes_answer(struct smtp_session *session, enum smtp_state state,
                               uint64_t ticket)
{
    smtp_session_drop_lent(session);
    if (session->state != state || session->ticket == 0 || session->ticket_pending ||
        ticket != session->ticket)
        return false;
    session->ticket = 0;
    return true;
}

void smtp_session_allowed(struct smtp_session *session, uint64_t ticket)
{
    if (smtp_session_takes_answer(session, SMTP_STATE_GREET, ticket)) {
        smtp_session_greet(session);
    } else if (smtp_session_takes_answer(session, SMTP_STATE_SENDER, ticket)) {
        smtp_session_move(session, SMTP_STATE_MAIL);
        smtp_session_reply(session, SMTP_REPLY_SENDER_OK);
    }
}

static void refuse_begin(struct smtp_session *session, const struct smtp_verdict *verdict)
{
    bool chunk = session->chunk.active;
    bool last = chunk && session->chunk.last;

    smtp_session_finish(session, verdict, last);
    if (!chunk)
        smtp_command_data_refused(session);
}

static void refuse(struct smtp_session *session, struct smtp_verdict *verdict)
{
    switch (session->state) {
    case SMTP_STATE_GREET:
        verdict->flags |= SMTP_REPLY_CLOSE;
        smtp_session_say(session, verdict);
        break;
    case SMTP_STATE_XCLIENT:
        smtp_xclient_refused(session, verdict);
        break;
    case SMTP_STATE_AUTH:
        smtp_auth_end(session, verdict);
        break;
    case SMTP_STATE_BEGIN:
        refuse_begin(session, verdict);
        break;
    case SMTP_STATE_SENDER:
        smtp_refusal_tell(session, SMTP_REFUSED_SENDER, session->envelope.sender, verdict);
        smtp_session_finish(session, verdict, false);
        break;
    default:
        smtp_session_finish(session, verdict, session->state == SMTP_STATE_COMMIT);
        break;
    }
}

void smtp_session_refused(struct smtp_session *session, uint64_t ticket,
                          const struct smtp_refusal *refusal)
{
    struct buffer line = BUFFER_EMPTY;
    struct smtp_verdict verdict = smtp_refusal_verdict(refusal, session->trace_id, &line);

    smtp_session_drop_lent(session);
    if (!smtp_recipient_answer(session, ticket, &verdict, 0) &&
        smtp_session_takes_answer(session, session->state, ticket))
        refuse(session, &verdict);
    buffer_fini(&line);
}

void smtp_session_begun(struct smtp_session *session, uint64_t ticket, enum err result,
                        const char *trace_id)
{
    if (!smtp_session_takes_answer(session, SMTP_STATE_BEGIN, ticket))
        return;
    size_t len = strlen(trace_id);
    CHECK(len < sizeof(session->trace_id));
    memcpy(session->trace_id, trace_id, len + 1);
    if (result != ERR_OK) {
        const struct smtp_verdict verdict = {.reply = smtp_reply_of_commit(result)};
        smtp_refusal_tell(session, SMTP_REFUSED_MESSAGE, BYTES(""), &verdict);
        refuse_begin(session, &verdict);
        return;
    }
    session->body_open = true;
    if (session->chunk.active) {
        smtp_chunk_begin(session);
        return;
    }
    smtp_body_init(&session->body, SMTP_BODY_DOTTED, session->config->message_size_max,
                   session->config->data_line_size_max);
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

/* One reply for each; behind an outcome that nobody knows the client hears no more. */
static unsigned write_outcomes(struct smtp_session *session,
                               const struct smtp_outcome *outcomes, unsigned count,
                               struct buffer *replies, bool *accepted)
{
    unsigned flags = 0;

    for (unsigned i = 0; i < count; i++) {
        struct buffer line = BUFFER_EMPTY;
        struct smtp_verdict verdict = {.reply = smtp_reply_of_commit(outcomes[i].result)};
        if (outcomes[i].refusal != NULL)
            verdict = smtp_refusal_verdict(outcomes[i].refusal, session->trace_id, &line);
        else if (outcomes[i].result == ERR_UNKNOWN)
            return flags | SMTP_REPLY_CLOSE;
        smtp_verdict_write(session, &verdict, replies);
        flags |= smtp_verdict_flags(&verdict);
        *accepted |= verdict.line.len == 0 && verdict.reply == SMTP_REPLY_ACCEPTED;
        buffer_fini(&line);
    }
    return flags;
}

void smtp_session_committed_each(struct smtp_session *session, uint64_t ticket,
                                 const struct smtp_outcome *outcomes, unsigned count)
{
    struct buffer replies = BUFFER_EMPTY;
    bool accepted = false;

    if (!smtp_session_takes_answer(session, SMTP_STATE_COMMIT, ticket))
        return;
    CHECK(session->config->service == SMTP_SERVICE_LMTP);
    CHECK(count == session->envelope.recipient_count);
    unsigned flags = write_outcomes(session, outcomes, count, &replies, &accepted);
    smtp_session_finish_each(session, &replies, flags, accepted);
}

void smtp_session_committed(struct smtp_session *session, uint64_t ticket, enum err result)
{
    if (!smtp_session_takes_answer(session, SMTP_STATE_COMMIT, ticket))
        return;
    const struct smtp_verdict verdict = {.reply = smtp_reply_of_commit(result)};
    if (result == ERR_UNKNOWN)
        close_without_reply(session);
    else
        smtp_session_finish(session, &verdict, true);
}
