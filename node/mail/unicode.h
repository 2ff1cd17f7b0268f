/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_UNICODE_H
#define NODE_MAIL_UNICODE_H

#include "node/base/bytes.h"

/* What the tables of Unicode say about the characters of an address. Text is valid UTF-8. */

/* The code point of the well-formed sequence of `len` bytes at the start of `text`. */
uint32_t unicode_code_point(struct bytes text, size_t len);

/* The first character of `text`, which is not empty; `text` is moved behind it. */
uint32_t unicode_take(struct bytes *text);

/* Default ignorable code points: what is drawn as nothing. */
bool unicode_is_unseen(uint32_t code_point);

/* U+200C and U+200D, which are unseen and yet part of the spelling in some scripts. */
bool unicode_is_joiner(uint32_t code_point);

/* Some character is written from right to left, or an Arabic number. */
bool unicode_has_rtl(struct bytes text);

/* RFC 5893 section 2, for one label. An empty one breaks no rule. */
bool unicode_bidi_rule_holds(struct bytes label);

#endif
