/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"
#include "admin/cli/progress.h"
#include "node/base/check.h"

static const struct output_column environments[] = {
    {"name", "NAME", OUTPUT_TEXT},
    {"file_bytes", "ON DISK", OUTPUT_BYTES},
    {"used_bytes", "USED", OUTPUT_BYTES},
    {"free_bytes", "FREE IN IT", OUTPUT_BYTES},
    {"map_bytes", "AT MOST", OUTPUT_BYTES},
    {"reading", "READERS", OUTPUT_NUMBER},
    {"oldest_read_ms", "OLDEST, ms", OUTPUT_NUMBER},
};

static const struct output_column tables[] = {
    {"environment", "IN", OUTPUT_TEXT},
    {"name", "TABLE", OUTPUT_TEXT},
    {"rows", "ROWS", OUTPUT_NUMBER},
    {"bytes", "SIZE", OUTPUT_BYTES},
};

static const struct output_column check_columns[] = {
    {"running", "running", OUTPUT_YES},
    {"begun_ms", "begun", OUTPUT_TIME},
    {"ended_ms", "ended", OUTPUT_TIME},
    {"groups", "groups", OUTPUT_NUMBER},
    {"groups_done", "of these done", OUTPUT_NUMBER},
    {"bodies", "bodies", OUTPUT_NUMBER},
    {"bytes", "read", OUTPUT_BYTES},
    {"damaged", "damaged", OUTPUT_NUMBER},
    {"repaired", "repaired", OUTPUT_NUMBER},
    {"lost", "lost", OUTPUT_NUMBER},
    {"ranges", "ranges of rows compared", OUTPUT_NUMBER},
    {"ranges_open", "not sure of", OUTPUT_NUMBER},
};

static const struct output_column difference_columns[] = {
    {"group", "GROUP", OUTPUT_NUMBER},
    {"table", "ROWS OF", OUTPUT_TEXT},
    {"node", "NOT AS ON NODE", OUTPUT_NUMBER},
    {"minority", "ALONE", OUTPUT_NUMBER},
};

static json_int_t number(uint64_t value)
{
    return (json_int_t)value;
}

static void add_environment(json_t *environment_rows, json_t *table_rows,
                            const Pr__StorageEnvironment *row)
{
    json_t *made =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", row->name, "file_bytes",
                  number(row->file_bytes), "used_bytes", number(row->used_bytes), "free_bytes",
                  number(row->free_bytes), "map_bytes", number(row->map_bytes), "reading",
                  number(row->reading), "oldest_read_ms", number(row->oldest_read_ms));

    CHECK(made != NULL && json_array_append_new(environment_rows, made) == 0);
    if (row->map_bytes == 0) /* the log grows as it must */
        CHECK(json_object_set_new(made, "map_bytes", json_null()) == 0);
    for (size_t i = 0; i < row->n_tables; i++) {
        made = json_pack("{s:s, s:s, s:I, s:I}", "environment", row->name, "name",
                         row->tables[i]->name, "rows", number(row->tables[i]->rows), "bytes",
                         number(row->tables[i]->bytes));
        CHECK(made != NULL && json_array_append_new(table_rows, made) == 0);
    }
}

enum cli_exit cli_storage_stat(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__StorageStat ask = PR__STORAGE_STAT__INIT;

    request.call_case = PR__REQUEST__CALL_STORAGE_STAT;
    request.storage_stat = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_STORAGE_STAT)
        return cli_fail("the store gave another answer");
    json_t *environment_rows = json_array();
    json_t *table_rows = json_array();
    for (size_t i = 0; i < reply->storage_stat->n_environments; i++)
        add_environment(environment_rows, table_rows, reply->storage_stat->environments[i]);
    if (!cli_has(cli, OPTION_JSON)) {
        output_table(environment_rows, environments, OUTPUT_COUNT(environments));
        fputc('\n', stdout);
        json_decref(environment_rows);
        return output_list(cli, "tables", table_rows, tables, OUTPUT_COUNT(tables));
    }
    return output_done(
        cli, json_pack("{s:o, s:o}", "environments", environment_rows, "tables", table_rows),
        "%s", "");
}

static const Pr__StorageCheckAnswer *ask_check(struct cli *cli, bool start, bool repair)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__StorageCheck ask = PR__STORAGE_CHECK__INIT;

    ask.start = start;
    ask.repair = repair;
    request.call_case = PR__REQUEST__CALL_STORAGE_CHECK;
    request.storage_check = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case == PR__REPLY__ANSWER_STORAGE_CHECK)
        return reply->storage_check;
    cli_fail("the store gave another answer");
    return NULL;
}

static json_t *differences_json(const Pr__StorageCheckAnswer *answer)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < answer->n_differences; i++) {
        const Pr__RowDifference *row = answer->differences[i];
        json_t *made =
            json_pack("{s:I, s:s, s:I, s:I}", "group", number(row->group), "table", row->table,
                      "node", number(row->node_id), "minority", number(row->minority_node_id));
        CHECK(made != NULL && json_array_append_new(rows, made) == 0);
    }
    return rows;
}

static enum cli_exit repair(struct cli *cli)
{
    if (!cli_confirm(cli, "The states of groups whose rows are alone on this node are fetched "
                          "anew from another node. Go on?"))
        return CLI_FAILED;
    const Pr__StorageCheckAnswer *answer = ask_check(cli, false, true);
    if (answer == NULL)
        return CLI_FAILED;
    return output_done(
        cli, json_pack("{s:I}", "groups", number(answer->repairing)),
        "The states of %u groups are being fetched (`postraft group show`). Check "
        "again when they are whole, here and where it was found.",
        (unsigned)answer->repairing);
}

enum cli_exit cli_storage_check(struct cli *cli)
{
    if (cli_has(cli, OPTION_REPAIR))
        return repair(cli);
    struct progress progress;
    const Pr__StorageCheckAnswer *answer = ask_check(cli, !cli_has(cli, OPTION_STATUS), false);
    bool waits = !cli_has(cli, OPTION_STATUS) && !cli_has(cli, OPTION_NO_WAIT);

    if (waits)
        progress_begin(&progress, cli, "groups to look at", "postraft storage check --status");
    while (answer != NULL && waits && answer->running) {
        progress_show(&progress, answer->groups - answer->groups_done, "");
        progress_wait(cli);
        answer = ask_check(cli, false, false);
    }
    if (waits)
        progress_end(&progress);
    if (answer == NULL)
        return CLI_FAILED;
    json_t *differences = differences_json(answer);
    if (!cli_has(cli, OPTION_JSON) && answer->n_differences > 0) {
        printf(
            "Rows that are not the same on all replicas (alone: the node that differs from a "
            "majority, 0: nobody knows):\n");
        output_table(differences, difference_columns, OUTPUT_COUNT(difference_columns));
        fputc('\n', stdout);
    }
    enum cli_exit ended = output_record(
        cli,
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                  "running", (int)answer->running, "begun_ms", number(answer->begun_ms),
                  "ended_ms", number(answer->ended_ms), "groups", number(answer->groups),
                  "groups_done", number(answer->groups_done), "bodies", number(answer->bodies),
                  "bytes", number(answer->bytes), "damaged", number(answer->damaged),
                  "repaired", number(answer->repaired), "lost", number(answer->lost), "ranges",
                  number(answer->ranges), "ranges_open", number(answer->ranges_open),
                  "differences", differences),
        check_columns, OUTPUT_COUNT(check_columns));
    return ended == CLI_OK && (answer->lost > 0 || answer->n_differences > 0) ? CLI_FAILED
                                                                              : ended;
}

enum cli_exit cli_storage_compact(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__StorageCompact compact = PR__STORAGE_COMPACT__INIT;

    if (!cli_confirm(cli,
                     "This node serves nothing while its databases are written anew. Go on?"))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_STORAGE_COMPACT;
    request.storage_compact = &compact;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:s}", "text", reply->text), "%s", reply->text);
}
