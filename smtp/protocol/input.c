/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/session_state.h"

/* What the client sends: lines of commands, and messages. */

#define IN(state) SMTP_IN(SMTP_STATE_##state)

static void take_auth_line(struct smtp_session *session, struct bytes line,
                           enum smtp_reply refusal)
{
    if (refusal == SMTP_REPLY_LINE_TOO_LONG)
        smtp_auth_give_up(session, SMTP_REPLY_AUTH_LINE);
    else if (refusal != SMTP_REPLY_OK)
        smtp_session_reply(session, refusal);
    else if (!smtp_command_take_cr(&line))
        smtp_session_reply(session, SMTP_REPLY_LINE_BARE);
    else
        smtp_auth_line(session, line);
}

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
        buffer_wipe(&session->line);
        buffer_add_secret(&session->line, line);
    } else if (session->state == SMTP_STATE_AUTH) {
        take_auth_line(session, line, refusal);
    } else if (refusal != SMTP_REPLY_OK) {
        smtp_session_reply(session, session->data_refused ? SMTP_REPLY_DATA_SYNC : refusal);
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
    buffer_wipe(&line);
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

/* Whether the line that goes on with `input` begins with this. */
static bool line_starts(const struct smtp_session *session, struct bytes input,
                        struct bytes verb)
{
    struct bytes kept = buffer_bytes(&session->line);
    size_t len = kept.len < verb.len ? kept.len : verb.len;

    return bytes_start_nocase(kept, bytes_from(verb.at, len)) &&
           bytes_start_nocase(input, bytes_skip(verb, len));
}

/* AUTH and what follows it may be longer than any other line. */
static size_t line_size_max(const struct smtp_session *session, struct bytes input)
{
    bool submission = session->config->service == SMTP_SERVICE_SUBMISSION;

    if (session->state == SMTP_STATE_AUTH ||
        (submission && line_starts(session, input, BYTES("AUTH "))))
        return SMTP_AUTH_LINE_SIZE_MAX;
    return SMTP_COMMAND_PARAMETERS_SIZE_MAX;
}

/* A line has become too long. */
static size_t begin_discard(struct smtp_session *session, struct bytes input)
{
    struct bytes kept = buffer_bytes(&session->line);

    if (session->state != SMTP_STATE_AUTH && line_starts(session, input, BYTES("BDAT "))) {
        take_line(session, BYTES(""), SMTP_REPLY_CHUNK_SYNTAX, false);
        return input.len;
    }
    session->discarded = kept.len;
    session->discarded_cr = kept.len > 0 && kept.at[kept.len - 1] == '\r';
    buffer_wipe(&session->line);
    return discard_line(session, input);
}

static size_t feed_line(struct smtp_session *session, struct bytes input)
{
    if (session->discarded > 0)
        return discard_line(session, input);
    size_t before = buffer_len(&session->line);
    size_t len = bytes_find(input, '\n');
    if (before + len + 1 > line_size_max(session, input))
        return begin_discard(session, input);
    if (len == input.len) {
        buffer_add_secret(&session->line, input);
        return len;
    }
    bool early = input.len > len + 1;
    if (before == 0) {
        take_line(session, bytes_from(input.at, len), SMTP_REPLY_OK, early);
        return len + 1;
    }
    struct buffer line = session->line;
    buffer_init(&session->line);
    buffer_add_secret(&line, bytes_from(input.at, len));
    take_line(session, buffer_bytes(&line), SMTP_REPLY_OK, early);
    buffer_wipe(&line);
    return len + 1;
}

static size_t feed_body(struct smtp_session *session, struct bytes input)
{
    struct smtp_body *body = &session->body;
    size_t used = smtp_body_feed(body, input, &session->body_piece);

    if (body->refusal != SMTP_REPLY_ACCEPTED)
        smtp_session_abort_body(session, body->refusal);
    if (body->at != SMTP_BODY_ENDED)
        return used;
    const struct smtp_verdict verdict = {.reply = body->refusal};
    if (body->refusal != SMTP_REPLY_ACCEPTED)
        smtp_session_finish(session, &verdict, true);
    else
        smtp_session_ask(session, SMTP_STATE_COMMIT);
    return used;
}

static size_t feed_skip(struct smtp_session *session, struct bytes input)
{
    struct smtp_skip *skip = &session->skip;
    size_t used = input.len < skip->left ? input.len : (size_t)skip->left;

    skip->left -= used;
    if (skip->left == 0)
        smtp_session_skipped(session);
    return used;
}

/* Returns how many bytes were consumed; 0 when the output has to be taken first. */
static size_t feed_some(struct smtp_session *session, struct bytes input)
{
    if (session->skip.left > 0)
        return feed_skip(session, input);
    if (session->state == SMTP_STATE_DATA)
        return feed_body(session, input);
    if (session->state == SMTP_STATE_CHUNK)
        return smtp_chunk_feed(session, input);
    return feed_line(session, input);
}

static bool takes_input(const struct smtp_session *session)
{
    static const unsigned taking = IN(CONNECTED) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(DATA) |
                                   IN(CHUNK) | IN(CHUNKS) | IN(AUTH);

    return (taking & SMTP_IN(session->state)) != 0 && !session->held && session->ticket == 0 &&
           buffer_len(&session->output) < SMTP_OUTPUT_MAX;
}

size_t smtp_session_feed(struct smtp_session *session, struct bytes input)
{
    size_t used = 0;

    smtp_session_drop_lent(session);
    if (session->state == SMTP_STATE_GREET && !session->greeted && input.len > 0) {
        session->early = true;
        if (session->config->early_refused)
            smtp_session_close(session, SMTP_REPLY_EARLY);
    }
    if (session->held && input.len > 0)
        session->held_early = true;
    if (session->state == SMTP_STATE_BEGIN && input.len > 0)
        session->data_early = true;
    while (used < input.len && takes_input(session)) {
        size_t taken = feed_some(session, bytes_skip(input, used));
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}
