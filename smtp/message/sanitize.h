/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_SANITIZE_H
#define SMTP_MESSAGE_SANITIZE_H

#include "node/base/buffer.h"
#include "node/base/err.h"

/*
 * The one door for values on their way into a header: nobody who chooses a name, a HELO or an
 * address may end a line with it and write fields, or a message, of his own.
 */

enum {
    SMTP_FIELD_LINE_SIZE = 78,      /* lines are folded here where they have white space */
    SMTP_FIELD_LINE_SIZE_MAX = 998, /* RFC 5322 section 2.1.1, without CRLF */
    SMTP_FIELD_VALUE_SIZE_MAX = 16 * 1024,
};

/* No C0 control, no DEL, valid UTF-8, no C1 control, no U+2028 and U+2029. A tab is a control.
 */
bool smtp_text_clean(struct bytes text);

/* `text` with each offence against the above replaced: a byte of it by '?', a tab by a space.
 * For values that are only shown, such as a HELO. Appends. */
void smtp_text_add_clean(struct buffer *buffer, struct bytes text);

/*
 * Appends "name: value" CRLF, folded at white space. `name` is a literal of the program
 * (CHECKed: printable ASCII without a colon). ERR_MALFORMED: `value` is not clean; ERR_TOOBIG:
 * it is over SMTP_FIELD_VALUE_SIZE_MAX, or a word of it leaves a line over
 * SMTP_FIELD_LINE_SIZE_MAX. Nothing is appended then.
 */
MUST_CHECK enum err smtp_field_add(struct buffer *header, struct bytes name,
                                   struct bytes value);

/* Whether `text` is nothing but whole header fields: each line ends with CRLF, is not blank,
 * and begins with a name and a colon or continues one; no control characters but tabs. Empty
 * is. */
bool smtp_fields_valid(struct bytes text);

#endif
