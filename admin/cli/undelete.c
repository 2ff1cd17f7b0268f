/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail that is gone but not yet freed. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"expunged_ms", "EXPUNGED", OUTPUT_TIME},
    {"mailbox", "MAILBOX", OUTPUT_TEXT},
    {"uid", "UID", OUTPUT_NUMBER},
    {"received_ms", "RECEIVED", OUTPUT_TIME},
    {"size", "SIZE", OUTPUT_BYTES},
};

/* "2026-11-22", "2026-11-22T10:00", in local time; "3h", "2d", "90m" ago. */
static bool read_time(const char *text, uint64_t *time_ms)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}};
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    struct bytes number = bytes_of(text);
    uint64_t count;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && number.len > 1; i++) {
        if (number.at[number.len - 1] != (uint8_t)units[i].unit)
            continue;
        number.len--;
        if (!bytes_to_u64(number, &count) || count > UINT32_MAX)
            return false;
        *time_ms = ((uint64_t)time(NULL) - count * units[i].seconds) * 1000;
        return count * units[i].seconds <= (uint64_t)time(NULL);
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm parts;
        memset(&parts, 0, sizeof(parts));
        parts.tm_isdst = -1;
        const char *end = strptime(text, forms[i], &parts);
        time_t seconds = end != NULL && *end == '\0' ? mktime(&parts) : -1;
        if (seconds >= 0) {
            *time_ms = (uint64_t)seconds * 1000;
            return true;
        }
    }
    return false;
}

static bool read_which(struct cli *cli, Pr__ExpungedList *which)
{
    const char *mailbox = cli->options[OPTION_MAILBOX];

    if (mailbox != NULL)
        which->mailbox = arena_string(&cli->arena, bytes_of(mailbox));
    if (!cli_has(cli, OPTION_SINCE) || read_time(cli->options[OPTION_SINCE], &which->since_ms))
        return true;
    cli_fail("\"%s\" is no time: give 2026-11-22, 2026-11-22T10:00, or 90m, 3h, 2d ago",
             cli->options[OPTION_SINCE]);
    return false;
}

static void add_rows(json_t *rows, const Pr__AccountUndeleteAnswer *answer)
{
    for (size_t i = 0; i < answer->n_messages; i++) {
        const Pr__ExpungedInfo *info = answer->messages[i];
        json_t *row =
            json_pack("{s:I, s:s, s:I, s:I, s:I}", "expunged_ms", (json_int_t)info->id->time_ms,
                      "mailbox", info->mailbox, "uid", (json_int_t)info->id->uid, "received_ms",
                      (json_int_t)info->internal_s * 1000, "size", (json_int_t)info->size);
        CHECK(json_array_append_new(rows, row) == 0);
    }
}

static void progress(const struct cli *cli, uint64_t restored, bool end)
{
    if (cli_has(cli, OPTION_JSON) || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%llu messages are back%s", (unsigned long long)restored,
            end ? "\n" : "...");
}

enum cli_exit cli_account_undelete(struct cli *cli)
{
    Pr__AccountUndelete ask = PR__ACCOUNT_UNDELETE__INIT;
    Pr__ExpungedList which = PR__EXPUNGED_LIST__INIT;
    json_t *rows = json_array();
    uint64_t restored = 0;

    ask.address = cli->arguments[0];
    ask.which = &which;
    ask.list = cli_has(cli, OPTION_LIST);
    if (cli_has(cli, OPTION_TO))
        ask.to = arena_string(&cli->arena, bytes_of(cli->options[OPTION_TO]));
    if (!read_which(cli, &which)) {
        json_decref(rows);
        return CLI_USAGE;
    }
    do {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_ACCOUNT_UNDELETE;
        request.account_undelete = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_ACCOUNT_UNDELETE) {
            json_decref(rows);
            if (restored > 0)
                cli_fail("%llu messages were brought back before",
                         (unsigned long long)restored);
            return CLI_FAILED;
        }
        add_rows(rows, reply->account_undelete);
        restored += reply->account_undelete->restored;
        which.after = reply->account_undelete->next;
        progress(cli, restored, which.after == NULL);
    } while (which.after != NULL);
    if (ask.list)
        return output_list(cli, "messages", rows, columns, OUTPUT_COUNT(columns));
    json_decref(rows);
    return output_done(
        cli, json_pack("{s:s, s:I}", "address", ask.address, "restored", (json_int_t)restored),
        "%s: %llu messages are back, as new ones", ask.address, (unsigned long long)restored);
}

enum cli_exit cli_account_restore(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountRestore restore = PR__ACCOUNT_RESTORE__INIT;

    restore.address = cli->arguments[0];
    request.call_case = PR__REQUEST__CALL_ACCOUNT_RESTORE;
    request.account_restore = &restore;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    uint64_t id = reply->outcome != NULL ? reply->outcome->id : 0;
    return output_done(
        cli, json_pack("{s:I, s:s}", "id", (json_int_t)id, "address", restore.address),
        "%s is back, with its mail and its password", restore.address);
}

enum cli_exit cli_account_purge(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountPurgeCall purge = PR__ACCOUNT_PURGE_CALL__INIT;

    purge.address = cli->arguments[0];
    if (!cli_confirm(cli, arena_printf(&cli->arena,
                                       "Free, for good, what was expunged from %s, and removed "
                                       "accounts of that address?",
                                       purge.address)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_PURGE;
    request.account_purge = &purge;
    if (cli_call(cli, &request, CLI_LONG_CALL_MS) == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:s}", "purged", purge.address),
                       "what was expunged from %s is gone", purge.address);
}
