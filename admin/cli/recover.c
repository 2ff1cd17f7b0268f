/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

enum { LOST_MAX = 64 };

/* NODE,NODE,...: the names, in the CLI's arena. */
static size_t lost_names(struct cli *cli, char *names[LOST_MAX])
{
    struct bytes rest = bytes_of(cli_has(cli, OPTION_LOST) ? cli->options[OPTION_LOST] : "");
    size_t count = 0;

    while (rest.len > 0 && count < LOST_MAX) {
        struct bytes name = bytes_from(rest.at, bytes_find(rest, ','));
        rest = bytes_skip(rest, name.len + 1);
        name = bytes_trim(name);
        if (name.len > 0)
            names[count++] = arena_string(&cli->arena, name);
    }
    return count;
}

static const Pr__RecoverLookAnswer *look(struct cli *cli, char **lost, size_t count)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__RecoverLook ask = PR__RECOVER_LOOK__INIT;

    ask.lost = lost;
    ask.n_lost = count;
    request.call_case = PR__REQUEST__CALL_RECOVER_LOOK;
    request.recover_look = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_RECOVER_LOOK) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->recover_look;
}

static bool is_lost(const Pr__RecoverLookAnswer *answer, uint64_t node_id)
{
    for (size_t i = 0; i < answer->n_lost_node_ids; i++)
        if (answer->lost_node_ids[i] == node_id)
            return true;
    return false;
}

static json_t *replicas_json(const Pr__RecoverGroup *group)
{
    json_t *replicas = json_array();

    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        json_t *made = json_pack(
            "{s:I, s:b, s:b, s:b, s:I, s:I, s:I, s:I}", "node", (json_int_t)replica->node_id,
            "answers", (int)replica->answers, "witness", (int)replica->witness, "usable",
            (int)replica->usable, "last_index", (json_int_t)replica->last_index, "last_term",
            (json_int_t)replica->last_term, "committed", (json_int_t)replica->commit_index,
            "applied", (json_int_t)replica->applied_index);
        CHECK(made != NULL && json_array_append_new(replicas, made) == 0);
    }
    return replicas;
}

static json_t *groups_json(Pr__RecoverGroup *const *groups, size_t count)
{
    json_t *made = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *group = json_pack(
            "{s:I, s:I, s:b, s:I, s:I, s:s, s:o}", "group", (json_int_t)groups[i]->group,
            "accounts", (json_int_t)groups[i]->accounts, "majority", (int)groups[i]->majority,
            "goes_on_from", (json_int_t)groups[i]->best_node_id, "log_of",
            (json_int_t)groups[i]->log_node_id, "text", groups[i]->text, "replicas",
            replicas_json(groups[i]));
        CHECK(group != NULL && json_array_append_new(made, group) == 0);
    }
    return made;
}

/* `before` is the text of the group before: it is not repeated. */
static void show_group(const Pr__RecoverGroup *group, const char *before)
{
    printf("\nGroup %u (%s, %llu accounts): ", (unsigned)group->group,
           group->group == 0 ? "the directory" : "mail", (unsigned long long)group->accounts);
    if (group->majority) {
        printf("has its majority.\n");
        return;
    }
    if (group->best_node_id != 0 && group->log_node_id != group->best_node_id)
        printf("would go on from node %llu, with the log of node %llu.\n",
               (unsigned long long)group->best_node_id, (unsigned long long)group->log_node_id);
    else if (group->best_node_id != 0)
        printf("would go on from node %llu.\n", (unsigned long long)group->best_node_id);
    else
        printf("cannot go on.\n");
    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__RecoverReplica *replica = group->replicas[i];
        if (!replica->answers)
            printf("  node %llu does not answer\n", (unsigned long long)replica->node_id);
        else
            printf("  node %llu has entries to %llu (term %llu), applied %llu%s\n",
                   (unsigned long long)replica->node_id,
                   (unsigned long long)replica->last_index,
                   (unsigned long long)replica->last_term,
                   (unsigned long long)replica->applied_index,
                   replica->witness   ? ", a witness"
                   : !replica->usable ? ", not whole"
                                      : "");
    }
    printf("  %s.\n",
           strcmp(group->text, before) == 0 ? "What may be lost: as above" : group->text);
}

static void show(const Pr__RecoverLookAnswer *answer)
{
    printf("Cluster %s. Lost nodes:", answer->cluster_name);
    for (size_t i = 0; i < answer->n_nodes; i++)
        if (is_lost(answer, answer->nodes[i]->node->id))
            printf(" %s (%llu, %s)", answer->nodes[i]->node->name,
                   (unsigned long long)answer->nodes[i]->node->id,
                   answer->nodes[i]->node->data_center);
    printf("%s\n", answer->n_lost_node_ids == 0 ? " none" : "");
    for (size_t i = 0; i < answer->n_groups; i++)
        show_group(answer->groups[i], i > 0 ? answer->groups[i - 1]->text : "");
}

/* What there is to be agreed to; false after a message. */
static bool agreed(struct cli *cli, const Pr__RecoverLookAnswer *answer)
{
    if (cli_has(cli, OPTION_YES)) {
        if (cli_has(cli, OPTION_LOST))
            return true;
        cli_fail("--yes needs --i-have-lost NODE,NODE,...: say which");
        return false;
    }
    fprintf(stderr,
            "\nThe lost nodes must never run again with their old data: together they would "
            "still be a majority.\nThis cannot be undone. ");
    return cli_typed(cli, "To go on, type the name of the cluster", answer->cluster_name);
}

static const Pr__RecoverRunAnswer *run(struct cli *cli, const Pr__RecoverLookAnswer *answer)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__RecoverRun ask = PR__RECOVER_RUN__INIT;

    ask.cluster_name = answer->cluster_name;
    ask.lost = arena_alloc(&cli->arena, answer->n_nodes * sizeof(*ask.lost));
    for (size_t i = 0; i < answer->n_nodes; i++)
        if (is_lost(answer, answer->nodes[i]->node->id))
            ask.lost[ask.n_lost++] = answer->nodes[i]->node->name;
    request.call_case = PR__REQUEST__CALL_RECOVER_RUN;
    request.recover_run = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_RECOVER_RUN) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->recover_run;
}

enum cli_exit cli_cluster_recover(struct cli *cli)
{
    char *names[LOST_MAX];
    size_t count = lost_names(cli, names);
    const Pr__RecoverLookAnswer *answer = look(cli, names, count);

    if (answer == NULL)
        return CLI_FAILED;
    if (cli_has(cli, OPTION_CHECK) && cli_has(cli, OPTION_JSON))
        return output_done(cli,
                           json_pack("{s:s, s:b, s:o}", "cluster_name", answer->cluster_name,
                                     "needed", (int)answer->needed, "groups",
                                     groups_json(answer->groups, answer->n_groups)),
                           "%s", "");
    if (!cli_has(cli, OPTION_JSON))
        show(answer);
    if (!answer->needed)
        return cli_fail("every group has its majority: nothing is to be recovered; `postraft "
                        "node remove NODE --force` takes a dead node out");
    if (cli_has(cli, OPTION_CHECK))
        return CLI_OK;
    if (!agreed(cli, answer))
        return CLI_FAILED;
    const Pr__RecoverRunAnswer *done = run(cli, answer);
    if (done == NULL)
        return CLI_FAILED;
    return output_done(cli,
                       json_pack("{s:s, s:I, s:s, s:o}", "event", "recovered", "recovery",
                                 (json_int_t)done->epoch, "record", done->record, "groups",
                                 groups_json(done->groups, done->n_groups)),
                       "The cluster goes on. What was done is written in %s.\nNow add nodes "
                       "(`postraft node add`), so that mail has more than one replica again.",
                       done->record);
}
