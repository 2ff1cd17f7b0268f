/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams within a node: a socket in the file system, read and written by the owner's thread
 * when the loop says so. What fits into the kernel's buffer is sent inside stream_send().
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/loop_uv.h"
#include "node/runtime/stream_kind.h"

struct watch {
    uv_poll_t uv;
    struct local_kind *stream;
};

/*
 * Invariants:
 * 1. `watch` and `fd` are there until the stream is closed.
 * 2. The loop watches for all that is waited for. What it watches for beyond that is dropped
 *    when it comes: who receives again and again costs no system call for watching.
 */
struct local_kind {
    struct stream base;
    struct watch *watch;
    int fd;
    int watched; /* for which events */
    struct stream_peer peer;
    bool *freed; /* while events are handled */
    bool deaf;   /* the peer takes nothing more; its last words may still be there */
    struct stream_event receive_lost;
    struct stream_event send_lost;
    struct {
        uint8_t *at;
        size_t room, least, have;
    } input;
    struct {
        struct iovec pieces[STREAM_PIECES_MAX];
        size_t first, count;
    } output;
};

static void watch_for(struct local_kind *stream, int events);

static int awaited(const struct local_kind *stream)
{
    bool writing = stream->base.sending && !stream->send_lost.queued && !stream->deaf;
    return (stream->base.receiving ? UV_READABLE : 0) | (writing ? UV_WRITABLE : 0);
}

static void drop_sent(struct local_kind *stream, size_t len)
{
    while (len > 0) {
        CHECK(stream->output.first < stream->output.count);
        struct iovec *piece = &stream->output.pieces[stream->output.first];
        size_t part = len < piece->iov_len ? len : piece->iov_len;
        piece->iov_base = (uint8_t *)piece->iov_base + part;
        piece->iov_len -= part;
        len -= part;
        stream->output.first += piece->iov_len == 0;
    }
}

/* False: the stream is of no use any more. */
static bool write_some(struct local_kind *stream)
{
    struct msghdr message = {.msg_iov = stream->output.pieces + stream->output.first,
                             .msg_iovlen = stream->output.count - stream->output.first};
    ssize_t len;

    do
        len = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK;
    drop_sent(stream, (size_t)len);
    return true;
}

static bool all_written(const struct local_kind *stream)
{
    return stream->output.first == stream->output.count;
}

static void lose(struct local_kind *stream)
{
    stream_close(&stream->base);
    stream->base.calls->lost(stream->base.context);
}

/* Sending has failed. Whoever receives goes on to the end, which is told for both. */
static bool hears_on(struct local_kind *stream, int error)
{
    stream->deaf = stream->base.receiving && (error == EPIPE || error == ECONNRESET);
    return stream->deaf;
}

static void go_on_sending(struct local_kind *stream)
{
    bool usable = write_some(stream);

    if (usable ? !all_written(stream) : hears_on(stream, errno))
        return;
    stream->base.sending = false;
    if (usable)
        stream->base.calls->sent(stream->base.context);
    else
        lose(stream);
}

static void go_on_receiving(struct local_kind *stream)
{
    ssize_t len;

    do
        len = recv(stream->fd, stream->input.at + stream->input.have,
                   stream->input.room - stream->input.have, MSG_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (len > 0) {
        stream->input.have += (size_t)len;
        if (stream->input.have < stream->input.least)
            return;
    }
    stream->base.receiving = false;
    if (len > 0)
        stream->base.calls->received(stream->base.context, stream->input.have);
    else
        lose(stream);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct local_kind *stream = ((struct watch *)uv)->stream;
    bool freed = false;

    stream->freed = &freed;
    if (status < 0) { /* libuv watches no more; what it is about shows in the next call */
        stream->watched = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (events & awaited(stream) & UV_WRITABLE)
        go_on_sending(stream);
    if (!freed && !stream->base.closed && (events & awaited(stream) & UV_READABLE))
        go_on_receiving(stream);
    if (freed)
        return;
    stream->freed = NULL;
    if (stream->base.closed)
        return;
    watch_for(stream, awaited(stream));
    if (stream->deaf && !stream->base.receiving && !stream->send_lost.queued)
        stream_queue_put(stream->base.queue, &stream->send_lost);
}

static void watch_for(struct local_kind *stream, int events)
{
    if (stream->watched == events)
        return;
    stream->watched = events;
    CHECK((events != 0 ? uv_poll_start(&stream->watch->uv, events, on_poll)
                       : uv_poll_stop(&stream->watch->uv)) == 0);
}

static void tell_receive_lost(void *about)
{
    struct local_kind *stream = about;

    stream->base.receiving = false;
    lose(stream);
}

static void tell_send_lost(void *about)
{
    struct local_kind *stream = about;

    stream->base.sending = false;
    lose(stream);
}

static void op_receive(struct stream *base, uint8_t *at, size_t room, size_t least)
{
    struct local_kind *stream = (struct local_kind *)base;

    stream->input.at = at;
    stream->input.room = room;
    stream->input.least = least;
    stream->input.have = 0;
    watch_for(stream, stream->watched | UV_READABLE);
}

static bool op_send(struct stream *base, const struct bytes *pieces, unsigned count)
{
    struct local_kind *stream = (struct local_kind *)base;

    stream->output.first = 0;
    stream->output.count = count;
    for (unsigned i = 0; i < count; i++) {
        /* The kernel only reads. */
        const union {
            const uint8_t *from;
            void *to;
        } data = {.from = pieces[i].at};
        stream->output.pieces[i] = (struct iovec){data.to, pieces[i].len};
    }
    if (write_some(stream)) {
        if (!all_written(stream))
            watch_for(stream, stream->watched | UV_WRITABLE);
    } else if (!hears_on(stream, errno)) {
        stream_queue_put(base->queue, &stream->send_lost);
    }
    return all_written(stream);
}

/* Of an operation that is under way, once. */
static void tell_later(struct local_kind *stream, bool under_way, struct stream_event *lost)
{
    if (under_way && !lost->queued)
        stream_queue_put(stream->base.queue, lost);
}

static void op_close(struct stream *base)
{
    struct local_kind *stream = (struct local_kind *)base;

    base->closed = true;
    uv_close((uv_handle_t *)&stream->watch->uv, loop_handle_freed);
    stream->watch = NULL;
    close(stream->fd);
    stream->fd = -1;
    tell_later(stream, base->receiving, &stream->receive_lost);
    tell_later(stream, base->sending, &stream->send_lost);
}

static void op_free(struct stream *base)
{
    struct local_kind *stream = (struct local_kind *)base;

    stream_queue_remove(base->queue, &stream->receive_lost);
    stream_queue_remove(base->queue, &stream->send_lost);
    if (stream->freed != NULL)
        *stream->freed = true;
    free(stream);
}

static struct stream_peer op_peer(const struct stream *base)
{
    return ((const struct local_kind *)base)->peer;
}

static const struct stream_kind kind = {op_receive, op_send, op_close, op_free, op_peer};

static struct stream_peer peer_of(int fd)
{
    struct ucred process;
    socklen_t size = sizeof(process);

    CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &size) == 0);
    return (struct stream_peer){.uid = process.uid, .pid = (uint32_t)process.pid};
}

struct stream *stream_local_new(struct stream_queue *queue, int fd)
{
    struct local_kind *stream = calloc(1, sizeof(*stream));

    CHECK(stream != NULL);
    stream->base.kind = &kind;
    stream->base.queue = queue;
    stream->fd = fd;
    stream->peer = peer_of(fd);
    stream->receive_lost =
        (struct stream_event){.happened = tell_receive_lost, .about = stream};
    stream->send_lost = (struct stream_event){.happened = tell_send_lost, .about = stream};
    stream->watch = calloc(1, sizeof(*stream->watch));
    CHECK(stream->watch != NULL);
    stream->watch->stream = stream;
    CHECK(uv_poll_init(loop_uv(queue->loop), &stream->watch->uv, fd) == 0);
    return &stream->base;
}
