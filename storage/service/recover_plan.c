/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/recover.h"

static const Pr__NodeRecord *find_node(const struct recover_view *view, uint64_t node_id)
{
    for (size_t i = 0; i < view->node_count; i++)
        if (view->nodes[i]->id == node_id)
            return view->nodes[i];
    return NULL;
}

/* Who is in no directory any more was lost in an earlier recovery. */
bool recover_is_lost(const struct recover_view *view, uint64_t node_id)
{
    for (size_t i = 0; i < view->lost_count; i++)
        if (view->lost[i] == node_id)
            return true;
    return find_node(view, node_id) == NULL;
}

static const Pr__GroupStatus *words_of(const struct recover_view *view, uint64_t node_id,
                                       uint32_t group)
{
    for (size_t i = 0; i < view->node_count; i++) {
        const struct status_answer *answer = &view->answers[i];
        if (answer->node_id != node_id || !answer->reachable)
            continue;
        for (size_t g = 0; g < answer->group_count; g++)
            if (answer->groups[g]->group == group)
                return answer->groups[g];
    }
    return NULL;
}

static bool has_more(const Pr__RecoverReplica *a, const Pr__RecoverReplica *b)
{
    return a->last_term != b->last_term ? a->last_term > b->last_term
                                        : a->last_index > b->last_index;
}

static bool state_is_whole(const Pr__GroupStatus *words, uint64_t node_id)
{
    for (size_t i = 0; i < words->n_states; i++)
        if (words->states[i]->node_id == node_id)
            return strcmp(words->states[i]->state, "whole") == 0;
    return true;
}

static void add_replica(const struct recover_view *view, Pr__RecoverGroup *group,
                        uint64_t node_id, struct arena *arena)
{
    const Pr__NodeRecord *node = find_node(view, node_id);
    const Pr__GroupStatus *words = words_of(view, node_id, group->group);
    Pr__RecoverReplica *replica = arena_alloc(arena, sizeof(*replica));

    for (size_t i = 0; i < group->n_replicas; i++)
        if (group->replicas[i]->node_id == node_id)
            return;
    pr__recover_replica__init(replica);
    replica->node_id = node_id;
    replica->witness = node != NULL && node->witness && group->group != 0;
    replica->answers = words != NULL;
    if (words != NULL) {
        replica->first_index = words->first_index;
        replica->last_index = words->last_index;
        replica->last_term = words->last_term;
        replica->commit_index = words->commit_index;
        replica->applied_index = words->applied_index;
        replica->state = words->state;
        replica->usable = !replica->witness && !recover_is_lost(view, node_id) &&
                          state_is_whole(words, node_id);
    }
    group->replicas[group->n_replicas++] = replica;
}

static const Pr__RecoverReplica *best_replica(const struct recover_view *view,
                                              const Pr__RecoverGroup *group, bool usable)
{
    const Pr__RecoverReplica *best = NULL;

    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        if (!replica->answers || recover_is_lost(view, replica->node_id) ||
            (usable && !replica->usable))
            continue;
        if (best == NULL || has_more(replica, best))
            best = replica;
    }
    return best;
}

static bool is_left(const struct recover_view *view, const Pr__RecoverReplica *replica)
{
    return replica->answers && !recover_is_lost(view, replica->node_id);
}

static const char *role_in(const Pr__GroupStatus *words, uint64_t node_id)
{
    for (size_t i = 0; i < words->n_members; i++)
        if (words->members[i]->node_id == node_id)
            return words->members[i]->role;
    return "";
}

static bool may_vote(const Pr__GroupStatus *words, uint64_t node_id)
{
    return strcmp(role_in(words, node_id), "voter") == 0 ||
           strcmp(role_in(words, node_id), "standby") == 0;
}

/*
 * The survivor whose log the group goes on with: the best replica, or one without a whole state
 * (a witness, a copy that has not ended) that has more entries, and has those that follow on
 * what the best replica has: what was acknowledged may lie there alone. The best one must be
 * among the members that this one knows, since it brings them over as their leader.
 */
static const Pr__RecoverReplica *best_log(const struct recover_view *view,
                                          const Pr__RecoverGroup *group,
                                          const Pr__RecoverReplica *best)
{
    const Pr__RecoverReplica *most = best;

    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        if (!is_left(view, replica) || !has_more(replica, most) ||
            replica->first_index > best->last_index + 1)
            continue;
        const Pr__GroupStatus *words = words_of(view, replica->node_id, group->group);
        if (may_vote(words, replica->node_id) && may_vote(words, best->node_id))
            most = replica;
    }
    return most;
}

/*
 * The members to go on with: who has the log, who has the state, and the other survivors that
 * voted and that this log surely reaches, so that what is acknowledged from now on lies on more
 * than one disk. Others are brought in later, as placement wants them.
 */
static void choose_members(const struct recover_view *view, Pr__RecoverGroup *group,
                           const Pr__RecoverReplica *log, const Pr__RecoverReplica *best,
                           struct arena *arena)
{
    const Pr__GroupStatus *words = words_of(view, log->node_id, group->group);

    group->log_node_id = log->node_id;
    group->member_ids = arena_alloc(arena, group->n_replicas * sizeof(*group->member_ids));
    group->member_ids[group->n_member_ids++] = log->node_id;
    if (best != log)
        group->member_ids[group->n_member_ids++] = best->node_id;
    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        if (replica != log && replica != best && is_left(view, replica) &&
            (replica->usable || replica->witness) &&
            strcmp(role_in(words, replica->node_id), "voter") == 0 &&
            log->first_index <= recover_committed(replica) + 1 && !has_more(replica, log))
            group->member_ids[group->n_member_ids++] = replica->node_id;
    }
}

/* Survivors whose log has more, which nothing that is left can be joined to: they would vote
 * for nobody who has less, so they begin anew. */
static void choose_given_up(const struct recover_view *view, Pr__RecoverGroup *group,
                            const Pr__RecoverReplica *log, struct arena *arena)
{
    group->given_up_ids = arena_alloc(arena, group->n_replicas * sizeof(*group->given_up_ids));
    for (size_t i = 0; i < group->n_replicas; i++)
        if (is_left(view, group->replicas[i]) && has_more(group->replicas[i], log))
            group->given_up_ids[group->n_given_up_ids++] = group->replicas[i]->node_id;
}

uint64_t recover_committed(const Pr__RecoverReplica *replica)
{
    return replica->commit_index > replica->applied_index ? replica->commit_index
                                                          : replica->applied_index;
}

struct losses {
    size_t voters;  /* by the members that the most advanced survivor knows */
    size_t left;    /* of those, neither lost nor silent */
    size_t centers; /* data centers of lost voters */
};

static struct losses count_losses(const struct recover_view *view,
                                  const Pr__RecoverGroup *group, const Pr__GroupStatus *words)
{
    struct losses losses = {0, 0, 0};
    const char *center = NULL;

    for (size_t i = 0; words != NULL && i < words->n_members; i++) {
        const Pr__GroupMember *member = words->members[i];
        const Pr__NodeRecord *node = find_node(view, member->node_id);
        if (strcmp(member->role, "voter") != 0)
            continue;
        losses.voters++;
        if (!recover_is_lost(view, member->node_id)) {
            losses.left += words_of(view, member->node_id, group->group) != NULL;
            continue;
        }
        const char *where = node != NULL ? node->data_center : "";
        if (center == NULL || strcmp(center, where) != 0)
            losses.centers++;
        center = where;
    }
    return losses;
}

static char *tell(const struct recover_view *view, const Pr__RecoverGroup *group,
                  const struct losses *losses, struct arena *arena)
{
    const Pr__RecoverReplica *best = best_replica(view, group, true);
    const Pr__RecoverReplica *most = best_replica(view, group, false);
    const char *text;

    if (best == NULL)
        return arena_string(
            arena,
            bytes_of(arena_printf(arena,
                                  "no survivor has its mail: the mail of its %llu accounts is "
                                  "lost unless a lost node comes back",
                                  (unsigned long long)group->accounts)));
    const Pr__RecoverReplica *log = best_log(view, group, best);
    if (losses->centers <= 1)
        text = "the lost replicas stood in one data center: with durability cross-dc all "
               "acknowledged mail is here, unless the group acknowledged in one data center "
               "alone before (its console line and its log said so); with durability majority "
               "what only lost nodes had is lost";
    else
        text = "the lost replicas stood in several data centers: mail that they acknowledged "
               "among themselves, and that had not come here yet, is lost";
    if (log != best)
        text = arena_printf(
            arena,
            "node %llu has more entries (to %llu, node %llu to %llu), but no whole state: it "
            "brings them to node %llu, which then leads; %s",
            (unsigned long long)log->node_id, (unsigned long long)log->last_index,
            (unsigned long long)best->node_id, (unsigned long long)best->last_index,
            (unsigned long long)best->node_id, text);
    if (has_more(most, log))
        text = arena_printf(
            arena,
            "node %llu has more entries (%llu to %llu, here to %llu), but no survivor has the "
            "mail that they follow on: these are lost; %s",
            (unsigned long long)most->node_id, (unsigned long long)most->first_index,
            (unsigned long long)most->last_index, (unsigned long long)log->last_index, text);
    if (log->last_index > recover_committed(log))
        text =
            arena_printf(arena, "%s; %llu entries that may never have been acknowledged count",
                         text, (unsigned long long)(log->last_index - recover_committed(log)));
    return arena_string(arena, bytes_of(text));
}

Pr__RecoverGroup *recover_group(const struct recover_view *view, const Pr__GroupRecord *record,
                                struct arena *arena)
{
    Pr__RecoverGroup *group = arena_alloc(arena, sizeof(*group));
    size_t room = record->n_replicas + view->node_count;
    const Pr__GroupStatus *words = NULL;

    pr__recover_group__init(group);
    group->group = record->group;
    group->accounts = record->accounts;
    for (size_t i = 0; i < view->node_count; i++) {
        words = words_of(view, view->nodes[i]->id, record->group);
        room += words != NULL ? words->n_members : 0;
    }
    group->replicas = arena_alloc(arena, room * sizeof(*group->replicas));
    for (size_t i = 0; i < record->n_replicas; i++)
        add_replica(view, group, record->replicas[i]->node_id, arena);
    for (size_t i = 0; i < view->node_count; i++)
        if (words_of(view, view->nodes[i]->id, record->group) != NULL)
            add_replica(view, group, view->nodes[i]->id, arena);
    const Pr__RecoverReplica *most = best_replica(view, group, false);
    words = most != NULL ? words_of(view, most->node_id, record->group) : NULL;
    for (size_t i = 0; words != NULL && i < words->n_members; i++)
        add_replica(view, group, words->members[i]->node_id, arena);
    const struct losses losses = count_losses(view, group, words);
    group->majority =
        losses.left > losses.voters / 2 || (record->n_replicas == 0 && record->version > 0);
    const Pr__RecoverReplica *best = best_replica(view, group, true);
    group->best_node_id = best != NULL ? best->node_id : 0;
    if (best != NULL) {
        const Pr__RecoverReplica *log = best_log(view, group, best);
        choose_members(view, group, log, best, arena);
        choose_given_up(view, group, log, arena);
    }
    if (!group->majority)
        group->text = tell(view, group, &losses, arena);
    return group;
}
