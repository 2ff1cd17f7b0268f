/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_CURSOR_H
#define IMAP_PROTOCOL_CURSOR_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/*
 * Reads the words of one complete command (RFC 3501 section 9) from left to right. What is
 * taken points into the text, or into `arena` where it had to be unescaped. Every take function
 * returns false, with the position undefined, when something else stands there.
 */
struct imap_cursor {
    struct bytes rest;
    struct arena *arena;
    const char *problem; /* what to tell the client; a constant text, or NULL */
    enum {
        IMAP_PROBLEM_SYNTAX, /* BAD */
        IMAP_PROBLEM_LIMIT,  /* well formed, but more than limits.h allows: NO [LIMIT] */
        IMAP_PROBLEM_CANNOT, /* well formed, but never possible: NO [CANNOT] */
        IMAP_PROBLEM_CHARSET /* NO [BADCHARSET] */
    } kind;
    bool at_literal; /* stopped at a literal whose bytes are not there (yet) */
};

struct imap_cursor imap_cursor_over(struct bytes text, struct arena *arena);

/* Always false: for "return imap_fail(cursor, ...)". The first problem is kept. */
bool imap_fail(struct imap_cursor *cursor, const char *problem);
bool imap_fail_limit(struct imap_cursor *cursor, const char *problem);
bool imap_fail_cannot(struct imap_cursor *cursor, const char *problem);

static inline bool imap_at_end(const struct imap_cursor *cursor)
{
    return cursor->rest.len == 0;
}
static inline bool imap_next_is(const struct imap_cursor *cursor, uint8_t byte)
{
    return cursor->rest.len > 0 && cursor->rest.at[0] == byte;
}

bool imap_take_byte(struct imap_cursor *cursor, uint8_t byte);
bool imap_take_space(struct imap_cursor *cursor);
bool imap_take_end(struct imap_cursor *cursor);

bool imap_take_tag(struct imap_cursor *cursor, struct bytes *tag);
bool imap_take_atom(struct imap_cursor *cursor, struct bytes *atom);
/* Letters, digits, '.' and '-': the names of FETCH items, SEARCH keys and the like. May be
 * followed by anything. */
bool imap_take_word(struct imap_cursor *cursor, struct bytes *word);
/* That word without regard to case, or nothing is taken. */
bool imap_take_keyword(struct imap_cursor *cursor, struct bytes keyword);
bool imap_take_string(struct imap_cursor *cursor, struct bytes *string);
bool imap_take_astring(struct imap_cursor *cursor, struct bytes *string);
/* NIL gives {NULL, 0}. */
bool imap_take_nstring(struct imap_cursor *cursor, struct bytes *string);
/* A pattern of LIST: an atom that may have '%' and '*', or a string. */
bool imap_take_pattern(struct imap_cursor *cursor, struct bytes *pattern);
bool imap_take_u32(struct imap_cursor *cursor, uint32_t *number);
/* Not 0. */
bool imap_take_nz_u32(struct imap_cursor *cursor, uint32_t *number);
bool imap_take_u64(struct imap_cursor *cursor, uint64_t *number);

/* An atom's characters only, and at least one. */
bool imap_is_atom(struct bytes text);

#endif
