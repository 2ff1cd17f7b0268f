/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream.h"

#include "node/base/check.h"
#include "node/runtime/stream_kind.h"

void stream_start(struct stream *stream, const struct stream_calls *calls, void *context)
{
    CHECK(stream->calls == NULL);
    stream->calls = calls;
    stream->context = context;
}

struct stream_peer stream_peer(const struct stream *stream)
{
    return stream->kind->peer(stream);
}

void stream_receive(struct stream *stream, uint8_t *at, size_t room, size_t least)
{
    CHECK(stream->calls != NULL && !stream->receiving && least > 0 && least <= room);
    if (stream->closed)
        return;
    stream->receiving = true;
    stream->kind->receive(stream, at, room, least);
}

bool stream_send(struct stream *stream, const struct bytes *pieces, unsigned count)
{
    CHECK(stream->calls != NULL && !stream->sending && count > 0 && count <= STREAM_PIECES_MAX);
    if (stream->closed)
        return false;
    stream->sending = true;
    if (stream->kind->send(stream, pieces, count))
        stream->sending = false;
    return !stream->sending;
}

bool stream_receiving(const struct stream *stream)
{
    return stream->receiving;
}

bool stream_sending(const struct stream *stream)
{
    return stream->sending;
}

void stream_close(struct stream *stream)
{
    if (!stream->closed)
        stream->kind->close(stream);
}

bool stream_closed(const struct stream *stream)
{
    return stream->closed;
}

void stream_free(struct stream **pointer)
{
    struct stream *stream = *pointer;

    if (stream == NULL)
        return;
    *pointer = NULL;
    stream_close(stream);
    stream->kind->free(stream);
}
