/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_LEXER_H
#define NODE_MAIL_LEXER_H

#include "node/base/buffer.h"
#include "node/base/bytes.h"

/*
 * The pieces that structured header fields are made of (RFC 5322 section 3.2), read leniently:
 * what is never closed reaches to the end of the field. Each call moves `at` behind what it
 * read and looks at no byte twice; nesting is counted, not recursed into.
 */

/* CR, LF and NUL count as white space: kept text never has them. */
static inline bool lexer_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == '\0';
}

/* White space and comments. Returns whether there were any. `comment` (may be NULL) gets the
 * text of the last comment in place of what it had. */
bool lexer_skip(struct bytes *at, struct buffer *comment);

/* A quoted string; `at` stands on its opening quote. Appends its text, unquoted. */
void lexer_quoted(struct bytes *at, struct buffer *text);

/* The longest run of bytes for which `belongs` holds. */
struct bytes lexer_run(struct bytes *at, bool (*belongs)(uint8_t byte));

/* The token characters of RFC 2045 section 5.1. */
bool lexer_is_token(uint8_t byte);

/* Drops the first byte when it is `byte`. */
static inline bool lexer_accept(struct bytes *at, uint8_t byte)
{
    if (at->len == 0 || at->at[0] != byte)
        return false;
    *at = bytes_skip(*at, 1);
    return true;
}

/* Behind the CRLF that ends the line at `from`, or the length when none does. */
size_t lexer_line_end(struct bytes text, size_t from);

/* Appends `text` without CR, LF and NUL. */
void lexer_add_unfolded(struct buffer *buffer, struct bytes text);

#endif
