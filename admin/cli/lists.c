/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/aliases.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"address", "LIST", OUTPUT_ADDRESS},         {"tenant", "TENANT", OUTPUT_TEXT},
    {"owner", "OWNER", OUTPUT_ADDRESS},          {"post", "WHO MAY POST", OUTPUT_TEXT},
    {"members_count", "MEMBERS", OUTPUT_NUMBER}, {"disabled", "DISABLED", OUTPUT_YES},
    {"description", "DESCRIPTION", OUTPUT_TEXT},
};

static const struct output_column show_columns[] = {
    {"address", "address", OUTPUT_ADDRESS},      {"tenant", "tenant", OUTPUT_TEXT},
    {"owner", "owner", OUTPUT_ADDRESS},          {"post", "who may post", OUTPUT_TEXT},
    {"description", "description", OUTPUT_TEXT}, {"disabled", "disabled", OUTPUT_YES},
    {"created_ms", "added", OUTPUT_TIME},        {"members_count", "members", OUTPUT_NUMBER},
};

/* The options over what is there; false after a message. */
static bool read_list(struct cli *cli, Pr__ListSettings *list)
{
    static const struct {
        const char *word;
        Pr__ListSettings__Post post;
    } posts[] = {
        {"anyone", PR__LIST_SETTINGS__POST__ANYONE},
        {"members", PR__LIST_SETTINGS__POST__MEMBERS},
        {"owner", PR__LIST_SETTINGS__POST__OWNER},
    };
    const char *who = cli->options[OPTION_POST];

    if (cli_has(cli, OPTION_OWNER))
        list->owner = arena_string(&cli->arena, bytes_of(cli->options[OPTION_OWNER]));
    if (cli_has(cli, OPTION_DESCRIPTION))
        list->description =
            arena_string(&cli->arena, bytes_of(cli->options[OPTION_DESCRIPTION]));
    if (who == NULL)
        return true;
    for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++) {
        if (strcmp(posts[i].word, who) == 0) {
            list->post = posts[i].post;
            return true;
        }
    }
    cli_fail("--post takes anyone, members or owner");
    return false;
}

static const char *members_text(struct cli *cli, size_t count)
{
    return arena_printf(&cli->arena, "%zu member%s", count, count == 1 ? "" : "s");
}

enum cli_exit cli_list_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AliasAdd add = PR__ALIAS_ADD__INIT;
    Pr__ListSettings list = PR__LIST_SETTINGS__INIT;

    if (!read_list(cli, &list))
        return CLI_USAGE;
    add.address = cli->arguments[0];
    add.list = &list;
    add.targets = cli_words(cli, 1, &add.n_targets);
    if (add.targets == NULL)
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_ALIAS_ADD;
    request.alias_add = &add;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    const Pr__AliasRecord *made = alias_fetch(cli, add.address, true);
    if (made == NULL)
        return CLI_FAILED;
    if (made->n_targets > 0)
        cli_refused_remark(cli, made->address);
    return output_done(cli, json_of_alias(made), "list %s added with %s%s",
                       output_unicode(&cli->arena, made->address),
                       members_text(cli, made->n_targets),
                       made->n_targets == 0 ? ": mail to it is refused until it has some" : "");
}

enum cli_exit cli_list_change(struct cli *cli)
{
    Pr__AliasChange change = PR__ALIAS_CHANGE__INIT;
    Pr__BoolValue disabled = PR__BOOL_VALUE__INIT;
    Pr__ListSettings list = PR__LIST_SETTINGS__INIT;
    bool settings = cli_has(cli, OPTION_OWNER) || cli_has(cli, OPTION_POST) ||
                    cli_has(cli, OPTION_DESCRIPTION);

    change.address = cli->arguments[0];
    if (!alias_read_disabled(cli, &disabled, &change.disabled))
        return CLI_USAGE;
    if (!settings && change.disabled == NULL)
        return cli_fail("say what to change: --owner, --post, --description, --disable or "
                        "--enable"),
               CLI_USAGE;
    const Pr__AliasRecord *known = alias_fetch(cli, change.address, true);
    if (known == NULL)
        return CLI_FAILED;
    list = *known->list;
    if (!read_list(cli, &list))
        return CLI_USAGE;
    change.list = settings ? &list : NULL;
    if (!alias_change_call(cli, &change))
        return CLI_FAILED;
    const Pr__AliasRecord *now = alias_fetch(cli, change.address, true);
    if (now == NULL)
        return CLI_FAILED;
    return output_done(cli, json_of_alias(now), "list %s changed%s",
                       output_unicode(&cli->arena, now->address),
                       now->disabled ? "; it is disabled: mail for it is refused" : "");
}

static enum cli_exit change_members(struct cli *cli, bool add)
{
    Pr__AliasChange change = PR__ALIAS_CHANGE__INIT;
    size_t count = 0;
    char **members = cli_words(cli, 1, &count);

    if (members == NULL)
        return CLI_FAILED;
    if (count == 0)
        return cli_fail("name the members, or give --file; - reads them from the input"),
               CLI_USAGE;
    change.address = cli->arguments[0];
    if (add) {
        change.add = members;
        change.n_add = count;
    } else {
        change.remove = members;
        change.n_remove = count;
    }
    const Pr__AliasRecord *before = alias_fetch(cli, change.address, true);
    if (before == NULL || !alias_change_call(cli, &change))
        return CLI_FAILED;
    const Pr__AliasRecord *now = alias_fetch(cli, change.address, true);
    if (now == NULL)
        return CLI_FAILED;
    if (now->n_targets > 0 && !now->disabled)
        cli_refused_remark(cli, now->address);
    if (now->n_targets == before->n_targets)
        return output_done(cli, json_of_alias(now), "list %s has %s, as before: %s",
                           output_unicode(&cli->arena, now->address),
                           members_text(cli, now->n_targets),
                           add ? "those were members already" : "those were no members");
    return output_done(cli, json_of_alias(now), "list %s has %s, and had %zu",
                       output_unicode(&cli->arena, now->address),
                       members_text(cli, now->n_targets), before->n_targets);
}

enum cli_exit cli_list_add_member(struct cli *cli)
{
    return change_members(cli, true);
}

enum cli_exit cli_list_remove_member(struct cli *cli)
{
    return change_members(cli, false);
}

enum cli_exit cli_list_remove(struct cli *cli)
{
    return alias_remove_as(cli, "list");
}

enum cli_exit cli_list_list(struct cli *cli)
{
    return alias_list_print(cli, true, "lists", columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_list_show(struct cli *cli)
{
    const Pr__AliasRecord *list = alias_fetch(cli, cli->arguments[0], true);

    if (list == NULL)
        return CLI_FAILED;
    enum cli_exit status =
        output_record(cli, json_of_alias(list), show_columns, OUTPUT_COUNT(show_columns));
    for (size_t i = 0; !cli_has(cli, OPTION_JSON) && i < list->n_targets; i++)
        printf("%s  %s\n", i == 0 ? "\n" : "", output_unicode(&cli->arena, list->targets[i]));
    return status;
}
