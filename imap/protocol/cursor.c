/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/cursor.h"

#include "imap/protocol/limits.h"

struct imap_cursor imap_cursor_over(struct bytes text, struct arena *arena)
{
    return (struct imap_cursor){.rest = text, .arena = arena};
}

bool imap_fail(struct imap_cursor *cursor, const char *problem)
{
    if (cursor->problem == NULL)
        cursor->problem = problem;
    return false;
}

bool imap_fail_limit(struct imap_cursor *cursor, const char *problem)
{
    if (cursor->problem == NULL)
        cursor->kind = IMAP_PROBLEM_LIMIT;
    return imap_fail(cursor, problem);
}

bool imap_fail_cannot(struct imap_cursor *cursor, const char *problem)
{
    if (cursor->problem == NULL)
        cursor->kind = IMAP_PROBLEM_CANNOT;
    return imap_fail(cursor, problem);
}

static bool is_atom_char(uint8_t byte)
{
    return byte > ' ' && byte < 127 && strchr("(){%*\"\\]", byte) == NULL;
}

static bool is_astring_char(uint8_t byte)
{
    return byte == ']' || is_atom_char(byte);
}

static bool is_pattern_char(uint8_t byte)
{
    return byte == '%' || byte == '*' || is_astring_char(byte);
}

static bool is_tag_char(uint8_t byte)
{
    return byte != '+' && is_astring_char(byte);
}

static bool is_word_char(uint8_t byte)
{
    return (byte_lower(byte) >= 'a' && byte_lower(byte) <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool take_while(struct imap_cursor *cursor, bool (*is)(uint8_t byte),
                       struct bytes *taken)
{
    size_t len = 0;

    while (len < cursor->rest.len && is(cursor->rest.at[len]))
        len++;
    *taken = bytes_from(cursor->rest.at, len);
    cursor->rest = bytes_skip(cursor->rest, len);
    return len > 0;
}

bool imap_take_byte(struct imap_cursor *cursor, uint8_t byte)
{
    if (!imap_next_is(cursor, byte))
        return false;
    cursor->rest = bytes_skip(cursor->rest, 1);
    return true;
}

bool imap_take_space(struct imap_cursor *cursor)
{
    return imap_take_byte(cursor, ' ') || imap_fail(cursor, "a space is missing");
}

bool imap_take_end(struct imap_cursor *cursor)
{
    return imap_at_end(cursor) || imap_fail(cursor, "too many arguments");
}

bool imap_take_tag(struct imap_cursor *cursor, struct bytes *tag)
{
    return take_while(cursor, is_tag_char, tag) && tag->len <= IMAP_TAG_SIZE_MAX;
}

bool imap_take_atom(struct imap_cursor *cursor, struct bytes *atom)
{
    return take_while(cursor, is_atom_char, atom) || imap_fail(cursor, "an atom is missing");
}

bool imap_take_word(struct imap_cursor *cursor, struct bytes *word)
{
    return take_while(cursor, is_word_char, word) || imap_fail(cursor, "a name is missing");
}

bool imap_take_keyword(struct imap_cursor *cursor, struct bytes keyword)
{
    if (!bytes_start_nocase(cursor->rest, keyword))
        return false;
    struct bytes behind = bytes_skip(cursor->rest, keyword.len);
    if (behind.len > 0 && is_word_char(behind.at[0]))
        return false;
    cursor->rest = behind;
    return true;
}

/* RFC 3501 quoted, but bytes over 127 are let through: they are somebody's password or name. */
static bool take_quoted(struct imap_cursor *cursor, struct bytes *string)
{
    struct bytes text = bytes_skip(cursor->rest, 1);
    size_t escapes = 0;
    size_t len = 0;

    for (; len < text.len && text.at[len] != '"'; len++) {
        if (text.at[len] == '\r' || text.at[len] == '\n' || text.at[len] == '\0')
            return imap_fail(cursor, "a control character in a quoted string");
        if (text.at[len] != '\\')
            continue;
        len++;
        escapes++;
        if (len == text.len || (text.at[len] != '"' && text.at[len] != '\\'))
            return imap_fail(cursor, "a wrong escape in a quoted string");
    }
    if (len == text.len)
        return imap_fail(cursor, "a quoted string has no end");
    cursor->rest = bytes_skip(text, len + 1);
    *string = bytes_from(text.at, len);
    if (escapes == 0)
        return true;
    uint8_t *plain = arena_alloc(cursor->arena, len - escapes);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        if (text.at[i] == '\\')
            i++;
        plain[used++] = text.at[i];
    }
    *string = bytes_from(plain, used);
    return true;
}

static bool take_literal(struct imap_cursor *cursor, struct bytes *string)
{
    struct bytes digits;
    uint64_t size = 0;

    cursor->rest = bytes_skip(cursor->rest, 1);
    if (!take_while(cursor, is_digit, &digits) || !bytes_to_u64(digits, &size))
        return imap_fail(cursor, "a literal has no size");
    imap_take_byte(cursor, '+');
    if (!imap_take_byte(cursor, '}'))
        return imap_fail(cursor, "a literal has no size");
    if (!imap_take_byte(cursor, '\r') || !imap_take_byte(cursor, '\n') ||
        cursor->rest.len < size) {
        cursor->at_literal = true;
        return imap_fail(cursor, "a literal is not there");
    }
    *string = bytes_from(cursor->rest.at, size);
    cursor->rest = bytes_skip(cursor->rest, size);
    if (size > 0 && memchr(string->at, '\0', size) != NULL)
        return imap_fail(cursor, "a NUL in a literal");
    return true;
}

bool imap_take_string(struct imap_cursor *cursor, struct bytes *string)
{
    if (imap_next_is(cursor, '"'))
        return take_quoted(cursor, string);
    if (imap_next_is(cursor, '{'))
        return take_literal(cursor, string);
    return imap_fail(cursor, "a string is missing");
}

bool imap_take_astring(struct imap_cursor *cursor, struct bytes *string)
{
    if (take_while(cursor, is_astring_char, string))
        return true;
    return imap_take_string(cursor, string);
}

bool imap_take_nstring(struct imap_cursor *cursor, struct bytes *string)
{
    if (imap_take_keyword(cursor, BYTES("NIL"))) {
        *string = (struct bytes){NULL, 0};
        return true;
    }
    return imap_take_string(cursor, string);
}

bool imap_take_pattern(struct imap_cursor *cursor, struct bytes *pattern)
{
    if (take_while(cursor, is_pattern_char, pattern))
        return true;
    return imap_take_string(cursor, pattern);
}

bool imap_take_u64(struct imap_cursor *cursor, uint64_t *number)
{
    struct bytes digits;

    return (take_while(cursor, is_digit, &digits) && bytes_to_u64(digits, number)) ||
           imap_fail(cursor, "a number is missing or too large");
}

bool imap_take_u32(struct imap_cursor *cursor, uint32_t *number)
{
    uint64_t wide = 0;

    if (!imap_take_u64(cursor, &wide) || wide > UINT32_MAX)
        return imap_fail(cursor, "a number is missing or too large");
    *number = (uint32_t)wide;
    return true;
}

bool imap_take_nz_u32(struct imap_cursor *cursor, uint32_t *number)
{
    if (!imap_take_u32(cursor, number) || *number == 0)
        return imap_fail(cursor, "a number over 0 is missing");
    return true;
}

bool imap_is_atom(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_atom_char(text.at[i]))
            return false;
    return text.len > 0;
}
