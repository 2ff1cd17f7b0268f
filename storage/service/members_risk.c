/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "storage/service/members.h"

void members_text_add(struct members_texts *texts, struct arena *arena, const char *format, ...)
{
    char line[512];
    va_list values;

    va_start(values, format);
    vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    if (texts->count == texts->room) {
        texts->room = texts->room == 0 ? 8 : 2 * texts->room;
        char **wider = arena_alloc(arena, texts->room * sizeof(*wider));
        for (size_t i = 0; i < texts->count; i++)
            wider[i] = texts->at[i];
        texts->at = wider;
    }
    texts->at[texts->count++] = arena_string(arena, bytes_of(line));
}

static const Pr__Replica *replica_of(const Pr__GroupRecord *record, uint64_t node_id)
{
    for (size_t i = 0; i < record->n_replicas; i++)
        if (record->replicas[i]->node_id == node_id)
            return record->replicas[i];
    return NULL;
}

size_t members_replicas(const struct placement_view *view, uint64_t node_id)
{
    size_t replicas = 0;

    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupRecord *record = view->groups[g];
        if (record->group != 0 && record->n_replicas > 0)
            replicas += placement_moving(record) || replica_of(record, node_id) != NULL;
    }
    return replicas;
}

/* In how many data centers nodes take part in mail groups. */
static size_t centers_of(const struct placement_view *view)
{
    size_t centers = 0;

    for (size_t i = 0; i < view->node_count; i++) {
        bool fresh = !view->nodes[i].leaving;
        for (size_t j = 0; j < i && fresh; j++)
            fresh = view->nodes[j].leaving ||
                    strcmp(view->nodes[j].data_center, view->nodes[i].data_center) != 0;
        centers += fresh;
    }
    return centers;
}

/* The same cluster, with the node leaving. */
static struct placement_view view_without(const struct placement_view *view, uint64_t node_id,
                                          struct arena *arena)
{
    struct placement_node *nodes = arena_alloc(arena, view->node_count * sizeof(*nodes));
    struct placement_view after = *view;

    for (size_t i = 0; i < view->node_count; i++) {
        nodes[i] = view->nodes[i];
        nodes[i].leaving = nodes[i].leaving || nodes[i].id == node_id;
    }
    after.nodes = nodes;
    return after;
}

static size_t replicas_wanted(const struct placement_view *view)
{
    return view->policy != NULL && view->policy->replicas != 0 ? view->policy->replicas
                                                               : PLACEMENT_MAIL_VOTERS;
}

/* What becomes of the node's groups if it does not come back. */
static void risks_of_groups(const struct placement_view *view, Pr__GroupStatus *const *groups,
                            uint64_t node_id, struct arena *arena, struct members_texts *risks)
{
    const char *silent = "";

    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupStatus *group = groups[g];
        size_t data = 0;
        bool concerned = false;
        for (size_t i = 0; i < group->n_wanted; i++) {
            const struct placement_node *node = placement_node(view, group->wanted[i]->node_id);
            concerned = concerned || group->wanted[i]->node_id == node_id;
            data += node != NULL && !node->witness && group->wanted[i]->node_id != node_id;
        }
        if (concerned && data == 0 && group->group != 0)
            members_text_add(risks, arena,
                             "group %u has no other replica: the mail of its %llu accounts is "
                             "lost",
                             (unsigned)group->group, (unsigned long long)group->accounts);
        else if (concerned && group->leader == 0)
            silent = arena_printf(arena, "%s %u", silent, (unsigned)group->group);
    }
    if (silent[0] != '\0')
        members_text_add(risks, arena,
                         "without a leader are now groups%s: their replicas cannot be made "
                         "elsewhere before they have one; if their majority is lost, see "
                         "`postraft cluster recover`",
                         silent);
}

void members_risks(const struct placement_view *view, Pr__NodeRecord *const *nodes,
                   Pr__GroupStatus *const *groups, uint64_t node_id, uint64_t by,
                   bool reachable, struct arena *arena, struct members_texts *risks)
{
    const struct placement_node *node = placement_node(view, node_id);
    const struct placement_view later = view_without(view, node_id, arena);
    const struct placement_voters before = placement_voters(view);
    const struct placement_voters after = placement_voters(&later);

    if (node == NULL)
        return;
    if (!reachable)
        risks_of_groups(view, groups, node_id, arena, risks);
    if (by == 0 && (after.data < before.data || after.witnesses < before.witnesses))
        members_text_add(risks, arena,
                         "mail groups will have %zu replicas%s, not %zu%s: too few other nodes "
                         "are there; `postraft node add` first",
                         after.data, after.witnesses > 0 ? " and a witness" : "", before.data,
                         before.witnesses > 0 ? " and a witness" : "");
    if (view->policy != NULL && centers_of(&later) < view->policy->min_dcs &&
        centers_of(&later) < centers_of(view))
        members_text_add(risks, arena,
                         "replicas will stand in %zu data centers, the policy wants %u: %s is "
                         "the last node in %s",
                         centers_of(&later), view->policy->min_dcs,
                         nodes[node - view->nodes]->name, node->data_center);
}

void members_policy_warnings(const struct placement_view *view, struct arena *arena,
                             struct members_texts *warnings)
{
    const struct placement_voters voters = placement_voters(view);
    unsigned min_dcs = view->policy != NULL ? view->policy->min_dcs : 0;

    if (voters.data + voters.witnesses < replicas_wanted(view) &&
        replicas_wanted(view) > PLACEMENT_MAIL_VOTERS)
        members_text_add(warnings, arena,
                         "the policy wants %zu replicas of each mail group, but %zu nodes take "
                         "part",
                         replicas_wanted(view), voters.data + voters.witnesses);
    for (size_t g = 0; g < view->group_count && min_dcs > 0; g++) {
        const Pr__GroupRecord *record = view->groups[g];
        unsigned centers = placement_centers(view, record->replicas, record->n_replicas);
        if (record->group != 0 && centers < min_dcs)
            members_text_add(warnings, arena,
                             "group %u stands in %u data centers, the policy wants %u",
                             (unsigned)record->group, centers, min_dcs);
    }
    for (size_t g = 0; g < view->group_count; g++)
        if (view->groups[g]->n_replicas == 0)
            members_text_add(warnings, arena,
                             "group %u lost all its replicas: its %llu accounts cannot be "
                             "reached",
                             (unsigned)view->groups[g]->group,
                             (unsigned long long)view->groups[g]->accounts);
}
