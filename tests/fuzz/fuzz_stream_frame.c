/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a peer says on a stream, as RPC and as replication cut it: a hello and frames, of
 * replication in each dialect that is understood. However the bytes are split, the same is
 * found; no body over the limit is; what was found is written as it was.
 */
#include <stdint.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/stream_frame.h"
#include "raft/link_dialect.h"
#include "raft/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hellos and limits of both. The limits are small, so that inputs reach beyond them. */
static const struct stream_format formats[] = {
    {.hello = {'P', 'r', 'R', 'p', 'c', 0, 0, 1}, .body_size_max = 300},
    {.hello = {'P', 'r', 'R', 'a', 'f', 't', 0, 1}, .body_size_max = 40},
};

/* Everything before the full length must be MORE, or BAD for good. */
static enum stream_found hello_in(const struct stream_format *format, struct bytes input)
{
    enum stream_found whole = stream_find_hello(format, input);
    enum stream_found before = STREAM_FOUND_MORE;

    for (size_t len = 0; len <= input.len && len <= STREAM_HELLO_SIZE; len++) {
        uint8_t *cut = malloc(len + (len == 0));
        CHECK(cut != NULL);
        if (len > 0)
            memcpy(cut, input.at, len);
        enum stream_found found = stream_find_hello(format, bytes_from(cut, len));
        CHECK(before == STREAM_FOUND_MORE || found == before);
        CHECK((found == STREAM_FOUND_IT) ==
              (len == STREAM_HELLO_SIZE && memcmp(cut, format->hello, len) == 0));
        before = found;
        free(cut);
    }
    CHECK(before == whole);
    return whole;
}

static void frames_in(const struct stream_format *format, struct bytes rest)
{
    struct stream_header header;
    uint8_t again[STREAM_HEADER_SIZE];

    while (stream_find_header(format, rest, &header) == STREAM_FOUND_IT) {
        CHECK(header.body_size <= format->body_size_max);
        stream_header_write(again, header.body_size, header.number);
        CHECK(memcmp(again, rest.at, STREAM_HEADER_SIZE) == 0);
        for (size_t len = 0; len < STREAM_HEADER_SIZE; len++)
            CHECK(stream_find_header(format, bytes_from(rest.at, len), &header) ==
                  STREAM_FOUND_MORE);
        if (rest.len - STREAM_HEADER_SIZE < header.body_size)
            return;
        rest.at += STREAM_HEADER_SIZE + header.body_size;
        rest.len -= STREAM_HEADER_SIZE + header.body_size;
    }
}

/* The dialect of a hello, whatever it is cut at; NULL: none. */
static const struct link_dialect *dialect_in(struct bytes input, bool of_dialer)
{
    const struct link_dialect *dialect = NULL;
    enum stream_found before = STREAM_FOUND_MORE;

    for (size_t len = 0; len <= input.len && len <= STREAM_HELLO_SIZE; len++) {
        enum stream_found found =
            link_dialect_find(bytes_from(input.at, len), of_dialer, &dialect);
        CHECK(before == STREAM_FOUND_MORE || found == before);
        CHECK((found == STREAM_FOUND_IT) <= (len == STREAM_HELLO_SIZE));
        before = found;
    }
    if (before != STREAM_FOUND_IT)
        return NULL;
    CHECK(memcmp(of_dialer ? dialect->dialer_hello : dialect->listener_hello, input.at,
                 STREAM_HELLO_SIZE) == 0);
    return dialect;
}

static void link_frames_in(const struct link_dialect *dialect, struct bytes rest)
{
    struct stream_header header;
    uint8_t again[STREAM_HEADER_SIZE];

    CHECK(dialect->header_size <= STREAM_HEADER_SIZE);
    for (uint64_t number = 0; dialect->find_header(rest, number, &header) == STREAM_FOUND_IT;
         number++) {
        CHECK(rest.len >= dialect->header_size && header.number == number);
        CHECK(header.body_size <= TRANSPORT_FRAME_SIZE_MAX);
        CHECK(header.body_size > 0 || dialect->empty_frames);
        dialect->header_write(again, header.body_size, number);
        CHECK(memcmp(again, rest.at, dialect->header_size) == 0);
        for (size_t len = 0; len < dialect->header_size; len++)
            CHECK(dialect->find_header(bytes_from(rest.at, len), number, &header) ==
                  STREAM_FOUND_MORE);
        rest = bytes_skip(rest, dialect->header_size);
        if (rest.len < header.body_size)
            return;
        rest = bytes_skip(rest, header.body_size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_from(data, size);

    for (unsigned of_dialer = 0; of_dialer < 2; of_dialer++) {
        const struct link_dialect *dialect = dialect_in(input, of_dialer);
        if (dialect != NULL)
            link_frames_in(dialect, bytes_skip(input, STREAM_HELLO_SIZE));
    }
    for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (hello_in(&formats[i], input) == STREAM_FOUND_IT)
            frames_in(&formats[i],
                      bytes_from(data + STREAM_HELLO_SIZE, size - STREAM_HELLO_SIZE));
    return 0;
}
