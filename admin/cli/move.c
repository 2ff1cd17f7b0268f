/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts that move to another group. The cluster does it; this only watches. */
#include <stdio.h>

#include "admin/cli/progress.h"

static const Pr__AccountShowAnswer *show(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountShow ask = PR__ACCOUNT_SHOW__INIT;

    ask.address = cli->arguments[0];
    request.call_case = PR__REQUEST__CALL_ACCOUNT_SHOW;
    request.account_show = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_ACCOUNT_SHOW ||
        reply->account_show->account == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->account_show;
}

/* Until the account moves no more. */
static const Pr__AccountShowAnswer *watch(struct cli *cli)
{
    struct progress progress;
    const Pr__AccountShowAnswer *answer;

    progress_begin(&progress, cli, arena_printf(&cli->arena, "moving %s", cli->arguments[0]),
                   arena_printf(&cli->arena, "account show %s", cli->arguments[0]));
    while ((answer = show(cli)) != NULL && answer->move != NULL) {
        uint64_t there = answer->moved_messages;
        progress_show(&progress, answer->messages > there ? answer->messages - there : 0,
                      "messages");
        progress_wait(cli);
    }
    if (answer != NULL && progress.begun)
        progress_show(&progress, 0, "messages");
    progress_end(&progress);
    return answer;
}

enum cli_exit cli_account_move(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountMove move = PR__ACCOUNT_MOVE__INIT;

    if (cli_has(cli, OPTION_GROUP) == cli_has(cli, OPTION_CANCEL)) {
        cli_fail("\"account move\" needs --group, or --cancel");
        return CLI_USAGE;
    }
    if (!cli_number(cli, OPTION_GROUP, 1, UINT32_MAX, &move.group))
        return CLI_USAGE;
    move.address = cli->arguments[0];
    move.cancel = cli_has(cli, OPTION_CANCEL);
    request.call_case = PR__REQUEST__CALL_ACCOUNT_MOVE;
    request.account_move = &move;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    if (move.cancel)
        return output_done(cli, json_pack("{s:s}", "stays", move.address),
                           "%s stays where it is", move.address);
    if (cli_has(cli, OPTION_NO_WAIT))
        return output_done(
            cli,
            json_pack("{s:s, s:I}", "moving", move.address, "group", (json_int_t)move.group),
            "%s moves to group %u; `postraft account show` tells how far it is", move.address,
            move.group);
    const Pr__AccountShowAnswer *answer = watch(cli);
    if (answer == NULL)
        return CLI_FAILED;
    if (answer->account->group != move.group)
        return cli_fail("%s is in group %u: the move was cancelled", move.address,
                        answer->account->group);
    return output_done(
        cli, json_pack("{s:s, s:I}", "moved", move.address, "group", (json_int_t)move.group),
        "%s is in group %u", move.address, move.group);
}
