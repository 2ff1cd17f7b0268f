/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_BODY_H
#define SMTP_PROTOCOL_BODY_H

#include "smtp/protocol/header.h"
#include "smtp/protocol/reply.h"

/*
 * A message as it comes: what follows DATA (RFC 5321 section 4.1.1.4), where it finds the one
 * true end and removes the dots of section 4.5.2; or the bytes of BDAT (RFC 3030), whose end is
 * counted by others. It refuses what hosts read differently.
 *
 * Only CR LF "." CR LF ends a message. Taking anything else as an end too would let a sender
 * hide a second message inside the first (SMTP smuggling), because the host before or behind us
 * may not agree on where the message ends. So a message with a CR or LF on its own is read to
 * its true end, and then refused. In chunks such bytes hide nothing from us, but the next host
 * may get the message with DATA: so they are refused there too, except in what was announced as
 * BINARYMIME. The header of that has lines like any other, and is held to them.
 */
enum smtp_body_kind {
    SMTP_BODY_DOTTED,  /* DATA */
    SMTP_BODY_COUNTED, /* BDAT; a last line without CRLF gets one */
    SMTP_BODY_BINARY,  /* BDAT with BODY=BINARYMIME; kept byte for byte behind its header */
};

struct smtp_body {
    enum smtp_body_kind kind;
    uint64_t size_max;
    size_t line_size_max;
    enum {
        SMTP_BODY_LINE_START,
        SMTP_BODY_DOT,    /* a dot at the start of a line */
        SMTP_BODY_DOT_CR, /* and a CR behind it */
        SMTP_BODY_TEXT,
        SMTP_BODY_CR,  /* a CR in the line */
        SMTP_BODY_RAW, /* behind the header of BINARY */
        SMTP_BODY_ENDED,
    } at;
    enum smtp_reply refusal; /* SMTP_REPLY_ACCEPTED while there is none; the first one stays */
    uint64_t size;           /* dots unstuffed, without the final dot */
    size_t line_size;        /* of the current line, without CRLF */
    struct smtp_header header;
};

/* `size_max` in bytes; `line_size_max` in bytes with CRLF. */
void smtp_body_init(struct smtp_body *body, enum smtp_body_kind kind, uint64_t size_max,
                    size_t line_size_max);

/*
 * Returns how many bytes were consumed: all, unless the message has ended (body->at) or
 * `output` has SMTP_BODY_PIECE_MAX bytes. Appends nothing once there is a refusal.
 */
size_t smtp_body_feed(struct smtp_body *body, struct bytes input, struct buffer *output);

/* COUNTED and BINARY: there comes no more. There may be a refusal now. */
void smtp_body_end(struct smtp_body *body, struct buffer *output);

#endif
