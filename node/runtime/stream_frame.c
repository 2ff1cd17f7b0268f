/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream_frame.h"

static uint64_t number_at(const uint8_t *at, unsigned size)
{
    uint64_t number = 0;

    while (size-- > 0)
        number = number << 8 | at[size];
    return number;
}

static void number_write(uint8_t *at, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

enum stream_found stream_find_hello(const struct stream_format *format, struct bytes input)
{
    size_t len = input.len < STREAM_HELLO_SIZE ? input.len : STREAM_HELLO_SIZE;

    if (len > 0 && memcmp(input.at, format->hello, len) != 0)
        return STREAM_FOUND_BAD;
    return len == STREAM_HELLO_SIZE ? STREAM_FOUND_IT : STREAM_FOUND_MORE;
}

enum stream_found stream_find_header(const struct stream_format *format, struct bytes input,
                                     struct stream_header *header)
{
    if (input.len < STREAM_HEADER_SIZE)
        return STREAM_FOUND_MORE;
    *header = (struct stream_header){.body_size = (uint32_t)number_at(input.at, 4),
                                     .number = number_at(input.at + 8, 8)};
    if (header->body_size > format->body_size_max || number_at(input.at + 4, 4) != 0)
        return STREAM_FOUND_BAD;
    return STREAM_FOUND_IT;
}

void stream_header_write(uint8_t at[STREAM_HEADER_SIZE], uint32_t body_size, uint64_t number)
{
    number_write(at, body_size, 4);
    number_write(at + 4, 0, 4);
    number_write(at + 8, number, 8);
}
