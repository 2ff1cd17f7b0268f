/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_TEXT_H
#define NODE_MAIL_TEXT_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/bytes.h"

/* Text of RFC 5322, 2045, 2047 and 2231, and what SEARCH needs of it. Pure; all input may be
 * hostile. */

/*
 * The next header field of a header block, in order. `at` is moved behind it. The name is
 * without the colon, the value is raw (folded, without the final CRLF). Returns false at the
 * empty line, at the end, or at a line that is no header field.
 */
struct mail_field {
    struct bytes name;
    struct bytes value;
    struct bytes whole; /* name, colon, value and final CRLF, as they stand */
};
bool mail_field_next(struct bytes *at, struct mail_field *field);

/* Unfolded, CR, LF and NUL removed, trimmed. */
struct bytes mail_unfold(struct arena *arena, struct bytes value);

/* RFC 2047 encoded words decoded to UTF-8; bytes that are no valid UTF-8 become U+FFFD. */
struct bytes mail_decode_words(struct arena *arena, struct bytes text);

/* Content-Transfer-Encoding decoded: "BASE64", "QUOTED-PRINTABLE", anything else copies.
 * Appends. */
void mail_decode_transfer(struct bytes encoding, struct bytes body, struct buffer *decoded);

/* `charset` to UTF-8 by iconv and an alias table; unknown charsets are read as US-ASCII with
 * U+FFFD. Appends. */
void mail_decode_charset(struct bytes charset, struct bytes text, struct buffer *utf8);

/*
 * The C library reads most converters from files, the first time that each is asked for. A
 * process that will not be able to open files (process_sandbox) opens them all before, and
 * keeps this object until it ends; without it such charsets count as unknown there. Any other
 * process that decodes foreign text keeps one too: without it a text that changes its charset
 * at each word makes the library load and unload files at each word. UTF-8, US-ASCII,
 * ISO-8859-1 and windows-1252 need no file.
 */
struct mail_charsets;
struct mail_charsets *mail_charsets_open(void);
void mail_charsets_close(struct mail_charsets **charsets);

/* For comparing: NFKC, case folded, marks stripped (utf8proc). Invalid UTF-8 becomes U+FFFD. */
struct bytes mail_fold(struct arena *arena, struct bytes utf8);

/* RFC 4648 base64. decode takes no white space and needs right padding; returns false for
 * anything else. */
void mail_base64_encode(struct bytes bytes, struct buffer *text);
bool mail_base64_decode(struct bytes text, struct buffer *bytes);

#endif
