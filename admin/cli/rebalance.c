/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/progress.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"group", "GROUP", OUTPUT_NUMBER},
    {"from", "FROM", OUTPUT_NUMBER},
    {"to", "TO", OUTPUT_NUMBER},
    {"bytes", "BYTES", OUTPUT_BYTES},
};

static const Pr__RebalanceAnswer *ask(struct cli *cli, Pr__Rebalance__Action action)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Rebalance rebalance = PR__REBALANCE__INIT;

    rebalance.action = action;
    request.call_case = PR__REQUEST__CALL_REBALANCE;
    request.rebalance = &rebalance;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_REBALANCE) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->rebalance;
}

static json_t *moves_json(const Pr__RebalanceAnswer *answer)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < answer->n_moves; i++) {
        const Pr__RebalanceMove *move = answer->moves[i];
        json_t *row =
            json_pack("{s:I, s:I, s:I}", "group", (json_int_t)move->group, "from",
                      (json_int_t)move->from_node_id, "to", (json_int_t)move->to_node_id);
        CHECK(row != NULL);
        if (move->bytes > 0)
            CHECK(json_object_set_new(row, "bytes", json_integer((json_int_t)move->bytes)) ==
                  0);
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return rows;
}

static enum cli_exit wait_for_moves(struct cli *cli)
{
    struct progress progress;

    progress_begin(&progress, cli, "moving replicas", "cluster status");
    for (;;) {
        const Pr__GroupListAnswer *groups = progress_groups(cli);
        uint64_t left = 0;
        char detail[64] = "";
        if (groups == NULL) {
            progress_end(&progress);
            return CLI_FAILED;
        }
        for (size_t i = 0; i < groups->n_groups; i++) {
            const Pr__GroupStatus *group = groups->groups[i];
            bool moves = group->version != group->placed_version;
            left += moves || group->n_planned > 0;
            if (moves)
                snprintf(detail, sizeof(detail), "group %u is under way",
                         (unsigned)group->group);
        }
        progress_show(&progress, left, detail);
        if (left == 0)
            break;
        progress_wait(cli);
    }
    progress_end(&progress);
    return CLI_OK;
}

static enum cli_exit start(struct cli *cli)
{
    const Pr__RebalanceAnswer *answer = ask(cli, PR__REBALANCE__ACTION__START);

    if (answer == NULL)
        return CLI_FAILED;
    if (!cli_has(cli, OPTION_NO_WAIT)) {
        enum cli_exit ended = wait_for_moves(cli);
        if (ended != CLI_OK)
            return ended;
    }
    return output_done(cli,
                       json_pack("{s:s, s:I}", "event",
                                 cli_has(cli, OPTION_NO_WAIT) ? "started" : "done", "moves",
                                 (json_int_t)answer->n_moves),
                       cli_has(cli, OPTION_NO_WAIT)
                           ? "%zu moves begin, a few at a time; `postraft cluster rebalance "
                             "--stop` forgets those that have not begun"
                           : "%zu moves done",
                       answer->n_moves);
}

/* What would be copied, and how long that takes where every node receives as fast as this. */
static void say_how_much(const Pr__RebalanceAnswer *answer)
{
    if (answer->bytes == 0)
        return;
    printf("\nAbout %llu MB are copied, which takes at least %llu minutes at %u MB a second "
           "(storage.transfer_rate_mb).\n",
           (unsigned long long)(answer->bytes / 1000000 + 1),
           (unsigned long long)(answer->seconds / 60 + 1), (unsigned)answer->rate_mb);
}

static enum cli_exit plan(struct cli *cli, const Pr__RebalanceAnswer *answer)
{
    json_t *moves = moves_json(answer);

    if (cli_has(cli, OPTION_JSON)) {
        json_t *record = json_pack("{s:o}", "moves", moves);
        CHECK(record != NULL);
        if (answer->bytes > 0) {
            json_t *copies =
                json_pack("{s:I, s:I, s:I}", "bytes", (json_int_t)answer->bytes, "seconds",
                          (json_int_t)answer->seconds, "rate_mb", (json_int_t)answer->rate_mb);
            CHECK(copies != NULL && json_object_update_new(record, copies) == 0);
        }
        return output_record(cli, record, NULL, 0);
    }
    enum cli_exit ended = output_list(cli, "moves", moves, columns, OUTPUT_COUNT(columns));
    if (ended == CLI_OK && answer->n_moves > 0) {
        say_how_much(answer);
        printf("\n`postraft cluster rebalance --start` begins them.\n");
    }
    return ended;
}

enum cli_exit cli_cluster_rebalance(struct cli *cli)
{
    if (cli_has(cli, OPTION_START) + cli_has(cli, OPTION_STOP) + cli_has(cli, OPTION_PLAN) >
        1) {
        cli_fail("--plan, --start and --stop exclude each other");
        return CLI_USAGE;
    }
    if (cli_has(cli, OPTION_START))
        return start(cli);
    if (cli_has(cli, OPTION_STOP)) {
        const Pr__RebalanceAnswer *answer = ask(cli, PR__REBALANCE__ACTION__STOP);
        if (answer == NULL)
            return CLI_FAILED;
        return output_done(cli,
                           json_pack("{s:s, s:I}", "event", "stopped", "forgotten",
                                     (json_int_t)answer->waiting),
                           "%u moves forgotten; those under way go on",
                           (unsigned)answer->waiting);
    }
    const Pr__RebalanceAnswer *answer = ask(cli, PR__REBALANCE__ACTION__PLAN);
    if (answer == NULL)
        return CLI_FAILED;
    return plan(cli, answer);
}
