/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/cluster.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/hex.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"

#define MARK_TITLE "postraft initialising 1"

enum { CLUSTER_ID_SIZE = 16, FIRST_NODE_ID = 1 };

struct init {
    struct service_call *call;
    struct arena init_arena;
    struct bytes authority_key;
    const char *cluster_name;
    uint32_t mail_groups;
    unsigned bootstraps; /* under way */
    enum err err;        /* the first of theirs */
};

void cluster_credentials(const Pr__Identity *identity, struct tls_credentials *credentials)
{
    *credentials = (struct tls_credentials){
        .authority = bytes_of_field(identity->authority),
        .certificate = bytes_of_field(identity->certificate),
        .key = bytes_of_field(identity->key),
    };
}

static void init_free(struct init *init)
{
    arena_fini(&init->init_arena);
    free(init);
}

static void stop_loop(void *context)
{
    loop_stop(context);
}

/*
 * What has been begun cannot be taken back inside this process: it ends, after the answer has
 * left, and its successor finds the mark and begins anew.
 */
static void init_failed(struct init *init, enum err err, const char *text)
{
    enum { ANSWER_LEAVES_MS = 300 };
    struct service *service = init->call->service;

    log_error(NULL, "the cluster could not be made, the store starts over",
              LOG_FIELDS(LOG_TEXT("error", err_name(err)), LOG_TEXT("why", text)));
    call_fail(init->call, err, text);
    loop_timer_start(service->loop, ANSWER_LEAVES_MS, 0, stop_loop, service->loop);
    init_free(init);
}

static void init_created(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct init *init = context;
    struct service_call *call = init->call;
    struct service *service = call->service;
    const char *folder = service->config->folder;
    struct arena *arena = &init->init_arena;
    const char *problem = NULL;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome made = PR__OUTCOME__INIT;

    (void)index;
    if (err == ERR_OK && outcome->err != ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK) {
        init_failed(init, err, "the first entry of the directory was not written; try again");
        return;
    }
    if (identity_save(folder, service->identity, arena, &problem) != ERR_OK) {
        init_failed(init, ERR_IO, problem);
        return;
    }
    if (identity_file_remove(folder, IDENTITY_MARK, arena, &problem) != ERR_OK)
        log_warn(NULL, "a mark was not removed", LOG_FIELDS(LOG_TEXT("why", problem)));

    made.id = FIRST_NODE_ID;
    reply.outcome = &made;
    reply.text = arena_printf(arena, "cluster %s made, with id %s and %u mail groups",
                              init->cluster_name, service->identity->cluster_id,
                              (unsigned)init->mail_groups);
    call_reply(call, &reply);
    init_free(init);
}

static void init_write(struct init *init)
{
    struct service_call *call = init->call;
    const Pr__Identity *identity = call->service->identity;
    const Pr__NodeRecord *self = identity->nodes[0];
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;

    node.name = self->name;
    node.data_center = self->data_center;
    node.raft_address = self->raft_address;
    node.rpc_address = self->rpc_address;
    node.join_address = self->join_address;
    create.cluster_id = identity->cluster_id;
    create.name = arena_string(&init->init_arena, bytes_of(init->cluster_name));
    create.authority = identity->authority;
    create.authority_key = field_of_bytes(init->authority_key);
    create.node = &node;
    create.mail_groups = init->mail_groups;
    create.format = FORMAT_NEWEST;
    command.call_case = PR__COMMAND__CALL_CLUSTER_CREATE;
    command.cluster_create = &create;
    command.request_id = call->request->request_id;
    write_start(call->service, DIRECTORY_GROUP, &command, call->deadline_ms, init_created,
                init);
}

static void init_bootstrapped(void *context, enum err err)
{
    struct init *init = context;

    if (init->err == ERR_OK)
        init->err = err;
    init->bootstraps--;
    if (init->bootstraps > 0)
        return;
    if (init->err != ERR_OK)
        init_failed(init, init->err, "the groups' log was not written");
    else
        init_write(init);
}

/* Makes the authority, and this node's identity, in memory. */
static void init_identity(struct init *init)
{
    struct service *service = init->call->service;
    const Pr__ClusterInit *ask = init->call->request->cluster_init;
    struct arena *arena = &service->identity_arena;
    Pr__Identity *identity = arena_alloc(arena, sizeof(*identity));
    Pr__NodeRecord *self = arena_alloc(arena, sizeof(*self));
    uint8_t id[CLUSTER_ID_SIZE];
    char id_text[2 * CLUSTER_ID_SIZE + 1];
    struct bytes authority, key, request, certificate;

    randombytes_buf(id, sizeof(id));
    hex_encode(bytes_from(id, sizeof(id)), id_text);
    tls_authority_new(id_text, arena, &authority, &init->authority_key);
    init->authority_key = arena_copy(&init->init_arena, init->authority_key);
    tls_request_new(arena, &key, &request);
    CHECK(tls_request_sign(authority, init->authority_key, request, id_text, FIRST_NODE_ID,
                           arena, &certificate) == ERR_OK);

    pr__node_record__init(self);
    self->id = FIRST_NODE_ID;
    self->name = arena_string(arena, bytes_of(ask->node_name));
    self->data_center = arena_string(arena, bytes_of(ask->data_center));
    self->raft_address = arena_string(arena, bytes_of(service->config->cluster_raft));
    self->rpc_address = arena_string(arena, bytes_of(service->config->cluster_rpc));
    self->join_address = arena_string(arena, bytes_of(service->config->cluster_join));
    self->joined_ms = clock_wall_ms();

    pr__identity__init(identity);
    identity->cluster_id = arena_string(arena, bytes_of(id_text));
    identity->node_id = FIRST_NODE_ID;
    identity->node_name = self->name;
    identity->data_center = self->data_center;
    identity->authority = field_of_bytes(authority);
    identity->certificate = field_of_bytes(certificate);
    identity->key = field_of_bytes(key);
    identity->n_nodes = 1;
    identity->nodes = arena_alloc(arena, sizeof(*identity->nodes));
    identity->nodes[0] = self;
    identity->format = FORMAT_NEWEST;
    service->identity = identity;
    cluster_credentials(identity, &service->credentials);
}

/* NULL, or why the cluster cannot be made, in `arena`. */
static const char *init_problem(struct service_call *call, enum err *err)
{
    const struct service *service = call->service;
    const Pr__ClusterInit *ask = call->request->cluster_init;
    struct arena *arena = &call->call_arena;
    bool half_made = false;

    *err = ERR_EXISTS;
    if (service->identity != NULL)
        return arena_printf(arena, "this node is node %llu of cluster %s already",
                            (unsigned long long)service->identity->node_id,
                            service->identity->cluster_id);
    if (join_busy(service))
        return "this node is joining a cluster right now";
    if (cluster_folder_used(service->config->folder, &half_made) && !half_made)
        return arena_printf(arena,
                            "%s holds a log or mail but no identity: put the file `identity` "
                            "back, or give the node an empty folder",
                            service->config->folder);
    *err = ERR_INVALID;
    if (!cluster_name_valid(ask->cluster_name))
        return "a cluster's name has 1 to 64 letters, digits and . - _";
    if (ask->mail_groups > CLUSTER_GROUPS_MAX)
        return "a cluster begins with 1 to 64 mail groups";
    return cluster_node_problem(service->config, ask->node_name, ask->data_center, arena);
}

void cluster_init_call(struct service_call *call)
{
    struct service *service = call->service;
    const Pr__ClusterInit *ask = call->request->cluster_init;
    enum err err = ERR_OK;
    const char *problem = init_problem(call, &err);

    if (problem != NULL) {
        call_fail(call, err, problem);
        return;
    }
    if (cluster_folder_clear(service->config->folder, &call->call_arena, &problem) != ERR_OK ||
        identity_file_write(service->config->folder, IDENTITY_MARK, MARK_TITLE, BYTES(""),
                            &call->call_arena, &problem) != ERR_OK) {
        call_fail(call, ERR_IO, problem);
        return;
    }

    struct init *init = calloc(1, sizeof(*init));
    CHECK(init != NULL);
    init->call = call;
    arena_init(&init->init_arena);
    init->cluster_name = ask->cluster_name;
    init->mail_groups = ask->mail_groups == 0 ? CLUSTER_GROUPS_DEFAULT : ask->mail_groups;
    init_identity(init);
    err = service_start_cluster(service);
    if (err != ERR_OK) {
        init_failed(init, err,
                    "the node cannot serve its cluster addresses or write its folder; its "
                    "log says why");
        return;
    }
    init->bootstraps = init->mail_groups + 1;
    for (uint32_t group = 0; group <= init->mail_groups; group++)
        replicator_group_bootstrap(service->replicator, group, init_bootstrapped, init);
}
