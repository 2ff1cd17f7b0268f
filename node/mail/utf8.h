/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_UTF8_H
#define NODE_MAIL_UTF8_H

#include "node/base/buffer.h"
#include "node/base/bytes.h"

/* The length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629: no overlong
 * form, no surrogate, at most U+10FFFF), or 0. */
size_t utf8_sequence(struct bytes text);

/* Appends `text`; every byte of no well-formed sequence becomes U+FFFD. */
void utf8_add_clean(struct buffer *utf8, struct bytes text);

/* Appends a code point; what is none becomes U+FFFD. */
void utf8_add_code_point(struct buffer *utf8, uint32_t code_point);

/* How many bytes at the start are ASCII. */
size_t utf8_ascii_prefix(struct bytes text);

#endif
