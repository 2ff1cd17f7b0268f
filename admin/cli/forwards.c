/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"address", "account", OUTPUT_ADDRESS},
    {"targets", "forwarded to", OUTPUT_ADDRESSES},
    {"keep", "INBOX gets it too", OUTPUT_YES},
};

static json_t *json_of_forward(const char *address, const Pr__AccountForward *forward)
{
    json_t *made = json_object();

    output_add_address(made, "address", address);
    output_add_addresses(made, "targets", forward != NULL ? forward->targets : NULL,
                         forward != NULL ? forward->n_targets : 0);
    output_add(made, "keep",
               json_boolean(forward == NULL || forward->n_targets == 0 || forward->keep));
    return made;
}

static bool forward_put(struct cli *cli, Pr__AccountForward *forward)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountAlter alter = PR__ACCOUNT_ALTER__INIT;

    alter.address = cli->arguments[0];
    alter.forward = forward;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_ALTER;
    request.account_alter = &alter;
    return cli_call(cli, &request, CLI_CALL_MS) != NULL;
}

enum cli_exit cli_forward_set(struct cli *cli)
{
    Pr__AccountForward forward = PR__ACCOUNT_FORWARD__INIT;

    forward.targets = cli->arguments + 1;
    forward.n_targets = cli->argument_count - 1;
    forward.keep = cli_has(cli, OPTION_KEEP);
    if (!forward_put(cli, &forward))
        return CLI_FAILED;
    cli_refused_remark(cli, cli->arguments[0]);
    return output_done(cli, json_of_forward(cli->arguments[0], &forward),
                       "mail for %s goes to %s, %s its INBOX", cli->arguments[0],
                       forward.n_targets == 1
                           ? forward.targets[0]
                           : arena_printf(&cli->arena, "%zu addresses", forward.n_targets),
                       forward.keep ? "and into" : "not into");
}

enum cli_exit cli_forward_clear(struct cli *cli)
{
    Pr__AccountForward forward = PR__ACCOUNT_FORWARD__INIT;

    if (!forward_put(cli, &forward))
        return CLI_FAILED;
    return output_done(cli, json_of_forward(cli->arguments[0], &forward),
                       "mail for %s goes into its INBOX", cli->arguments[0]);
}

enum cli_exit cli_forward_show(struct cli *cli)
{
    const Pr__AccountShowAnswer *answer = cli_account_fetch(cli, cli->arguments[0]);

    if (answer == NULL)
        return CLI_FAILED;
    return output_record(cli,
                         json_of_forward(answer->account->address, answer->account->forward),
                         columns, OUTPUT_COUNT(columns));
}
