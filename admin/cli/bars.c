/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What accounts may not do, and what they may send as. */
#include <stdio.h>
#include <string.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct {
    enum cli_option option;
    uint32_t bit;
    const char *name;
    const char *words;
} abilities[] = {
    {OPTION_LOGIN, PR__ACCOUNT_BAR__BAR_LOGIN, "login", "log in"},
    {OPTION_SEND, PR__ACCOUNT_BAR__BAR_SEND, "send", "submit mail"},
    {OPTION_RECEIVE, PR__ACCOUNT_BAR__BAR_RECEIVE, "receive", "get mail"},
};
#define ABILITIES (sizeof(abilities) / sizeof(abilities[0]))

json_t *json_of_bars(uint32_t bars)
{
    json_t *made = json_array();

    for (size_t i = 0; i < ABILITIES; i++)
        if ((bars & abilities[i].bit) != 0)
            CHECK(json_array_append_new(made, json_string(abilities[i].name)) == 0);
    return made;
}

/* Those that are named; all, where none is. */
static uint32_t read_abilities(const struct cli *cli)
{
    uint32_t bits = 0;
    uint32_t all = 0;

    for (size_t i = 0; i < ABILITIES; i++) {
        all |= abilities[i].bit;
        if (cli_has(cli, abilities[i].option))
            bits |= abilities[i].bit;
    }
    return bits != 0 ? bits : all;
}

static const char *abilities_text(struct cli *cli, uint32_t bits)
{
    const char *text = "";

    for (size_t i = 0; i < ABILITIES; i++)
        if ((bits & abilities[i].bit) != 0)
            text = arena_printf(&cli->arena, "%s%s%s", text, text[0] != '\0' ? ", " : "",
                                abilities[i].words);
    return text;
}

static bool alter(struct cli *cli, Pr__AccountAlter *what)
{
    Pr__Request request = PR__REQUEST__INIT;

    what->address = cli->arguments[0];
    request.call_case = PR__REQUEST__CALL_ACCOUNT_ALTER;
    request.account_alter = what;
    return cli_call(cli, &request, CLI_CALL_MS) != NULL;
}

static enum cli_exit change_bars(struct cli *cli, bool bar)
{
    Pr__AccountAlter what = PR__ACCOUNT_ALTER__INIT;
    uint32_t bits = read_abilities(cli);

    if (bar)
        what.bars_set = bits;
    else
        what.bars_clear = bits;
    if (!alter(cli, &what))
        return CLI_FAILED;
    const Pr__AccountShowAnswer *now = cli_account_fetch(cli, cli->arguments[0]);
    if (now == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    output_add_address(made, "address", now->account->address);
    output_add(made, "barred_from", json_of_bars(now->account->bars));
    if (now->account->bars == 0)
        return output_done(cli, made, "%s is not barred from anything", cli->arguments[0]);
    return output_done(cli, made, "%s may not: %s", cli->arguments[0],
                       abilities_text(cli, now->account->bars));
}

enum cli_exit cli_account_disable(struct cli *cli)
{
    return change_bars(cli, true);
}

enum cli_exit cli_account_enable(struct cli *cli)
{
    return change_bars(cli, false);
}

/* A right that reaches out of the tenant may be meant, or a slip. */
static void remark_right(struct cli *cli, const char *right, const char *tenant)
{
    const char *at = strrchr(right, '@');

    if (at == NULL)
        return;
    if (!cli_domain_is_ours(cli, at + 1)) {
        fprintf(stderr, "postraft: %s: the cluster has no domain %s\n", right, at + 1);
        return;
    }
    const Pr__DomainRecord *domain = cli_domain_fetch(cli, at + 1);
    if (domain != NULL && strcmp(domain->tenant, tenant) != 0)
        fprintf(stderr, "postraft: %s: the domain belongs to tenant %s, the account to %s\n",
                right, domain->tenant, tenant);
}

enum cli_exit cli_account_rights(struct cli *cli)
{
    static const struct output_column columns[] = {
        {"address", "account", OUTPUT_ADDRESS},
        {"send_as", "may also send as", OUTPUT_ADDRESSES},
    };
    Pr__AccountAlter what = PR__ACCOUNT_ALTER__INIT;
    Pr__TextList added = PR__TEXT_LIST__INIT;
    Pr__TextList removed = PR__TEXT_LIST__INIT;

    added.texts = cli_values(cli, OPTION_ADD, &added.n_texts);
    removed.texts = cli_values(cli, OPTION_REMOVE, &removed.n_texts);
    what.send_as_add = added.n_texts > 0 ? &added : NULL;
    what.send_as_remove = removed.n_texts > 0 ? &removed : NULL;
    if (added.n_texts + removed.n_texts > 0 && !alter(cli, &what))
        return CLI_FAILED;
    const Pr__AccountShowAnswer *now = cli_account_fetch(cli, cli->arguments[0]);
    if (now == NULL)
        return CLI_FAILED;
    for (size_t i = 0; i < added.n_texts; i++)
        remark_right(cli, added.texts[i], now->account->tenant);
    json_t *made = json_object();
    output_add_address(made, "address", now->account->address);
    output_add_addresses(made, "send_as", now->account->send_as, now->account->n_send_as);
    return output_record(cli, made, columns, OUTPUT_COUNT(columns));
}
