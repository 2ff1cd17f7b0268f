/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"

#define SIZE_FIRST 256
#define SIZE_KEPT (64 * 1024)

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer)BUFFER_EMPTY;
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct buffer)BUFFER_EMPTY;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t len)
{
    size_t used = buffer_len(buffer);

    CHECK(len <= SIZE_MAX / 4 - used);
    if (buffer->size - buffer->end >= len && buffer->memory != NULL)
        return buffer->memory + buffer->end;
    if (buffer->start > 0 && buffer->start >= used && buffer->size - used >= len) {
        memmove(buffer->memory, buffer->memory + buffer->start, used);
    } else {
        size_t size = buffer->size > 0 ? buffer->size : SIZE_FIRST;
        while (size - used < len)
            size *= 2;
        uint8_t *memory = malloc(size);
        CHECK(memory != NULL);
        if (used > 0)
            memcpy(memory, buffer->memory + buffer->start, used);
        free(buffer->memory);
        buffer->memory = memory;
        buffer->size = size;
    }
    buffer->start = 0;
    buffer->end = used;
    return buffer->memory + used;
}

void buffer_added(struct buffer *buffer, size_t len)
{
    CHECK(len <= buffer->size - buffer->end);
    buffer->end += len;
}

void buffer_add(struct buffer *buffer, struct bytes bytes)
{
    if (bytes.len == 0)
        return;
    memcpy(buffer_reserve(buffer, bytes.len), bytes.at, bytes.len);
    buffer->end += bytes.len;
}

void buffer_add_byte(struct buffer *buffer, uint8_t byte)
{
    *buffer_reserve(buffer, 1) = byte;
    buffer->end++;
}

void buffer_add_string(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, bytes_of(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    uint8_t *room = buffer_reserve(buffer, (size_t)len + 1);
    va_start(args, format);
    vsnprintf((char *)room, (size_t)len + 1, format, args);
    va_end(args);
    buffer->end += (size_t)len;
}

void buffer_drop(struct buffer *buffer, size_t len)
{
    CHECK(len <= buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end)
        buffer_clear(buffer);
}

void buffer_truncate(struct buffer *buffer, size_t len)
{
    CHECK(len <= buffer_len(buffer));
    buffer->end = buffer->start + len;
}

void buffer_clear(struct buffer *buffer)
{
    if (buffer->size > SIZE_KEPT)
        buffer_release(buffer);
    buffer->start = 0;
    buffer->end = 0;
}

void buffer_release(struct buffer *buffer)
{
    buffer_fini(buffer);
}

uint8_t *buffer_reserve_secret(struct buffer *buffer, size_t len)
{
    struct bytes before = buffer_bytes(buffer);
    struct buffer old = *buffer;
    uint8_t *at;

    if (before.len == 0 || buffer->size - buffer->end >= len)
        return buffer_reserve(buffer, len);
    if (buffer->start >= before.len && buffer->size - before.len >= len) {
        at = buffer_reserve(buffer, len); /* moves it within */
        explicit_bzero(old.memory + old.start, before.len);
        return at;
    }
    buffer_init(buffer);
    buffer_reserve(buffer, before.len + len);
    buffer_add(buffer, before);
    explicit_bzero(old.memory + old.start, before.len);
    buffer_fini(&old);
    return buffer_reserve(buffer, len);
}

void buffer_add_secret(struct buffer *buffer, struct bytes bytes)
{
    if (buffer->size - buffer->end < bytes.len) {
        struct buffer grown = BUFFER_EMPTY;
        buffer_reserve(&grown, 2 * (buffer_len(buffer) + bytes.len));
        buffer_add(&grown, buffer_bytes(buffer));
        buffer_wipe(buffer);
        *buffer = grown;
    }
    buffer_add(buffer, bytes);
}

void buffer_wipe(struct buffer *buffer)
{
    if (buffer->memory != NULL)
        explicit_bzero(buffer->memory, buffer->size);
    buffer_fini(buffer);
}
