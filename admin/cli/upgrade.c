/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"node_id", "NODE", OUTPUT_NUMBER},
    {"name", "NAME", OUTPUT_TEXT},
    {"reachable", "REACHABLE", OUTPUT_YES},
    {"newest", "KNOWS FORMAT", OUTPUT_NUMBER},
};

static json_t *upgrade_json(const Pr__ClusterUpgradeAnswer *answer)
{
    json_t *nodes = json_array();

    for (size_t i = 0; i < answer->n_nodes; i++) {
        const Pr__NodeFormat *node = answer->nodes[i];
        json_t *row = json_pack("{s:I, s:s, s:b, s:I}", "node_id", (json_int_t)node->node_id,
                                "name", node->name, "reachable", (int)node->reachable, "newest",
                                (json_int_t)node->newest);
        CHECK(row != NULL && json_array_append_new(nodes, row) == 0);
    }
    json_t *made = json_pack("{s:I, s:I, s:o}", "format", (json_int_t)answer->format, "newest",
                             (json_int_t)answer->newest, "nodes", nodes);
    CHECK(made != NULL);
    return made;
}

enum cli_exit cli_cluster_upgrade(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterUpgrade upgrade = PR__CLUSTER_UPGRADE__INIT;

    upgrade.check = cli_has(cli, OPTION_CHECK);
    if (!upgrade.check &&
        !cli_confirm(cli, "The release before cannot be put back after this. Go on?"))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_CLUSTER_UPGRADE;
    request.cluster_upgrade = &upgrade;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_CLUSTER_UPGRADE)
        return cli_fail("the store gave another answer");
    const Pr__ClusterUpgradeAnswer *answer = reply->cluster_upgrade;
    json_t *made = upgrade_json(answer);
    if (cli_has(cli, OPTION_JSON))
        return output_done(cli, made, "%s", "");
    output_table(json_object_get(made, "nodes"), columns, OUTPUT_COUNT(columns));
    json_decref(made);
    if (answer->format >= answer->newest)
        printf("\nThe cluster has format %u, the newest that this node knows.\n",
               (unsigned)answer->format);
    else
        printf("\nThe cluster has format %u; this node knows %u. %s\n",
               (unsigned)answer->format, (unsigned)answer->newest,
               reply->text[0] != '\0' ? reply->text
                                      : "`postraft cluster upgrade` finishes the upgrade.");
    return CLI_OK;
}
