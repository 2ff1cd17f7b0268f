/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/settings.h"

#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"
#include "node/firewall/rules.h"

static const struct output_column columns[] = {
    {"name", "SETTING", OUTPUT_TEXT},
    {"value", "VALUE", OUTPUT_TEXT},
    {"default", "DEFAULT", OUTPUT_TEXT},
};

static const struct output_column help_columns[] = {
    {"name", "SETTING", OUTPUT_TEXT},
    {"range", "CAN BE", OUTPUT_TEXT},
    {"default", "DEFAULT", OUTPUT_TEXT},
    {"scopes", "SET FOR", OUTPUT_TEXT},
};

static const struct output_column one_columns[] = {
    {"name", "setting", OUTPUT_TEXT},   {"help", "what it is", OUTPUT_TEXT},
    {"range", "can be", OUTPUT_TEXT},   {"default", "default", OUTPUT_TEXT},
    {"scopes", "set for", OUTPUT_TEXT},
};

/* Where: by the options. False after a message. */
static bool read_scope(struct cli *cli, Pr__SettingScope *scope, char **name)
{
    static const struct {
        enum cli_option option;
        Pr__SettingScope scope;
    } scopes[] = {
        {OPTION_TENANT, PR__SETTING_SCOPE__SETTING_TENANT},
        {OPTION_DOMAIN, PR__SETTING_SCOPE__SETTING_DOMAIN},
        {OPTION_ACCOUNT, PR__SETTING_SCOPE__SETTING_ACCOUNT},
    };
    unsigned given = 0;

    *scope = PR__SETTING_SCOPE__SETTING_CLUSTER;
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        if (!cli_has(cli, scopes[i].option))
            continue;
        *scope = scopes[i].scope;
        *name = arena_string(&cli->arena, bytes_of(cli->options[scopes[i].option]));
        given++;
    }
    if (given > 1)
        cli_fail("--tenant, --domain and --account exclude each other");
    return given <= 1;
}

static const char *const scope_names[] = {"cluster", "tenant", "domain", "account"};

const char *cli_scope_text(struct cli *cli, Pr__SettingScope scope, const char *name)
{
    if (scope == PR__SETTING_SCOPE__SETTING_CLUSTER || (unsigned)scope >= SETTINGS_SCOPES)
        return "the cluster";
    return arena_printf(&cli->arena, "%s %s", scope_names[scope],
                        output_unicode(&cli->arena, name));
}

const Pr__SettingListAnswer *cli_settings_fetch(struct cli *cli, Pr__SettingScope scope,
                                                const char *name)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__SettingList ask = PR__SETTING_LIST__INIT;

    ask.scope = scope;
    ask.scope_name = arena_string(&cli->arena, bytes_of(name));
    request.call_case = PR__REQUEST__CALL_SETTING_LIST;
    request.setting_list = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_SETTING_LIST) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->setting_list;
}

enum cli_exit cli_setting_list(struct cli *cli)
{
    Pr__SettingScope scope;
    char *name = NULL;

    if (!read_scope(cli, &scope, &name))
        return CLI_USAGE;
    const Pr__SettingListAnswer *answer = cli_settings_fetch(cli, scope, name);
    if (answer == NULL)
        return CLI_FAILED;
    json_t *rows = json_array();
    for (size_t i = 0; i < answer->n_settings; i++) {
        const Pr__Setting *setting = answer->settings[i];
        const struct setting *known = settings_find(bytes_of(setting->name));
        json_t *row = json_object();
        output_add(row, "name", json_of_text(setting->name));
        output_add(row, "value", json_of_text(setting->value));
        output_add(row, "default", json_of_text(known != NULL ? known->fallback : ""));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return output_list(cli, "settings", rows, columns, OUTPUT_COUNT(columns));
}

/* Of the family of the firewall there is what there are rules; what is set for another can be
 * taken back all the same. */
static bool has_no_rule(const Pr__Setting *setting)
{
    static const char family[] = "firewall.";

    if (strncmp(setting->name, family, strlen(family)) != 0 || setting->value[0] == '\0')
        return false;
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++)
        if (firewall_rule_exists(id) && strcmp(firewall_rule((enum firewall_rule_id)id)->name,
                                               setting->name + strlen(family)) == 0)
            return false;
    return true;
}

static enum cli_exit put(struct cli *cli, Pr__Setting *setting)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__SettingPut call = PR__SETTING_PUT__INIT;
    const struct setting *known = settings_find(bytes_of(setting->name));

    if (known == NULL)
        return cli_fail("there is no setting %s; `postraft setting help` shows those there are",
                        setting->name);
    if (has_no_rule(setting))
        return cli_fail("there is no setting %s; `postraft firewall rules` shows the rules",
                        setting->name);
    if (!read_scope(cli, &call.scope, &call.scope_name))
        return CLI_USAGE;
    call.setting = setting;
    request.call_case = PR__REQUEST__CALL_SETTING_PUT;
    request.setting_put = &call;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    const char *where = cli_scope_text(cli, call.scope, call.scope_name);
    output_add(made, "name", json_of_text(setting->name));
    output_add(made, "for", json_of_text(where));
    if (setting->value[0] == '\0') {
        output_add(made, "value", json_null());
        if (call.scope != PR__SETTING_SCOPE__SETTING_CLUSTER)
            return output_done(cli, made,
                               "%s is not set for %s any more; `postraft setting show %s` "
                               "tells what counts there",
                               setting->name, where, setting->name);
        return output_done(cli, made, "%s is not set for %s any more; its default is %s",
                           setting->name, where,
                           known->fallback[0] != '\0' ? known->fallback : "empty");
    }
    output_add(made, "value", json_of_text(setting->value));
    return output_done(cli, made, "%s is %s for %s", setting->name, setting->value, where);
}

enum cli_exit cli_setting_set(struct cli *cli)
{
    Pr__Setting setting = PR__SETTING__INIT;

    setting.name = cli->arguments[0];
    setting.value = cli->arguments[1];
    if (setting.value[0] == '\0')
        return cli_fail("an empty value is none: `postraft setting unset %s`", setting.name),
               CLI_USAGE;
    return put(cli, &setting);
}

enum cli_exit cli_setting_unset(struct cli *cli)
{
    Pr__Setting setting = PR__SETTING__INIT;

    setting.name = cli->arguments[0];
    return put(cli, &setting);
}

static json_t *json_of_row(struct cli *cli, const struct setting *row)
{
    json_t *made = json_object();
    const char *scopes = "";

    for (unsigned i = 0; i < SETTINGS_SCOPES; i++)
        if ((row->scopes & 1u << i) != 0)
            scopes = arena_printf(&cli->arena, "%s%s%s", scopes, scopes[0] != '\0' ? ", " : "",
                                  scope_names[i]);
    output_add(made, "name", json_string(row->name));
    output_add(made, "range", json_of_text(settings_range(row, &cli->arena)));
    output_add(made, "default", json_string(row->fallback));
    output_add(made, "scopes", json_string(scopes));
    output_add(made, "help", json_string(row->help));
    return made;
}

enum cli_exit cli_setting_help(struct cli *cli)
{
    json_t *rows = json_array();

    const struct setting *one =
        cli->argument_count == 1 ? settings_find(bytes_of(cli->arguments[0])) : NULL;
    if (one != NULL) {
        json_decref(rows);
        return output_record(cli, json_of_row(cli, one), one_columns,
                             OUTPUT_COUNT(one_columns));
    }
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const struct setting *row = setting_row((enum setting_id)i);
        if (cli_setting_asked(cli, row->name))
            CHECK(json_array_append_new(rows, json_of_row(cli, row)) == 0);
    }
    if (json_array_size(rows) == 0) {
        json_decref(rows);
        return cli_fail("there is no setting %s; `postraft setting help` shows those there are",
                        cli->arguments[0]);
    }
    return output_list(cli, "settings", rows, help_columns, OUTPUT_COUNT(help_columns));
}
