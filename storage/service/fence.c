/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/fence.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/machine/local.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/identity.h"

enum { ASK_EVERY_MS = 5000, ASK_MS = 2000 };

/* One question under way; it outlives the fence if it must. */
struct hello {
    struct hello *next;
    struct fence *fence; /* NULL: nobody waits any more */
    uint64_t node_id;
};

struct fence {
    struct service *service;
    struct loop_timer *timer;
    struct hello *hellos;
    unsigned turn;
};

bool fence_is_removed(struct service *service, uint64_t node_id)
{
    struct arena look_arena;
    struct db_txn *txn = service_directory_begin(service);
    bool removed = false;

    if (txn == NULL)
        return false;
    arena_init(&look_arena);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &look_arena);
    if (cluster != NULL && node_id < cluster->next_node_id)
        removed = directory_node(txn, service_self(service), &look_arena) != NULL &&
                  directory_node(txn, node_id, &look_arena) == NULL;
    /* It is for good: a row that a copy has not brought yet, or that cannot be read, says
     * nothing. */
    if (local_partial(txn, DIRECTORY_GROUP, NULL) || db_error(txn) != ERR_OK)
        removed = false;
    db_abort(&txn);
    arena_fini(&look_arena);
    return removed;
}

uint64_t fence_recovery_epoch(struct service *service)
{
    struct arena look_arena;
    struct db_txn *txn = service_directory_begin(service);
    uint64_t epoch = 0;

    if (txn == NULL)
        return 0;
    arena_init(&look_arena);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &look_arena);
    if (cluster != NULL && cluster->n_recoveries > 0)
        epoch = cluster->recoveries[cluster->n_recoveries - 1]->epoch;
    db_abort(&txn);
    arena_fini(&look_arena);
    return epoch;
}

static void identity_update(struct service *service)
{
    struct arena text_arena;
    const char *problem = NULL;

    arena_init(&text_arena);
    if (identity_save(service->config->folder, service->identity, &text_arena, &problem) !=
        ERR_OK)
        log_error(NULL, "the identity could not be written",
                  LOG_FIELDS(LOG_TEXT("why", problem)));
    arena_fini(&text_arena);
}

void fence_directory_changed(struct service *service)
{
    uint64_t epoch = fence_recovery_epoch(service);

    if (epoch <= service->identity->recovery_epoch ||
        !identity_file_exists(service->config->folder, IDENTITY_FILE))
        return;
    service->identity->recovery_epoch = epoch;
    log_warn(NULL, "the cluster goes on without nodes that were lost",
             LOG_FIELDS(LOG_U64("recovery", epoch)));
    identity_update(service);
}

enum err fence_check(const struct service *service)
{
    if (service->identity->removed[0] == '\0')
        return ERR_OK;
    log_error(NULL,
              "this node was taken out of the cluster and serves no more: to use the machine "
              "again, empty its data folder and join it with a new token. What only this "
              "folder still has is lost with it",
              LOG_FIELDS(LOG_TEXT("why", service->identity->removed),
                         LOG_TEXT("folder", service->config->folder)));
    return ERR_INVALID;
}

static void fence_trip(struct service *service, uint64_t told_by, uint64_t epoch)
{
    service->identity->removed = arena_printf(
        &service->identity_arena,
        epoch > service->identity->recovery_epoch
            ? "node %llu says that the cluster was recovered without it (recovery %llu)"
            : "node %llu says that it was removed (recovery %llu)",
        (unsigned long long)told_by, (unsigned long long)epoch);
    identity_update(service);
    service->stopping = true;
    service->fenced = true;
    (void)!fence_check(service);
    loop_stop(service->loop);
}

static void on_hello(void *context, enum err err, struct bytes bytes)
{
    struct hello *hello = context;
    struct fence *fence = hello->fence;
    struct arena reply_arena;

    if (fence == NULL) {
        free(hello);
        return;
    }
    struct hello **at = &fence->hellos;
    while (*at != hello)
        at = &(*at)->next;
    *at = hello->next;
    arena_init(&reply_arena);
    ProtobufCAllocator allocator = arena_allocator(&reply_arena);
    const Pr__PeerReply *reply =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, bytes.len, bytes.at) : NULL;
    if (reply != NULL && reply->err == ERR_DENIED && reply->removed &&
        !fence->service->stopping)
        fence_trip(fence->service, hello->node_id, reply->recovery_epoch);
    arena_fini(&reply_arena);
    free(hello);
}

static void ask(struct fence *fence, uint64_t node_id)
{
    struct rpc_client *peer = service_peer(fence->service, node_id);
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__PeerHello question = PR__PEER_HELLO__INIT;
    struct buffer packed = BUFFER_EMPTY;

    if (peer == NULL)
        return;
    struct hello *hello = calloc(1, sizeof(*hello));
    CHECK(hello != NULL);
    *hello = (struct hello){fence->hellos, fence, node_id};
    fence->hellos = hello;
    request.call_case = PR__PEER_REQUEST__CALL_PEER_HELLO;
    request.peer_hello = &question;
    message_pack(&request.base, &packed);
    rpc_call(peer, buffer_bytes(&packed), ASK_MS, on_hello, hello);
    buffer_fini(&packed);
}

static void tick(void *context)
{
    struct fence *fence = context;
    const struct service *service = fence->service;

    if (!service->stopping && service->node_count > 0)
        ask(fence, service->nodes[fence->turn++ % service->node_count]->id);
}

struct fence *fence_new(struct service *service)
{
    struct fence *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    for (unsigned i = 0; i < service->node_count; i++)
        ask(made, service->nodes[i]->id);
    made->timer = loop_timer_start(service->loop, ASK_EVERY_MS, ASK_EVERY_MS, tick, made);
    return made;
}

void fence_free(struct fence **fence)
{
    struct fence *closing = *fence;

    if (closing == NULL)
        return;
    *fence = NULL;
    loop_timer_stop(&closing->timer);
    for (struct hello *hello = closing->hellos; hello != NULL; hello = hello->next)
        hello->fence = NULL;
    free(closing);
}
