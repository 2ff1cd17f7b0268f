/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/formats.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

enum { ASK_MS = 2000, RAISE_MS = 10000, TEXT_MAX = 512 };

struct formats {
    struct service *service;
    struct loop_timer *timer;
    struct loop_timer *soon; /* NULL: no look is due */
    struct raise *raise;     /* under way; one at a time */
};

/* A FormatRaise of a mail group. */
struct raise {
    struct formats *formats; /* NULL: nobody waits any more */
    uint32_t group;
    uint32_t format;
};

static unsigned directory_format(struct service *service)
{
    struct db_txn *txn = service_directory_begin(service);
    unsigned format = FORMAT_FIRST;

    if (txn != NULL) {
        format = machine_format(txn, DIRECTORY_GROUP);
        db_abort(&txn);
    }
    return format;
}

static void raise_fill(struct raise *raise, Pr__Command *command, Pr__FormatRaise *call)
{
    call->format = raise->format;
    command->call_case = PR__COMMAND__CALL_FORMAT_RAISE;
    command->format_raise = call;
}

static void look(void *context);

static void on_raised(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct raise *raise = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    log_info(NULL, "format of a group raised",
             LOG_FIELDS(LOG_U64("group", raise->group), LOG_U64("format", raise->format),
                        LOG_TEXT("result", err_name(err))));
    struct formats *formats = raise->formats;
    free(raise);
    if (formats == NULL)
        return;
    formats->raise = NULL;
    if (err == ERR_OK) /* the next group */
        look(formats);
}

/* The first mail group led here that is behind the directory. */
static bool group_behind(struct service *service, unsigned format, uint32_t *behind)
{
    uint32_t groups[REPLICATOR_GROUPS_MAX];
    unsigned count = replicator_groups(service->replicator, groups, REPLICATOR_GROUPS_MAX);

    for (unsigned i = 0; i < count; i++) {
        if (groups[i] == DIRECTORY_GROUP ||
            replicator_leader(service->replicator, groups[i]) != service_self(service))
            continue;
        struct db_txn *txn = db_read_begin(service_db(service, groups[i]));
        unsigned has = machine_format(txn, groups[i]);
        bool read = db_error(txn) == ERR_OK;
        db_abort(&txn);
        if (read && has < format) {
            *behind = groups[i];
            return true;
        }
    }
    return false;
}

static void look(void *context)
{
    struct formats *formats = context;
    unsigned format = directory_format(formats->service);
    Pr__Command command = PR__COMMAND__INIT;
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;
    uint32_t group;

    if (formats->raise != NULL || format == FORMAT_FIRST || format > FORMAT_NEWEST ||
        !group_behind(formats->service, format, &group))
        return;
    struct raise *raise = calloc(1, sizeof(*raise));
    CHECK(raise != NULL);
    *raise = (struct raise){.formats = formats, .group = group, .format = format};
    formats->raise = raise;
    raise_fill(raise, &command, &call);
    write_start(formats->service, group, &command, clock_monotonic_ms() + RAISE_MS, on_raised,
                raise);
}

static void on_soon(void *context)
{
    struct formats *formats = context;

    formats->soon = NULL;
    look(formats);
}

void formats_look_soon(struct formats *formats)
{
    if (formats != NULL && formats->soon == NULL)
        formats->soon = loop_timer_start(formats->service->loop, 0, 0, on_soon, formats);
}

struct formats *formats_new(struct service *service)
{
    struct formats *formats = calloc(1, sizeof(*formats));

    CHECK(formats != NULL);
    formats->service = service;
    formats->timer = loop_timer_start(service->loop, 0, FORMATS_LOOK_MS, look, formats);
    return formats;
}

void formats_free(struct formats **formats)
{
    struct formats *ending = *formats;

    if (ending == NULL)
        return;
    loop_timer_stop(&ending->timer);
    loop_timer_stop(&ending->soon);
    if (ending->raise != NULL)
        ending->raise->formats = NULL;
    free(ending);
    *formats = NULL;
}

/* ---- what the operator asks ---- */

struct upgrade {
    struct service_call *call;
    struct upgrade_node {
        struct upgrade *upgrade;
        Pr__NodeFormat *answer;
    } * nodes;
    Pr__ClusterUpgradeAnswer answer;
    size_t node_count;
    unsigned waiting;
};

static void upgrade_reply(struct upgrade *upgrade, enum err err, char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    reply.err = err;
    reply.text = text;
    reply.answer_case = PR__REPLY__ANSWER_CLUSTER_UPGRADE;
    reply.cluster_upgrade = &upgrade->answer;
    call_reply(upgrade->call, &reply);
}

static void upgrade_done(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct upgrade *upgrade = context;
    char none[] = "";

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err == ERR_OK) {
        upgrade->answer.format = FORMAT_NEWEST;
        log_info(NULL, "format of the cluster raised",
                 LOG_FIELDS(LOG_U64("format", FORMAT_NEWEST)));
    }
    upgrade_reply(upgrade, err, none);
}

static void upgrade_decide(struct upgrade *upgrade)
{
    const Pr__ClusterUpgrade *ask = upgrade->call->request->cluster_upgrade;
    struct raise raise = {.format = FORMAT_NEWEST};
    Pr__Command command = PR__COMMAND__INIT;
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;
    char text[TEXT_MAX] = "";

    for (size_t i = 0; i < upgrade->node_count && text[0] == '\0'; i++) {
        const Pr__NodeFormat *node = upgrade->nodes[i].answer;
        if (!node->reachable)
            snprintf(text, sizeof(text), "node %s cannot be reached, what it runs is unknown",
                     node->name);
        else if (node->newest < FORMAT_NEWEST)
            snprintf(text, sizeof(text), "node %s runs an older release", node->name);
    }
    if (ask->check || upgrade->answer.format >= FORMAT_NEWEST)
        upgrade_reply(upgrade, ERR_OK, text);
    else if (text[0] != '\0')
        upgrade_reply(upgrade, ERR_CONFLICT, text);
    else {
        raise_fill(&raise, &command, &call);
        write_start(upgrade->call->service, DIRECTORY_GROUP, &command,
                    upgrade->call->deadline_ms, upgrade_done, upgrade);
    }
}

static void on_asked(void *context, enum err err, struct bytes reply)
{
    struct upgrade_node *node = context;
    struct upgrade *upgrade = node->upgrade;
    ProtobufCAllocator allocator = arena_allocator(&upgrade->call->call_arena);
    const Pr__PeerReply *words =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, reply.len, reply.at) : NULL;

    if (words != NULL && words->err == ERR_OK) {
        node->answer->reachable = true;
        node->answer->newest = words->format == 0 ? FORMAT_FIRST : words->format;
    }
    if (--upgrade->waiting == 0)
        upgrade_decide(upgrade);
}

static void on_alone(void *context)
{
    upgrade_decide(context);
}

static void upgrade_ask(struct upgrade *upgrade)
{
    struct service *service = upgrade->call->service;
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__PeerStatus status = PR__PEER_STATUS__INIT;
    struct buffer packed = BUFFER_EMPTY;

    request.call_case = PR__PEER_REQUEST__CALL_PEER_STATUS;
    request.peer_status = &status;
    message_pack(&request.base, &packed);
    for (size_t i = 0; i < upgrade->node_count; i++) {
        struct upgrade_node *node = &upgrade->nodes[i];
        struct rpc_client *client = service_peer(service, node->answer->node_id);
        if (node->answer->node_id == service_self(service)) {
            node->answer->reachable = true;
            node->answer->newest = FORMAT_NEWEST;
        } else if (client != NULL) {
            upgrade->waiting++;
            rpc_call(client, buffer_bytes(&packed), ASK_MS, on_asked, node);
        }
    }
    buffer_fini(&packed);
    if (upgrade->waiting == 0)
        loop_post(service->loop, on_alone, upgrade);
}

void cluster_upgrade_call(struct service_call *call)
{
    struct arena *arena = &call->call_arena;
    struct upgrade *upgrade = arena_alloc(arena, sizeof(*upgrade));
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__NodeRecord **nodes;

    if (txn == NULL) {
        call_fail(call, ERR_UNAVAILABLE, "this node is still fetching the directory");
        return;
    }
    *upgrade = (struct upgrade){.call = call};
    pr__cluster_upgrade_answer__init(&upgrade->answer);
    upgrade->answer.format = machine_format(txn, DIRECTORY_GROUP);
    upgrade->answer.newest = FORMAT_NEWEST;
    directory_nodes(txn, arena, &nodes, &upgrade->node_count);
    db_abort(&txn);
    upgrade->nodes = arena_alloc(arena, upgrade->node_count * sizeof(*upgrade->nodes));
    upgrade->answer.nodes =
        arena_alloc(arena, upgrade->node_count * sizeof(*upgrade->answer.nodes));
    upgrade->answer.n_nodes = upgrade->node_count;
    for (size_t i = 0; i < upgrade->node_count; i++) {
        Pr__NodeFormat *answer = arena_alloc(arena, sizeof(*answer));
        pr__node_format__init(answer);
        answer->node_id = nodes[i]->id;
        answer->name = nodes[i]->name;
        upgrade->nodes[i] = (struct upgrade_node){.upgrade = upgrade, .answer = answer};
        upgrade->answer.nodes[i] = answer;
    }
    upgrade_ask(upgrade);
}
