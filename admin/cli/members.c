/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "admin/cli/progress.h"
#include "node/base/check.h"

/* What is still on a node, as the groups' leaders and the directory tell it. */
struct left {
    uint64_t replicas; /* groups that have, or may have, one there; without the directory */
    uint64_t led;
    bool directory;
    char detail[128];
};

static bool is_wanted(const Pr__GroupStatus *group, uint64_t node_id)
{
    for (size_t i = 0; i < group->n_wanted; i++)
        if (group->wanted[i]->node_id == node_id)
            return true;
    return false;
}

static bool is_member(const Pr__GroupStatus *group, uint64_t node_id)
{
    for (size_t i = 0; i < group->n_members; i++)
        if (group->members[i]->node_id == node_id)
            return true;
    return false;
}

/* What the group is waiting for, if anything is known. */
static void tell_detail(const Pr__GroupStatus *group, char detail[128])
{
    if (group->leader == 0) {
        snprintf(detail, 128, "group %u has no leader", (unsigned)group->group);
        return;
    }
    for (size_t i = 0; i < group->n_members; i++)
        if (strcmp(group->members[i]->standing, "partial") == 0) {
            snprintf(detail, 128, "node %llu is fetching group %u",
                     (unsigned long long)group->members[i]->node_id, (unsigned)group->group);
            return;
        }
    if (detail[0] == '\0')
        snprintf(detail, 128, "moving group %u", (unsigned)group->group);
}

static struct left left_on(const Pr__GroupListAnswer *groups, uint64_t node_id)
{
    struct left left = {.replicas = 0};

    for (size_t i = 0; i < groups->n_groups; i++) {
        const Pr__GroupStatus *group = groups->groups[i];
        bool there = is_wanted(group, node_id) || is_member(group, node_id) ||
                     (group->leader == 0 && group->version != group->placed_version &&
                      group->n_wanted > 0);
        left.led += group->leader == node_id;
        if (!there)
            continue;
        if (group->group == 0)
            left.directory = true;
        else
            left.replicas++;
        if (group->group != 0 && group->version != group->placed_version)
            tell_detail(group, left.detail);
    }
    return left;
}

/* Until nothing but the directory is on the node, or, if it is to go, until it is gone. */
static enum cli_exit wait_for_leave(struct cli *cli, const Pr__NodeRecord *node, bool goes)
{
    struct progress progress;
    const char *look = arena_printf(&cli->arena, "node show %s", node->name);

    progress_begin(
        &progress, cli,
        arena_printf(&cli->arena, "%s node %s", goes ? "removing" : "draining", node->name),
        look);
    for (;;) {
        const Pr__GroupListAnswer *groups = progress_groups(cli);
        const Pr__NodeListAnswer *nodes = groups != NULL ? progress_nodes(cli) : NULL;
        if (nodes == NULL) {
            progress_end(&progress);
            return CLI_FAILED;
        }
        char number[24];
        snprintf(number, sizeof(number), "%llu", (unsigned long long)node->id);
        struct left left = left_on(groups, node->id);
        const Pr__NodeStatus *now = progress_node(nodes, number);
        uint64_t steps = left.replicas + (goes ? left.directory : 0) + (goes && now != NULL);
        progress_show(&progress, now == NULL ? 0 : steps, left.detail);
        if (now == NULL || (steps == 0 && left.led == 0))
            break;
        if (now->node->state == PR__NODE_STATE__NODE_ACTIVE) {
            progress_end(&progress);
            return cli_fail("somebody has taken that back: node %s stays", node->name);
        }
        progress_wait(cli);
    }
    progress_end(&progress);
    return CLI_OK;
}

static const Pr__Reply *alter(struct cli *cli, Pr__NodeAlter__Action action, const char *by,
                              bool force, bool check)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__NodeAlter ask = PR__NODE_ALTER__INIT;

    ask.node = cli->arguments[0];
    ask.action = action;
    ask.by = arena_string(&cli->arena, bytes_of(by));
    ask.force = force;
    ask.check = check;
    request.call_case = PR__REQUEST__CALL_NODE_ALTER;
    request.node_alter = &ask;
    return cli_call(cli, &request, CLI_CALL_MS);
}

/* The node of the first argument; NULL after a message. */
static const Pr__NodeRecord *named_node(struct cli *cli)
{
    const Pr__NodeListAnswer *nodes = progress_nodes(cli);

    if (nodes == NULL)
        return NULL;
    const Pr__NodeStatus *node = progress_node(nodes, cli->arguments[0]);
    if (node == NULL) {
        cli_fail("there is no node %s; `postraft node list` shows those there are",
                 cli->arguments[0]);
        return NULL;
    }
    return node->node;
}

static enum cli_exit done(struct cli *cli, const Pr__NodeRecord *node, const char *what,
                          const char *sentence)
{
    return output_done(cli,
                       json_pack("{s:s, s:I, s:s}", "event", what, "node", (json_int_t)node->id,
                                 "name", node->name),
                       "%s", sentence);
}

enum cli_exit cli_node_drain(struct cli *cli)
{
    const Pr__NodeRecord *node = named_node(cli);
    bool undo = cli_has(cli, OPTION_UNDO);

    if (node == NULL)
        return CLI_FAILED;
    if (alter(cli, undo ? PR__NODE_ALTER__ACTION__UNDRAIN : PR__NODE_ALTER__ACTION__DRAIN, "",
              cli_has(cli, OPTION_FORCE), false) == NULL)
        return CLI_FAILED;
    if (undo)
        return done(
            cli, node, "active",
            arena_printf(&cli->arena,
                         "node %s keeps mail again; `postraft cluster rebalance` brings "
                         "back what it gave away",
                         node->name));
    if (cli_has(cli, OPTION_NO_WAIT))
        return done(
            cli, node, "draining",
            arena_printf(&cli->arena,
                         "node %s is draining; `postraft node show %s` shows how far it "
                         "is",
                         node->name, node->name));
    enum cli_exit ended = wait_for_leave(cli, node, false);
    if (ended != CLI_OK)
        return ended;
    return done(cli, node, "drained",
                arena_printf(&cli->arena,
                             "node %s is drained: it can be stopped, removed (`postraft node "
                             "remove %s`), or used again (`postraft node drain %s --undo`)",
                             node->name, node->name, node->name));
}

/* What is at risk is told and agreed to; false after a message. */
static bool agreed(struct cli *cli, Pr__NodeAlter__Action action, const char *by,
                   const Pr__NodeRecord *node)
{
    const Pr__Reply *reply = alter(cli, action, by, cli_has(cli, OPTION_FORCE), true);

    if (reply == NULL)
        return false;
    if (reply->answer_case != PR__REPLY__ANSWER_NODE_ALTER) {
        cli_fail("the store gave another answer");
        return false;
    }
    const Pr__NodeAlterAnswer *answer = reply->node_alter;
    for (size_t i = 0; i < answer->n_risks; i++)
        fprintf(stderr, "At risk: %s.\n", answer->risks[i]);
    if (answer->n_risks > 0 && !cli_has(cli, OPTION_FORCE)) {
        cli_fail("nothing was changed; --force does it all the same");
        return false;
    }
    return cli_confirm(cli, arena_printf(&cli->arena,
                                         "Take node %s (%llu, in %s) out of the cluster for "
                                         "good?",
                                         node->name, (unsigned long long)node->id,
                                         node->data_center));
}

static enum cli_exit leave(struct cli *cli, Pr__NodeAlter__Action action, const char *by)
{
    const Pr__NodeRecord *node = named_node(cli);

    if (node == NULL || !agreed(cli, action, by, node) ||
        alter(cli, action, by, cli_has(cli, OPTION_FORCE), false) == NULL)
        return CLI_FAILED;
    if (cli_has(cli, OPTION_NO_WAIT))
        return done(cli, node, "removing",
                    arena_printf(&cli->arena,
                                 "node %s is being removed; `postraft node list` names it as "
                                 "long as something is left on it",
                                 node->name));
    enum cli_exit ended = wait_for_leave(cli, node, true);
    if (ended != CLI_OK)
        return ended;
    return done(cli, node, "removed",
                arena_printf(&cli->arena,
                             "node %s is out of the cluster; its data folder can be deleted",
                             node->name));
}

enum cli_exit cli_node_remove(struct cli *cli)
{
    return leave(cli, PR__NODE_ALTER__ACTION__REMOVE, "");
}

enum cli_exit cli_node_replace(struct cli *cli)
{
    return leave(cli, PR__NODE_ALTER__ACTION__REPLACE, cli->arguments[1]);
}

enum cli_exit cli_node_promote(struct cli *cli)
{
    const Pr__NodeRecord *node = named_node(cli);

    if (node == NULL || alter(cli, PR__NODE_ALTER__ACTION__PROMOTE, "", false, false) == NULL)
        return CLI_FAILED;
    return done(cli, node, "promoted",
                arena_printf(&cli->arena, "node %s gets a vote in the directory", node->name));
}

enum cli_exit cli_node_show(struct cli *cli)
{
    static const struct output_column columns[] = {
        {"id", "Node", OUTPUT_NUMBER},
        {"name", "Name", OUTPUT_TEXT},
        {"data_center", "Data center", OUTPUT_TEXT},
        {"state", "State", OUTPUT_TEXT},
        {"witness", "Witness", OUTPUT_YES},
        {"reachable", "Reachable", OUTPUT_YES},
        {"mail_replicas", "Replicas", OUTPUT_NUMBER},
        {"groups_led", "Leads", OUTPUT_NUMBER},
        {"held_bytes", "Bytes", OUTPUT_BYTES},
        {"drained", "Drained", OUTPUT_YES},
        {"now", "Now", OUTPUT_TEXT},
        {"replaced_by", "Replaced by", OUTPUT_NUMBER},
        {"raft_address", "Raft", OUTPUT_TEXT},
        {"rpc_address", "RPC", OUTPUT_TEXT},
        {"join_address", "Join", OUTPUT_TEXT},
        {"joined_ms", "Joined", OUTPUT_TIME},
    };
    const Pr__NodeListAnswer *nodes = progress_nodes(cli);
    const Pr__GroupListAnswer *groups = nodes != NULL ? progress_groups(cli) : NULL;

    if (groups == NULL)
        return CLI_FAILED;
    const Pr__NodeStatus *node = progress_node(nodes, cli->arguments[0]);
    if (node == NULL)
        return cli_fail("there is no node %s; `postraft node list` shows those there are",
                        cli->arguments[0]);
    struct left left = left_on(groups, node->node->id);
    bool leaves = node->node->state != PR__NODE_STATE__NODE_ACTIVE;
    json_t *record = json_of_node(node);
    CHECK(json_object_set_new(record, "mail_replicas",
                              json_integer((json_int_t)left.replicas)) == 0);
    CHECK(json_object_set_new(record, "drained",
                              json_boolean(leaves && left.replicas == 0 && left.led == 0)) ==
          0);
    CHECK(json_object_set_new(record, "now", json_string(left.detail)) == 0);
    return output_record(cli, record, columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_node_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterToken token = PR__CLUSTER_TOKEN__INIT;
    const char *center = cli->options[OPTION_DATA_CENTER];

    if (!cli_number(cli, OPTION_VALID, 60, 30 * 24 * 3600, &token.valid_s))
        return CLI_USAGE;
    request.call_case = PR__REQUEST__CALL_CLUSTER_TOKEN;
    request.cluster_token = &token;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_CLUSTER_TOKEN)
        return cli_fail("the store gave another answer");
    const char *line = arena_printf(
        &cli->arena, "postraft cluster join --token-file - --node %s --data-center %s%s",
        cli->argument_count > 0 ? cli->arguments[0] : "NAME", center != NULL ? center : "NAME",
        cli_has(cli, OPTION_WITNESS) ? " --witness" : "");
    return output_done(
        cli,
        json_pack("{s:s, s:s, s:I}", "token", reply->cluster_token->token, "command", line,
                  "expires_ms", (json_int_t)reply->cluster_token->expires_ms),
        "On the new machine, with postraftd running and cluster addresses in its "
        "configuration:\n\n  %s\n\nand then this line, within %u minutes; one "
        "machine can use it:\n\n%s",
        line, (unsigned)((token.valid_s == 0 ? 3600 : token.valid_s) / 60),
        reply->cluster_token->token);
}
