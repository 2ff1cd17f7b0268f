/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is linked with whom. Everything here runs in the replicator's thread, from its calls and
 * from transport_nng_deliver(); nng's threads only put events into the queue and wake.
 */
#include "raft/transport_nng.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/stream_opener.h"
#include "raft/frame.h"
#include "raft/replicator.h"
#include "raft/transport_link.h"

enum {
    REDIAL_MS = 20,
    REDIAL_MAX_MS = 250,
    DIAL_MS_MAX = 2000,
    ACCEPT_PAUSE_MS = 100, /* when the machine has no descriptors left */
    INCOMING_MAX = 1024,
    DELIVER_BYTES_MAX = 8 * 1024 * 1024,
    URL_SIZE = 300,
};

/* A connection that another node has dialed; a stranger's until its hello. */
struct incoming {
    struct incoming *next;
    struct transport_nng *transport;
    struct transport_link *link;
    struct other *node;
};

/* Another node: one that this one sends to, one that it hears from, or both. */
struct other {
    struct other *next;
    struct transport_nng *transport;
    uint64_t node_id;
    char *address; /* NULL: not a peer */
    struct stream_opener *dialer;
    const struct link_dialect *dialect; /* for the next dial */
    uint64_t redial_ms;                 /* the pause before the next dial */
    struct transport_link *outgoing;
    bool open;                 /* the outgoing link is */
    struct incoming *incoming; /* the newest that is open, or NULL */
    bool deaf;                 /* it ended while the outgoing one stayed */
    bool changed;              /* and the replicator was not told */
};

struct transport_nng {
    struct transport interface;
    struct transport_nng_config config;
    struct arena transport_arena;
    struct tls_credentials credentials;
    struct stream_queue queue;
    atomic_bool closing;
    struct stream_timer tick;
    struct stream_opener *listener;
    struct incoming *incoming;
    unsigned incoming_count;
    struct other *others;
};

/* Any thread. */
static void ring(void *context)
{
    struct transport_nng *transport = context;

    if (!atomic_load(&transport->closing))
        transport->config.wake(transport->config.context);
}

static enum err complain(const char *event, int code)
{
    log_error(NULL, event, LOG_FIELDS(LOG_TEXT("error", nng_strerror(code))));
    return code == NNG_EADDRINUSE ? ERR_EXISTS : ERR_IO;
}

static struct other *other_find(const struct transport_nng *transport, uint64_t node_id)
{
    struct other *other = transport->others;
    while (other != NULL && other->node_id != node_id)
        other = other->next;
    return other;
}

/* As many as there are certificates, so they stay. */
static struct other *other_get(struct transport_nng *transport, uint64_t node_id)
{
    struct other *other = other_find(transport, node_id);

    if (other != NULL)
        return other;
    other = calloc(1, sizeof(*other));
    CHECK(other != NULL);
    other->transport = transport;
    other->node_id = node_id;
    other->dialect = &link_now;
    other->next = transport->others;
    transport->others = other;
    return other;
}

static bool other_up(const struct other *other)
{
    return other->open && !other->deaf;
}

static void changed(struct other *other)
{
    other->changed = true;
    ring(other->transport);
}

static void link_ended(uint64_t node_id, const char *direction, bool opened, const char *why)
{
    static _Atomic uint64_t logged_ms;

    if (opened || log_pause_over(&logged_ms))
        log_warn(NULL, opened ? "raft link lost" : "raft link refused",
                 LOG_FIELDS(LOG_U64("node", node_id), LOG_TEXT("direction", direction),
                            LOG_TEXT("reason", why)));
}

/* ---- what others dial ---- */

static void incoming_free(struct incoming *incoming)
{
    struct transport_nng *transport = incoming->transport;
    struct incoming **at = &transport->incoming;

    while (*at != incoming)
        at = &(*at)->next;
    *at = incoming->next;
    transport->incoming_count--;
    transport_link_free(&incoming->link);
    free(incoming);
}

static bool incoming_opened(void *context, struct transport_link *link, uint64_t node_id)
{
    struct incoming *incoming = context;
    struct transport_nng *transport = incoming->transport;

    (void)link;
    if (node_id == 0 || node_id == transport->config.node_id)
        return false;
    struct other *other = other_get(transport, node_id);
    bool again = other->incoming != NULL;
    if (again) /* it has lost that one, whether this node knows already or not */
        incoming_free(other->incoming);
    incoming->node = other;
    other->incoming = incoming;
    if (again || other->deaf)
        changed(other);
    other->deaf = false;
    /* It is alive: no use in waiting. */
    other->redial_ms = REDIAL_MS;
    if (other->dialer != NULL && stream_opener_pauses(other->dialer))
        stream_opener_go(other->dialer, 0);
    return true;
}

static void incoming_ended(void *context, struct transport_link *link, const char *why)
{
    struct incoming *incoming = context;
    struct other *other = incoming->node;

    (void)link;
    link_ended(other != NULL ? other->node_id : 0, "in", other != NULL, why);
    if (other != NULL) {
        other->incoming = NULL;
        other->deaf = true;
        changed(other);
    }
    incoming_free(incoming);
}

static const struct transport_link_calls incoming_calls = {incoming_opened, incoming_ended};

static void accepted(void *context, struct stream *stream, int result)
{
    struct transport_nng *transport = context;

    bool came = stream != NULL;
    if (came && transport->incoming_count < INCOMING_MAX) {
        struct incoming *incoming = calloc(1, sizeof(*incoming));
        CHECK(incoming != NULL);
        incoming->transport = transport;
        incoming->next = transport->incoming;
        transport->incoming = incoming;
        transport->incoming_count++;
        incoming->link = transport_link_new(stream, NULL, &incoming_calls, incoming);
    } else if (came) {
        stream_free(&stream);
    } else {
        link_ended(0, "in", false, nng_strerror(result));
    }
    stream_opener_go(transport->listener, came ? 0 : ACCEPT_PAUSE_MS);
}

/* ---- what this node dials ---- */

static void dial_later(struct other *other)
{
    stream_opener_go(other->dialer, other->redial_ms);
    other->redial_ms =
        other->redial_ms * 2 < REDIAL_MAX_MS ? other->redial_ms * 2 : REDIAL_MAX_MS;
}

static bool outgoing_opened(void *context, struct transport_link *link, uint64_t node_id)
{
    struct other *other = context;

    (void)link;
    if (node_id != other->node_id)
        return false;
    other->open = true;
    other->deaf = false;
    other->redial_ms = REDIAL_MS;
    changed(other);
    return true;
}

static void outgoing_end(struct other *other)
{
    if (other->open)
        changed(other);
    other->open = false;
    transport_link_free(&other->outgoing);
}

static void outgoing_ended(void *context, struct transport_link *link, const char *why)
{
    struct other *other = context;

    const struct link_dialect *heard = transport_link_heard(link);
    bool another = !other->open && heard != NULL && heard != other->dialect;
    if (!another)
        link_ended(other->node_id, "out", other->open, why);
    /* It may have been upgraded meanwhile: the next time ours is tried first. */
    other->dialect = another ? heard : &link_now;
    outgoing_end(other);
    dial_later(other);
}

static const struct transport_link_calls outgoing_calls = {outgoing_opened, outgoing_ended};

static void dialed(void *context, struct stream *stream, int result)
{
    struct other *other = context;

    (void)result;
    if (stream == NULL)
        dial_later(other);
    else
        other->outgoing = transport_link_new(stream, other->dialect, &outgoing_calls, other);
}

static enum err peer_dial(struct other *other)
{
    struct transport_nng *transport = other->transport;
    char url[URL_SIZE];
    char name[URL_SIZE];
    nng_tls_config *tls;

    snprintf(url, sizeof(url), "tls+tcp://%s", other->address);
    snprintf(name, sizeof(name), "node-%" PRIu64 ".%s.postraft", other->node_id,
             transport->config.cluster_id);
    enum err err =
        nng_tls_credentials(&transport->credentials, NNG_TLS_MODE_CLIENT, false, name, &tls);
    if (err != ERR_OK)
        return err;
    int code = stream_dialer_new(&transport->queue, url, tls, dialed, other, &other->dialer);
    nng_tls_config_free(tls);
    if (code != 0)
        return complain("raft peer", code);
    stream_opener_time_out(other->dialer, DIAL_MS_MAX);
    other->redial_ms = REDIAL_MS;
    stream_opener_go(other->dialer, 0);
    return ERR_OK;
}

enum err transport_nng_peer(struct transport_nng *transport, uint64_t node_id,
                            const char *address)
{
    struct other *other = other_find(transport, node_id);

    if (other != NULL && other->address != NULL && strcmp(other->address, address) == 0)
        return ERR_OK;
    if (strlen(address) > URL_SIZE - 16)
        return ERR_TOOBIG;
    transport_nng_peer_remove(transport, node_id);
    other = other_get(transport, node_id);
    other->address = strdup(address);
    CHECK(other->address != NULL);
    enum err err = peer_dial(other);
    if (err != ERR_OK)
        transport_nng_peer_remove(transport, node_id);
    return err;
}

void transport_nng_peer_remove(struct transport_nng *transport, uint64_t node_id)
{
    struct other *other = other_find(transport, node_id);

    if (other == NULL || other->address == NULL)
        return;
    stream_opener_free(&other->dialer);
    outgoing_end(other);
    free(other->address);
    other->address = NULL;
}

/* ---- the interface ---- */

static unsigned room_op(struct transport *interface, uint64_t node_id)
{
    const struct other *other = other_find((struct transport_nng *)interface, node_id);

    if (other == NULL || !other_up(other) || other->changed)
        return 0;
    return transport_link_room(other->outgoing);
}

static void send_op(struct transport *interface, uint64_t node_id, struct frame *frame)
{
    const struct other *other = other_find((struct transport_nng *)interface, node_id);

    CHECK(other != NULL && other->outgoing != NULL);
    transport_link_send(other->outgoing, frame);
}

static const struct transport_ops ops = {.room = room_op, .send = send_op};

struct transport *transport_nng_interface(struct transport_nng *transport)
{
    return &transport->interface;
}

static void on_tick(void *context)
{
    struct transport_nng *transport = context;
    uint64_t now_ms = clock_monotonic_ms();

    for (struct incoming *at = transport->incoming, *next; at != NULL; at = next) {
        next = at->next; /* this one may end */
        transport_link_tick(at->link, now_ms);
    }
    for (struct other *other = transport->others; other != NULL; other = other->next)
        if (other->outgoing != NULL)
            transport_link_tick(other->outgoing, now_ms);
    stream_timer_start(&transport->tick, LINK_QUIET_MS / 2);
}

static enum err listen_start(struct transport_nng *transport)
{
    char url[URL_SIZE];
    nng_tls_config *tls;

    snprintf(url, sizeof(url), "tls+tcp://%s", transport->config.listen);
    enum err err =
        nng_tls_credentials(&transport->credentials, NNG_TLS_MODE_SERVER, false, NULL, &tls);
    if (err != ERR_OK)
        return err;
    int code = stream_listener_new(&transport->queue, url, tls, accepted, transport,
                                   &transport->listener);
    nng_tls_config_free(tls);
    if (code == 0)
        code = stream_opener_listen(transport->listener);
    if (code != 0)
        return complain("raft transport does not listen", code);
    stream_opener_go(transport->listener, 0);
    return ERR_OK;
}

enum err transport_nng_new(const struct transport_nng_config *config,
                           struct transport_nng **transport)
{
    struct transport_nng *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    nng_tls_engine_use();
    made->interface.ops = &ops;
    made->config = *config;
    arena_init(&made->transport_arena);
    made->config.cluster_id =
        arena_string(&made->transport_arena, bytes_of(config->cluster_id));
    made->config.listen = arena_string(&made->transport_arena, bytes_of(config->listen));
    /* Dialers that come later need them as well. */
    made->credentials.authority =
        arena_copy(&made->transport_arena, config->credentials->authority);
    made->credentials.certificate =
        arena_copy(&made->transport_arena, config->credentials->certificate);
    made->credentials.key = arena_copy(&made->transport_arena, config->credentials->key);
    made->config.credentials = NULL;
    atomic_init(&made->closing, false);
    stream_queue_init(&made->queue, ring, made);
    stream_timer_init(&made->tick, &made->queue, on_tick, made);
    enum err err = listen_start(made);
    if (err != ERR_OK) {
        transport_nng_free(&made);
        return err;
    }
    stream_timer_start(&made->tick, LINK_QUIET_MS / 2);
    *transport = made;
    return ERR_OK;
}

void transport_nng_free(struct transport_nng **pointer)
{
    struct transport_nng *transport = *pointer;

    if (transport == NULL)
        return;
    *pointer = NULL;
    atomic_store(&transport->closing, true);
    stream_timer_fini(&transport->tick);
    stream_opener_free(&transport->listener);
    while (transport->incoming != NULL)
        incoming_free(transport->incoming);
    while (transport->others != NULL) {
        struct other *other = transport->others;
        transport_nng_peer_remove(transport, other->node_id);
        transport->others = other->next;
        free(other);
    }
    stream_queue_fini(&transport->queue);
    arena_fini(&transport->transport_arena);
    free(transport);
}

/* One frame of each node and round, so that nobody keeps the others waiting. */
static bool frames_deliver(struct transport_nng *transport, struct replicator *replicator)
{
    size_t bytes = 0;
    bool more = true;

    while (more && bytes < DELIVER_BYTES_MAX) {
        more = false;
        for (struct other *other = transport->others; other != NULL; other = other->next) {
            struct frame *frame =
                other->incoming != NULL ? transport_link_take(other->incoming->link) : NULL;
            if (frame == NULL)
                continue;
            more = true;
            bytes += frame_bytes(frame).len;
            replicator_received(replicator, other->node_id, frame);
        }
    }
    return more;
}

void transport_nng_deliver(struct transport_nng *transport, struct replicator *replicator)
{
    static const bool never;

    stream_queue_run(&transport->queue, &never);
    for (struct other *other = transport->others; other != NULL; other = other->next) {
        if (!other->changed)
            continue;
        other->changed = false;
        replicator_peer_up(replicator, other->node_id, false);
        if (other_up(other))
            replicator_peer_up(replicator, other->node_id, true);
    }
    if (frames_deliver(transport, replicator))
        ring(transport);
}
