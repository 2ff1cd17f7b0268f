/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts somewhere, and from where: the narrower wins. */
#include "admin/cli/output.h"
#include "node/base/check.h"
#include "storage/schema/settings.h"

static const struct output_column columns[] = {
    {"name", "SETTING", OUTPUT_TEXT},
    {"value", "VALUE", OUTPUT_TEXT},
    {"from", "FROM", OUTPUT_TEXT},
    {"default", "DEFAULT", OUTPUT_TEXT},
};

struct level {
    Pr__SettingScope scope;
    const char *name; /* as the store has it; "" for the cluster */
    const Pr__SettingListAnswer *list;
};

enum { LEVELS = 4 };

/* Whom a narrower one belongs to; false after a message. */
static bool find_owners(struct cli *cli, struct level levels[LEVELS])
{
    struct level *account = &levels[0];
    struct level *domain = &levels[1];
    struct level *tenant = &levels[2];

    if (account->name != NULL) {
        const Pr__AccountShowAnswer *found = cli_account_fetch(cli, account->name);
        if (found == NULL)
            return false;
        const char *at = strrchr(found->account->address, '@');
        account->name = found->account->address;
        domain->name = at != NULL ? at + 1 : NULL;
        tenant->name = found->account->tenant;
    } else if (domain->name != NULL) {
        const Pr__DomainRecord *found = cli_domain_fetch(cli, domain->name);
        if (found == NULL)
            return false;
        domain->name = found->name;
        tenant->name = found->tenant;
    }
    return true;
}

/* All lists that count, the narrowest first; false after a message. */
static bool fetch_levels(struct cli *cli, struct level levels[LEVELS])
{
    for (unsigned i = 0; i < LEVELS; i++) {
        if (levels[i].name == NULL || (levels[i].name[0] == '\0' && i + 1 < LEVELS))
            continue;
        levels[i].list = cli_settings_fetch(cli, levels[i].scope, levels[i].name);
        if (levels[i].list == NULL)
            return false;
    }
    return true;
}

static const Pr__Setting *find_value(const struct level levels[LEVELS], const char *name,
                                     const struct level **from)
{
    for (unsigned i = 0; i < LEVELS; i++)
        for (size_t k = 0; levels[i].list != NULL && k < levels[i].list->n_settings; k++)
            if (strcmp(levels[i].list->settings[k]->name, name) == 0) {
                *from = &levels[i];
                return levels[i].list->settings[k];
            }
    return NULL;
}

static void add_row(struct cli *cli, json_t *rows, const struct level levels[LEVELS],
                    const char *name)
{
    const struct level *from = NULL;
    const Pr__Setting *set = find_value(levels, name, &from);
    const struct setting *known = settings_find(bytes_of(name));
    const char *fallback = known != NULL ? known->fallback : "";
    json_t *row = json_object();

    output_add(row, "name", json_of_text(name));
    output_add(row, "value", json_of_text(set != NULL ? set->value : fallback));
    output_add(
        row, "from",
        json_of_text(from != NULL ? cli_scope_text(cli, from->scope, from->name) : "default"));
    output_add(row, "default", json_of_text(fallback));
    CHECK(json_array_append_new(rows, row) == 0);
}

bool cli_setting_asked(const struct cli *cli, const char *name)
{
    const char *asked = cli->argument_count > 0 ? cli->arguments[0] : "";
    size_t len = strlen(asked);

    return len == 0 || (strncmp(asked, name, len) == 0 &&
                        (name[len] == '\0' || name[len] == '.' || asked[len - 1] == '.'));
}

enum cli_exit cli_setting_show(struct cli *cli)
{
    struct level levels[LEVELS] = {
        {PR__SETTING_SCOPE__SETTING_ACCOUNT, cli->options[OPTION_ACCOUNT], NULL},
        {PR__SETTING_SCOPE__SETTING_DOMAIN, cli->options[OPTION_DOMAIN], NULL},
        {PR__SETTING_SCOPE__SETTING_TENANT, cli->options[OPTION_TENANT], NULL},
        {PR__SETTING_SCOPE__SETTING_CLUSTER, "", NULL},
    };

    if (cli_has(cli, OPTION_ACCOUNT) + cli_has(cli, OPTION_DOMAIN) +
            cli_has(cli, OPTION_TENANT) >
        1)
        return cli_fail("--tenant, --domain and --account exclude each other"), CLI_USAGE;
    if (!find_owners(cli, levels) || !fetch_levels(cli, levels))
        return CLI_FAILED;
    json_t *rows = json_array();
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const char *name = setting_row((enum setting_id)i)->name;
        if (cli_setting_asked(cli, name) && strchr(name, '*') == NULL)
            add_row(cli, rows, levels, name);
    }
    /* Of families there is what is set, and no more. */
    const Pr__SettingListAnswer *cluster = levels[LEVELS - 1].list;
    for (size_t i = 0; i < cluster->n_settings; i++) {
        const struct setting *known = settings_find(bytes_of(cluster->settings[i]->name));
        if (cli_setting_asked(cli, cluster->settings[i]->name) &&
            (known == NULL || strchr(known->name, '*') != NULL))
            add_row(cli, rows, levels, cluster->settings[i]->name);
    }
    bool unknown = json_array_size(rows) == 0 && cli->argument_count > 0 &&
                   settings_find(bytes_of(cli->arguments[0])) == NULL;
    if (!unknown)
        return output_list(cli, "settings", rows, columns, OUTPUT_COUNT(columns));
    json_decref(rows);
    return cli_fail("there is no setting %s; `postraft setting help` shows those there are",
                    cli->arguments[0]);
}
