/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_TRACE_H
#define SMTP_PROTOCOL_TRACE_H

#include "node/base/buffer.h"
#include "smtp/protocol/session.h"

/* What the host of final delivery writes above a message (RFC 5321 section 4.4). */
struct smtp_trace {
    const struct smtp_envelope *envelope;
    struct bytes return_path; /* at == NULL: the envelope's sender */
    const char *hostname;
    const char *peer_address; /* numeric: "192.0.2.7", "2001:db8::1"; "": not to be told */
    const char *tls_text;     /* protocol and cipher; "" in the clear */
    const char *trace_id;
    int64_t seconds; /* since 1970 */
};

/*
 * Appends Return-Path and Received, folded. "for" is there only when there is one recipient:
 * the others must not learn of each other (RFC 5321 section 7.6). Control characters can come
 * from nowhere, and are CHECKed.
 */
void smtp_trace_write(const struct smtp_trace *trace, struct buffer *header);

#endif
