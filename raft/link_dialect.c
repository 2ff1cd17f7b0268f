/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/link_dialect.h"

#include "raft/transport.h"

enum { FIRST_HEADER_SIZE = 8 };

static enum stream_found now_find_header(struct bytes input, uint64_t number,
                                         struct stream_header *header)
{
    static const struct stream_format format = {.body_size_max = TRANSPORT_FRAME_SIZE_MAX};
    enum stream_found found = stream_find_header(&format, input, header);

    return found == STREAM_FOUND_IT && header->number != number ? STREAM_FOUND_BAD : found;
}

static enum stream_found first_find_header(struct bytes input, uint64_t number,
                                           struct stream_header *header)
{
    uint64_t size = 0;

    if (input.len < FIRST_HEADER_SIZE)
        return STREAM_FOUND_MORE;
    for (unsigned i = 0; i < FIRST_HEADER_SIZE; i++)
        size = size << 8 | input.at[i];
    if (size == 0 || size > TRANSPORT_FRAME_SIZE_MAX)
        return STREAM_FOUND_BAD;
    *header = (struct stream_header){.body_size = (uint32_t)size, .number = number};
    return STREAM_FOUND_IT;
}

static void first_header_write(uint8_t at[STREAM_HEADER_SIZE], uint32_t body_size,
                               uint64_t number)
{
    (void)number;
    for (unsigned i = 0; i < FIRST_HEADER_SIZE; i++)
        at[i] = (uint8_t)(i < 4 ? 0 : body_size >> 8 * (FIRST_HEADER_SIZE - 1 - i));
}

const struct link_dialect link_now = {
    .dialer_hello = {'P', 'r', 'R', 'a', 'f', 't', 0, 1},
    .listener_hello = {'P', 'r', 'R', 'a', 'f', 't', 0, 1},
    .header_size = STREAM_HEADER_SIZE,
    .empty_frames = true,
    .find_header = now_find_header,
    .header_write = stream_header_write,
};

const struct link_dialect link_first = {
    .dialer_hello = {0, 'S', 'P', 0, 0, 0x50, 0, 0},
    .listener_hello = {0, 'S', 'P', 0, 0, 0x51, 0, 0},
    .header_size = FIRST_HEADER_SIZE,
    .empty_frames = false,
    .find_header = first_find_header,
    .header_write = first_header_write,
};

enum stream_found link_dialect_find(struct bytes input, bool of_dialer,
                                    const struct link_dialect **dialect)
{
    const struct link_dialect *const all[] = {&link_now, &link_first};
    size_t len = input.len < STREAM_HELLO_SIZE ? input.len : STREAM_HELLO_SIZE;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const uint8_t *hello = of_dialer ? all[i]->dialer_hello : all[i]->listener_hello;
        if (len > 0 && memcmp(input.at, hello, len) != 0)
            continue;
        *dialect = all[i];
        return len == STREAM_HELLO_SIZE ? STREAM_FOUND_IT : STREAM_FOUND_MORE;
    }
    return STREAM_FOUND_BAD;
}
