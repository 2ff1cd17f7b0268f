/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

/*
 * BDAT (RFC 3030). The bytes of a chunk come behind its command, whatever we think of it: one
 * that is refused is read to its end, thrown away, and only then replied to, so that what
 * follows is a command again. One whose size cannot be read ends the connection, since nobody
 * knows any more what is a command and what is a message.
 *
 * A failed chunk ends the transaction. A client that pipelines has sent the next ones already:
 * they are thrown away as well, and are no further errors.
 */
static bool parse(struct bytes args, struct smtp_chunk *chunk)
{
    struct bytes number = bytes_take_word(&args);

    args = bytes_trim(args);
    chunk->last = bytes_equal_nocase(args, BYTES("LAST"));
    return (chunk->last || args.len == 0) && bytes_to_u64(number, &chunk->left) &&
           chunk->left <= SMTP_CHUNK_SIZE_MAX;
}

/* How many replies a chunk gets that was not expected. LMTP has one for each recipient that was
 * accepted, and so maybe none, when it is the last (RFC 2033 section 4.3). */
static unsigned reply_count(const struct smtp_session *session, const struct smtp_chunk *chunk)
{
    bool lmtp = session->config->service == SMTP_SERVICE_LMTP;

    if (!lmtp || !chunk->last)
        return 1;
    if (session->chunks_failed)
        return session->chunks_failed_count;
    return session->state == SMTP_STATE_MAIL ? 0 : 1;
}

static void refuse(struct smtp_session *session, const struct smtp_chunk *chunk)
{
    bool expected = session->chunks_failed;
    unsigned count = reply_count(session, chunk);
    const struct smtp_verdict verdict = {
        .reply = expected ? SMTP_REPLY_CHUNK_FAILED : smtp_command_bad_sequence(session),
    };

    if (!expected)
        session->chunks_failed_count = session->state == SMTP_STATE_MAIL ? 0 : 1;
    session->chunks_failed = !chunk->last;
    smtp_session_skip(session, chunk->left, &verdict, count);
}

/* The bytes of a chunk are here. */
static void end_chunk(struct smtp_session *session)
{
    struct smtp_verdict verdict = {.reply = SMTP_REPLY_CHUNK_OK};
    bool last = session->chunk.last;

    if (last && session->body.refusal == SMTP_REPLY_ACCEPTED)
        smtp_body_end(&session->body, &session->body_piece);
    if (session->body.refusal != SMTP_REPLY_ACCEPTED) {
        smtp_session_abort_body(session, session->body.refusal);
        verdict.reply = session->body.refusal;
        smtp_session_finish(session, &verdict, last);
    } else if (last) {
        smtp_session_ask(session, SMTP_STATE_COMMIT);
    } else {
        smtp_session_move(session, SMTP_STATE_CHUNKS);
        smtp_session_reply(session, SMTP_REPLY_CHUNK_OK);
    }
}

/* In state CHUNK, with `session->chunk` as the command said. */
static void begin_chunk(struct smtp_session *session)
{
    struct smtp_body *body = &session->body;

    /* No need to look at the bytes of what is too large. */
    if (body->refusal == SMTP_REPLY_ACCEPTED &&
        session->chunk.left > body->size_max - body->size) {
        body->refusal = SMTP_REPLY_BODY_SIZE;
        smtp_session_abort_body(session, body->refusal);
    }
    if (session->chunk.left == 0)
        end_chunk(session);
}

void smtp_chunk_begin(struct smtp_session *session)
{
    bool binary = session->envelope.body_binary;

    smtp_body_init(&session->body, binary ? SMTP_BODY_BINARY : SMTP_BODY_COUNTED,
                   session->config->message_size_max, session->config->data_line_size_max);
    smtp_session_move(session, SMTP_STATE_CHUNK);
    begin_chunk(session);
}

void smtp_command_bdat(struct smtp_session *session, struct bytes args)
{
    struct smtp_chunk chunk = {.active = true};

    if (!parse(args, &chunk)) {
        smtp_session_reply(session, SMTP_REPLY_CHUNK_SYNTAX);
    } else if (session->state == SMTP_STATE_RCPT) {
        session->chunk = chunk;
        session->trace_id[0] = '\0';
        smtp_session_ask(session, SMTP_STATE_BEGIN);
    } else if (session->state == SMTP_STATE_CHUNKS) {
        session->chunk = chunk;
        smtp_session_move(session, SMTP_STATE_CHUNK);
        begin_chunk(session);
    } else {
        refuse(session, &chunk);
    }
}

size_t smtp_chunk_feed(struct smtp_session *session, struct bytes input)
{
    struct smtp_chunk *chunk = &session->chunk;
    struct smtp_body *body = &session->body;

    CHECK(chunk->left > 0);
    if (input.len > chunk->left)
        input.len = (size_t)chunk->left;
    size_t used = smtp_body_feed(body, input, &session->body_piece);
    chunk->left -= used;
    if (body->refusal != SMTP_REPLY_ACCEPTED)
        smtp_session_abort_body(session, body->refusal);
    if (chunk->left == 0)
        end_chunk(session);
    return used;
}
