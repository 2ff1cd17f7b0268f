/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

const struct output_column output_nodes[] = {
    {"id", "NODE", OUTPUT_NUMBER},
    {"name", "NAME", OUTPUT_TEXT},
    {"data_center", "DATA CENTER", OUTPUT_TEXT},
    {"state", "STATE", OUTPUT_TEXT},
    {"witness", "WITNESS", OUTPUT_YES},
    {"reachable", "REACHABLE", OUTPUT_YES},
    {"replicas", "REPLICAS", OUTPUT_NUMBER},
    {"groups_led", "LEADS", OUTPUT_NUMBER},
    {"held_bytes", "BYTES", OUTPUT_BYTES},
    {"raft_address", "RAFT", OUTPUT_TEXT},
    {"joined_ms", "JOINED", OUTPUT_TIME},
};
const size_t output_nodes_count = OUTPUT_COUNT(output_nodes);

const struct output_column output_groups[] = {
    {"group", "GROUP", OUTPUT_NUMBER},       {"kind", "KIND", OUTPUT_TEXT},
    {"leader", "LEADER", OUTPUT_NUMBER},     {"members", "MEMBERS", OUTPUT_MEMBERS},
    {"term", "TERM", OUTPUT_NUMBER},         {"commit_index", "COMMITTED", OUTPUT_NUMBER},
    {"accounts", "ACCOUNTS", OUTPUT_NUMBER}, {"held_bytes", "BYTES", OUTPUT_BYTES},
    {"states", "STATE", OUTPUT_STATES},
};
const size_t output_groups_count = OUTPUT_COUNT(output_groups);

/* An option's text, for a message that is only packed. */
static char *given(struct cli *cli, enum cli_option option)
{
    return arena_string(&cli->arena, bytes_of(cli->options[option]));
}

enum cli_exit cli_cluster_init(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterInit init = PR__CLUSTER_INIT__INIT;

    if (!cli_number(cli, OPTION_GROUPS, 1, 64, &init.mail_groups))
        return CLI_USAGE;
    init.cluster_name = given(cli, OPTION_NAME);
    init.node_name = given(cli, OPTION_NODE);
    init.data_center = given(cli, OPTION_DATA_CENTER);
    request.call_case = PR__REQUEST__CALL_CLUSTER_INIT;
    request.cluster_init = &init;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(
        cli,
        json_pack("{s:s, s:I, s:s}", "cluster_name", init.cluster_name, "node_id",
                  (json_int_t)1, "text", reply->text),
        "%s; this is node 1, %s.\nOther machines join with what `postraft cluster token` "
        "prints here.",
        reply->text, init.node_name);
}

enum cli_exit cli_cluster_join(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterJoin join = PR__CLUSTER_JOIN__INIT;

    const char *token = NULL;
    if (cli->argument_count > 0 && cli_has(cli, OPTION_TOKEN_FILE)) {
        cli_fail("a token as a word and --token-file exclude each other");
        return CLI_USAGE;
    }
    if (cli->argument_count == 0 && !cli_has(cli, OPTION_TOKEN_FILE)) {
        cli_fail("\"cluster join\" needs --token-file FILE (- is the input), or TOKEN");
        return CLI_USAGE;
    }
    if (cli->argument_count == 0 &&
        !cli_line(cli, cli->options[OPTION_TOKEN_FILE], "token", &token))
        return CLI_FAILED;
    join.token = token != NULL ? arena_string(&cli->arena, bytes_of(token)) : cli->arguments[0];
    join.witness = cli_has(cli, OPTION_WITNESS);
    join.node_name = given(cli, OPTION_NODE);
    join.data_center = given(cli, OPTION_DATA_CENTER);
    request.call_case = PR__REQUEST__CALL_CLUSTER_JOIN;
    request.cluster_join = &join;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    uint64_t id = reply->outcome != NULL ? reply->outcome->id : 0;
    return output_done(cli,
                       json_pack("{s:I, s:s, s:s}", "node_id", (json_int_t)id, "node_name",
                                 join.node_name, "text", reply->text),
                       "%s", reply->text);
}

enum cli_exit cli_cluster_token(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterToken token = PR__CLUSTER_TOKEN__INIT;

    if (!cli_number(cli, OPTION_VALID, 60, 30 * 24 * 3600, &token.valid_s))
        return CLI_USAGE;
    request.call_case = PR__REQUEST__CALL_CLUSTER_TOKEN;
    request.cluster_token = &token;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_CLUSTER_TOKEN)
        return cli_fail("the store gave another answer");
    const Pr__ClusterTokenAnswer *answer = reply->cluster_token;
    /* The token alone on the output, so that it can be passed on. */
    if (!cli_has(cli, OPTION_JSON))
        fprintf(stderr,
                "One machine can join with this token, within %u minutes:\n"
                "postraft cluster join --token-file - --node NAME --data-center NAME\n",
                (unsigned)((token.valid_s == 0 ? 3600 : token.valid_s) / 60));
    return output_done(cli,
                       json_pack("{s:s, s:I}", "token", answer->token, "expires_ms",
                                 (json_int_t)answer->expires_ms),
                       "%s", answer->token);
}

static json_t *status_json(const Pr__ClusterStatusAnswer *status)
{
    json_t *nodes = json_array();
    json_t *groups = json_array();

    for (size_t i = 0; i < status->n_nodes; i++)
        CHECK(json_array_append_new(nodes, json_of_node(status->nodes[i])) == 0);
    for (size_t i = 0; i < status->n_groups; i++)
        CHECK(json_array_append_new(groups, json_of_group(status->groups[i])) == 0);
    json_t *warnings = json_array();
    for (size_t i = 0; i < status->n_warnings; i++)
        CHECK(json_array_append_new(warnings, json_string(status->warnings[i])) == 0);
    json_t *made =
        json_pack("{s:b, s:s, s:s, s:I, s:b, s:s, s:o, s:o, s:o}", "initialised",
                  (int)status->initialised, "cluster_id", status->cluster_id, "cluster_name",
                  status->cluster_name, "node_id", (json_int_t)status->node_id, "healthy",
                  (int)status->healthy, "version", status->version, "nodes", nodes, "groups",
                  groups, "warnings", warnings);
    CHECK(made != NULL);
    return made;
}

enum cli_exit cli_cluster_status(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterStatus ask = PR__CLUSTER_STATUS__INIT;

    request.call_case = PR__REQUEST__CALL_CLUSTER_STATUS;
    request.cluster_status = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_CLUSTER_STATUS)
        return cli_fail("the store gave another answer");
    const Pr__ClusterStatusAnswer *status = reply->cluster_status;
    json_t *made = status_json(status);
    if (cli_has(cli, OPTION_JSON) || !status->initialised)
        return output_done(cli, made,
                           "This node is in no cluster yet: `postraft cluster init` makes one, "
                           "`postraft cluster join` joins one.");
    printf("Cluster %s (%s) is %s; told by node %llu, version %s.\n\n", status->cluster_name,
           status->cluster_id, status->healthy ? "healthy" : "NOT healthy",
           (unsigned long long)status->node_id, status->version);
    output_table(json_object_get(made, "nodes"), output_nodes, output_nodes_count);
    putchar('\n');
    output_table(json_object_get(made, "groups"), output_groups, output_groups_count);
    printf("\nMembers: * leads, s stands by, ! is not heard of.\n");
    for (size_t i = 0; i < status->n_warnings; i++)
        printf("Note: %s.\n", status->warnings[i]);
    for (size_t i = 0; i < status->n_groups; i++)
        if (status->groups[i]->single_site)
            printf("Group %u acknowledges with replicas in one data center only: no other has "
                   "been reachable.\n",
                   (unsigned)status->groups[i]->group);
    json_decref(made);
    return CLI_OK;
}
