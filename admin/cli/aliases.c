/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/aliases.h"

#include "node/base/check.h"

static const struct output_column columns[] = {
    {"address", "ALIAS", OUTPUT_ADDRESS},
    {"tenant", "TENANT", OUTPUT_TEXT},
    {"disabled", "DISABLED", OUTPUT_YES},
    {"targets", "STANDS FOR", OUTPUT_ADDRESSES},
};

static const struct output_column show_columns[] = {
    {"address", "address", OUTPUT_ADDRESS},      {"tenant", "tenant", OUTPUT_TEXT},
    {"targets", "stands for", OUTPUT_ADDRESSES}, {"disabled", "disabled", OUTPUT_YES},
    {"created_ms", "added", OUTPUT_TIME},
};

json_t *json_of_alias(const Pr__AliasRecord *alias)
{
    static const char *const posts[] = {"anyone", "members", "owner"};
    json_t *made = json_object();

    output_add_address(made, "address", alias->address);
    output_add(made, "tenant", json_of_text(alias->tenant));
    if (alias->list != NULL) {
        unsigned post = (unsigned)alias->list->post;
        output_add_address(made, "owner", alias->list->owner);
        output_add(made, "post", json_string(post < 3 ? posts[post] : "unknown"));
        output_add(made, "description", json_of_text(alias->list->description));
        output_add(made, "members_count", json_integer((json_int_t)alias->n_targets));
    }
    output_add_addresses(made, alias->list != NULL ? "members" : "targets", alias->targets,
                         alias->n_targets);
    output_add(made, "disabled", json_boolean(alias->disabled));
    output_add(made, "created_ms", json_integer((json_int_t)alias->created_ms));
    return made;
}

/* A page behind ask->after; NULL after a message. */
static const Pr__AliasListAnswer *fetch_page(struct cli *cli, Pr__AliasList *ask)
{
    Pr__Request request = PR__REQUEST__INIT;

    request.call_case = PR__REQUEST__CALL_ALIAS_LIST;
    request.alias_list = ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_ALIAS_LIST) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->alias_list;
}

const Pr__AliasRecord *alias_fetch(struct cli *cli, const char *address, bool list)
{
    Pr__AliasList ask = PR__ALIAS_LIST__INIT;

    ask.address = arena_string(&cli->arena, bytes_of(address));
    ask.lists = list;
    const Pr__AliasListAnswer *answer = fetch_page(cli, &ask);
    if (answer == NULL)
        return NULL;
    if (answer->n_aliases == 1)
        return answer->aliases[0];
    ask.lists = !list;
    answer = fetch_page(cli, &ask);
    if (answer != NULL && answer->n_aliases == 1)
        cli_fail("%s is %s: `postraft %s` has the commands for it", address,
                 list ? "an alias" : "a list", list ? "alias" : "list");
    else if (answer != NULL)
        cli_fail("there is no %s %s; `postraft %s list` shows those there are",
                 list ? "list" : "alias", address, list ? "list" : "alias");
    return NULL;
}

/* Whether it names the address of --to: as it is kept, or as it is shown. */
static bool leads_to(struct cli *cli, const Pr__AliasRecord *alias)
{
    struct bytes to = bytes_of(cli->options[OPTION_TO]);

    for (size_t i = 0; i < alias->n_targets; i++)
        if (bytes_equal_nocase(bytes_of(alias->targets[i]), to) ||
            bytes_equal_nocase(bytes_of(output_unicode(&cli->arena, alias->targets[i])), to))
            return true;
    return !cli_has(cli, OPTION_TO);
}

enum cli_exit alias_list_print(struct cli *cli, bool lists, const char *name,
                               const struct output_column *of, size_t column_count)
{
    Pr__AliasList ask = PR__ALIAS_LIST__INIT;
    json_t *rows = json_array();
    bool more = cli_domain_named(cli, &ask.domain);

    if (!more) {
        json_decref(rows);
        return CLI_FAILED;
    }
    ask.lists = lists;
    while (more) {
        const Pr__AliasListAnswer *answer = fetch_page(cli, &ask);
        if (answer == NULL) {
            json_decref(rows);
            return CLI_FAILED;
        }
        for (size_t i = 0; i < answer->n_aliases; i++) {
            if (leads_to(cli, answer->aliases[i]))
                CHECK(json_array_append_new(rows, json_of_alias(answer->aliases[i])) == 0);
            ask.after = answer->aliases[i]->address;
        }
        more = answer->more && answer->n_aliases > 0;
    }
    return output_list(cli, name, rows, of, column_count);
}

bool alias_change_call(struct cli *cli, Pr__AliasChange *change)
{
    Pr__Request request = PR__REQUEST__INIT;

    request.call_case = PR__REQUEST__CALL_ALIAS_CHANGE;
    request.alias_change = change;
    return cli_call(cli, &request, CLI_CALL_MS) != NULL;
}

enum cli_exit alias_remove_as(struct cli *cli, const char *what)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AliasRemove remove = PR__ALIAS_REMOVE__INIT;
    bool list = strcmp(what, "list") == 0;

    remove.address = cli->arguments[0];
    if (alias_fetch(cli, remove.address, list) == NULL ||
        !cli_confirm(cli, arena_printf(&cli->arena, "Remove the %s %s?", what, remove.address)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_ALIAS_REMOVE;
    request.alias_remove = &remove;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:o}", "removed", json_of_text(remove.address)),
                       "%s %s removed", what, remove.address);
}

bool alias_read_disabled(struct cli *cli, Pr__BoolValue *value, Pr__BoolValue **given)
{
    if (cli_has(cli, OPTION_DISABLE) && cli_has(cli, OPTION_ENABLE)) {
        cli_fail("--disable and --enable exclude each other");
        return false;
    }
    value->on = cli_has(cli, OPTION_DISABLE);
    *given = value->on || cli_has(cli, OPTION_ENABLE) ? value : NULL;
    return true;
}

/* What it stands for, for one sentence. */
static const char *targets_text(struct cli *cli, const Pr__AliasRecord *alias)
{
    if (alias->n_targets == 0)
        return "nothing: mail for it is refused";
    if (alias->n_targets == 1)
        return output_unicode(&cli->arena, alias->targets[0]);
    return arena_printf(&cli->arena, "%zu addresses", alias->n_targets);
}

/* Other servers write a catch-all like an alias; here * would be a letter like any other. */
static bool is_catch_all(const char *address)
{
    if (address[0] != '@' && strncmp(address, "*@", 2) != 0)
        return false;
    cli_fail("a catch-all is not an alias: `postraft domain route %s --catch-all ADDRESS`",
             strchr(address, '@') + 1);
    return true;
}

enum cli_exit cli_alias_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AliasAdd add = PR__ALIAS_ADD__INIT;

    add.address = cli->arguments[0];
    if (is_catch_all(add.address))
        return CLI_USAGE;
    add.targets = cli->arguments + 1;
    add.n_targets = cli->argument_count - 1;
    request.call_case = PR__REQUEST__CALL_ALIAS_ADD;
    request.alias_add = &add;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    const Pr__AliasRecord *made = alias_fetch(cli, add.address, false);
    if (made == NULL)
        return CLI_FAILED;
    cli_refused_remark(cli, add.address);
    return output_done(cli, json_of_alias(made), "alias %s added: it stands for %s",
                       output_unicode(&cli->arena, made->address), targets_text(cli, made));
}

enum cli_exit cli_alias_change(struct cli *cli)
{
    Pr__AliasChange change = PR__ALIAS_CHANGE__INIT;
    Pr__BoolValue disabled = PR__BOOL_VALUE__INIT;

    change.address = cli->arguments[0];
    change.add = cli_values(cli, OPTION_ADD, &change.n_add);
    change.remove = cli_values(cli, OPTION_REMOVE, &change.n_remove);
    if (!alias_read_disabled(cli, &disabled, &change.disabled))
        return CLI_USAGE;
    if (change.n_add + change.n_remove == 0 && change.disabled == NULL)
        return cli_fail("say what to change: --add, --remove, --disable or --enable"),
               CLI_USAGE;
    if (alias_fetch(cli, change.address, false) == NULL || !alias_change_call(cli, &change))
        return CLI_FAILED;
    const Pr__AliasRecord *now = alias_fetch(cli, change.address, false);
    if (now == NULL)
        return CLI_FAILED;
    if (!now->disabled && now->n_targets > 0)
        cli_refused_remark(cli, now->address);
    return output_done(
        cli, json_of_alias(now), "alias %s stands for %s%s",
        output_unicode(&cli->arena, now->address), targets_text(cli, now),
        now->disabled && now->n_targets > 0 ? " and is disabled: mail for it is refused" : "");
}

enum cli_exit cli_alias_remove(struct cli *cli)
{
    return alias_remove_as(cli, "alias");
}

enum cli_exit cli_alias_list(struct cli *cli)
{
    return alias_list_print(cli, false, "aliases", columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_alias_show(struct cli *cli)
{
    const Pr__AliasRecord *alias = alias_fetch(cli, cli->arguments[0], false);

    if (alias == NULL)
        return CLI_FAILED;
    return output_record(cli, json_of_alias(alias), show_columns, OUTPUT_COUNT(show_columns));
}
