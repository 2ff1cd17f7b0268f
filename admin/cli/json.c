/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"
#include "node/base/check.h"

/* A member that the leader has not heard of for longer is shown as away. */
#define AWAY_MS 5000

static json_int_t number(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

static json_t *text(const char *value)
{
    return json_of_text(value);
}

static json_t *json_of_node_state(const Pr__NodeRecord *record)
{
    static const char *const states[] = {"active", "draining", "removing"};

    return json_string((unsigned)record->state < 3 ? states[record->state] : "unknown");
}

/* An estimate; left out where nobody has looked. */
static void add_held(json_t *row, uint64_t bytes)
{
    if (bytes > 0)
        CHECK(json_object_set_new(row, "held_bytes", json_integer(number(bytes))) == 0);
}

/* What the member's replica weighs; 0: it has not said so. */
static uint64_t held_by(const Pr__GroupStatus *group, uint64_t node_id)
{
    for (size_t i = 0; i < group->n_states; i++)
        if (group->states[i]->node_id == node_id)
            return group->states[i]->held_bytes;
    return 0;
}

/* The most that a whole replica weighs. */
static uint64_t held_most(const Pr__GroupStatus *group)
{
    uint64_t most = 0;

    for (size_t i = 0; i < group->n_states; i++)
        if (strcmp(group->states[i]->state, "whole") == 0 &&
            group->states[i]->held_bytes > most)
            most = group->states[i]->held_bytes;
    return most;
}

json_t *json_of_node(const Pr__NodeStatus *node)
{
    const Pr__NodeRecord *record = node->node;
    json_t *made =
        json_pack("{s:I, s:o, s:o, s:o, s:b, s:I, s:b, s:I, s:I, s:o, s:o, s:o, s:I}", "id",
                  number(record->id), "name", text(record->name), "data_center",
                  text(record->data_center), "state", json_of_node_state(record), "witness",
                  (int)record->witness, "replaced_by", number(record->replaced_by), "reachable",
                  (int)node->reachable, "replicas", number(node->replicas), "groups_led",
                  number(node->groups_led), "raft_address", text(record->raft_address),
                  "rpc_address", text(record->rpc_address), "join_address",
                  text(record->join_address), "joined_ms", number(record->joined_ms));

    CHECK(made != NULL);
    add_held(made, node->held_bytes);
    return made;
}

static json_t *json_of_members(const Pr__GroupStatus *group)
{
    json_t *members = json_array();

    for (size_t i = 0; i < group->n_members; i++) {
        const Pr__GroupMember *member = group->members[i];
        bool leader = group->leader != 0 && member->node_id == group->leader;
        json_t *made = json_pack("{s:I, s:o, s:b, s:I}", "node", number(member->node_id),
                                 "role", text(member->role), "leader", (int)leader,
                                 "match_index", number(member->match_index));
        CHECK(made != NULL);
        add_held(made, held_by(group, member->node_id));
        if (member->standing[0] != '\0')
            CHECK(json_object_set_new(made, "state", text(member->standing)) == 0);
        if (group->leader != 0) { /* only leaders hear of the others */
            uint64_t lag = group->last_index > member->match_index
                               ? group->last_index - member->match_index
                               : 0;
            CHECK(json_object_set_new(made, "lag_entries",
                                      json_integer(leader ? 0 : number(lag))) == 0);
            if (!leader && member->last_contact_ms != UINT64_MAX)
                CHECK(json_object_set_new(made, "contact_ms_ago",
                                          json_integer(number(member->last_contact_ms))) == 0);
            bool reachable = leader || member->last_contact_ms <= AWAY_MS;
            CHECK(json_object_set_new(made, "reachable", json_boolean(reachable)) == 0);
        }
        CHECK(json_array_append_new(members, made) == 0);
    }
    return members;
}

static json_t *json_of_states(const Pr__GroupStatus *group)
{
    json_t *states = json_array();

    for (size_t i = 0; i < group->n_states; i++) {
        const Pr__ReplicaState *state = group->states[i];
        json_t *made = json_pack("{s:I, s:o}", "node", number(state->node_id), "state",
                                 text(state->state));
        CHECK(made != NULL);
        add_held(made, state->held_bytes);
        if (state->source != 0) {
            json_t *copy = json_pack("{s:I, s:I, s:I, s:I, s:I}", "from", number(state->source),
                                     "begun_ms", number(state->begun_ms), "bytes",
                                     number(state->bytes), "rows", number(state->rows),
                                     "compared_bytes", number(state->compared_bytes));
            CHECK(copy != NULL && json_object_set_new(made, "copy", copy) == 0);
        }
        CHECK(json_array_append_new(states, made) == 0);
    }
    return states;
}

json_t *json_of_group(const Pr__GroupStatus *group)
{
    json_t *wanted = json_array();

    for (size_t i = 0; i < group->n_wanted; i++) {
        json_t *made = json_pack("{s:I, s:s}", "node", number(group->wanted[i]->node_id),
                                 "role", group->wanted[i]->standby ? "standby" : "voter");
        CHECK(json_array_append_new(wanted, made) == 0);
    }
    json_t *made = json_pack(
        "{s:I, s:o, s:I, s:I, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:o, s:o, s:o}",
        "group", number(group->group), "kind", text(group->kind), "leader",
        number(group->leader), "preferred_leader", number(group->preferred_leader),
        "leader_pinned", (int)group->leader_pinned, "moving",
        (int)(group->version != group->placed_version), "planned", (int)(group->n_planned > 0),
        "first_index", number(group->first_index), "last_index", number(group->last_index),
        "term", number(group->term), "commit_index", number(group->commit_index),
        "applied_index", number(group->applied_index), "single_site", (int)group->single_site,
        "accounts", number(group->accounts), "members", json_of_members(group), "wanted",
        wanted, "states", json_of_states(group));
    CHECK(made != NULL);
    add_held(made, held_most(group));
    return made;
}

json_t *json_of_mailbox(const Pr__MailboxInfo *mailbox)
{
    json_t *made =
        json_pack("{s:I, s:o, s:I, s:I, s:I, s:I, s:I}", "id", number(mailbox->id), "name",
                  text(mailbox->name), "messages", number(mailbox->messages), "unseen",
                  number(mailbox->unseen), "size", number(mailbox->size), "uid_validity",
                  number(mailbox->uid_validity), "uid_next", number(mailbox->uid_next));

    CHECK(made != NULL);
    return made;
}

void output_add_quota(json_t *row, const Pr__AccountQuota *quota)
{
    if (quota == NULL)
        return;
    CHECK(json_object_set_new(row, "quota_bytes", json_integer(number(quota->bytes))) == 0);
    CHECK(json_object_set_new(row, "quota_messages", json_integer(number(quota->messages))) ==
          0);
}

json_t *json_of_account(const Pr__AccountRecord *account)
{
    json_t *made = json_pack("{s:I, s:o, s:I, s:I}", "id", number(account->id), "tenant",
                             text(account->tenant), "group", number(account->group),
                             "created_ms", number(account->created_ms));

    CHECK(made != NULL);
    output_add_address(made, "address", account->address);
    output_add_quota(made, account->quota);
    return made;
}

json_t *json_of_domain(const Pr__DomainRecord *domain)
{
    json_t *made =
        json_pack("{s:o, s:I, s:I}", "tenant", text(domain->tenant), "accounts",
                  number(domain->accounts), "created_ms", number(domain->created_ms));

    CHECK(made != NULL);
    output_add_address(made, "name", domain->name);
    output_add_quota(made, domain->quota);
    return made;
}
