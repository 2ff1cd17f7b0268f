/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_BUFFER_H
#define NODE_BASE_BUFFER_H

#include "node/base/bytes.h"

/*
 * Bytes that grow at the end and are taken from the front. Amortised constant time for both.
 * Whoever fills one from a peer's input checks the length against a named limit first.
 */
struct buffer {
    uint8_t *memory;
    size_t start; /* the first byte that counts */
    size_t end;   /* behind the last byte that counts */
    size_t size;
};

#define BUFFER_EMPTY                                                                           \
    {                                                                                          \
        NULL, 0, 0, 0                                                                          \
    }

void buffer_init(struct buffer *buffer);
void buffer_fini(struct buffer *buffer);

static inline size_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Valid until the next call on the buffer. */
static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return (struct bytes){buffer->memory == NULL ? NULL : buffer->memory + buffer->start,
                          buffer->end - buffer->start};
}

/* Room for `len` more bytes behind the end; follow with buffer_added(). */
uint8_t *buffer_reserve(struct buffer *buffer, size_t len);
void buffer_added(struct buffer *buffer, size_t len);

void buffer_add(struct buffer *buffer, struct bytes bytes);
void buffer_add_byte(struct buffer *buffer, uint8_t byte);
void buffer_add_string(struct buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) void buffer_printf(struct buffer *buffer,
                                                         const char *format, ...);

/* Drop `len` bytes from the front. `len` must not be larger than what is there. */
void buffer_drop(struct buffer *buffer, size_t len);

/* Drop what is behind the first `len` bytes. */
void buffer_truncate(struct buffer *buffer, size_t len);

/* Drop all. Memory over 64 KiB is given back, so that an idle connection is small. */
void buffer_clear(struct buffer *buffer);

/* Empty, and all memory given back. */
void buffer_release(struct buffer *buffer);

/* Of secrets: as reserve(), add() and fini(), but no copy stays where they were before. */
uint8_t *buffer_reserve_secret(struct buffer *buffer, size_t len);
void buffer_add_secret(struct buffer *buffer, struct bytes bytes);
void buffer_wipe(struct buffer *buffer);

#endif
