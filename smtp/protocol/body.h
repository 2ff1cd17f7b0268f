/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_BODY_H
#define SMTP_PROTOCOL_BODY_H

#include "smtp/protocol/header.h"
#include "smtp/protocol/reply.h"

/*
 * What follows DATA (RFC 5321 section 4.1.1.4): finds the one true end, removes the dots of
 * section 4.5.2, and refuses what hosts read differently.
 *
 * Only CR LF "." CR LF ends a message. Taking anything else as an end too would let a sender
 * hide a second message inside the first (SMTP smuggling), because the host before or behind us
 * may not agree on where the message ends. So a message with a CR or LF on its own is read to
 * its true end, and then refused.
 */
struct smtp_body {
    uint64_t size_max;
    size_t line_size_max;
    enum {
        SMTP_BODY_LINE_START,
        SMTP_BODY_DOT,    /* a dot at the start of a line */
        SMTP_BODY_DOT_CR, /* and a CR behind it */
        SMTP_BODY_TEXT,
        SMTP_BODY_CR, /* a CR in the line */
        SMTP_BODY_ENDED,
    } at;
    enum smtp_reply refusal; /* SMTP_REPLY_ACCEPTED while there is none; the first one stays */
    uint64_t size;           /* dots unstuffed, without the final dot */
    size_t line_size;        /* of the current line, without CRLF */
    struct smtp_header header;
};

/* `size_max` in bytes; `line_size_max` in bytes with CRLF. */
void smtp_body_init(struct smtp_body *body, uint64_t size_max, size_t line_size_max);

/*
 * Returns how many bytes were consumed: all, unless the message has ended (body->at) or
 * `output` has SMTP_BODY_PIECE_MAX bytes. Appends nothing once there is a refusal.
 */
size_t smtp_body_feed(struct smtp_body *body, struct bytes input, struct buffer *output);

#endif
