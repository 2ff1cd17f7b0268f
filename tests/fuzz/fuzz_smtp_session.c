/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SMTP session engine over any input, cut anywhere, answered at any time and with anything.
 * The first byte chooses how it is cut and answered, the second what the answers are.
 *
 * What must hold: replies are well formed; a commit comes of one body, and that body is what an
 * independent reading of the input says; nothing is consumed while a commit is outstanding; no
 * piece is larger than its limit; and cutting and waiting change nothing that the client sees.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "smtp/protocol/limits.h"
#include "smtp/protocol/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smtp_config config = {
    .hostname = "mx.test",
    .message_size_max = 3000,
    .recipients_max = 5,
    .data_line_size_max = 300,
    .errors_max = 8,
    .starttls = true,
};

struct run {
    struct smtp_session *session;
    uint8_t choices;
    unsigned random;    /* 0: whole pieces, answers at once */
    struct bytes input; /* all of it */
    size_t consumed;    /* of it */
    size_t body_start;  /* where in the input the message began */
    struct buffer body; /* as the engine gives it */
    bool in_body;       /* BEGIN was answered with ERR_OK */
    bool committing;
    bool closed;
    struct buffer seen; /* what the client sees, and commits */
    uint64_t tickets[SMTP_LOOKUPS_MAX + 1];
    enum smtp_want wants[SMTP_LOOKUPS_MAX + 1];
    uint8_t keys[SMTP_LOOKUPS_MAX + 1];
    unsigned ticket_count;
};

static unsigned draw(struct run *run, unsigned below)
{
    run->random = run->random * 1103515245 + 12345;
    return (run->random >> 16) % below;
}

static void check_replies(struct bytes text)
{
    CHECK(text.len > 0 && text.len < SMTP_OUTPUT_MAX + 4096);
    while (text.len > 0) {
        size_t len = bytes_find(text, '\r');
        CHECK(len >= 4 && len <= 510 && len + 1 < text.len && text.at[len + 1] == '\n');
        CHECK(text.at[0] >= '2' && text.at[0] <= '5');
        CHECK(text.at[3] == ' ' || text.at[3] == '-');
        for (size_t i = 0; i < len; i++)
            CHECK(text.at[i] >= ' ' && text.at[i] < 127);
        text = bytes_skip(text, len + 2);
    }
}

/* The body by the book: lines between CR LF, up to a line with a dot alone. */
static void reference_body(struct bytes raw, struct buffer *body)
{
    bool header = true;
    bool dropping = false;
    bool first = true;

    for (;;) {
        size_t len = 0;
        while (len + 1 < raw.len && !(raw.at[len] == '\r' && raw.at[len + 1] == '\n'))
            len++;
        CHECK(len + 1 < raw.len);
        struct bytes line = {raw.at, len};
        raw = bytes_skip(raw, len + 2);
        if (bytes_equal(line, BYTES(".")))
            break;
        if (line.len > 0 && line.at[0] == '.')
            line = bytes_skip(line, 1);
        CHECK(bytes_find(line, '\r') == line.len && bytes_find(line, '\n') == line.len);
        CHECK(bytes_find(line, 0) == line.len && line.len <= config.data_line_size_max - 2);
        bool folded = !first && line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
        first = false;
        if (!folded)
            dropping = header && bytes_start_nocase(line, BYTES("Return-Path:"));
        /* A field has a name: a colon that is the first byte of the line counts for nothing. */
        bool field = line.len > 1 && bytes_find(bytes_skip(line, 1), ':') < line.len - 1;
        if (!dropping || !header) {
            buffer_add(body, line);
            buffer_add(body, BYTES("\r\n"));
        }
        if (!folded && !field)
            header = false;
    }
    CHECK(raw.len == 0);
}

static void commit(struct run *run)
{
    struct bytes raw = {run->input.at + run->body_start, run->consumed - run->body_start};
    struct buffer want = BUFFER_EMPTY;

    CHECK(run->in_body);
    run->in_body = false;
    run->committing = true;
    reference_body(raw, &want);
    CHECK(bytes_equal(buffer_bytes(&want), buffer_bytes(&run->body)));
    CHECK(buffer_len(&want) <= config.message_size_max);
    buffer_add_string(&run->seen, "<commit>");
    buffer_add(&run->seen, buffer_bytes(&want));
    buffer_fini(&want);
}

static void answer(struct run *run, unsigned position)
{
    static const enum err results[] = {ERR_OK, ERR_OK,          ERR_OK,   ERR_OK,
                                       ERR_OK, ERR_UNAVAILABLE, ERR_FULL, ERR_IO};
    static const enum err lookups[] = {ERR_OK, ERR_OK, ERR_NOTFOUND, ERR_DENIED, ERR_TIMEOUT};
    uint64_t ticket = run->tickets[position];
    enum smtp_want want = run->wants[position];
    uint8_t key = run->keys[position];

    run->ticket_count--;
    for (unsigned i = position; i < run->ticket_count; i++) {
        run->tickets[i] = run->tickets[i + 1];
        run->wants[i] = run->wants[i + 1];
        run->keys[i] = run->keys[i + 1];
    }
    switch (want) {
    case SMTP_WANT_RESOLVE:
        smtp_session_resolved(run->session, ticket, lookups[key % 5], key);
        break;
    case SMTP_WANT_BEGIN:
        run->in_body = results[run->choices & 7] == ERR_OK;
        run->body_start = run->consumed;
        buffer_clear(&run->body);
        smtp_session_begun(run->session, ticket, results[run->choices & 7], "trace");
        break;
    default:
        run->committing = false;
        smtp_session_committed(run->session, ticket, results[run->choices >> 3 & 7]);
        break;
    }
}

static void act(struct run *run, const struct smtp_action *action)
{
    CHECK(!run->closed);
    switch (action->want) {
    case SMTP_WANT_WRITE:
        CHECK(!run->committing);
        check_replies(action->bytes);
        buffer_add(&run->seen, action->bytes);
        break;
    case SMTP_WANT_BODY:
        CHECK(run->in_body && action->bytes.len <= SMTP_BODY_PIECE_MAX);
        buffer_add(&run->body, action->bytes);
        break;
    case SMTP_WANT_COMMIT:
        commit(run);
        break;
    case SMTP_WANT_ABORT:
        CHECK(run->in_body && smtp_reply_code(action->refusal) >= 400);
        run->in_body = false;
        break;
    case SMTP_WANT_START_TLS:
        buffer_add_string(&run->seen, "<tls>");
        break;
    case SMTP_WANT_CLOSE:
        CHECK(!run->in_body);
        run->closed = true;
        break;
    case SMTP_WANT_BEGIN:
        CHECK(!run->in_body && smtp_session_envelope(run->session)->recipient_count > 0);
        break;
    case SMTP_WANT_RESOLVE:
        CHECK(action->bytes.len > 0);
        break;
    case SMTP_WANT_GREET:
    case SMTP_WANT_SENDER:
    case SMTP_WANT_AUTH:
    case SMTP_WANT_XCLIENT:
        CHECK(false);
        break;
    }
}

static void drain(struct run *run)
{
    struct smtp_action action;

    while (smtp_session_next(run->session, &action)) {
        act(run, &action);
        if (action.want == SMTP_WANT_START_TLS)
            smtp_session_tls_started(run->session);
        if (action.ticket == 0)
            continue;
        CHECK(run->ticket_count <= SMTP_LOOKUPS_MAX);
        run->tickets[run->ticket_count] = action.ticket;
        run->wants[run->ticket_count] = action.want;
        run->keys[run->ticket_count] = action.bytes.len > 0 ? action.bytes.at[0] : 0;
        run->ticket_count++;
        if (run->random == 0)
            answer(run, run->ticket_count - 1);
    }
}

static bool step(struct run *run)
{
    if (run->random != 0 && run->ticket_count > 0 && draw(run, 3) == 0) {
        answer(run, draw(run, run->ticket_count));
        drain(run);
        return true;
    }
    struct bytes piece = bytes_skip(run->input, run->consumed);
    if (run->random != 0 && piece.len > 1)
        piece.len = draw(run, piece.len < 40 ? (unsigned)piece.len : 40) + 1;
    bool committing = run->committing;
    size_t used = smtp_session_feed(run->session, piece);
    CHECK(used <= piece.len && (used == 0 || !committing));
    run->consumed += used;
    drain(run);
    if (used == 0 && run->ticket_count > 0) {
        answer(run, 0);
        drain(run);
        return true;
    }
    CHECK(used > 0 || piece.len == 0 || run->closed);
    return used > 0;
}

static struct buffer play(struct bytes input, uint8_t choices, unsigned random)
{
    static const struct smtp_connection connection = {.tls = false};
    struct run run = {
        .session = smtp_session_new(&config, &connection),
        .choices = choices,
        .random = random,
        .input = input,
    };

    drain(&run);
    while (!run.closed && step(&run))
        ;
    if (choices & 64)
        smtp_session_time_out(run.session);
    else
        smtp_session_go_down(run.session);
    drain(&run);
    smtp_session_free(&run.session);
    buffer_fini(&run.body);
    return run.seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct bytes input = {data + 2, size - 2};
    struct buffer whole = play(input, data[1], 0);
    struct buffer cut = play(input, data[1], data[0] * 2U + 2);
    CHECK(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    buffer_fini(&whole);
    buffer_fini(&cut);
    return 0;
}
