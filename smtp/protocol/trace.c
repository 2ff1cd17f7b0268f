/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/trace.h"

#include "node/base/check.h"
#include "node/mail/date.h"

/* The one way into the header: a line break in here would be a header field of the peer's. */
static void add(struct buffer *header, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.at[i] >= ' ' && text.at[i] != 127);
    buffer_add(header, text);
}

static void add_text(struct buffer *header, const char *text)
{
    add(header, bytes_of(text));
}

/* RFC 3848; with "UTF8" before it when SMTPUTF8 was said (RFC 6531 section 4.3). */
static void add_protocol(const struct smtp_envelope *envelope, struct buffer *header)
{
    bool lmtp = envelope->service == SMTP_SERVICE_LMTP;
    /* There is no name for HELO over TLS. */
    bool extended = envelope->extended || envelope->tls;

    if (envelope->utf8)
        add_text(header, lmtp ? "UTF8LMTP" : "UTF8SMTP");
    else
        add_text(header, lmtp ? "LMTP" : extended ? "ESMTP" : "SMTP");
    if (envelope->tls)
        add_text(header, "S");
    if (envelope->authenticated)
        add_text(header, "A");
}

void smtp_trace_write(const struct smtp_trace *trace, struct buffer *header)
{
    const struct smtp_envelope *envelope = trace->envelope;
    bool ipv6 = strchr(trace->peer_address, ':') != NULL;
    char date[MAIL_DATE_TEXT_SIZE];

    mail_date_format((struct mail_date){.seconds = trace->seconds}, date);
    add_text(header, "Return-Path: <");
    add(header, trace->return_path.at != NULL ? trace->return_path : envelope->sender);
    buffer_add_string(header, ">\r\n");
    add_text(header, "Received: ");
    if (trace->peer_address[0] != '\0') {
        add_text(header, "from ");
        add(header, envelope->helo);
        add_text(header, ipv6 ? " ([IPv6:" : " ([");
        add_text(header, trace->peer_address);
        buffer_add_string(header, "])\r\n\t");
    }
    add_text(header, "by ");
    add_text(header, trace->hostname);
    add_text(header, " with ");
    add_protocol(envelope, header);
    add_text(header, " id ");
    add_text(header, trace->trace_id);
    if (trace->tls_text[0] != '\0') {
        buffer_add_string(header, "\r\n\t(");
        add_text(header, trace->tls_text);
        add_text(header, ")");
    }
    if (envelope->recipient_count == 1) {
        buffer_add_string(header, "\r\n\tfor <");
        add(header, envelope->recipients[0].path);
        add_text(header, ">");
    }
    buffer_add_string(header, ";\r\n\t");
    add_text(header, date);
    buffer_add_string(header, "\r\n");
}
