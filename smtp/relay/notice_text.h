/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_NOTICE_TEXT_H
#define SMTP_RELAY_NOTICE_TEXT_H

#include "node/base/buffer.h"

/* The one way of foreign text into a notice. */

enum {
    NOTICE_LINE_SIZE = 78,      /* aimed at */
    NOTICE_LINE_SIZE_MAX = 998, /* RFC 5322 section 2.1.1 */
};

enum notice_charset {
    NOTICE_ASCII, /* a character beyond it becomes '?' */
    NOTICE_UTF8,  /* passes; what is not well-formed, or not to be seen, becomes U+FFFD */
};

/*
 * Appends text that may stand in a line: at most `size_max` bytes of it are read, and it then
 * ends with "[...]"; a control character becomes a space.
 */
void notice_text_add(struct buffer *clean, struct bytes text, size_t size_max,
                     enum notice_charset charset);

/* The same with runs of white space as one space, and none at the ends: what stands in several
 * lines becomes one. */
void notice_line_add(struct buffer *clean, struct bytes text, size_t size_max,
                     enum notice_charset charset);

/* An address of type utf-8 in ASCII (RFC 6533 section 3, utf-8-addr-xtext): "\x{E9}". */
void notice_unitext_add(struct buffer *clean, struct bytes text, size_t size_max);

/*
 * Appends "name: value" and CRLF, folded at spaces where a line would grow over
 * NOTICE_LINE_SIZE; what has no space is broken before NOTICE_LINE_SIZE_MAX. `value` has been
 * cleaned (CHECKed), and comes back when the field is unfolded, but for words of over 900 bytes
 * and rows of over 100 spaces.
 */
void notice_field_add(struct buffer *fields, const char *name, struct bytes value);

/* Appends cleaned text in lines that begin with `indent` spaces, ended by CRLF. */
void notice_wrap(struct buffer *lines, struct bytes text, unsigned indent);

/* Appends in quoted-printable (RFC 2045 section 6.7), notice_quoted.c. CRLF stays one; a CR or
 * LF alone does not become one. */
void notice_quoted_add(struct buffer *quoted, struct bytes bytes);

bool notice_is_ascii(struct bytes text);
bool notice_is_utf8(struct bytes text);

/* Lines end with CRLF and with nothing else, have at most NOTICE_LINE_SIZE_MAX bytes without
 * it, and there is no NUL: it can stand in a message without an encoding. */
bool notice_is_plain(struct bytes text);

#endif
