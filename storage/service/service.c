/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/service.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/service/cluster.h"
#include "storage/service/duties.h"
#include "storage/service/endpoints.h"
#include "storage/service/fence.h"
#include "storage/service/firewall.h"
#include "storage/service/formats.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"
#include "storage/service/login.h"
#include "storage/service/members.h"
#include "storage/service/peers.h"
#include "storage/service/placement.h"
#include "storage/service/promises.h"
#include "storage/service/relay_duties.h"
#include "storage/service/route.h"
#include "storage/service/scopes.h"
#include "storage/service/scrubs.h"
#include "storage/service/sessions.h"
#include "storage/service/settings_calls.h"
#include "storage/service/space.h"
#include "storage/service/state_fetch.h"
#include "storage/service/state_serve.h"
#include "storage/service/verifiers.h"
#include "storage/service/watch.h"
#include "storage/service/weights.h"
#include "storage/service/write.h"

enum { PEER_CALLS_MAX = 512 };

/* ---- look-ups ---- */

uint64_t service_self(const struct service *service)
{
    return service->identity != NULL ? service->identity->node_id : 0;
}

struct db *service_db(const struct service *service, uint32_t group)
{
    return service->lanes[group % service->lane_count];
}

struct db_txn *service_directory_begin(struct service *service)
{
    return db_read_begin(service_db(service, DIRECTORY_GROUP));
}

struct service_node *service_node(const struct service *service, uint64_t node_id)
{
    for (unsigned i = 0; i < service->node_count; i++)
        if (service->nodes[i]->id == node_id)
            return service->nodes[i];
    return NULL;
}

struct rpc_client *service_peer(const struct service *service, uint64_t node_id)
{
    struct service_node *node = service_node(service, node_id);
    return node != NULL ? node->rpc : NULL;
}

/* ---- the nodes ---- */

static char *keep(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

static void node_free(struct service_node *node)
{
    rpc_client_free(&node->rpc);
    free(node->name);
    free(node->data_center);
    free(node->raft_address);
    free(node->rpc_address);
    free(node->join_address);
    free(node);
}

static struct rpc_client *node_rpc(struct service *service, uint64_t node_id,
                                   const char *rpc_address)
{
    struct arena url_arena;
    struct rpc_client *client = NULL;

    arena_init(&url_arena);
    struct rpc_client_config config = {
        .url = arena_printf(&url_arena, "tls+tcp://%s", rpc_address),
        .credentials = &service->credentials,
        .node_id = node_id,
        .parallel_max = PEER_CALLS_MAX,
    };
    enum err err = rpc_client_new(service->loop, &config, &client);
    if (err != ERR_OK)
        log_error(NULL, "cannot call node",
                  LOG_FIELDS(LOG_U64("node", node_id), LOG_TEXT("error", err_text(err))));
    arena_fini(&url_arena);
    return client;
}

struct rpc_client *service_peer_connect(struct service *service, uint64_t node_id)
{
    const struct service_node *node = service_node(service, node_id);

    return node != NULL && node->rpc != NULL ? node_rpc(service, node_id, node->rpc_address)
                                             : NULL;
}

static bool node_is(const struct service_node *node, const Pr__NodeRecord *record)
{
    return node->id == record->id && strcmp(node->raft_address, record->raft_address) == 0 &&
           strcmp(node->rpc_address, record->rpc_address) == 0;
}

static struct service_node *node_new(struct service *service, const Pr__NodeRecord *record)
{
    struct service_node *node = calloc(1, sizeof(*node));
    CHECK(node != NULL);

    node->id = record->id;
    node->name = keep(record->name);
    node->data_center = keep(record->data_center);
    node->raft_address = keep(record->raft_address);
    node->rpc_address = keep(record->rpc_address);
    node->join_address = keep(record->join_address);
    if (record->id != service_self(service)) {
        node->rpc = node_rpc(service, record->id, record->rpc_address);
        replication_peer(service, record->id, record->raft_address);
    }
    return node;
}

/* Data centers get numbers in the order of their first node. */
static void number_sites(struct service *service)
{
    unsigned sites = 0;

    for (unsigned i = 0; i < service->node_count; i++) {
        struct service_node *node = service->nodes[i];
        node->site = 0;
        for (unsigned k = 0; k < i && node->site == 0; k++)
            if (strcmp(service->nodes[k]->data_center, node->data_center) == 0)
                node->site = service->nodes[k]->site;
        if (node->site == 0)
            node->site = ++sites;
    }
}

/* Those that stay as they are keep their connections. */
static void take_nodes(struct service *service, Pr__NodeRecord **records, size_t count)
{
    struct service_node **old = service->nodes;
    unsigned old_count = service->node_count;
    struct service_node **nodes = calloc(count + 1, sizeof(struct service_node *));
    CHECK(nodes != NULL);

    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < old_count && nodes[i] == NULL; k++)
            if (old[k] != NULL && node_is(old[k], records[i])) {
                nodes[i] = old[k];
                old[k] = NULL;
            }
        if (nodes[i] == NULL)
            nodes[i] = node_new(service, records[i]);
    }
    service->nodes = nodes;
    service->node_count = (unsigned)count;
    for (unsigned k = 0; k < old_count; k++) {
        if (old[k] == NULL)
            continue;
        if (service_node(service, old[k]->id) == NULL)
            replication_peer_remove(service, old[k]->id);
        node_free(old[k]);
    }
    free(old);
    number_sites(service);
}

void service_nodes_refresh(struct service *service)
{
    struct arena nodes_arena;
    Pr__NodeRecord **records = NULL;
    size_t count = 0;

    arena_init(&nodes_arena);
    struct db_txn *txn = service_directory_begin(service);
    directory_nodes(txn, &nodes_arena, &records, &count);
    if (count == 0) { /* the directory has not come yet */
        records = service->identity->nodes;
        count = service->identity->n_nodes;
    }
    take_nodes(service, records, count < SERVICE_NODES_MAX ? count : SERVICE_NODES_MAX);
    db_abort(&txn);
    arena_fini(&nodes_arena);
}

/* ---- events ---- */

void service_events(struct service *service, const struct machine_events *events)
{
    if (events->directory_changed) {
        service_nodes_refresh(service);
        fence_directory_changed(service);
        replication_policy_apply(service);
        formats_look_soon(service->formats);
    }
    watch_events(service, events);
    route_events(service, events);
    if (service->duties != NULL)
        duties_events(service, events);
}

/* ---- life ---- */

enum err service_start_cluster(struct service *service)
{
    cluster_credentials(service->identity, &service->credentials);
    service->writes = writes_new();
    service->routes = routes_new();
    service->scopes = scopes_new(service);
    service->logins = logins_new(service);
    service->verifiers = verifiers_new(service);
    service->version_waits = version_waits_new(service);
    service->relay_duties = relay_duties_new(service);
    service->state_sessions = state_sessions_new(service);
    service->state_fetches = state_fetches_new(service);
    enum err err = replication_open(service);
    if (err == ERR_OK)
        err = peers_open(service);
    if (err != ERR_OK)
        return err;
    service_nodes_refresh(service);
    replication_policy_apply(service);
    service->placement = placement_new(service);
    service->duties = duties_new(service);
    service->scrubs = scrubs_new(service);
    service->weights = weights_new(service);
    service->formats = formats_new(service);
    service->fence = fence_new(service);
    service->space = space_new(service);
    service->firewall = firewalls_new(service);
    peers_watch_start(service);
    log_info(NULL, "node started",
             LOG_FIELDS(LOG_TEXT("cluster", service->identity->cluster_id),
                        LOG_U64("node", service->identity->node_id),
                        LOG_TEXT("name", service->identity->node_name),
                        LOG_TEXT("data_center", service->identity->data_center)));
    return ERR_OK;
}

/* A node whose disk was lost must not vote again under its old id (notes/raft.md, rule 11). */
static enum err check_directory(struct service *service)
{
    struct replicator_status status;

    if (replicator_status(service->replicator, DIRECTORY_GROUP, &status))
        return ERR_OK;
    if (join_under_way(service))
        return replicator_group_join(service->replicator, DIRECTORY_GROUP);
    log_error(NULL,
              "this node has an identity but no log: its disk was lost; empty the data folder, "
              "remove the node from the cluster, and join again",
              LOG_FIELDS(LOG_TEXT("folder", service->config->folder)));
    return ERR_INVALID;
}

enum err service_init(struct service *service, struct process *process)
{
    enum err err = ERR_OK;

    *service = (struct service){
        .process = process,
        .loop = process->loop,
        .config = &process->config,
        .sessions = sessions_new(),
        .promises = promises_new(),
        .watches = watches_new(),
    };
    arena_init(&service->identity_arena);
    for (unsigned role = 0; role < ROLE_COUNT && err == ERR_OK; role++)
        err = endpoint_user(service, role);
    return err;
}

enum err service_open(struct service *service)
{
    const char *problem = NULL;
    enum err err = identity_load(service->config->folder, &service->identity_arena,
                                 &service->identity, &problem);
    if (err != ERR_OK && err != ERR_NOTFOUND) {
        log_error(NULL, "cannot read the identity", LOG_FIELDS(LOG_TEXT("problem", problem)));
        return err;
    }
    if (err == ERR_OK) {
        err = fence_check(service);
        if (err != ERR_OK)
            return err;
        err = service_start_cluster(service);
        if (err == ERR_OK)
            err = check_directory(service);
        if (err != ERR_OK)
            return err;
    } else {
        log_info(NULL, "in no cluster yet",
                 LOG_FIELDS(LOG_TEXT("folder", service->config->folder)));
    }
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        err = endpoint_open(service, role);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

void service_close(struct service *service)
{
    endpoints_close(service);
    peers_watch_stop(service);
    firewalls_free(&service->firewall);
    space_free(&service->space);
    fence_free(&service->fence);
    formats_free(&service->formats);
    duties_free(&service->duties);
    placement_free(&service->placement);
    peers_close(service);
    for (unsigned i = 0; i < service->node_count; i++)
        rpc_client_free(&service->nodes[i]->rpc);
    weights_free(&service->weights);
    scrubs_free(&service->scrubs);
    state_sessions_free(&service->state_sessions);
    state_fetches_free(&service->state_fetches);
    replication_close(service);
    writes_free(&service->writes);
    scopes_free(&service->scopes);
    routes_free(&service->routes);
    version_waits_free(&service->version_waits);
    relay_duties_free(&service->relay_duties);
    verifiers_free(&service->verifiers);
    logins_free(&service->logins);
    watches_free(&service->watches);
    sessions_free(&service->sessions);
    promises_free(&service->promises);
    for (unsigned i = 0; i < service->node_count; i++)
        node_free(service->nodes[i]);
    free(service->nodes);
    arena_fini(&service->identity_arena);
}
