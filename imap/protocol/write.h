/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_WRITE_H
#define IMAP_PROTOCOL_WRITE_H

#include "node/base/buffer.h"
#include "node/mail/summary.h"

/* Pieces of responses (RFC 3501 section 9). All append to `out`. */

/* Quoted, or a literal where a quoted string could not hold it. NULs are left out. */
void imap_write_string(struct buffer *out, struct bytes text);
/* The same; {NULL, 0} is NIL. */
void imap_write_nstring(struct buffer *out, struct bytes text);
/* An atom where that is possible. */
void imap_write_astring(struct buffer *out, struct bytes text);
/* In modified UTF-7. */
void imap_write_mailbox(struct buffer *out, struct bytes utf8);

/* ENVELOPE's value (RFC 3501 section 7.4.2): a missing Sender or Reply-To is the From. */
void imap_write_envelope(struct buffer *out, const struct mail_envelope *envelope);

/* The value of BODYSTRUCTURE, or of BODY when not `extended`. */
void imap_write_structure(struct buffer *out, const struct mail_part *part, bool extended);

#endif
