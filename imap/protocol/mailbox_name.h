/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_MAILBOX_NAME_H
#define IMAP_PROTOCOL_MAILBOX_NAME_H

#include "imap/protocol/cursor.h"
#include "node/base/buffer.h"

/*
 * Names of mailboxes: UTF-8 inside, modified UTF-7 (RFC 3501 section 5.1.3) on the wire. Levels
 * are separated by '/'.
 */

/*
 * The one right modified UTF-7 form only: no superfluous shifts, nothing encoded that can stand
 * for itself. Plain UTF-8 is taken too. Returns false for anything else.
 */
bool imap_utf7_decode(struct bytes text, struct arena *arena, struct bytes *utf8);

/* `utf8` is valid UTF-8. Appends. */
void imap_utf7_encode(struct bytes utf8, struct buffer *text);

/* Valid UTF-8 of at most MAILBOX_NAME_SIZE_MAX bytes and MAILBOX_DEPTH_MAX levels, none of them
 * empty, "." or "..", and no control characters. */
bool imap_mailbox_name_valid(struct bytes utf8);

/*
 * The name of a mailbox as an argument, in UTF-8, with INBOX in capitals. What could be no
 * mailbox's name is IMAP_PROBLEM_CANNOT.
 */
bool imap_take_mailbox(struct imap_cursor *cursor, struct bytes *utf8);

/* The same for CREATE and RENAME: one '/' at the end is dropped, and '*' and '%' are refused.
 */
bool imap_take_new_mailbox(struct imap_cursor *cursor, struct bytes *utf8);

/* INBOX and what lies below it in capitals, whatever it was written in. */
struct bytes imap_mailbox_canonical(struct bytes utf8, struct arena *arena);

#endif
