/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams over nng, to other nodes. nng's threads go on with an operation that the owner has
 * begun, or put its end into the owner's queue; they do nothing else. What nng 1.5.2 asks for
 * is kept here: no operation is begun once the stream was closed, since nng never ends such
 * an operation; and a stream is freed when nng has let go of both operations.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/stream_kind.h"

/* What nng's TLS takes or gives in one operation: a record. */
enum { CHUNK_SIZE = 16 * 1024 };

/*
 * Invariants:
 * 1. `base.closed` is set, and operations are begun, under the lock only.
 * 2. `base.receiving` (`sending`) is true from the begin of an operation until its event was
 *    run; between those, `input` (`output`) belongs to whoever holds the lock.
 */
struct nng_kind {
    struct stream base;
    nng_stream *nng;
    nng_aio *receive;
    nng_aio *send;
    struct stream_event receive_end;
    struct stream_event send_end;
    pthread_mutex_t lock; /* of base.closed and what follows */
    bool receive_failed;
    bool send_failed;
    struct {
        uint8_t *at;
        size_t room, least, have;
    } input;
    struct {
        struct bytes pieces[STREAM_PIECES_MAX];
        unsigned first, count;
        uint8_t *gathered; /* CHUNK_SIZE, when first needed */
    } output;
};

/* nng only reads what it is given to send. */
static void *to_send(const uint8_t *at)
{
    union {
        const uint8_t *from;
        void *to;
    } data = {.from = at};
    return data.to;
}

/* Under the lock. */
static void receive_more(struct nng_kind *stream)
{
    nng_iov iov = {stream->input.at + stream->input.have,
                   stream->input.room - stream->input.have};

    CHECK(nng_aio_set_iov(stream->receive, 1, &iov) == 0);
    nng_stream_recv(stream->nng, stream->receive);
}

/*
 * Under the lock. TLS takes the first piece of a list only, at most a record, so a small piece
 * is copied together with what follows; a large one, and the last, is sent from where it is.
 */
static void send_more(struct nng_kind *stream)
{
    const struct bytes *piece = &stream->output.pieces[stream->output.first];
    nng_iov iov = {to_send(piece->at), piece->len};

    if (piece->len < CHUNK_SIZE && stream->output.first + 1 < stream->output.count) {
        size_t have = 0;
        if (stream->output.gathered == NULL)
            stream->output.gathered = malloc(CHUNK_SIZE);
        CHECK(stream->output.gathered != NULL);
        for (unsigned i = stream->output.first; i < stream->output.count && have < CHUNK_SIZE;
             i++) {
            struct bytes from = stream->output.pieces[i];
            if (from.len > CHUNK_SIZE - have)
                from.len = CHUNK_SIZE - have;
            memcpy(stream->output.gathered + have, from.at, from.len);
            have += from.len;
        }
        iov = (nng_iov){stream->output.gathered, have};
    }
    CHECK(nng_aio_set_iov(stream->send, 1, &iov) == 0);
    nng_stream_send(stream->nng, stream->send);
}

static void drop_sent(struct nng_kind *stream, size_t len)
{
    while (len > 0) {
        CHECK(stream->output.first < stream->output.count);
        struct bytes *piece = &stream->output.pieces[stream->output.first];
        size_t part = len < piece->len ? len : piece->len;
        piece->at += part;
        piece->len -= part;
        len -= part;
        stream->output.first += piece->len == 0;
    }
}

/* nng's thread. */
static void on_received(void *argument)
{
    struct nng_kind *stream = argument;
    bool more = false;

    pthread_mutex_lock(&stream->lock);
    if (nng_aio_result(stream->receive) == 0) {
        stream->input.have += nng_aio_count(stream->receive);
        more = stream->input.have < stream->input.least && !stream->base.closed;
    }
    if (more)
        receive_more(stream);
    else
        stream->receive_failed = stream->input.have < stream->input.least;
    pthread_mutex_unlock(&stream->lock);
    if (!more)
        stream_queue_put(stream->base.queue, &stream->receive_end);
}

/* nng's thread. */
static void on_sent(void *argument)
{
    struct nng_kind *stream = argument;
    bool more = false;

    pthread_mutex_lock(&stream->lock);
    if (nng_aio_result(stream->send) == 0) {
        drop_sent(stream, nng_aio_count(stream->send));
        more = stream->output.first < stream->output.count && !stream->base.closed;
    }
    if (more)
        send_more(stream);
    else
        stream->send_failed = stream->output.first < stream->output.count;
    pthread_mutex_unlock(&stream->lock);
    if (!more)
        stream_queue_put(stream->base.queue, &stream->send_end);
}

static void receive_ended(void *about)
{
    struct nng_kind *stream = about;

    pthread_mutex_lock(&stream->lock);
    bool failed = stream->receive_failed;
    size_t have = stream->input.have;
    pthread_mutex_unlock(&stream->lock);
    stream->base.receiving = false;
    if (failed) {
        stream_close(&stream->base);
        stream->base.calls->lost(stream->base.context);
    } else {
        stream->base.calls->received(stream->base.context, have);
    }
}

static void send_ended(void *about)
{
    struct nng_kind *stream = about;

    pthread_mutex_lock(&stream->lock);
    bool failed = stream->send_failed;
    pthread_mutex_unlock(&stream->lock);
    stream->base.sending = false;
    if (failed) {
        stream_close(&stream->base);
        stream->base.calls->lost(stream->base.context);
    } else {
        stream->base.calls->sent(stream->base.context);
    }
}

static void op_receive(struct stream *base, uint8_t *at, size_t room, size_t least)
{
    struct nng_kind *stream = (struct nng_kind *)base;

    pthread_mutex_lock(&stream->lock);
    stream->input.at = at;
    stream->input.room = room;
    stream->input.least = least;
    stream->input.have = 0;
    receive_more(stream);
    pthread_mutex_unlock(&stream->lock);
}

static bool op_send(struct stream *base, const struct bytes *pieces, unsigned count)
{
    struct nng_kind *stream = (struct nng_kind *)base;

    pthread_mutex_lock(&stream->lock);
    memcpy(stream->output.pieces, pieces, count * sizeof(*pieces));
    stream->output.first = 0;
    stream->output.count = count;
    send_more(stream);
    pthread_mutex_unlock(&stream->lock);
    return false;
}

static void op_close(struct stream *base)
{
    struct nng_kind *stream = (struct nng_kind *)base;

    pthread_mutex_lock(&stream->lock);
    base->closed = true;
    pthread_mutex_unlock(&stream->lock);
    nng_stream_close(stream->nng); /* which ends what is under way */
}

static void op_free(struct stream *base)
{
    struct nng_kind *stream = (struct nng_kind *)base;

    nng_aio_wait(stream->receive);
    nng_aio_wait(stream->send);
    stream_queue_remove(base->queue, &stream->receive_end);
    stream_queue_remove(base->queue, &stream->send_end);
    nng_stream_free(stream->nng);
    nng_aio_free(stream->receive);
    nng_aio_free(stream->send);
    pthread_mutex_destroy(&stream->lock);
    free(stream->output.gathered);
    free(stream);
}

static struct stream_peer op_peer(const struct stream *base)
{
    const struct nng_kind *stream = (const struct nng_kind *)base;
    return (struct stream_peer){.uid = UINT32_MAX, .node_id = nng_tls_stream_node(stream->nng)};
}

static const struct stream_kind kind = {op_receive, op_send, op_close, op_free, op_peer};

struct stream *stream_nng_new(struct stream_queue *queue, nng_stream *nng)
{
    struct nng_kind *stream = calloc(1, sizeof(*stream));

    CHECK(stream != NULL);
    stream->base.kind = &kind;
    stream->base.queue = queue;
    stream->nng = nng;
    stream->receive_end = (struct stream_event){.happened = receive_ended, .about = stream};
    stream->send_end = (struct stream_event){.happened = send_ended, .about = stream};
    CHECK(pthread_mutex_init(&stream->lock, NULL) == 0);
    CHECK(nng_aio_alloc(&stream->receive, on_received, stream) == 0);
    CHECK(nng_aio_alloc(&stream->send, on_sent, stream) == 0);
    return &stream->base;
}
