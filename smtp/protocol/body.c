/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/body.h"

#include "node/base/check.h"
#include "smtp/protocol/limits.h"

static void refuse(struct smtp_body *body, enum smtp_reply refusal)
{
    if (body->refusal == SMTP_REPLY_ACCEPTED)
        body->refusal = refusal;
}

/* Unstuffed text within the limits, on to the header or the output. */
static void pass(struct smtp_body *body, struct bytes text, struct buffer *output)
{
    static const enum smtp_reply refusals[] = {
        [SMTP_HEADER_FINE] = SMTP_REPLY_ACCEPTED,
        [SMTP_HEADER_TOO_LARGE] = SMTP_REPLY_HEADER_SIZE,
        [SMTP_HEADER_TOO_MANY_LINES] = SMTP_REPLY_HEADER_LINES,
        [SMTP_HEADER_LOOP] = SMTP_REPLY_LOOP,
    };

    body->size += text.len;
    if (body->header.over)
        buffer_add(output, text);
    else
        refuse(body, refusals[smtp_header_feed(&body->header, text, output)]);
}

/* Text of a line. What fits under the limits goes first, so that which limit is met first does
 * not depend on how the input was cut. */
static void add_text(struct smtp_body *body, struct bytes text, struct buffer *output)
{
    if (body->refusal != SMTP_REPLY_ACCEPTED)
        return;
    size_t line_room = body->line_size_max - 2 - body->line_size;
    uint64_t size_room = body->size_max - body->size;
    struct bytes fits = text;
    if (fits.len > line_room)
        fits.len = line_room;
    if (fits.len > size_room)
        fits.len = (size_t)size_room;
    body->line_size += fits.len;
    pass(body, fits, output);
    if (text.len > fits.len)
        refuse(body, fits.len == size_room ? SMTP_REPLY_BODY_SIZE : SMTP_REPLY_BODY_LINE);
}

static void end_line(struct smtp_body *body, struct buffer *output)
{
    body->line_size = 0;
    body->at = SMTP_BODY_LINE_START;
    if (body->refusal != SMTP_REPLY_ACCEPTED)
        return;
    if (body->size_max - body->size < 2)
        refuse(body, SMTP_REPLY_BODY_SIZE);
    else
        pass(body, BYTES("\r\n"), output);
    if (body->kind == SMTP_BODY_BINARY && body->header.over)
        body->at = SMTP_BODY_RAW;
}

static size_t take_raw(struct smtp_body *body, struct bytes input, struct buffer *output)
{
    if (input.len > body->size_max - body->size)
        refuse(body, SMTP_REPLY_BODY_SIZE);
    else
        pass(body, input, output);
    return input.len;
}

/* In a line: up to the next byte that means something. Returns how many bytes were consumed. */
static size_t take_text(struct smtp_body *body, struct bytes input, struct buffer *output)
{
    struct bytes run = {input.at, bytes_find(input, '\r')};

    /* Refused: only the end matters now, and looking for more would cost time for nothing. */
    if (body->refusal == SMTP_REPLY_ACCEPTED) {
        run.len = bytes_find(run, '\n');
        run.len = bytes_find(run, '\0');
        add_text(body, run, output);
    }
    if (run.len == input.len)
        return run.len;
    switch (input.at[run.len]) {
    case '\r':
        body->at = SMTP_BODY_CR;
        break;
    case '\n':
        refuse(body, SMTP_REPLY_BODY_BARE_LF);
        break;
    default:
        refuse(body, SMTP_REPLY_BODY_NUL);
        break;
    }
    return run.len + 1;
}

/* One step; returns how many bytes it consumed, which may be none. */
static size_t step(struct smtp_body *body, struct bytes input, struct buffer *output)
{
    uint8_t byte = input.at[0];

    switch (body->at) {
    case SMTP_BODY_LINE_START:
        if (body->kind != SMTP_BODY_DOTTED) {
            body->at = SMTP_BODY_TEXT;
            return 0;
        }
        body->at = byte == '.' ? SMTP_BODY_DOT : SMTP_BODY_TEXT;
        return byte == '.';
    case SMTP_BODY_DOT:
        /* A dot with something behind it was put there for transparency: it is dropped. */
        body->at = byte == '\r' ? SMTP_BODY_DOT_CR : SMTP_BODY_TEXT;
        return byte == '\r';
    case SMTP_BODY_DOT_CR:
        if (byte == '\n') {
            body->at = SMTP_BODY_ENDED;
            return 1;
        }
        refuse(body, SMTP_REPLY_BODY_BARE_CR);
        body->at = SMTP_BODY_TEXT;
        return 0;
    case SMTP_BODY_TEXT:
        return take_text(body, input, output);
    case SMTP_BODY_CR:
        if (byte == '\n') {
            end_line(body, output);
            return 1;
        }
        refuse(body, SMTP_REPLY_BODY_BARE_CR);
        body->at = SMTP_BODY_TEXT;
        return 0;
    case SMTP_BODY_RAW:
        return take_raw(body, input, output);
    case SMTP_BODY_ENDED:
        break;
    }
    CHECK(body->at != SMTP_BODY_ENDED);
    return 0;
}

void smtp_body_init(struct smtp_body *body, enum smtp_body_kind kind, uint64_t size_max,
                    size_t line_size_max)
{
    CHECK(line_size_max >= 2);
    *body = (struct smtp_body){
        .kind = kind,
        .size_max = size_max,
        .line_size_max = line_size_max,
        .refusal = SMTP_REPLY_ACCEPTED,
    };
    smtp_header_init(&body->header);
}

size_t smtp_body_feed(struct smtp_body *body, struct bytes input, struct buffer *output)
{
    size_t used = 0;

    if (body->refusal != SMTP_REPLY_ACCEPTED && body->kind != SMTP_BODY_DOTTED)
        return input.len;
    /* Once is cheaper than growing line by line. */
    if (body->refusal == SMTP_REPLY_ACCEPTED && input.len <= SMTP_BODY_PIECE_MAX / 2)
        buffer_reserve(output, input.len);
    while (used < input.len && body->at != SMTP_BODY_ENDED) {
        /* A line end adds two bytes, the start of a header line that was held a few more. */
        size_t reserve = sizeof(body->header.held) + 2;
        size_t room = SMTP_BODY_PIECE_MAX - buffer_len(output);
        struct bytes rest = bytes_skip(input, used);
        if (room <= reserve)
            break;
        if (rest.len > room - reserve)
            rest.len = room - reserve;
        used += step(body, rest, output);
    }
    return used;
}

void smtp_body_end(struct smtp_body *body, struct buffer *output)
{
    CHECK(body->kind != SMTP_BODY_DOTTED && body->at != SMTP_BODY_ENDED);
    if (body->at == SMTP_BODY_CR)
        refuse(body, SMTP_REPLY_BODY_BARE_CR);
    else if (body->at == SMTP_BODY_TEXT)
        end_line(body, output);
    body->at = SMTP_BODY_ENDED;
}
