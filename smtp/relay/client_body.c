/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/relay/client_limits.h"
#include "smtp/relay/client_state.h"

/*
 * The body: dots doubled at the start of lines (RFC 5321 section 4.5.2), or cut into chunks
 * (RFC 3030), and its end.
 */

void smtp_client_body_open(struct smtp_client *client)
{
    buffer_clear(&client->body.chunk);
    client->body = (struct smtp_client_body){
        .open = true,
        .before = '\n',
        .chunk = client->body.chunk,
    };
}

void smtp_client_body_close(struct smtp_client *client)
{
    client->body.open = false;
    client->body_wanted_pending = false;
    buffer_clear(&client->body.chunk);
}

bool smtp_client_is_held(const struct smtp_client *client)
{
    return client->state == SMTP_CLIENT_BODY && client->body.open && client->body.complete &&
           !client->body.may_finish;
}

/* ---- bytes ---- */

static void send_chunk(struct smtp_client *client, size_t len, const char *last)
{
    struct smtp_client_body *body = &client->body;

    buffer_printf(&client->output, "BDAT %zu%s\r\n", len, last);
    buffer_add(&client->output, bytes_from(buffer_bytes(&body->chunk).at, len));
    buffer_drop(&body->chunk, len);
    body->chunks_sent++;
}

static void add_chunked(struct smtp_client *client, struct bytes text)
{
    struct buffer *chunk = &client->body.chunk;

    while (text.len > 0) {
        size_t room = SMTP_CLIENT_CHUNK_SIZE - buffer_len(chunk);
        struct bytes piece = {text.at, text.len < room ? text.len : room};
        /* A chunk that is full waits for more: the last one has to be said to be it. */
        if (room == 0) {
            send_chunk(client, SMTP_CLIENT_CHUNK_SIZE, "");
            continue;
        }
        buffer_add(chunk, piece);
        text = bytes_skip(text, piece.len);
    }
}

/* `before` is the byte in front of `text`; every line in it that begins with a dot gets one
 * more. */
static void add_dotted(struct buffer *output, uint8_t before, struct bytes text)
{
    while (text.len > 0) {
        size_t len = bytes_find(text, '\n');
        len += len < text.len;
        if (before == '\n' && text.at[0] == '.')
            buffer_add_byte(output, '.');
        buffer_add(output, bytes_from(text.at, len));
        before = text.at[len - 1];
        text = bytes_skip(text, len);
    }
}

/* Whether each CR has its LF behind it and each LF its CR before it; a CR at the end waits. */
static bool lines_are_whole(const struct smtp_client_body *body, struct bytes text)
{
    uint8_t before = body->before;

    for (size_t at = 0; at < text.len; at++) {
        if ((text.at[at] == '\n') != (before == '\r'))
            return false;
        before = text.at[at];
    }
    return true;
}

static void refuse_body(struct smtp_client *client)
{
    struct smtp_client_verdict verdict;

    smtp_client_local_verdict(SMTP_CLIENT_FAILED, SMTP_CLIENT_PHASE_DATA, "5.6.0",
                              "The message has a line end that is not CR LF", &verdict);
    smtp_client_end(client, SMTP_CLIENT_END_BODY_FAILED, &verdict, false);
}

static void add_text(struct smtp_client *client, struct bytes text)
{
    struct smtp_client_body *body = &client->body;

    if (text.len == 0)
        return;
    if (!lines_are_whole(body, text)) {
        refuse_body(client);
        return;
    }
    if (client->transaction.chunked)
        add_chunked(client, text);
    else
        add_dotted(&client->output, body->before, text);
    body->before = text.at[text.len - 1];
}

/* ---- the end ---- */

static void send_end(struct smtp_client *client)
{
    struct smtp_client_body *body = &client->body;

    /* What has begun before the end left is no answer to it. */
    if (smtp_client_reply_reader_is_within(&client->reader) && !smtp_client_awaits(client)) {
        smtp_client_end_local(client, SMTP_CLIENT_END_OUT_OF_TURN, "4.5.0",
                              "The server spoke before the message was sent");
        return;
    }
    if (client->transaction.chunked)
        send_chunk(client, buffer_len(&body->chunk), " LAST");
    else
        smtp_client_say(client, ".\r\n");
    body->open = false;
    smtp_client_move(client, SMTP_CLIENT_FINAL);
}

/* The only way to the end of a message. */
static void try_end(struct smtp_client *client)
{
    const struct smtp_client_body *body = &client->body;

    if (client->state == SMTP_CLIENT_BODY && body->open && body->complete && body->may_finish)
        send_end(client);
}

/* ---- what the driver says ---- */

static bool is_open(const struct smtp_client *client)
{
    CHECK(client->state != SMTP_CLIENT_ENVELOPE && !client->body_wanted_pending);
    return client->state == SMTP_CLIENT_BODY && client->body.open;
}

void smtp_client_body_add(struct smtp_client *client, struct bytes body)
{
    if (!is_open(client))
        return;
    CHECK(!client->body.complete);
    add_text(client, body);
    client->wait_pending = true;
    smtp_client_settle(client);
}

void smtp_client_body_end(struct smtp_client *client)
{
    if (!is_open(client))
        return;
    CHECK(!client->body.complete);
    /* Behind a CR this is none either. */
    if (client->body.before != '\n')
        add_text(client, BYTES("\r\n"));
    client->body.complete = true;
    client->wait_pending = true;
    try_end(client);
    smtp_client_settle(client);
}

void smtp_client_body_failed(struct smtp_client *client)
{
    bool under_way = client->transaction.message != NULL && client->body.open;

    if (!under_way)
        return;
    smtp_client_end_local(client, SMTP_CLIENT_END_BODY_FAILED, "4.3.0",
                          "The message cannot be read at present");
    smtp_client_settle(client);
}

void smtp_client_let_finish(struct smtp_client *client, bool allowed)
{
    if (!client->body.open)
        return;
    client->body.may_finish = allowed;
    client->wait_pending = true;
    try_end(client);
    smtp_client_settle(client);
}

/* ---- replies ---- */

static void on_refused_chunk(struct smtp_client *client)
{
    struct smtp_client_body *body = &client->body;
    struct smtp_client_verdict verdict;

    smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_DATA, &verdict);
    smtp_client_decide_rest(client, &verdict);
    if (body->chunks_answered == body->chunks_sent) {
        smtp_client_reset(client);
        return;
    }
    client->transaction.message = NULL;
    client->done_pending = true;
    smtp_client_body_close(client);
    smtp_client_move(client, SMTP_CLIENT_DRAIN);
}

void smtp_client_on_chunk(struct smtp_client *client)
{
    struct smtp_client_body *body = &client->body;

    body->chunks_answered++;
    if (client->state == SMTP_CLIENT_DRAIN) {
        if (body->chunks_answered == body->chunks_sent)
            smtp_client_reset(client);
    } else if (client->reader.code >= 400) {
        on_refused_chunk(client);
    } else if (client->reader.code / 100 != 2) {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
    }
}

/* Of a chunk before the last one, which is under way too. */
static void on_earlier_chunk(struct smtp_client *client)
{
    struct smtp_client_body *body = &client->body;

    if (client->reader.code < 400 || body->refused)
        return;
    body->refused = true;
    smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_DATA, &body->refusal);
}

void smtp_client_on_final(struct smtp_client *client)
{
    struct smtp_client_body *body = &client->body;
    struct smtp_client_verdict verdict;

    if (client->reader.code / 100 == 3) {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
        return;
    }
    if (client->transaction.chunked && ++body->chunks_answered < body->chunks_sent) {
        on_earlier_chunk(client);
        return;
    }
    smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_FINAL, &verdict);
    if (body->refused)
        verdict = body->refusal;
    smtp_client_decide_rest(client, &verdict);
    if (verdict.result == SMTP_CLIENT_DELIVERED)
        smtp_client_finish(client);
    else
        smtp_client_reset(client);
}
