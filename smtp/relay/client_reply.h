/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_CLIENT_REPLY_H
#define SMTP_RELAY_CLIENT_REPLY_H

#include "node/base/buffer.h"
#include "smtp/relay/client.h"

/*
 * Replies out of a stream of bytes (RFC 5321 section 4.2), however it is cut. A line ends with
 * CR LF, or with a bare LF, which some servers write; no CR may stand elsewhere.
 */
enum smtp_client_reply_event {
    SMTP_CLIENT_REPLY_MORE,      /* all is consumed; the line is not complete */
    SMTP_CLIENT_REPLY_LINE,      /* a line of a reply that goes on */
    SMTP_CLIENT_REPLY_COMPLETE,  /* the last line: code and text are there */
    SMTP_CLIENT_REPLY_MALFORMED, /* what stands there is no reply */
    SMTP_CLIENT_REPLY_FLOOD,     /* a line, or a reply, is too long */
};

struct smtp_client_reply_reader {
    unsigned code;     /* of the reply; valid with LINE and COMPLETE */
    unsigned lines;    /* of it, so far */
    struct bytes line; /* what stands behind the code; valid until the next call */
    struct buffer partial;
    struct buffer text; /* of all lines, with a LF between them; cut at REPLY_KEPT_MAX */
    bool complete;      /* the next byte begins another one */
    bool line_lent;     /* `partial` holds a line that was handed out */
};

void smtp_client_reply_reader_init(struct smtp_client_reply_reader *reader);
void smtp_client_reply_reader_fini(struct smtp_client_reply_reader *reader);

/* Takes from `input` up to the end of a line, and moves it behind that. */
enum smtp_client_reply_event smtp_client_reply_read(struct smtp_client_reply_reader *reader,
                                                    struct bytes *input);

/* A reply has begun and is not complete. */
bool smtp_client_reply_reader_is_within(const struct smtp_client_reply_reader *reader);

/* A complete reply in words, status and result as its code has it. */
void smtp_client_reply_verdict(const struct smtp_client_reply_reader *reader,
                               enum smtp_client_phase phase,
                               struct smtp_client_verdict *verdict);

/* Our own. `text` may hold anything: it is made safe, and cut. */
void smtp_client_local_verdict(enum smtp_client_result result, enum smtp_client_phase phase,
                               const char *status, const char *text,
                               struct smtp_client_verdict *verdict);

/* More of the same line, behind a space. */
void smtp_client_local_verdict_add(struct smtp_client_verdict *verdict, const char *text);

#endif
