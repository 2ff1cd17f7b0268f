/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "admin/cli/progress.h"
#include "node/base/check.h"

/* A group's number as typed; false after a message. */
static bool group_number(const char *typed, uint32_t *group)
{
    uint64_t value = 0;

    if (!bytes_to_u64(bytes_of(typed), &value) || value > UINT32_MAX) {
        cli_fail("a group is a number; `postraft group list` shows those there are");
        return false;
    }
    *group = (uint32_t)value;
    return true;
}

static const Pr__GroupStatus *find_group(const Pr__GroupListAnswer *groups, uint32_t number)
{
    for (size_t i = 0; i < groups->n_groups; i++)
        if (groups->groups[i]->group == number)
            return groups->groups[i];
    cli_fail("there is no group %u; `postraft group list` shows those there are",
             (unsigned)number);
    return NULL;
}

/* ---- show ---- */

static void name_members(json_t *group, const Pr__NodeListAnswer *nodes)
{
    size_t i = 0;
    json_t *member = NULL;

    json_array_foreach(json_object_get(group, "members"), i, member)
    {
        uint64_t id = (uint64_t)json_integer_value(json_object_get(member, "node"));
        for (size_t n = 0; n < nodes->n_nodes; n++) {
            const Pr__NodeRecord *node = nodes->nodes[n]->node;
            if (node->id != id)
                continue;
            CHECK(json_object_set_new(member, "name", json_string(node->name)) == 0);
            CHECK(json_object_set_new(member, "data_center", json_string(node->data_center)) ==
                  0);
        }
    }
}

static void say_what_is_wrong(const Pr__GroupStatus *group)
{
    if (group->unborn)
        printf("\nThe group has not begun yet.\n");
    else if (group->n_wanted == 0)
        printf("\nThe group lost all its replicas: its accounts cannot be reached.\n");
    else if (group->leader == 0)
        printf("\nThe group has no leader: nothing can be delivered or changed in it.\n");
    if (group->single_site)
        printf("\nIt acknowledges with replicas in one data center only: no other has been "
               "reachable.\n");
    if (group->n_planned > 0)
        printf("\nA move is planned and waits for its turn (`postraft cluster rebalance "
               "--stop` forgets it).\n");
}

enum cli_exit cli_group_show(struct cli *cli)
{
    static const struct output_column lines[] = {
        {"group", "Group", OUTPUT_NUMBER},
        {"kind", "Kind", OUTPUT_TEXT},
        {"accounts", "Accounts", OUTPUT_NUMBER},
        {"held_bytes", "Bytes", OUTPUT_BYTES},
        {"leader", "Leader", OUTPUT_NUMBER},
        {"preferred_leader", "Preferred", OUTPUT_NUMBER},
        {"leader_pinned", "Pinned", OUTPUT_YES},
        {"term", "Term", OUTPUT_NUMBER},
        {"first_index", "Log from", OUTPUT_NUMBER},
        {"last_index", "Log to", OUTPUT_NUMBER},
        {"commit_index", "Committed", OUTPUT_NUMBER},
        {"applied_index", "Applied", OUTPUT_NUMBER},
        {"moving", "Moving", OUTPUT_YES},
    };
    static const struct output_column members[] = {
        {"node", "NODE", OUTPUT_NUMBER},
        {"name", "NAME", OUTPUT_TEXT},
        {"data_center", "DATA CENTER", OUTPUT_TEXT},
        {"role", "ROLE", OUTPUT_TEXT},
        {"leader", "LEADS", OUTPUT_YES},
        {"state", "STATE", OUTPUT_TEXT},
        {"held_bytes", "BYTES", OUTPUT_BYTES},
        {"match_index", "HAS", OUTPUT_NUMBER},
        {"lag_entries", "LAG", OUTPUT_NUMBER},
        {"contact_ms_ago", "HEARD MS AGO", OUTPUT_NUMBER},
        {"reachable", "REACHABLE", OUTPUT_YES},
    };
    uint32_t number = 0;

    if (!group_number(cli->arguments[0], &number))
        return CLI_USAGE;
    const Pr__GroupListAnswer *groups = progress_groups(cli);
    const Pr__NodeListAnswer *nodes = groups != NULL ? progress_nodes(cli) : NULL;
    const Pr__GroupStatus *group = nodes != NULL ? find_group(groups, number) : NULL;
    if (group == NULL)
        return CLI_FAILED;
    json_t *record = json_of_group(group);
    name_members(record, nodes);
    if (cli_has(cli, OPTION_JSON))
        return output_record(cli, record, NULL, 0);
    output_record(cli, json_incref(record), lines, OUTPUT_COUNT(lines));
    putchar('\n');
    output_table(json_object_get(record, "members"), members, OUTPUT_COUNT(members));
    say_what_is_wrong(group);
    json_decref(record);
    return CLI_OK;
}

/* ---- add ---- */

static enum cli_exit wait_for_birth(struct cli *cli, uint32_t first, uint32_t count)
{
    struct progress progress;

    progress_begin(&progress, cli, "adding groups", "group list");
    for (;;) {
        const Pr__GroupListAnswer *groups = progress_groups(cli);
        uint64_t left = 0;
        if (groups == NULL) {
            progress_end(&progress);
            return CLI_FAILED;
        }
        for (size_t i = 0; i < groups->n_groups; i++) {
            const Pr__GroupStatus *group = groups->groups[i];
            left += group->group >= first && group->group < first + count &&
                    (group->unborn || group->leader == 0 ||
                     group->version != group->placed_version);
        }
        progress_show(&progress, left, "");
        if (left == 0)
            break;
        progress_wait(cli);
    }
    progress_end(&progress);
    return CLI_OK;
}

enum cli_exit cli_group_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__GroupAdd add = PR__GROUP_ADD__INIT;
    uint64_t count = 0;

    if (!bytes_to_u64(bytes_of(cli->arguments[0]), &count) || count < 1 || count > 64) {
        cli_fail("1 to 64 groups are added at a time");
        return CLI_USAGE;
    }
    add.count = (uint32_t)count;
    request.call_case = PR__REQUEST__CALL_GROUP_ADD;
    request.group_add = &add;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_GROUP_ADD)
        return cli_fail("the store gave another answer");
    uint32_t first = reply->group_add->first;
    if (!cli_has(cli, OPTION_NO_WAIT)) {
        enum cli_exit ended = wait_for_birth(cli, first, add.count);
        if (ended != CLI_OK)
            return ended;
    }
    return output_done(cli,
                       json_pack("{s:s, s:I, s:I}", "event", "added", "first",
                                 (json_int_t)first, "count", (json_int_t)add.count),
                       "%u mail groups added, from number %u; new accounts go to them first",
                       (unsigned)add.count, (unsigned)first);
}

/* ---- leaders ---- */

enum cli_exit cli_group_move_leader(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__GroupLead lead = PR__GROUP_LEAD__INIT;
    bool chosen = strcmp(cli->arguments[1], "auto") != 0;

    if (!group_number(cli->arguments[0], &lead.group))
        return CLI_USAGE;
    if (chosen)
        lead.node = cli->arguments[1];
    request.call_case = PR__REQUEST__CALL_GROUP_LEAD;
    request.group_lead = &lead;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(cli,
                       json_pack("{s:I, s:s, s:s}", "group", (json_int_t)lead.group, "node",
                                 cli->arguments[1], "text", reply->text),
                       "%s", reply->text);
}
