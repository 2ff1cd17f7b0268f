/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream.h"

#include <stdlib.h>

#include "node/base/check.h"

/* What nng's TLS takes or gives in one operation: a record. */
enum { CHUNK_SIZE = 16 * 1024 };

/*
 * Invariants:
 * 1. `closed` is set, and operations are begun, under the lock only.
 * 2. `receiving` (`sending`) is true from the begin of an operation until its event was run;
 *    between those, `input` (`output`) belongs to whoever holds the lock.
 */
struct stream {
    struct stream_queue *queue;
    const struct stream_calls *calls;
    void *context;
    nng_stream *nng;
    nng_aio *receive;
    nng_aio *send;
    struct stream_event receive_end;
    struct stream_event send_end;
    bool receiving;
    bool sending;
    pthread_mutex_t lock; /* of what follows */
    bool closed;
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
static void receive_more(struct stream *stream)
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
static void send_more(struct stream *stream)
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

static void drop_sent(struct stream *stream, size_t len)
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
    struct stream *stream = argument;
    bool more = false;

    pthread_mutex_lock(&stream->lock);
    if (nng_aio_result(stream->receive) == 0) {
        stream->input.have += nng_aio_count(stream->receive);
        more = stream->input.have < stream->input.least && !stream->closed;
    }
    if (more)
        receive_more(stream);
    else
        stream->receive_failed = stream->input.have < stream->input.least;
    pthread_mutex_unlock(&stream->lock);
    if (!more)
        stream_queue_put(stream->queue, &stream->receive_end);
}

/* nng's thread. */
static void on_sent(void *argument)
{
    struct stream *stream = argument;
    bool more = false;

    pthread_mutex_lock(&stream->lock);
    if (nng_aio_result(stream->send) == 0) {
        drop_sent(stream, nng_aio_count(stream->send));
        more = stream->output.first < stream->output.count && !stream->closed;
    }
    if (more)
        send_more(stream);
    else
        stream->send_failed = stream->output.first < stream->output.count;
    pthread_mutex_unlock(&stream->lock);
    if (!more)
        stream_queue_put(stream->queue, &stream->send_end);
}

static void receive_ended(void *about)
{
    struct stream *stream = about;

    pthread_mutex_lock(&stream->lock);
    bool failed = stream->receive_failed;
    size_t have = stream->input.have;
    pthread_mutex_unlock(&stream->lock);
    stream->receiving = false;
    if (failed) {
        stream_close(stream);
        stream->calls->lost(stream->context);
    } else {
        stream->calls->received(stream->context, have);
    }
}

static void send_ended(void *about)
{
    struct stream *stream = about;

    pthread_mutex_lock(&stream->lock);
    bool failed = stream->send_failed;
    pthread_mutex_unlock(&stream->lock);
    stream->sending = false;
    if (failed) {
        stream_close(stream);
        stream->calls->lost(stream->context);
    } else {
        stream->calls->sent(stream->context);
    }
}

struct stream *stream_new(struct stream_queue *queue, nng_stream *nng,
                          const struct stream_calls *calls, void *context)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    CHECK(stream != NULL);
    stream->queue = queue;
    stream->calls = calls;
    stream->context = context;
    stream->nng = nng;
    stream->receive_end = (struct stream_event){.happened = receive_ended, .about = stream};
    stream->send_end = (struct stream_event){.happened = send_ended, .about = stream};
    CHECK(pthread_mutex_init(&stream->lock, NULL) == 0);
    CHECK(nng_aio_alloc(&stream->receive, on_received, stream) == 0);
    CHECK(nng_aio_alloc(&stream->send, on_sent, stream) == 0);
    return stream;
}

nng_stream *stream_nng(const struct stream *stream)
{
    return stream->nng;
}

void stream_receive(struct stream *stream, uint8_t *at, size_t room, size_t least)
{
    CHECK(!stream->receiving && least > 0 && least <= room);
    pthread_mutex_lock(&stream->lock);
    if (!stream->closed) {
        stream->receiving = true;
        stream->input.at = at;
        stream->input.room = room;
        stream->input.least = least;
        stream->input.have = 0;
        receive_more(stream);
    }
    pthread_mutex_unlock(&stream->lock);
}

void stream_send(struct stream *stream, const struct bytes *pieces, unsigned count)
{
    CHECK(!stream->sending && count > 0 && count <= STREAM_PIECES_MAX);
    pthread_mutex_lock(&stream->lock);
    if (!stream->closed) {
        stream->sending = true;
        memcpy(stream->output.pieces, pieces, count * sizeof(*pieces));
        stream->output.first = 0;
        stream->output.count = count;
        send_more(stream);
    }
    pthread_mutex_unlock(&stream->lock);
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
    pthread_mutex_lock(&stream->lock);
    bool before = stream->closed;
    stream->closed = true;
    pthread_mutex_unlock(&stream->lock);
    if (!before)
        nng_stream_close(stream->nng); /* which ends what is under way */
}

/* Only the owner's thread closes, so that it may look without the lock. */
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
    nng_aio_wait(stream->receive);
    nng_aio_wait(stream->send);
    stream_queue_remove(stream->queue, &stream->receive_end);
    stream_queue_remove(stream->queue, &stream->send_end);
    nng_stream_free(stream->nng);
    nng_aio_free(stream->receive);
    nng_aio_free(stream->send);
    pthread_mutex_destroy(&stream->lock);
    free(stream->output.gathered);
    free(stream);
}
