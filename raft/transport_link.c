/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small frames are read together into `input` and copied out of it: an operation of nng and
 * its way through the threads cost more than the copy. A large one is read into its own memory.
 */
#include "raft/transport_link.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/loop.h"
#include "raft/frame.h"

enum {
    INPUT_SIZE = 96 * 1024,
    SMALL_SIZE = 64 * 1024,
    /* So much of a frame is read at a time: a slow connection is heard of in between. */
    FILL_SIZE = 128 * 1024,
    ARRIVAL_COST = 128, /* of a frame besides its bytes */
};

struct arrival {
    struct arrival *next;
    struct frame *frame;
};

struct sending {
    uint8_t header[STREAM_HEADER_SIZE];
    struct frame *frame; /* NULL: an empty one */
};

/*
 * Invariants:
 * 1. Of sending[], the first `under_way` are nng's; those behind, up to `count`, wait.
 * 2. While `frame` is set, it is being filled and `input` is empty.
 * 3. Nothing is touched once ended() was called: the link may be gone.
 */
struct transport_link {
    struct stream *stream;
    const struct transport_link_calls *calls;
    void *context;
    bool dialed;
    bool open;                          /* the other's hello was good */
    const struct link_dialect *dialect; /* once open, or dialed */
    const struct link_dialect *heard;   /* of the other's hello; NULL: none yet */
    uint64_t born_ms, heard_ms, said_ms, tick_ms;

    struct sending sending[LINK_FRAMES_MAX + 1]; /* one for an empty frame */
    unsigned under_way, count;
    size_t sending_bytes;
    uint64_t sent_number;

    uint8_t input[INPUT_SIZE];
    size_t input_start, input_end;
    size_t input_least; /* that must come before there is something to do */
    struct frame *frame;
    size_t frame_have;
    uint64_t received_number;
    struct arrival *arrived, **arrived_last;
    size_t arrived_bytes; /* with ARRIVAL_COST */
};

static void end(struct transport_link *link, const char *why)
{
    stream_close(link->stream);
    link->calls->ended(link->context, link, why);
}

/* ---- sending ---- */

static void flush(struct transport_link *link)
{
    struct bytes pieces[STREAM_PIECES_MAX];
    unsigned count = 0;

    _Static_assert(2 * (LINK_FRAMES_MAX + 1) <= STREAM_PIECES_MAX, "all go at once");
    if (stream_sending(link->stream) || link->count == 0)
        return;
    for (unsigned i = 0; i < link->count; i++) {
        struct sending *sending = &link->sending[i];
        pieces[count++] = bytes_from(sending->header, link->dialect->header_size);
        if (sending->frame != NULL)
            pieces[count++] = frame_bytes(sending->frame);
    }
    link->under_way = link->count;
    stream_send(link->stream, pieces, count);
}

/* Takes over `frame`; NULL: an empty one. */
static void append(struct transport_link *link, struct frame *frame)
{
    size_t len = frame != NULL ? frame_bytes(frame).len : 0;
    struct sending *sending = &link->sending[link->count];

    CHECK(link->count <= LINK_FRAMES_MAX && len <= TRANSPORT_FRAME_SIZE_MAX);
    link->count++;
    link->sending_bytes += len;
    sending->frame = frame;
    link->dialect->header_write(sending->header, (uint32_t)len, ++link->sent_number);
    flush(link);
}

static void say_hello(struct transport_link *link)
{
    const struct bytes hello =
        bytes_from(link->dialed ? link->dialect->dialer_hello : link->dialect->listener_hello,
                   STREAM_HELLO_SIZE);
    stream_send(link->stream, &hello, 1);
}

static void on_sent(void *context)
{
    struct transport_link *link = context;

    for (unsigned i = 0; i < link->under_way; i++) {
        struct frame *frame = link->sending[i].frame;
        link->sending_bytes -= frame != NULL ? frame_bytes(frame).len : 0;
        frame_unref(frame);
    }
    link->count -= link->under_way;
    memmove(link->sending, link->sending + link->under_way,
            link->count * sizeof(link->sending[0]));
    link->under_way = 0;
    link->said_ms = clock_monotonic_ms();
    flush(link);
}

unsigned transport_link_room(const struct transport_link *link)
{
    if (!link->open || link->count >= LINK_FRAMES_MAX || link->sending_bytes >= LINK_BYTES_MAX)
        return 0;
    return LINK_FRAMES_MAX - link->count;
}

void transport_link_send(struct transport_link *link, struct frame *frame)
{
    CHECK(link->dialed && link->open && link->count < LINK_FRAMES_MAX &&
          frame_bytes(frame).len > 0);
    append(link, frame);
}

/* ---- receiving ---- */

static void receive(struct transport_link *link)
{
    if (stream_receiving(link->stream) || link->arrived_bytes >= LINK_RECEIVED_MAX)
        return;
    link->heard_ms = clock_monotonic_ms(); /* silence is counted while it reads */
    if (link->frame != NULL) {
        size_t rest = frame_bytes(link->frame).len - link->frame_have;
        size_t least = rest < FILL_SIZE ? rest : FILL_SIZE;
        stream_receive(link->stream, frame_memory(link->frame) + link->frame_have, rest, least);
        return;
    }
    memmove(link->input, link->input + link->input_start, link->input_end - link->input_start);
    link->input_end -= link->input_start;
    link->input_start = 0;
    stream_receive(link->stream, link->input + link->input_end, INPUT_SIZE - link->input_end,
                   link->input_least);
}

static void arrive(struct transport_link *link, struct frame *frame)
{
    struct arrival *arrival = malloc(sizeof(*arrival));

    CHECK(arrival != NULL);
    *arrival = (struct arrival){.frame = frame};
    *link->arrived_last = arrival;
    link->arrived_last = &arrival->next;
    link->arrived_bytes += frame_bytes(frame).len + ARRIVAL_COST;
}

struct frame *transport_link_take(struct transport_link *link)
{
    struct arrival *arrival = link->arrived;

    if (arrival == NULL)
        return NULL;
    struct frame *frame = arrival->frame;
    link->arrived = arrival->next;
    if (link->arrived == NULL)
        link->arrived_last = &link->arrived;
    link->arrived_bytes -= frame_bytes(frame).len + ARRIVAL_COST;
    free(arrival);
    receive(link);
    return frame;
}

static struct bytes input_rest(const struct transport_link *link)
{
    return bytes_from(link->input + link->input_start, link->input_end - link->input_start);
}

/* False: the link has ended. */
static bool find_hello(struct transport_link *link)
{
    const struct link_dialect *dialect;
    enum stream_found found = link_dialect_find(input_rest(link), !link->dialed, &dialect);

    if (found == STREAM_FOUND_MORE)
        return true;
    if (found == STREAM_FOUND_IT)
        link->heard = dialect;
    if (found == STREAM_FOUND_BAD || (link->dialed && dialect != link->dialect)) {
        end(link, "it speaks something else");
        return false;
    }
    link->dialect = dialect;
    link->input_start += STREAM_HELLO_SIZE;
    uint64_t node_id = stream_peer(link->stream).node_id;
    if (!link->calls->opened(link->context, link, node_id)) {
        end(link, "its certificate names another node");
        return false;
    }
    link->open = true;
    if (!link->dialed)
        say_hello(link);
    return true;
}

/* What follows the header: the whole frame if it is there. False: wait for more. */
static bool find_body(struct transport_link *link, size_t body_size)
{
    struct bytes rest = input_rest(link);
    size_t header_size = link->dialect->header_size;
    bool whole = rest.len >= header_size + body_size;

    if (!whole && body_size <= SMALL_SIZE) {
        link->input_least = header_size + body_size - rest.len;
        return false;
    }
    link->received_number++;
    link->input_start += header_size;
    if (body_size == 0)
        return true;
    struct frame *frame = frame_new(body_size);
    size_t part = whole ? body_size : rest.len - header_size;
    memcpy(frame_memory(frame), rest.at + header_size, part);
    link->input_start += part;
    if (whole) {
        arrive(link, frame);
    } else {
        link->frame = frame;
        link->frame_have = part;
    }
    return whole;
}

/* False: the link has ended. */
static bool find_frames(struct transport_link *link)
{
    struct stream_header header;

    link->input_least = 1;
    while (link->frame == NULL) {
        enum stream_found found =
            link->dialect->find_header(input_rest(link), link->received_number + 1, &header);
        if (found == STREAM_FOUND_MORE)
            return true;
        if (found == STREAM_FOUND_BAD || (link->dialed && header.body_size > 0)) {
            end(link, "its frame is not one");
            return false;
        }
        if (!find_body(link, header.body_size))
            return true;
    }
    return true;
}

static void on_received(void *context, size_t len)
{
    struct transport_link *link = context;

    if (link->frame != NULL) {
        link->frame_have += len;
        if (link->frame_have == frame_bytes(link->frame).len) {
            arrive(link, link->frame);
            link->frame = NULL;
        }
    } else {
        link->input_end += len;
    }
    if ((!link->open && !find_hello(link)) || (link->open && !find_frames(link)))
        return;
    receive(link);
}

/* ---- both ---- */

const struct link_dialect *transport_link_heard(const struct transport_link *link)
{
    return link->heard;
}

static void on_lost(void *context)
{
    end(context, "connection lost");
}

static const struct stream_calls stream_calls = {on_received, on_sent, on_lost};

struct transport_link *transport_link_new(struct stream *stream,
                                          const struct link_dialect *dialect,
                                          const struct transport_link_calls *calls,
                                          void *context)
{
    struct transport_link *link = calloc(1, sizeof(*link));

    CHECK(link != NULL);
    link->stream = stream;
    stream_start(stream, &stream_calls, link);
    link->dialed = dialect != NULL;
    link->dialect = dialect;
    link->calls = calls;
    link->context = context;
    link->arrived_last = &link->arrived;
    link->input_least = 1;
    link->born_ms = link->said_ms = link->tick_ms = clock_monotonic_ms();
    if (link->dialed)
        say_hello(link);
    receive(link);
    return link;
}

void transport_link_free(struct transport_link **pointer)
{
    struct transport_link *link = *pointer;

    if (link == NULL)
        return;
    *pointer = NULL;
    stream_free(&link->stream); /* nng reads and writes frames until here */
    for (unsigned i = 0; i < link->count; i++)
        frame_unref(link->sending[i].frame);
    frame_unref(link->frame);
    while (link->arrived != NULL) {
        struct arrival *arrival = link->arrived;
        link->arrived = arrival->next;
        frame_unref(arrival->frame);
        free(arrival);
    }
    free(link);
}

void transport_link_tick(struct transport_link *link, uint64_t now_ms)
{
    bool away = now_ms - link->tick_ms >= LINK_SILENT_MS / 2;

    link->tick_ms = now_ms;
    if (away) /* it was this node that did nothing: what came is still to be looked at */
        link->heard_ms = now_ms;
    if (!link->open && now_ms - link->born_ms >= LINK_HELLO_MS_MAX) {
        end(link, "it says nothing");
        return;
    }
    if (link->open && !link->dialect->empty_frames)
        return;
    if (link->open && stream_receiving(link->stream) &&
        now_ms - link->heard_ms >= LINK_SILENT_MS) {
        end(link, "it is silent");
        return;
    }
    if (link->open && link->count == 0 && !stream_sending(link->stream) &&
        now_ms - link->said_ms >= LINK_QUIET_MS)
        append(link, NULL);
}
