/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/schema/format.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/join.h"
#include "storage/service/placement_plan.h"

/*
 * Whoever reaches the join port may ask, so a question is first held against the directory as
 * the majority has it: only a good token, or a node that asks once more, leads to an entry in
 * the log.
 */

#define SERVE_MS 8000
#define REQUEST_PEM_SIZE_MAX (16 * 1024)

struct serve {
    struct service *service;
    struct rpc_request *rpc;
    struct arena serve_arena; /* pool threads and loop take turns in it */
    Pr__JoinRequest *question;
    uint8_t token_hash[32];
    uint64_t deadline_ms;
    uint64_t node_id;
    struct read_job job;
    enum err err;
    const char *problem;
    struct buffer answer; /* packed, when err is OK */
};

static void serve_end(struct serve *serve)
{
    if (serve->err != ERR_OK) {
        Pr__JoinReply refusal = PR__JOIN_REPLY__INIT;
        refusal.err = serve->err;
        refusal.text = arena_string(
            &serve->serve_arena,
            bytes_of(serve->problem != NULL ? serve->problem : err_text(serve->err)));
        buffer_clear(&serve->answer);
        message_pack(&refusal.base, &serve->answer);
        log_warn(
            NULL, "a join was refused",
            LOG_FIELDS(
                LOG_TEXT("node", serve->question != NULL ? serve->question->node_name : "?"),
                LOG_TEXT("why", refusal.text)));
    } else {
        log_info(NULL, "a node joined",
                 LOG_FIELDS(LOG_TEXT("node", serve->question->node_name),
                            LOG_U64("id", serve->node_id)));
    }
    rpc_reply(serve->rpc, buffer_bytes(&serve->answer));
    buffer_fini(&serve->answer);
    arena_fini(&serve->serve_arena);
    free(serve);
}

static void serve_refuse(struct serve *serve, enum err err, const char *problem)
{
    serve->err = err;
    serve->problem = problem;
}

/* In a pool thread: the certificate for the node id that the directory gave. */
static void work_sign(struct read_job *job, struct db_txn *txn)
{
    struct serve *serve = job->context;
    struct arena *arena = &serve->serve_arena;
    const Pr__ClusterRecord *cluster = directory_cluster(txn, arena);
    Pr__JoinReply answer = PR__JOIN_REPLY__INIT;
    struct bytes certificate = {NULL, 0};

    if (cluster == NULL) {
        serve_refuse(serve, ERR_UNAVAILABLE, "this node has no directory yet");
        return;
    }
    enum err err = tls_request_sign(bytes_of_field(cluster->authority),
                                    bytes_of_field(cluster->authority_key),
                                    bytes_of_field(serve->question->certificate_request),
                                    cluster->cluster_id, serve->node_id, arena, &certificate);
    if (err != ERR_OK) {
        serve_refuse(serve, err, "the signing request is no request");
        return;
    }
    answer.cluster_id = cluster->cluster_id;
    answer.node_id = serve->node_id;
    answer.certificate = field_of_bytes(certificate);
    answer.authority = cluster->authority;
    directory_nodes(txn, arena, &answer.nodes, &answer.n_nodes);
    answer.format = machine_format(txn, DIRECTORY_GROUP);
    message_pack(&answer.base, &serve->answer);
}

static void done_sign(struct read_job *job, enum err err, uint64_t index)
{
    struct serve *serve = job->context;

    (void)index;
    if (err != ERR_OK)
        serve_refuse(serve, err, NULL);
    serve_end(serve);
}

static void serve_joined(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct serve *serve = context;

    if (err == ERR_OK && outcome->err != ERR_OK) {
        err = (enum err)outcome->err;
        serve->problem = outcome->text[0] != '\0'
                             ? arena_string(&serve->serve_arena, bytes_of(outcome->text))
                             : NULL;
    }
    if (err != ERR_OK) {
        serve_refuse(serve, err, serve->problem);
        serve_end(serve);
        return;
    }
    serve->node_id = outcome->id;
    serve->job = (struct read_job){
        .service = serve->service,
        .group = DIRECTORY_GROUP,
        .seen_index = index,
        .deadline_ms = serve->deadline_ms,
        .work = work_sign,
        .done = done_sign,
        .context = serve,
    };
    read_start(&serve->job);
}

static void serve_write(struct serve *serve)
{
    const Pr__JoinRequest *question = serve->question;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__NodeJoin join = PR__NODE_JOIN__INIT;

    join.token_hash = field_of_bytes(bytes_from(serve->token_hash, sizeof(serve->token_hash)));
    join.name = question->node_name;
    join.data_center = question->data_center;
    join.raft_address = question->raft_address;
    join.rpc_address = question->rpc_address;
    join.join_address = question->join_address;
    join.witness = question->witness;
    command.call_case = PR__COMMAND__CALL_NODE_JOIN;
    command.node_join = &join;
    command.request_id = question->request_id;
    write_start(serve->service, DIRECTORY_GROUP, &command, serve->deadline_ms, serve_joined,
                serve);
}

/* In a pool thread: whether the question deserves an entry in the log. */
static void work_look(struct read_job *job, struct db_txn *txn)
{
    struct serve *serve = job->context;
    struct arena *arena = &serve->serve_arena;
    const Pr__ClusterRecord *cluster = directory_cluster(txn, arena);
    struct bytes token = bytes_from(serve->token_hash, sizeof(serve->token_hash));
    struct bytes certificate = {NULL, 0};
    Pr__NodeRecord **nodes = NULL;
    size_t count = 0;
    bool again = false;

    if (cluster == NULL) {
        serve_refuse(serve, ERR_UNAVAILABLE, "this node has no directory yet");
        return;
    }
    directory_nodes(txn, arena, &nodes, &count);
    for (size_t i = 0; i < count; i++)
        again = again || (strcmp(nodes[i]->name, serve->question->node_name) == 0 &&
                          strcmp(nodes[i]->raft_address, serve->question->raft_address) == 0);
    if (!again && !directory_token_good(txn, token, clock_wall_ms()))
        serve_refuse(serve, ERR_DENIED,
                     "the token is not known, was used, or is too old: make a new one");
    else if (machine_format(txn, DIRECTORY_GROUP) > FORMAT_FIRST &&
             serve->question->format < machine_format(txn, DIRECTORY_GROUP))
        serve_refuse(
            serve, ERR_UNSUPPORTED,
            "the machine's release is too old for this cluster: install the newer one");
    else if (serve->question->witness && machine_format(txn, DIRECTORY_GROUP) < FORMAT_DEPTH)
        serve_refuse(
            serve, ERR_UNSUPPORTED,
            "witnesses can join when the upgrade of the cluster is finished: `postraft "
            "cluster upgrade`");
    else if (!again && count >= REPLICATOR_MEMBERS_MAX)
        serve_refuse(
            serve, ERR_FULL,
            arena_printf(arena,
                         "the cluster has %d nodes already, and cannot have more: each "
                         "has a replica of its directory; remove one first",
                         REPLICATOR_MEMBERS_MAX));
    else if (!again && count >= placement_members_max(machine_format(txn, DIRECTORY_GROUP)))
        serve_refuse(serve, ERR_UNSUPPORTED,
                     arena_printf(arena,
                                  "the cluster can have more than %zu nodes when its upgrade "
                                  "is finished: `postraft cluster upgrade`",
                                  count));
    else if (tls_request_sign(bytes_of_field(cluster->authority),
                              bytes_of_field(cluster->authority_key),
                              bytes_of_field(serve->question->certificate_request),
                              cluster->cluster_id, 1, arena, &certificate) != ERR_OK)
        serve_refuse(serve, ERR_MALFORMED, "the signing request is no request");
}

static void done_look(struct read_job *job, enum err err, uint64_t index)
{
    struct serve *serve = job->context;

    (void)index;
    if (err != ERR_OK)
        serve_refuse(serve, err, NULL);
    if (serve->err != ERR_OK)
        serve_end(serve);
    else
        serve_write(serve);
}

static void serve_check(struct serve *serve, struct bytes body)
{
    ProtobufCAllocator allocator = arena_allocator(&serve->serve_arena);

    if (body.len > JOIN_REQUEST_SIZE_MAX) {
        serve_refuse(serve, ERR_TOOBIG, "a join request has at most 64 KiB");
        return;
    }
    Pr__JoinRequest *question = pr__join_request__unpack(&allocator, body.len, body.at);
    serve->question = question;
    if (question == NULL || question->secret.len != JOIN_SECRET_SIZE ||
        question->request_id.len != REQUEST_ID_SIZE)
        serve_refuse(serve, ERR_MALFORMED, "this is no join request");
    else if (question->certificate_request.len == 0 ||
             question->certificate_request.len > REQUEST_PEM_SIZE_MAX)
        serve_refuse(serve, ERR_MALFORMED, "the signing request is no request");
    else if (!cluster_name_valid(question->node_name) ||
             !cluster_name_valid(question->data_center))
        serve_refuse(serve, ERR_INVALID, "the node's or data center's name is no name");
    else if (!cluster_address_valid(question->raft_address) ||
             !cluster_address_valid(question->rpc_address) ||
             !cluster_address_valid(question->join_address))
        serve_refuse(serve, ERR_INVALID, "an address cannot be reached by other nodes");
    else if (!read_is_local(serve->service, DIRECTORY_GROUP))
        serve_refuse(serve, ERR_UNAVAILABLE, "this node has no directory yet");
}

void join_serve(struct service *service, struct rpc_request *request, struct bytes body)
{
    struct serve *serve = calloc(1, sizeof(*serve));

    CHECK(serve != NULL);
    serve->service = service;
    serve->rpc = request;
    serve->deadline_ms = clock_monotonic_ms() + SERVE_MS;
    arena_init(&serve->serve_arena);
    buffer_init(&serve->answer);
    serve_check(serve, body);
    if (serve->err != ERR_OK) {
        serve_end(serve);
        return;
    }
    CHECK(crypto_generichash(serve->token_hash, sizeof(serve->token_hash),
                             serve->question->secret.data, JOIN_SECRET_SIZE, NULL, 0) == 0);
    serve->job = (struct read_job){
        .service = service,
        .group = DIRECTORY_GROUP,
        .fresh = true,
        .deadline_ms = serve->deadline_ms,
        .work = work_look,
        .done = done_look,
        .context = serve,
    };
    read_start(&serve->job);
}
