/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "storage/service/placement_plan.h"

/* What a group shall have, while it is being thought out. */
struct want {
    const struct placement_view *view;
    uint32_t group;
    struct placement_voters target; /* of a mail group */
    struct replicator_member members[REPLICATOR_MEMBERS_MAX];
    size_t count;
    uint64_t successors[REPLICATOR_MEMBERS_MAX]; /* who takes over from those that left */
    size_t successor_count;
    bool gives_up; /* a replica that was wanted is not any more */
};

static const struct placement_node *node_of(const struct want *want, size_t member)
{
    return placement_node(want->view, want->members[member].node_id);
}

static struct replicator_member *find_member(struct want *want, uint64_t node_id)
{
    for (size_t i = 0; i < want->count; i++)
        if (want->members[i].node_id == node_id)
            return &want->members[i];
    return NULL;
}

static bool is_voter(const struct want *want, size_t member)
{
    return want->members[member].role == REPLICATOR_VOTER;
}

/* Voters: witnesses or others. The directory makes no difference. */
static size_t count_voters(const struct want *want, bool witness)
{
    size_t voters = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = node_of(want, i);
        bool is_witness = node != NULL && node->witness && want->group != 0;
        voters += is_voter(want, i) && is_witness == witness;
    }
    return voters;
}

/* Voters of the group in that data center. */
static size_t voters_in(const struct want *want, const char *data_center)
{
    size_t voters = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = node_of(want, i);
        voters +=
            is_voter(want, i) && node != NULL && strcmp(node->data_center, data_center) == 0;
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

static bool is_successor(const struct want *want, uint64_t node_id)
{
    for (size_t i = 0; i < want->successor_count; i++)
        if (want->successors[i] == node_id)
            return true;
    return false;
}

/* What speaks for a node as the place of one more voter; the lower, the better. */
struct merit {
    bool stranger; /* it takes over from nobody */
    size_t site;
    size_t replicas;
};

static bool merit_better(const struct merit *a, const struct merit *b)
{
    if (a->stranger != b->stranger)
        return b->stranger;
    if (a->site != b->site)
        return a->site < b->site;
    return a->replicas < b->replicas;
}

/* The best place for one more voter: a node that does not vote in the group yet. */
static const struct placement_node *best_node(struct want *want, bool witness)
{
    const struct placement_node *best = NULL;
    struct merit best_merit = {0};

    for (size_t i = 0; i < want->view->node_count; i++) {
        const struct placement_node *node = &want->view->nodes[i];
        const struct replicator_member *member = find_member(want, node->id);
        if (node->leaving || (want->group != 0 && node->witness != witness) ||
            (member != NULL && member->role == REPLICATOR_VOTER))
            continue;
        const struct merit merit = {
            .stranger = !is_successor(want, node->id),
            .site = voters_in(want, node->data_center),
            .replicas = want->group == 0 ? 0 : replicas_on(want->view, node->id),
        };
        if (best == NULL || merit_better(&merit, &best_merit)) {
            best = node;
            best_merit = merit;
        }
    }
    return best;
}

static bool add_member(struct want *want, uint64_t node_id, enum replicator_role role)
{
    struct replicator_member *member = find_member(want, node_id);

    if (member == NULL) {
        if (want->count == want->view->members_max)
            return false;
        member = &want->members[want->count++];
        member->node_id = node_id;
    }
    member->role = role;
    return true;
}

static void drop_member(struct want *want, size_t member)
{
    want->count--;
    for (size_t i = member; i < want->count; i++)
        want->members[i] = want->members[i + 1];
    want->gives_up = true;
}

/* Starts from the replicas that there are, but for those of nodes that are gone or leave. */
static void want_init(struct want *want, const struct placement_view *view,
                      const struct placement_voters *target, uint32_t group,
                      Pr__Replica *const *replicas, size_t count)
{
    /* Room for hundreds, and most have three: it is not worth clearing. */
    want->view = view;
    want->target = *target;
    want->group = group;
    want->count = want->successor_count = 0;
    want->gives_up = false;
    for (size_t i = 0; i < count; i++) {
        const struct placement_node *node = placement_node(view, replicas[i]->node_id);
        bool standby = replicas[i]->standby;
        if (node == NULL)
            continue;
        if (group == 0 && node->leaving && !node->removing) {
            standby = true;
        } else if (node->leaving) {
            want->gives_up = true;
            if (node->replaced_by != 0 && want->successor_count < REPLICATOR_MEMBERS_MAX)
                want->successors[want->successor_count++] = node->replaced_by;
            continue;
        }
        add_member(want, node->id, standby ? REPLICATOR_STANDBY : REPLICATOR_VOTER);
    }
}

/* ---- the directory ---- */

/*
 * The directory's voters are worth a move when a data center has none while another has two or
 * more: a role costs nothing to move, the data is on every node anyway.
 */
static void spread_directory(struct want *want)
{
    const struct placement_node *better = best_node(want, false);
    struct replicator_member *worst = NULL;
    size_t worst_site = 1;

    if (better == NULL || voters_in(want, better->data_center) > 0)
        return;
    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = node_of(want, i);
        if (!is_voter(want, i) || node == NULL)
            continue;
        size_t site = voters_in(want, node->data_center);
        if (site > worst_site || (worst != NULL && site == worst_site)) {
            worst = &want->members[i];
            worst_site = site;
        }
    }
    if (worst == NULL)
        return;
    worst->role = REPLICATOR_STANDBY;
    add_member(want, better->id, REPLICATOR_VOTER);
}

static void fill_voters(struct want *want, size_t voters, bool witness)
{
    const struct placement_node *node;

    while (count_voters(want, witness) < voters && (node = best_node(want, witness)) != NULL)
        if (!add_member(want, node->id, REPLICATOR_VOTER))
            break;
}

static void want_directory(struct want *want)
{
    fill_voters(want, PLACEMENT_DIRECTORY_VOTERS, false);
    for (size_t i = 0; i < want->view->node_count; i++) {
        const struct placement_node *node = &want->view->nodes[i];
        if (!node->removing && find_member(want, node->id) == NULL)
            add_member(want, node->id, REPLICATOR_STANDBY);
    }
    if (count_voters(want, false) == PLACEMENT_DIRECTORY_VOTERS)
        spread_directory(want);
    want->gives_up = false; /* its data stays where it is */
}

/* ---- mail groups ---- */

static bool center_has_data(const struct placement_view *view, const char *data_center)
{
    for (size_t i = 0; i < view->node_count; i++)
        if (placement_takes_mail(&view->nodes[i]) &&
            strcmp(view->nodes[i].data_center, data_center) == 0)
            return true;
    return false;
}

struct placement_voters placement_voters(const struct placement_view *view)
{
    size_t voters = view->policy != NULL && view->policy->replicas != 0 ? view->policy->replicas
                                                                        : PLACEMENT_MAIL_VOTERS;
    struct placement_voters target = {0, 0};
    size_t centers = 0;
    bool witness = false;
    bool third_place = false;

    for (size_t i = 0; i < view->node_count; i++) {
        const struct placement_node *node = &view->nodes[i];
        if (node->witness && !node->leaving) {
            witness = true;
            third_place = third_place || !center_has_data(view, node->data_center);
        }
        if (!placement_takes_mail(node))
            continue;
        target.data++;
        bool fresh = true;
        for (size_t j = 0; j < i && fresh; j++)
            fresh = !placement_takes_mail(&view->nodes[j]) ||
                    strcmp(view->nodes[j].data_center, node->data_center) != 0;
        centers += fresh;
    }
    if (centers == 2 && third_place) {
        /* As many data nodes as are even: losing either data center leaves a majority. */
        target.data = target.data < voters - 1 ? target.data : voters - 1;
        target.data -= target.data % 2;
    } else if (target.data > voters) {
        target.data = voters;
    }
    target.witnesses = witness && target.data >= 2 && target.data % 2 == 0;
    return target;
}

/* The voter that the group misses least: of the fullest data center, then on the fullest node;
 * members that came last go first. */
static size_t worst_voter(const struct want *want, bool witness)
{
    size_t worst = want->count;
    size_t worst_site = 0;
    size_t worst_replicas = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = node_of(want, i);
        if (!is_voter(want, i) || node == NULL || node->witness != witness)
            continue;
        size_t site = voters_in(want, node->data_center);
        size_t replicas = replicas_on(want->view, node->id);
        if (worst == want->count || site > worst_site ||
            (site == worst_site && replicas >= worst_replicas)) {
            worst = i;
            worst_site = site;
            worst_replicas = replicas;
        }
    }
    return worst;
}

static void trim_voters(struct want *want, size_t voters, bool witness)
{
    while (count_voters(want, witness) > voters)
        drop_member(want, worst_voter(want, witness));
}

static size_t centers_of(const struct want *want)
{
    size_t centers = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct placement_node *node = node_of(want, i);
        bool fresh = node != NULL && is_voter(want, i);
        for (size_t j = 0; j < i && fresh; j++) {
            const struct placement_node *other = node_of(want, j);
            fresh = other == NULL || !is_voter(want, j) ||
                    strcmp(other->data_center, node->data_center) != 0;
        }
        centers += fresh;
    }
    return centers;
}

/* Moves data voters out of the fullest data center while the policy asks for more of them. */
static void spread_mail(struct want *want)
{
    size_t wanted = want->view->policy != NULL ? want->view->policy->min_dcs : 0;

    while (centers_of(want) < wanted) {
        const struct placement_node *better = best_node(want, false);
        size_t worst = worst_voter(want, false);
        if (better == NULL || worst == want->count ||
            voters_in(want, better->data_center) > 0 ||
            voters_in(want, node_of(want, worst)->data_center) < 2)
            return;
        drop_member(want, worst);
        add_member(want, better->id, REPLICATOR_VOTER);
    }
}

static void want_mail(struct want *want)
{
    const struct placement_voters target = want->target;

    fill_voters(want, target.data, false);
    trim_voters(want, target.data, false);
    spread_mail(want);
    fill_voters(want, target.witnesses, true);
    trim_voters(want, target.witnesses, true);
}

/* ---- leaders ---- */

/* How many groups, but for this one, prefer the node. */
static size_t preferred_on(const struct want *want, uint64_t node_id)
{
    size_t count = 0;

    for (size_t g = 0; g < want->view->group_count; g++)
        count += want->view->groups[g]->group != want->group &&
                 want->view->groups[g]->preferred_leader == node_id;
    return count;
}

static bool may_lead(const struct want *want, size_t member)
{
    const struct placement_node *node = node_of(want, member);

    return is_voter(want, member) && node != NULL && placement_takes_mail(node);
}

/* Stays as it is if it is pinned, or unless another voter has two groups fewer. */
static uint64_t want_leader(const struct want *want, const Pr__GroupRecord *record)
{
    uint64_t now = record->preferred_leader;
    bool stays = false;
    uint64_t best = 0;
    size_t best_count = SIZE_MAX;

    for (size_t i = 0; i < want->count; i++) {
        size_t count = preferred_on(want, want->members[i].node_id);
        if (!may_lead(want, i))
            continue;
        stays = stays || want->members[i].node_id == now;
        if (count < best_count) {
            best = want->members[i].node_id;
            best_count = count;
        }
    }
    if (!stays || now == 0)
        return best;
    /* preferred_on() leaves this group out, so equal counts mean that moving gains nothing. */
    return record->leader_pinned || preferred_on(want, now) <= best_count ? now : best;
}

/* ---- the record ---- */

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

    *made = *record;
    made->leader_pinned = record->leader_pinned && leader == record->preferred_leader;
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

static unsigned count_moving(const struct placement_view *view)
{
    unsigned moving = 0;

    for (size_t g = 0; g < view->group_count; g++)
        moving += placement_moving(view->groups[g]);
    return moving;
}

/* Whether the group, begun from `replicas`, shall have another record; *made is that. */
static bool want_group(const struct placement_view *view, const struct placement_voters *target,
                       const Pr__GroupRecord *record, bool planned, bool may_move,
                       struct arena *arena, Pr__GroupRecord **made)
{
    struct want want;

    if (planned)
        want_init(&want, view, target, record->group, record->planned, record->n_planned);
    else
        want_init(&want, view, target, record->group, record->replicas, record->n_replicas);
    if (record->group == 0)
        want_directory(&want);
    else
        want_mail(&want);
    uint64_t leader = want_leader(&want, record);
    if (count_voters(&want, false) == 0)
        return false; /* no node is known, or none could keep it: nothing to say */
    if (((want.gives_up || planned) && !may_move) ||
        (!planned && !want_differs(&want, record, leader)))
        return false;
    *made = want_record(&want, record, leader, arena);
    if (planned)
        (*made)->n_planned = 0;
    return true;
}

Pr__GroupRecord *placement_want(const struct placement_view *view, struct arena *arena,
                                size_t *position, bool *plan_taken)
{
    const struct placement_voters target = placement_voters(view);
    bool may_move = count_moving(view) < PLACEMENT_MOVES_MAX;
    Pr__GroupRecord *made = NULL;

    for (unsigned planned = 0; planned < 2; planned++)
        for (size_t g = 0; g < view->group_count; g++) {
            const Pr__GroupRecord *record = view->groups[g];
            if (placement_unborn(record) || (record->n_replicas == 0 && record->version > 0) ||
                (planned && (record->n_planned == 0 || placement_moving(record))))
                continue;
            *position = g;
            *plan_taken = planned;
            if (want_group(view, &target, record, planned, may_move || placement_moving(record),
                           arena, &made))
                return made;
        }
    return NULL;
}
