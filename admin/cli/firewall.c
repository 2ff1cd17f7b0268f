/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/rules.h"

#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/schema/settings_value.h"

static const struct output_column columns[] = {
    {"net", "NET", OUTPUT_TEXT},        {"action", "ACTION", OUTPUT_TEXT},
    {"since_ms", "SINCE", OUTPUT_TIME}, {"until_ms", "UNTIL", OUTPUT_TIME},
    {"rule", "RULE", OUTPUT_TEXT},      {"reason", "WHY", OUTPUT_TEXT},
};

static const struct output_column rule_columns[] = {
    {"name", "RULE", OUTPUT_TEXT},
    {"counts", "COUNTS", OUTPUT_TEXT},
    {"by", "BY", OUTPUT_TEXT},
    {"limit", "LIMIT", OUTPUT_NUMBER},
    {"window_s", "IN S", OUTPUT_NUMBER},
    {"action", "THEN", OUTPUT_TEXT},
    {"help", "WHAT IT IS FOR", OUTPUT_TEXT},
};

static const char *action_text(Pr__FirewallAction action)
{
    switch (action) {
    case PR__FIREWALL_ACTION__FIREWALL_ALLOW:
        return "allow";
    case PR__FIREWALL_ACTION__FIREWALL_DENY:
        return "deny";
    case PR__FIREWALL_ACTION__FIREWALL_BAN:
        return "ban";
    default:
        return "exempt";
    }
}

static json_t *json_of_entry(const Pr__FirewallEntry *entry)
{
    json_t *row = json_object();
    bool known = entry->rule < FIREWALL_RULE_COUNT &&
                 firewall_rule_exists((enum firewall_rule_id)entry->rule);
    const struct firewall_rule *rule =
        known ? firewall_rule((enum firewall_rule_id)entry->rule) : NULL;

    output_add(row, "net", json_of_text(entry->net));
    output_add(row, "action", json_of_text(action_text(entry->action)));
    output_add(row, "since_ms", json_integer((json_int_t)entry->since_ms));
    output_add(row, "until_ms",
               entry->until_ms != 0 ? json_integer((json_int_t)entry->until_ms) : json_null());
    output_add(row, "level", json_integer(entry->level));
    output_add(row, "rule", rule != NULL ? json_of_text(rule->name) : json_null());
    output_add(row, "reason", json_of_text(entry->reason));
    return row;
}

enum cli_exit cli_firewall_list(struct cli *cli)
{
    json_t *rows = json_array();
    Pr__FirewallList ask = PR__FIREWALL_LIST__INIT;
    bool more = true;

    if (cli->argument_count > 0)
        ask.net = cli->arguments[0];
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_FIREWALL_LIST;
        request.firewall_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_FIREWALL_LIST) {
            json_decref(rows);
            return reply == NULL ? CLI_FAILED : cli_fail("the store gave another answer");
        }
        const Pr__FirewallListAnswer *answer = reply->firewall_list;
        for (size_t i = 0; i < answer->n_entries; i++) {
            const Pr__FirewallEntry *entry = answer->entries[i];
            ask.after = entry->net;
            if (!cli_has(cli, OPTION_BANS) ||
                entry->action == PR__FIREWALL_ACTION__FIREWALL_BAN)
                CHECK(json_array_append_new(rows, json_of_entry(entry)) == 0);
        }
        more = answer->more && answer->n_entries > 0 && cli->argument_count == 0;
    }
    return output_list(cli, "entries", rows, columns, OUTPUT_COUNT(columns));
}

static enum cli_exit put(struct cli *cli, Pr__FirewallAction action, const char *done)
{
    size_t count = cli->argument_count;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FirewallPut call = PR__FIREWALL_PUT__INIT;
    uint64_t until_ms = 0;
    int64_t during_ms;

    if (cli_has(cli, OPTION_DURING)) {
        if (!value_duration(bytes_of(cli->options[OPTION_DURING]), &during_ms) ||
            during_ms <= 0)
            return cli_fail("%s is no time; it looks like 10m, 2h or 7d",
                            cli->options[OPTION_DURING]),
                   CLI_USAGE;
        until_ms = clock_wall_ms() + (uint64_t)during_ms;
    }
    call.entries = arena_alloc(&cli->arena, count * sizeof(*call.entries));
    call.n_entries = count;
    for (size_t i = 0; i < count; i++) {
        Pr__FirewallEntry *entry = arena_alloc(&cli->arena, sizeof(*entry));
        pr__firewall_entry__init(entry);
        entry->net = cli->arguments[i];
        entry->action = action;
        entry->until_ms = until_ms;
        if (cli_has(cli, OPTION_REASON))
            entry->reason = arena_string(&cli->arena, bytes_of(cli->options[OPTION_REASON]));
        call.entries[i] = entry;
    }
    request.call_case = PR__REQUEST__CALL_FIREWALL_PUT;
    request.firewall_put = &call;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    output_add(made, "nets", json_integer((json_int_t)count));
    output_add(made, "action", json_of_text(action_text(action)));
    return output_done(cli, made, "%zu %s %s, on every node within a second", count,
                       count == 1 ? "net is" : "nets are", done);
}

enum cli_exit cli_firewall_allow(struct cli *cli)
{
    return put(cli, PR__FIREWALL_ACTION__FIREWALL_ALLOW, "allowed");
}

enum cli_exit cli_firewall_deny(struct cli *cli)
{
    return put(cli, PR__FIREWALL_ACTION__FIREWALL_DENY, "denied");
}

enum cli_exit cli_firewall_ban(struct cli *cli)
{
    return put(cli, PR__FIREWALL_ACTION__FIREWALL_BAN, "banned");
}

enum cli_exit cli_firewall_remove(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FirewallRemove call = PR__FIREWALL_REMOVE__INIT;

    call.nets = cli->arguments;
    call.n_nets = cli->argument_count;
    request.call_case = PR__REQUEST__CALL_FIREWALL_REMOVE;
    request.firewall_remove = &call;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    output_add(made, "nets", json_integer((json_int_t)cli->argument_count));
    return output_done(cli, made, "taken back");
}

enum cli_exit cli_firewall_explain(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FirewallExplain call = PR__FIREWALL_EXPLAIN__INIT;

    call.address = cli->arguments[0];
    request.call_case = PR__REQUEST__CALL_FIREWALL_EXPLAIN;
    request.firewall_explain = &call;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_FIREWALL_EXPLAIN)
        return cli_fail("the store gave another answer");
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < reply->firewall_explain->n_lines; i++)
        buffer_add_string(&text, reply->firewall_explain->lines[i]);
    if (buffer_len(&text) == 0)
        buffer_add_string(&text, "nothing is known of this address");
    struct bytes words = bytes_trim(buffer_bytes(&text));
    while (words.len > 0 && words.at[words.len - 1] == '\n')
        words.len--;
    char *said = arena_string(&cli->arena, words);
    buffer_fini(&text);
    json_t *made = json_object();
    output_add(made, "text", json_of_text(said));
    return output_done(cli, made, "%s", said);
}

enum cli_exit cli_firewall_rules(struct cli *cli)
{
    json_t *rows = json_array();

    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++) {
        if (!firewall_rule_exists((enum firewall_rule_id)id))
            continue;
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)id);
        json_t *row = json_object();
        output_add(row, "name", json_of_text(rule->name));
        output_add(row, "counts", json_of_text(firewall_counted_name(rule->counted)));
        output_add(row, "by", json_of_text(firewall_keyed_name(rule->keyed)));
        output_add(row, "limit", json_integer(rule->limit));
        output_add(row, "window_s", json_integer(rule->window_s));
        output_add(row, "action", json_of_text(firewall_action_name(rule->action)));
        output_add(row, "help", json_of_text(rule->help));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return output_list(cli, "rules", rows, rule_columns, OUTPUT_COUNT(rule_columns));
}
