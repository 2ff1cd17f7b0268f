/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When an applied proposal may be acknowledged. A majority may lie inside one data center, so
 * by policy a replica outside of the leader's must have it on disk as well; unless all of
 * those have been silent for longer than the grace, which is said loudly.
 */
#include <stdlib.h>

#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "raft/internal.h"

struct outside {
    unsigned members;
    unsigned unknown;    /* nobody has said yet where they stand, or where this node does */
    unsigned partial;    /* not counted: their logs are of no use without a state */
    uint64_t match;      /* of the most advanced */
    uint64_t contact_ms; /* of the one heard last */
};

static struct outside outside_of(struct group *group)
{
    const struct replicator_config *config = &group->owner->config;
    const struct raft_configuration *members = &group->raft.configuration;
    struct outside outside = {.contact_ms = group->led_since_ms};
    unsigned here = config->site_of(config->context, config->node_id);
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        unsigned site = config->site_of(config->context, node_id);
        if (node_id == config->node_id || members->servers[i].role == RAFT_SPARE)
            continue;
        if (site == 0 || here == 0)
            outside.unknown++;
        if (site == 0 || here == 0 || site == here)
            continue;
        const struct link *link = group_link(group, node_id, false);
        if (link != NULL && link->known && (link->standing & WIRE_PARTIAL) != 0) {
            outside.partial++;
            continue;
        }
        uint64_t match = group_match(group, node_id);
        outside.members++;
        if (match > outside.match)
            outside.match = match;
        if (link != NULL && link->contact_ms > outside.contact_ms)
            outside.contact_ms = link->contact_ms;
    }
    return outside;
}

static void single_site_set(struct group *group, bool single_site, unsigned members)
{
    if (group->single_site == single_site)
        return;
    group->single_site = single_site;
    if (members == 0)
        return; /* nobody was ever there to be missed */
    log_warn(NULL,
             single_site ? "no other data center answers: acknowledging without one"
                         : "another data center has caught up: waiting for it again",
             LOG_FIELDS(LOG_U64("group", group->id)));
}

/* Up to which index proposals may be acknowledged. */
static uint64_t release_limit(struct group *group, uint64_t now)
{
    const struct replicator_config *config = &group->owner->config;
    if (!config->cross_dc)
        return UINT64_MAX;
    struct outside outside = outside_of(group);
    /* Who is not known may be the one elsewhere: the grace is for getting to know it, too. */
    bool nobody = outside.members == 0 && outside.unknown == 0;
    bool silent = nobody || now - outside.contact_ms > config->grace_ms;
    if (silent)
        single_site_set(group, true, outside.members + outside.unknown + outside.partial);
    else if (group->single_site && outside.match >= group->raft.commit_index)
        /* One that comes back does not stop all mail until it has everything. */
        single_site_set(group, false, outside.members);
    return group->single_site ? UINT64_MAX : outside.match;
}

void release_turn(struct group *group, uint64_t now)
{
    if (group->gated.head == NULL)
        return;
    uint64_t limit = group->led_term != 0 ? release_limit(group, now) : UINT64_MAX;
    while (group->gated.head != NULL && group->gated.head->index <= limit) {
        call_finish(group->owner, call_pop(&group->gated), ERR_OK);
        if (group->single_site)
            metric_add(METRIC_RAFT_SINGLE_SITE_RELEASES, 1);
    }
    /* What has to wait outlives the batch that its reply lies in. */
    for (struct call *call = group->gated.head; call != NULL; call = call->next) {
        if (call->reply_copy != NULL || call->reply.len == 0)
            continue;
        call->reply_copy = malloc(call->reply.len);
        CHECK(call->reply_copy != NULL);
        memcpy(call->reply_copy, call->reply.at, call->reply.len);
        call->reply.at = call->reply_copy;
    }
}

void replicator_durability(struct replicator *replicator, bool cross_dc, unsigned grace_ms)
{
    if (replicator->config.cross_dc == cross_dc && replicator->config.grace_ms == grace_ms)
        return;
    replicator->config.cross_dc = cross_dc;
    replicator->config.grace_ms = grace_ms;
    for (unsigned i = 0; i < replicator->groups_count; i++)
        group_touch(replicator->groups[i]);
}
