/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/service/recover.h"

enum { GROUP_MS = 20000, DIRECTORY_MS = 30000 };

/* ---- the run: one group after the other, the directory first ---- */

struct run {
    struct service_call *call;
    struct arena arena; /* the view lives in it: copied out of the round */
    struct recover_view view;
    Pr__RecoverGroup **groups;
    size_t at;
    size_t given_up; /* of the group at `at` */
    unsigned failed;
    bool group_failed;
};

/* A question to a node. In the run's arena. */
struct asked {
    struct run *run;
    void (*done)(void *context, enum err err);
};

static void run_next(struct run *run);
static void group_given_up(struct run *run);

static void run_free(struct run *run)
{
    arena_fini(&run->arena);
    free(run);
}

static void run_fail(struct run *run, enum err err, const char *text)
{
    call_fail(run->call, err, text);
    run_free(run);
}

static void run_end(struct run *run, uint64_t epoch)
{
    struct service *service = run->call->service;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__RecoverRunAnswer answer = PR__RECOVER_RUN_ANSWER__INIT;
    const char *path = "";

    if (recover_record(service->config->folder, &run->view, epoch, clock_wall_ms(),
                       service_self(service), run->groups, run->view.record_count, &run->arena,
                       &path) != ERR_OK)
        log_error(NULL, "the record of a recovery could not be written",
                  LOG_FIELDS(LOG_TEXT("file", path)));
    run->call->audit_object = path;
    answer.epoch = epoch;
    answer.record = arena_string(&run->arena, bytes_of(path));
    answer.groups = run->groups;
    answer.n_groups = run->view.record_count;
    if (run->failed > 0)
        reply.text = arena_printf(
            &run->arena, "%u groups could not be recovered; run this again", run->failed);
    reply.answer_case = PR__REPLY__ANSWER_RECOVER_RUN;
    reply.recover_run = &answer;
    call_reply(run->call, &reply);
    run_free(run);
}

static void on_forgotten(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct run *run = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK)
        run_fail(
            run, err,
            "the groups go on, but the lost nodes could not be taken out of the directory; "
            "run this again");
    else
        run_end(run, outcome->id);
}

/* The lost nodes leave the directory, which has a leader again. */
static void run_forget(struct run *run)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ClusterRecover recover = PR__CLUSTER_RECOVER__INIT;
    uint64_t *lost = arena_alloc(&run->arena, run->view.lost_count * sizeof(*lost));

    for (size_t i = 0; i < run->view.lost_count; i++)
        lost[i] = run->view.lost[i];
    if (run->view.lost_count == 0) {
        run_end(run, 0);
        return;
    }
    recover.by_node_id = service_self(run->call->service);
    recover.lost_node_ids = lost;
    recover.n_lost_node_ids = run->view.lost_count;
    recover.groups = arena_alloc(&run->arena, run->view.record_count * sizeof(*recover.groups));
    for (size_t g = 0; g < run->view.record_count; g++) {
        const Pr__RecoverGroup *group = run->groups[g];
        if (group->majority)
            continue;
        Pr__RecoveredGroup *made = arena_alloc(&run->arena, sizeof(*made));
        pr__recovered_group__init(made);
        made->group = group->group;
        made->node_id = group->log_node_id;
        for (size_t r = 0; r < group->n_replicas; r++)
            if (group->replicas[r]->node_id == group->log_node_id) {
                made->last_index = group->replicas[r]->last_index;
                made->last_term = group->replicas[r]->last_term;
            }
        recover.groups[recover.n_groups++] = made;
    }
    command.call_case = PR__COMMAND__CALL_CLUSTER_RECOVER;
    command.cluster_recover = &recover;
    command.request_id = run->call->request->request_id;
    write_start(run->call->service, DIRECTORY_GROUP, &command,
                clock_monotonic_ms() + DIRECTORY_MS, on_forgotten, run);
}

static void group_done(void *context, enum err err)
{
    struct run *run = context;
    Pr__RecoverGroup *group = run->groups[run->at];

    log_info(NULL, "a group was recovered",
             LOG_FIELDS(LOG_U64("group", group->group), LOG_U64("node", group->best_node_id),
                        LOG_U64("log", group->log_node_id), LOG_TEXT("result", err_name(err))));
    if (err != ERR_OK && group->group == DIRECTORY_GROUP) {
        run_fail(run, err, "the directory could not be recovered; nothing was given up");
        return;
    }
    if (err != ERR_OK) {
        group->text =
            arena_printf(&run->arena, "NOT RECOVERED (%s): %s", err_text(err), group->text);
        run->failed++;
        run->group_failed = true;
    }
    group_given_up(run);
}

static void on_given_up(void *context, enum err err)
{
    struct run *run = context;
    Pr__RecoverGroup *group = run->groups[run->at];
    uint64_t node_id = group->given_up_ids[run->given_up++];

    if (err != ERR_OK && err != ERR_NOTFOUND) {
        log_warn(NULL, "a replica that the group cannot be joined with is still there",
                 LOG_FIELDS(LOG_U64("group", group->group), LOG_U64("node", node_id),
                            LOG_TEXT("result", err_name(err))));
        group->text =
            arena_printf(&run->arena,
                         "the replica on node %llu could not be dropped (%s), and is of "
                         "no use; %s",
                         (unsigned long long)node_id, err_text(err), group->text);
    }
    group_given_up(run);
}

static void on_peer(void *context, enum err err, struct bytes bytes)
{
    struct asked *asked = context;
    struct run *run = asked->run;
    ProtobufCAllocator allocator = arena_allocator(&run->arena);
    const Pr__PeerReply *reply =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, bytes.len, bytes.at) : NULL;

    if (err == ERR_OK)
        err = reply != NULL ? (enum err)reply->err : ERR_MALFORMED;
    asked->done(run, err);
}

/* `done` comes once, later or at once. */
static void ask_node(struct run *run, const Pr__GroupRecover *recover, uint64_t node_id,
                     void (*done)(void *context, enum err err))
{
    struct rpc_client *peer = service_peer(run->call->service, node_id);
    struct asked *asked = arena_alloc(&run->arena, sizeof(*asked));
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__GroupRecover copy = *recover;
    struct buffer packed = BUFFER_EMPTY;

    if (node_id == service_self(run->call->service)) {
        recover_here(run->call->service, recover, done, run);
        return;
    }
    if (peer == NULL) {
        done(run, ERR_UNAVAILABLE);
        return;
    }
    *asked = (struct asked){run, done};
    request.call_case = PR__PEER_REQUEST__CALL_GROUP_RECOVER;
    request.group_recover = &copy;
    message_pack(&request.base, &packed);
    rpc_call(peer, buffer_bytes(&packed), GROUP_MS, on_peer, asked);
    buffer_fini(&packed);
}

/* What cannot be joined to the group goes, now that the group is safe; then the next group. */
static void group_given_up(struct run *run)
{
    const Pr__RecoverGroup *group = run->groups[run->at];
    Pr__GroupRecover recover = PR__GROUP_RECOVER__INIT;

    if (!run->group_failed && run->given_up < group->n_given_up_ids) {
        recover.group = group->group;
        recover.give_up = true;
        recover.last_index = UINT64_MAX;
        ask_node(run, &recover, group->given_up_ids[run->given_up], on_given_up);
        return;
    }
    run->given_up = 0;
    run->group_failed = false;
    run->at++;
    run_next(run);
}

static const Pr__RecoverReplica *replica_of(const Pr__RecoverGroup *group, uint64_t node_id)
{
    for (size_t r = 0; r < group->n_replicas; r++)
        if (group->replicas[r]->node_id == node_id)
            return group->replicas[r];
    return NULL;
}

/* The first member is the one that is asked. */
static void add_members(struct run *run, const Pr__RecoverGroup *group,
                        Pr__GroupRecover *recover)
{
    recover->members =
        arena_alloc(&run->arena, group->n_member_ids * sizeof(*recover->members));
    for (size_t i = 1; i < group->n_member_ids; i++) {
        const Pr__RecoverReplica *replica = replica_of(group, group->member_ids[i]);
        Pr__RecoverMember *member = arena_alloc(&run->arena, sizeof(*member));
        pr__recover_member__init(member);
        member->node_id = replica->node_id;
        member->last_index = replica->last_index;
        member->last_term = replica->last_term;
        member->committed = recover_committed(replica);
        recover->members[recover->n_members++] = member;
    }
}

static void run_next(struct run *run)
{
    while (run->at < run->view.record_count &&
           (run->groups[run->at]->majority || run->groups[run->at]->best_node_id == 0))
        run->at++;
    if (run->at == run->view.record_count) {
        run_forget(run);
        return;
    }
    const Pr__RecoverGroup *group = run->groups[run->at];
    const Pr__RecoverReplica *log = replica_of(group, group->log_node_id);
    Pr__GroupRecover recover = PR__GROUP_RECOVER__INIT;
    recover.group = group->group;
    recover.last_index = log->last_index;
    recover.last_term = log->last_term;
    add_members(run, group, &recover);
    ask_node(run, &recover, log->node_id, group_done);
}

/* NULL, or why nothing is done. */
static const char *run_problem(struct status_round *round, const struct recover_view *view,
                               Pr__RecoverGroup *const *groups)
{
    struct arena *arena = &round->call->call_arena;
    const Pr__RecoverRun *ask = round->call->request->recover_run;
    bool needed = false;

    if (strcmp(ask->cluster_name, round->cluster->name) != 0)
        return "that is not the name of this cluster; nothing was changed";
    for (size_t i = 0; i < round->node_count; i++) {
        bool lost = recover_is_lost(view, round->nodes[i]->id);
        if (lost && round->answers[i].reachable)
            return arena_printf(
                arena,
                "node %s answers: it is not lost. If it is to be given up, stop "
                "it for good first",
                round->nodes[i]->name);
        if (!lost && !round->answers[i].reachable)
            return arena_printf(arena,
                                "node %s does not answer, and is not named as lost: bring it "
                                "back, it may have what others lack, or name it too",
                                round->nodes[i]->name);
    }
    for (size_t g = 0; g < view->record_count; g++)
        needed = needed || !groups[g]->majority;
    if (!needed)
        return "every group has a majority: `postraft node remove --force` is what you want";
    if (!groups[0]->majority && groups[0]->best_node_id == 0)
        return "no survivor has the directory whole: there is nothing to go on from";
    return NULL;
}

static void run_answer(struct status_round *round)
{
    const Pr__RecoverRun *ask = round->call->request->recover_run;
    struct run *run = calloc(1, sizeof(*run));
    struct recover_view view;

    CHECK(run != NULL);
    if (!recover_view_fill(round, ask->lost, ask->n_lost, &view)) {
        free(run);
        return;
    }
    run->call = round->call;
    run->view = view;
    run->groups = recover_groups(&view, &round->arena);
    const char *problem = run_problem(round, &view, run->groups);
    if (problem != NULL) {
        call_fail(round->call, ERR_INVALID, problem);
        free(run);
        return;
    }
    /* What the round found is needed to the end. */
    run->arena = round->arena;
    arena_init(&round->arena);
    run_next(run);
}

void recover_run_call(struct service_call *call)
{
    status_round_start(call, run_answer);
}
