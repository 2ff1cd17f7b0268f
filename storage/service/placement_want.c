/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/placement_plan.h"

#include "node/base/check.h"

/* What a group shall have, while it is being thought out. */
struct want {
    const struct placement_view *view;
    uint32_t group;
    struct replicator_member members[REPLICATOR_MEMBERS_MAX];
    size_t count;
};

static const struct placement_node *find_node(const struct placement_view *view, uint64_t id)
{
    for (size_t i = 0; i < view->node_count; i++)
        if (view->nodes[i].id == id)
            return &view->nodes[i];
    return NULL;
}

static struct replicator_member *find_member(struct want *want, uint64_t node_id)
{
    for (size_t i = 0; i < want->count; i++)
        if (want->members[i].node_id == node_id)
            return &want->members[i];
    return NULL;
}

static size_t count_voters(const struct want *want)
{
    size_t voters = 0;

    for (size_t i = 0; i < want->count; i++)
        voters += want->members[i].role == REPLICATOR_VOTER;
    return voters;
}

/* Voters of the group in that data center. */
static size_t voters_in(const struct want *want, const char *data_center)
{
    size_t voters = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = find_node(want->view, want->members[i].node_id);
        voters += want->members[i].role == REPLICATOR_VOTER && node != NULL &&
                  strcmp(node->data_center, data_center) == 0;
    }
    return voters;
}

/* Replicas of mail groups on that node, as the directory wants them. */
static size_t replicas_on(const struct placement_view *view, uint64_t node_id)
{
    size_t replicas = 0;

    for (size_t g = 0; g < view->group_count; g++)
        for (size_t r = 0; r < view->groups[g]->n_replicas; r++)
            replicas +=
                view->groups[g]->group != 0 && view->groups[g]->replicas[r]->node_id == node_id;
    return replicas;
}

/* The best place for one more voter: a node that does not vote in the group yet. */
static const struct placement_node *best_node(struct want *want)
{
    const struct placement_node *best = NULL;
    size_t best_site = 0;
    size_t best_replicas = 0;

    for (size_t i = 0; i < want->view->node_count; i++) {
        const struct placement_node *node = &want->view->nodes[i];
        const struct replicator_member *member = find_member(want, node->id);
        if (member != NULL && member->role == REPLICATOR_VOTER)
            continue;
        size_t site = voters_in(want, node->data_center);
        size_t replicas = want->group == 0 ? 0 : replicas_on(want->view, node->id);
        if (best == NULL || site < best_site ||
            (site == best_site && replicas < best_replicas)) {
            best = node;
            best_site = site;
            best_replicas = replicas;
        }
    }
    return best;
}

static void add_member(struct want *want, uint64_t node_id, enum replicator_role role)
{
    struct replicator_member *member = find_member(want, node_id);

    if (member == NULL) {
        if (want->count == REPLICATOR_MEMBERS_MAX)
            return;
        member = &want->members[want->count++];
        member->node_id = node_id;
    }
    member->role = role;
}

/* Starts from the replicas that there are, but for those of nodes that are gone. */
static void want_init(struct want *want, const struct placement_view *view,
                      const Pr__GroupRecord *record)
{
    *want = (struct want){.view = view, .group = record->group};
    for (size_t i = 0; i < record->n_replicas; i++)
        if (find_node(view, record->replicas[i]->node_id) != NULL)
            add_member(want, record->replicas[i]->node_id,
                       record->replicas[i]->standby ? REPLICATOR_STANDBY : REPLICATOR_VOTER);
}

/*
 * The directory's voters are worth a move when a data center has none while another has two or
 * more: a role costs nothing to move, the data is on every node anyway.
 */
static void spread_directory(struct want *want)
{
    const struct placement_node *better = best_node(want);
    struct replicator_member *worst = NULL;
    size_t worst_site = 1;

    if (better == NULL || voters_in(want, better->data_center) > 0)
        return;
    for (size_t i = 0; i < want->count; i++) {
        struct replicator_member *member = &want->members[i];
        const struct placement_node *node = find_node(want->view, member->node_id);
        if (member->role != REPLICATOR_VOTER || node == NULL)
            continue;
        size_t site = voters_in(want, node->data_center);
        if (site > worst_site || (worst != NULL && site == worst_site)) {
            worst = member;
            worst_site = site;
        }
    }
    if (worst == NULL)
        return;
    worst->role = REPLICATOR_STANDBY;
    add_member(want, better->id, REPLICATOR_VOTER);
}

static void want_replicas(struct want *want)
{
    size_t voters_max = want->group == 0 ? PLACEMENT_DIRECTORY_VOTERS : PLACEMENT_MAIL_VOTERS;
    const struct placement_node *node;

    while (count_voters(want) < voters_max && (node = best_node(want)) != NULL) {
        size_t before = count_voters(want);
        add_member(want, node->id, REPLICATOR_VOTER);
        if (count_voters(want) == before)
            break; /* no member more fits */
    }
    if (want->group != 0)
        return;
    for (size_t i = 0; i < want->view->node_count; i++)
        if (find_member(want, want->view->nodes[i].id) == NULL)
            add_member(want, want->view->nodes[i].id, REPLICATOR_STANDBY);
    if (count_voters(want) == voters_max)
        spread_directory(want);
}

/* How many groups, but for this one, prefer the node. */
static size_t preferred_on(const struct want *want, uint64_t node_id)
{
    size_t count = 0;

    for (size_t g = 0; g < want->view->group_count; g++)
        count += want->view->groups[g]->group != want->group &&
                 want->view->groups[g]->preferred_leader == node_id;
    return count;
}

/* Stays as it is unless another voter has two groups fewer. */
static uint64_t want_leader(struct want *want, uint64_t now)
{
    const struct replicator_member *stays = now != 0 ? find_member(want, now) : NULL;
    uint64_t best = 0;
    size_t best_count = SIZE_MAX;

    for (size_t i = 0; i < want->count; i++) {
        size_t count = preferred_on(want, want->members[i].node_id);
        if (want->members[i].role == REPLICATOR_VOTER && count < best_count) {
            best = want->members[i].node_id;
            best_count = count;
        }
    }
    if (stays == NULL || stays->role != REPLICATOR_VOTER)
        return best;
    /* preferred_on() leaves this group out, so equal counts mean that moving gains nothing. */
    return preferred_on(want, now) <= best_count ? now : best;
}

static bool want_differs(struct want *want, const Pr__GroupRecord *record, uint64_t leader)
{
    if (record->n_replicas != want->count || record->preferred_leader != leader)
        return true;
    for (size_t i = 0; i < record->n_replicas; i++) {
        const struct replicator_member *member =
            find_member(want, record->replicas[i]->node_id);
        if (member == NULL ||
            (member->role == REPLICATOR_STANDBY) != (record->replicas[i]->standby != 0))
            return true;
    }
    return false;
}

static Pr__GroupRecord *want_record(const struct want *want, const Pr__GroupRecord *record,
                                    uint64_t leader, struct arena *arena)
{
    Pr__GroupRecord *made = arena_alloc(arena, sizeof(*made));

    pr__group_record__init(made);
    made->group = record->group;
    made->accounts = record->accounts;
    made->preferred_leader = leader;
    made->n_replicas = want->count;
    made->replicas = arena_alloc(arena, want->count * sizeof(*made->replicas));
    for (size_t i = 0; i < want->count; i++) {
        made->replicas[i] = arena_alloc(arena, sizeof(**made->replicas));
        pr__replica__init(made->replicas[i]);
        made->replicas[i]->node_id = want->members[i].node_id;
        made->replicas[i]->standby = want->members[i].role != REPLICATOR_VOTER;
    }
    return made;
}

Pr__GroupRecord *placement_want(const struct placement_view *view, struct arena *arena,
                                size_t *position)
{
    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupRecord *record = view->groups[g];
        struct want want;

        want_init(&want, view, record);
        want_replicas(&want);
        if (count_voters(&want) == 0)
            continue; /* no node is known: nothing to say */
        uint64_t leader = want_leader(&want, record->preferred_leader);
        if (want_differs(&want, record, leader)) {
            *position = g;
            return want_record(&want, record, leader, arena);
        }
    }
    return NULL;
}
