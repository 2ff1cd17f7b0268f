/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

enum cli_exit cli_node_list(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__NodeList ask = PR__NODE_LIST__INIT;
    json_t *rows = NULL;

    request.call_case = PR__REQUEST__CALL_NODE_LIST;
    request.node_list = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_NODE_LIST)
        return cli_fail("the store gave another answer");
    rows = json_array();
    for (size_t i = 0; i < reply->node_list->n_nodes; i++)
        CHECK(json_array_append_new(rows, json_of_node(reply->node_list->nodes[i])) == 0);
    return output_list(cli, "nodes", rows, output_nodes, output_nodes_count);
}

enum cli_exit cli_group_list(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__GroupList ask = PR__GROUP_LIST__INIT;
    json_t *rows = NULL;

    request.call_case = PR__REQUEST__CALL_GROUP_LIST;
    request.group_list = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_GROUP_LIST)
        return cli_fail("the store gave another answer");
    rows = json_array();
    for (size_t i = 0; i < reply->group_list->n_groups; i++)
        CHECK(json_array_append_new(rows, json_of_group(reply->group_list->groups[i])) == 0);
    return output_list(cli, "groups", rows, output_groups, output_groups_count);
}

/* "name value" lines, but for those that begin with '#'. */
static json_t *metrics_json(struct cli *cli, const char *text)
{
    json_t *made = json_object();
    struct bytes rest = bytes_of(text);

    while (rest.len > 0) {
        struct bytes line = bytes_from(rest.at, bytes_find(rest, '\n'));
        uint64_t value = 0;
        rest = bytes_skip(rest, line.len + 1);
        struct bytes name = bytes_take_word(&line);
        if (name.len > 0 && name.at[0] != '#' && bytes_to_u64(line, &value))
            CHECK(json_object_set_new(made, arena_string(&cli->arena, name),
                                      json_integer((json_int_t)value)) == 0);
    }
    return made;
}

enum cli_exit cli_metrics(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__MetricsRead ask = PR__METRICS_READ__INIT;

    request.call_case = PR__REQUEST__CALL_METRICS_READ;
    request.metrics_read = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_METRICS)
        return cli_fail("the store gave another answer");
    if (cli_has(cli, OPTION_JSON))
        return output_done(cli, metrics_json(cli, reply->metrics->text), "%s", "");
    fputs(reply->metrics->text, stdout);
    return CLI_OK;
}
