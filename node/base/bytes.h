/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_BYTES_H
#define NODE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes. It owns nothing and is not NUL-terminated. `at` may be NULL when
 * `len` is 0. */
struct bytes {
    const uint8_t *at;
    size_t len;
};

/* From a string literal; BYTES_INIT is the same for static initialisers. */
#define BYTES_INIT(literal)                                                                    \
    {                                                                                          \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                     \
    }
#define BYTES(literal) ((struct bytes)BYTES_INIT(literal))

/* For printf("%.*s", BYTES_ARG(b)). Not for bytes longer than INT_MAX. */
#define BYTES_ARG(bytes) (int)(bytes).len, (const char *)(bytes).at

static inline struct bytes bytes_from(const void *at, size_t len)
{
    return (struct bytes){at, len};
}

/* Of a NUL-terminated string; NULL gives no bytes. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII letters only; the locale has no say. */
static inline uint8_t byte_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (byte_lower(a.at[i]) != byte_lower(b.at[i]))
            return false;
    return true;
}

static inline bool bytes_start_nocase(struct bytes text, struct bytes prefix)
{
    return text.len >= prefix.len &&
           bytes_equal_nocase((struct bytes){text.at, prefix.len}, prefix);
}

/* What is left after the first `count` bytes; `count` may be larger than the length. */
static inline struct bytes bytes_skip(struct bytes text, size_t count)
{
    if (count >= text.len)
        return (struct bytes){text.at == NULL ? NULL : text.at + text.len, 0};
    return (struct bytes){text.at + count, text.len - count};
}

/* The position of `byte`, or the length where it does not occur. */
static inline size_t bytes_find(struct bytes text, uint8_t byte)
{
    const uint8_t *found = text.len > 0 ? memchr(text.at, byte, text.len) : NULL;
    return found != NULL ? (size_t)(found - text.at) : text.len;
}

/* Cut the first word off `rest`, and the one space behind it. Both keep pointing into the
 * caller's memory. */
static inline struct bytes bytes_take_word(struct bytes *rest)
{
    size_t len = bytes_find(*rest, ' ');
    struct bytes word = {rest->at, len};
    *rest = bytes_skip(*rest, len + 1);
    return word;
}

/* Without spaces and tabs at both ends. */
static inline struct bytes bytes_trim(struct bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = bytes_skip(text, 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/*
 * A decimal number of at most 20 digits, all of `text`. Returns false for an empty text, for
 * anything but digits, and for a number over UINT64_MAX.
 */
bool bytes_to_u64(struct bytes text, uint64_t *number);

#endif
