/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nng's threads and the replicator's meet here under one lock: pipe callbacks and completed
 * operations only note what happened and wake the owner; everything else, also every new send,
 * is done by the replicator's thread.
 */
#include "raft/transport_nng.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/nng_tls.h"
#include "raft/frame.h"
#include "raft/replicator.h"

enum {
    SENDS_PER_PEER = 2,
    SEND_TIMEOUT_MS = 10000,
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000,
    RECEIVED_BYTES_MAX = 32 * 1024 * 1024, /* beyond it TCP makes the peers wait */
    DELIVER_BYTES_MAX = 8 * 1024 * 1024,
    URL_SIZE = 300,
};

struct peer_send {
    nng_aio *aio;
    struct nng_peer *peer;
    bool busy;
};

/* A node that this one sends to. */
struct nng_peer {
    struct nng_peer *next;
    struct transport_nng *transport;
    uint64_t node_id;
    char *address;
    nng_socket socket;
    struct peer_send sends[SENDS_PER_PEER];
    /* under the lock */
    bool up;
    uint64_t connections; /* counts both ends of each */
    uint64_t told;
};

/* A connection that frames come in on. */
struct incoming {
    struct incoming *next;
    int pipe;
    uint64_t node_id;
    uint64_t sequence;
};

struct arrival {
    struct arrival *next;
    nng_msg *message;
    int pipe;
};

struct transport_nng {
    struct transport interface;
    struct transport_nng_config config;
    struct arena transport_arena;
    struct tls_credentials credentials;
    nng_socket socket;
    nng_aio *receive;
    struct nng_peer *peers; /* the replicator's thread alone changes the list */
    pthread_mutex_t lock;   /* of what follows */
    struct incoming *incoming;
    uint64_t sequence;
    struct arrival *arrived;
    struct arrival *arrived_tail;
    size_t arrived_bytes;
    bool parked; /* not receiving until there is room */
    bool closing;
};

static enum err complain(const char *event, int code)
{
    log_error(NULL, event, LOG_FIELDS(LOG_TEXT("error", nng_strerror(code))));
    return code == NNG_EADDRINUSE ? ERR_EXISTS : ERR_IO;
}

static void wake(struct transport_nng *transport)
{
    transport->config.wake(transport->config.context);
}

/* Only a node of the cluster gets in; which one, its certificate says. */
static void incoming_added(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct transport_nng *transport = context;
    uint64_t node_id = nng_tls_pipe_node(pipe);
    (void)event;
    if (node_id == 0 || node_id == transport->config.node_id) {
        nng_pipe_close(pipe);
        return;
    }
    struct incoming *incoming = calloc(1, sizeof(*incoming));
    CHECK(incoming != NULL);
    incoming->pipe = nng_pipe_id(pipe);
    incoming->node_id = node_id;
    pthread_mutex_lock(&transport->lock);
    incoming->sequence = ++transport->sequence;
    incoming->next = transport->incoming;
    transport->incoming = incoming;
    pthread_mutex_unlock(&transport->lock);
}

static void incoming_removed(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct transport_nng *transport = context;
    (void)event;
    pthread_mutex_lock(&transport->lock);
    struct incoming **at = &transport->incoming;
    while (*at != NULL && (*at)->pipe != nng_pipe_id(pipe))
        at = &(*at)->next;
    struct incoming *gone = *at;
    if (gone != NULL)
        *at = gone->next;
    pthread_mutex_unlock(&transport->lock);
    free(gone);
}

/* The node at the other end, when the pipe is its newest; 0: drop what came. */
static uint64_t incoming_node(const struct transport_nng *transport, int pipe)
{
    const struct incoming *found = transport->incoming;
    while (found != NULL && found->pipe != pipe)
        found = found->next;
    for (const struct incoming *other = transport->incoming; found != NULL && other != NULL;
         other = other->next)
        if (other->node_id == found->node_id && other->sequence > found->sequence)
            return 0;
    return found != NULL ? found->node_id : 0;
}

static void received(void *context)
{
    struct transport_nng *transport = context;
    int code = nng_aio_result(transport->receive);
    bool again = true;
    if (code == NNG_ECLOSED || code == NNG_ECANCELED)
        return;
    if (code == 0) {
        struct arrival *arrival = calloc(1, sizeof(*arrival));
        CHECK(arrival != NULL);
        arrival->message = nng_aio_get_msg(transport->receive);
        arrival->pipe = nng_pipe_id(nng_msg_get_pipe(arrival->message));
        pthread_mutex_lock(&transport->lock);
        if (transport->arrived_tail != NULL)
            transport->arrived_tail->next = arrival;
        else
            transport->arrived = arrival;
        transport->arrived_tail = arrival;
        transport->arrived_bytes += nng_msg_len(arrival->message);
        again = transport->arrived_bytes < RECEIVED_BYTES_MAX;
        transport->parked = !again;
        pthread_mutex_unlock(&transport->lock);
    }
    /* One at a time: two would be handed to two threads, and overtake each other. */
    if (again)
        nng_recv_aio(transport->socket, transport->receive);
    if (code == 0)
        wake(transport);
}

static void peer_added(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct nng_peer *peer = context;
    (void)event;
    if (nng_tls_pipe_node(pipe) != peer->node_id)
        nng_pipe_close(pipe);
}

static void peer_changed(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct nng_peer *peer = context;
    (void)pipe;
    pthread_mutex_lock(&peer->transport->lock);
    peer->up = event == NNG_PIPE_EV_ADD_POST;
    peer->connections++;
    bool closing = peer->transport->closing;
    pthread_mutex_unlock(&peer->transport->lock);
    if (!closing)
        wake(peer->transport);
}

static void sent(void *context)
{
    struct peer_send *send = context;
    struct transport_nng *transport = send->peer->transport;
    int code = nng_aio_result(send->aio);
    if (code != 0) {
        nng_msg_free(nng_aio_get_msg(send->aio));
        nng_aio_set_msg(send->aio, NULL);
    }
    pthread_mutex_lock(&transport->lock);
    send->busy = false;
    bool closing = transport->closing;
    pthread_mutex_unlock(&transport->lock);
    if (!closing)
        wake(transport);
}

static struct nng_peer *peer_find(const struct transport_nng *transport, uint64_t node_id)
{
    struct nng_peer *peer = transport->peers;
    while (peer != NULL && peer->node_id != node_id)
        peer = peer->next;
    return peer;
}

static unsigned room_op(struct transport *interface, uint64_t node_id)
{
    struct transport_nng *transport = (struct transport_nng *)interface;
    const struct nng_peer *peer = peer_find(transport, node_id);
    unsigned room = 0;
    if (peer == NULL)
        return 0;
    pthread_mutex_lock(&transport->lock);
    for (unsigned i = 0; i < SENDS_PER_PEER; i++)
        room += peer->up && peer->told == peer->connections && !peer->sends[i].busy;
    pthread_mutex_unlock(&transport->lock);
    return room;
}

static void send_op(struct transport *interface, uint64_t node_id, struct frame *frame)
{
    struct transport_nng *transport = (struct transport_nng *)interface;
    struct nng_peer *peer = peer_find(transport, node_id);
    struct bytes bytes = frame_bytes(frame);
    struct peer_send *send = NULL;
    nng_msg *message = NULL;
    pthread_mutex_lock(&transport->lock);
    for (unsigned i = 0; peer != NULL && send == NULL && i < SENDS_PER_PEER; i++)
        if (!peer->sends[i].busy)
            send = &peer->sends[i];
    if (send != NULL)
        send->busy = true;
    pthread_mutex_unlock(&transport->lock);
    if (send != NULL) {
        CHECK(bytes.len <= TRANSPORT_FRAME_SIZE_MAX && nng_msg_alloc(&message, bytes.len) == 0);
        memcpy(nng_msg_body(message), bytes.at, bytes.len);
        /* Its callback has said that it is free; it must also have returned. */
        nng_aio_wait(send->aio);
        nng_aio_set_msg(send->aio, message);
        nng_send_aio(peer->socket, send->aio);
    }
    frame_unref(frame);
}

static const struct transport_ops ops = {.room = room_op, .send = send_op};

static enum err listen_start(struct transport_nng *transport)
{
    char url[URL_SIZE];
    nng_listener listener;
    nng_tls_config *tls;
    int code = nng_pull0_open(&transport->socket);
    if (code != 0)
        return complain("raft transport", code);
    snprintf(url, sizeof(url), "tls+tcp://%s", transport->config.listen);
    /* Before anything listens: the buffer is allocated from the length that a peer announces.
     */
    if ((code = nng_socket_set_size(transport->socket, NNG_OPT_RECVMAXSZ,
                                    TRANSPORT_FRAME_SIZE_MAX)) != 0 ||
        (code = nng_pipe_notify(transport->socket, NNG_PIPE_EV_ADD_PRE, incoming_added,
                                transport)) != 0 ||
        (code = nng_pipe_notify(transport->socket, NNG_PIPE_EV_REM_POST, incoming_removed,
                                transport)) != 0 ||
        (code = nng_listener_create(&listener, transport->socket, url)) != 0)
        return complain("raft transport", code);
    enum err err =
        nng_tls_credentials(&transport->credentials, NNG_TLS_MODE_SERVER, false, NULL, &tls);
    if (err != ERR_OK)
        return err;
    nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    nng_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
    code = nng_listener_start(listener, 0);
    return code == 0 ? ERR_OK : complain("raft transport does not listen", code);
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
    CHECK(pthread_mutex_init(&made->lock, NULL) == 0);
    CHECK(nng_aio_alloc(&made->receive, received, made) == 0);
    enum err err = listen_start(made);
    if (err != ERR_OK) {
        transport_nng_free(&made);
        return err;
    }
    nng_recv_aio(made->socket, made->receive);
    *transport = made;
    return ERR_OK;
}

static void peer_free(struct nng_peer *peer)
{
    nng_close(peer->socket);
    for (unsigned i = 0; i < SENDS_PER_PEER; i++) {
        nng_aio_stop(peer->sends[i].aio);
        nng_aio_free(peer->sends[i].aio);
    }
    free(peer->address);
    free(peer);
}

void transport_nng_free(struct transport_nng **pointer)
{
    struct transport_nng *transport = *pointer;
    if (transport == NULL)
        return;
    *pointer = NULL;
    pthread_mutex_lock(&transport->lock);
    transport->closing = true;
    pthread_mutex_unlock(&transport->lock);
    nng_aio_stop(transport->receive);
    nng_close(transport->socket);
    nng_aio_free(transport->receive);
    while (transport->peers != NULL)
        transport_nng_peer_remove(transport, transport->peers->node_id);
    while (transport->arrived != NULL) {
        struct arrival *arrival = transport->arrived;
        transport->arrived = arrival->next;
        nng_msg_free(arrival->message);
        free(arrival);
    }
    while (transport->incoming != NULL) {
        struct incoming *incoming = transport->incoming;
        transport->incoming = incoming->next;
        free(incoming);
    }
    pthread_mutex_destroy(&transport->lock);
    arena_fini(&transport->transport_arena);
    free(transport);
}

struct transport *transport_nng_interface(struct transport_nng *transport)
{
    return &transport->interface;
}

static enum err peer_dial(struct transport_nng *transport, struct nng_peer *peer)
{
    char url[URL_SIZE];
    char name[URL_SIZE];
    nng_dialer dialer;
    nng_tls_config *tls;
    int code;
    snprintf(url, sizeof(url), "tls+tcp://%s", peer->address);
    snprintf(name, sizeof(name), "node-%" PRIu64 ".%s.postraft", peer->node_id,
             transport->config.cluster_id);
    if ((code = nng_socket_set_ms(peer->socket, NNG_OPT_RECONNMINT, RECONNECT_MS)) != 0 ||
        (code = nng_socket_set_ms(peer->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS)) != 0 ||
        (code = nng_pipe_notify(peer->socket, NNG_PIPE_EV_ADD_PRE, peer_added, peer)) != 0 ||
        (code = nng_pipe_notify(peer->socket, NNG_PIPE_EV_ADD_POST, peer_changed, peer)) != 0 ||
        (code = nng_pipe_notify(peer->socket, NNG_PIPE_EV_REM_POST, peer_changed, peer)) != 0 ||
        (code = nng_dialer_create(&dialer, peer->socket, url)) != 0)
        return complain("raft peer", code);
    enum err err =
        nng_tls_credentials(&transport->credentials, NNG_TLS_MODE_CLIENT, false, name, &tls);
    if (err != ERR_OK)
        return err;
    nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    nng_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
    code = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    return code == 0 ? ERR_OK : complain("raft peer", code);
}

enum err transport_nng_peer(struct transport_nng *transport, uint64_t node_id,
                            const char *address)
{
    struct nng_peer *peer = peer_find(transport, node_id);
    if (peer != NULL && strcmp(peer->address, address) == 0)
        return ERR_OK;
    if (strlen(address) > URL_SIZE - 16)
        return ERR_TOOBIG;
    transport_nng_peer_remove(transport, node_id);
    peer = calloc(1, sizeof(*peer));
    CHECK(peer != NULL);
    peer->transport = transport;
    peer->node_id = node_id;
    peer->address = strdup(address);
    CHECK(peer->address != NULL && nng_push0_open(&peer->socket) == 0);
    for (unsigned i = 0; i < SENDS_PER_PEER; i++) {
        peer->sends[i].peer = peer;
        CHECK(nng_aio_alloc(&peer->sends[i].aio, sent, &peer->sends[i]) == 0);
        nng_aio_set_timeout(peer->sends[i].aio, SEND_TIMEOUT_MS);
    }
    enum err err = peer_dial(transport, peer);
    if (err != ERR_OK) {
        peer_free(peer);
        return err;
    }
    peer->next = transport->peers;
    transport->peers = peer;
    return ERR_OK;
}

void transport_nng_peer_remove(struct transport_nng *transport, uint64_t node_id)
{
    struct nng_peer **at = &transport->peers;
    while (*at != NULL && (*at)->node_id != node_id)
        at = &(*at)->next;
    struct nng_peer *gone = *at;
    if (gone == NULL)
        return;
    *at = gone->next;
    peer_free(gone);
}

static void peers_deliver(struct transport_nng *transport, struct replicator *replicator)
{
    for (struct nng_peer *peer = transport->peers; peer != NULL; peer = peer->next) {
        pthread_mutex_lock(&transport->lock);
        bool changed = peer->told != peer->connections;
        bool up = peer->up;
        peer->told = peer->connections;
        pthread_mutex_unlock(&transport->lock);
        if (!changed)
            continue;
        /* What still waits to be sent belongs to the connection before. */
        for (unsigned i = 0; i < SENDS_PER_PEER; i++)
            nng_aio_cancel(peer->sends[i].aio);
        replicator_peer_up(replicator, peer->node_id, false);
        if (up)
            replicator_peer_up(replicator, peer->node_id, true);
    }
}

static void message_release(void *context)
{
    nng_msg_free(context);
}

void transport_nng_deliver(struct transport_nng *transport, struct replicator *replicator)
{
    size_t bytes = 0;
    peers_deliver(transport, replicator);
    pthread_mutex_lock(&transport->lock);
    while (transport->arrived != NULL && bytes < DELIVER_BYTES_MAX) {
        struct arrival *arrival = transport->arrived;
        transport->arrived = arrival->next;
        if (transport->arrived == NULL)
            transport->arrived_tail = NULL;
        size_t len = nng_msg_len(arrival->message);
        uint64_t node_id = incoming_node(transport, arrival->pipe);
        bytes += len;
        transport->arrived_bytes -= len;
        if (node_id != 0)
            replicator_received(replicator, node_id,
                                frame_wrap(bytes_from(nng_msg_body(arrival->message), len),
                                           message_release, arrival->message));
        else
            nng_msg_free(arrival->message);
        free(arrival);
    }
    bool resume = transport->parked && transport->arrived_bytes < RECEIVED_BYTES_MAX / 2;
    bool more = transport->arrived != NULL;
    if (resume)
        transport->parked = false;
    pthread_mutex_unlock(&transport->lock);
    if (resume) {
        nng_aio_wait(transport->receive);
        nng_recv_aio(transport->socket, transport->receive);
    }
    if (more)
        wake(transport);
}
