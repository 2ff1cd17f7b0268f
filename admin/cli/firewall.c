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
    {"window_s", "SECONDS", OUTPUT_NUMBER},
    {"set", "SET TO", OUTPUT_TEXT},
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

/* Shorter ones hold more than any one network has. */
enum { WIDE_IPV4_BITS = 8, WIDE_IPV6_BITS = 19 };

static bool is_wide(const char *net)
{
    const char *slash = strchr(net, '/');
    uint64_t bits = 0;
    bool ipv6 = strchr(net, ':') != NULL;

    return slash != NULL && bytes_to_u64(bytes_of(slash + 1), &bits) &&
           bits < (ipv6 ? WIDE_IPV6_BITS : WIDE_IPV4_BITS);
}

/* A slip in a net's length can shut out, or let in, most of the world. */
static bool confirm_wide(struct cli *cli, Pr__FirewallAction action)
{
    for (unsigned i = 0; i < cli->argument_count; i++)
        if (is_wide(cli->arguments[i]) &&
            !cli_confirm(cli,
                         arena_printf(&cli->arena, "%s is a large part of the Internet: %s it?",
                                      cli->arguments[i], action_text(action))))
            return false;
    return true;
}

static void remark_loopback(const char *net)
{
    if (strncmp(net, "127.", 4) == 0 || strcmp(net, "::1") == 0)
        fputs("postraft: programs of this machine (loopback addresses) are let in whatever is "
              "said of them\n",
              stderr);
}

/* "192.0.2.7 is banned until 2026-11-22 12:00:00, on every node within a second" */
static enum cli_exit put_done(struct cli *cli, Pr__FirewallAction action, const char *done,
                              uint64_t until_ms)
{
    json_t *made = json_object();
    json_t *nets = json_array();
    unsigned count = cli->argument_count;
    const char *until = until_ms != 0 ? output_time(&cli->arena, until_ms) : NULL;

    for (unsigned i = 0; i < count; i++) {
        CHECK(json_array_append_new(nets, json_of_text(cli->arguments[i])) == 0);
        remark_loopback(cli->arguments[i]);
    }
    output_add(made, "nets", nets);
    output_add(made, "action", json_of_text(action_text(action)));
    output_add(made, "until_ms",
               until_ms != 0 ? json_integer((json_int_t)until_ms) : json_null());
    const char *who =
        count == 1 ? cli->arguments[0] : arena_printf(&cli->arena, "%u nets", count);
    return output_done(cli, made, "%s %s %s%s%s, on every node within a second", who,
                       count == 1 ? "is" : "are", done, until != NULL ? " until " : "",
                       until != NULL ? until : " for good");
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
    if (!confirm_wide(cli, action))
        return CLI_FAILED;
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
    return put_done(cli, action, done, until_ms);
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
    return output_done(
        cli, made, "taken back what was said of %s, on every node within a second",
        cli->argument_count == 1 ? cli->arguments[0]
                                 : arena_printf(&cli->arena, "%u nets", cli->argument_count));
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
    remark_loopback(call.address);
    return output_done(cli, made, "%s", said);
}

/* What an operator has set instead of a rule's limit; NULL: nothing. */
static const char *set_value(struct cli *cli, const Pr__SettingListAnswer *set,
                             const char *rule)
{
    const char *name = arena_printf(&cli->arena, "firewall.%s", rule);

    for (size_t i = 0; i < set->n_settings; i++)
        if (strcmp(set->settings[i]->name, name) == 0)
            return set->settings[i]->value;
    return NULL;
}

enum cli_exit cli_firewall_rules(struct cli *cli)
{
    const Pr__SettingListAnswer *set =
        cli_settings_fetch(cli, PR__SETTING_SCOPE__SETTING_CLUSTER, NULL);

    if (set == NULL)
        return CLI_FAILED;
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
        const char *value = set_value(cli, set, rule->name);
        output_add(row, "set", value != NULL ? json_of_text(value) : json_null());
        output_add(row, "action", json_of_text(firewall_action_name(rule->action)));
        output_add(row, "help", json_of_text(rule->help));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return output_list(cli, "rules", rows, rule_columns, OUTPUT_COUNT(rule_columns));
}
