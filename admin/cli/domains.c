/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"name", "DOMAIN", OUTPUT_ADDRESS},
    {"tenant", "TENANT", OUTPUT_TEXT},
    {"accounts", "ACCOUNTS", OUTPUT_NUMBER},
    {"used_bytes", "HOLDS", OUTPUT_BYTES},
    {"total_bytes", "AT MOST", OUTPUT_BYTES},
    {"used_messages", "MESSAGES", OUTPUT_NUMBER},
    {"total_messages", "MESSAGES AT MOST", OUTPUT_NUMBER},
    {"quota_bytes", "EACH", OUTPUT_BYTES},
    {"quota_messages", "MESSAGES EACH", OUTPUT_NUMBER},
    {"created_ms", "ADDED", OUTPUT_TIME},
};

static const struct output_column show_columns[] = {
    {"name", "domain", OUTPUT_ADDRESS},
    {"tenant", "tenant", OUTPUT_TEXT},
    {"accounts", "accounts", OUTPUT_NUMBER},
    {"aliases", "aliases and lists", OUTPUT_NUMBER},
    {"alias_of", "alias of", OUTPUT_ADDRESS},
    {"catch_all", "catch-all", OUTPUT_ADDRESSES},
    {"forward_to", "forwarded to", OUTPUT_ADDRESS},
    {"separators", "separators", OUTPUT_TEXT},
    {"used_bytes", "holds", OUTPUT_BYTES},
    {"total_bytes", "at most", OUTPUT_BYTES},
    {"used_messages", "messages", OUTPUT_NUMBER},
    {"total_messages", "messages at most", OUTPUT_NUMBER},
    {"quota_bytes", "each account", OUTPUT_BYTES},
    {"quota_messages", "messages each", OUTPUT_NUMBER},
    {"created_ms", "added", OUTPUT_TIME},
};

enum cli_exit cli_domain_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainAdd add = PR__DOMAIN_ADD__INIT;

    add.name = cli->arguments[0];
    add.tenant = arena_string(&cli->arena, bytes_of(cli->options[OPTION_TENANT]));
    request.call_case = PR__REQUEST__CALL_DOMAIN_ADD;
    request.domain_add = &add;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(
        cli, json_pack("{s:s, s:s}", "name", add.name, "tenant", add.tenant),
        "domain %s added to tenant %s; mail is taken for the accounts that it gets", add.name,
        add.tenant);
}

enum cli_exit cli_domain_remove(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainRemove remove = PR__DOMAIN_REMOVE__INIT;

    remove.name = cli->arguments[0];
    if (!cli_confirm(cli, arena_printf(&cli->arena, "Remove the domain %s?", remove.name)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_DOMAIN_REMOVE;
    request.domain_remove = &remove;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:s}", "removed", remove.name), "domain %s removed",
                       remove.name);
}

/* All of a tenant's domains, or of all. NULL after a message. */
static json_t *fetch_domains(struct cli *cli, const char *tenant)
{
    Pr__DomainList ask = PR__DOMAIN_LIST__INIT;
    json_t *rows = json_array();
    bool more = true;

    ask.tenant = arena_string(&cli->arena, bytes_of(tenant));
    ask.with_usage = true;
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_DOMAIN_LIST;
        request.domain_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_DOMAIN_LIST) {
            json_decref(rows);
            return NULL;
        }
        cli_remark(reply);
        const Pr__DomainListAnswer *answer = reply->domain_list;
        for (size_t i = 0; i < answer->n_domains; i++) {
            const Pr__DomainRecord *domain = answer->domains[i];
            json_t *row = json_of_domain(domain);
            output_add_usage(row, domain->total,
                             i < answer->n_usages ? answer->usages[i] : NULL,
                             answer->n_silent_groups == 0);
            CHECK(json_array_append_new(rows, row) == 0);
            ask.after = answer->domains[i]->name;
        }
        more = answer->more && answer->n_domains > 0;
    }
    return rows;
}

enum cli_exit cli_domain_list(struct cli *cli)
{
    const char *tenant = cli_has(cli, OPTION_TENANT) ? cli->options[OPTION_TENANT] : "";
    json_t *rows = fetch_domains(cli, tenant);

    if (rows == NULL)
        return CLI_FAILED;
    return output_list(cli, "domains", rows, columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_domain_show(struct cli *cli)
{
    const Pr__DomainRecord *domain = cli_domain_fetch(cli, cli->arguments[0]);
    json_t *rows = domain != NULL ? fetch_domains(cli, domain->tenant) : NULL;

    if (rows == NULL)
        return CLI_FAILED;
    json_t *found = output_find(rows, "name", domain->name);
    json_decref(rows);
    if (found == NULL)
        found = json_of_domain(domain);
    output_add(found, "aliases", json_integer((json_int_t)domain->aliases));
    output_add(found, "alias_domains", json_integer((json_int_t)domain->alias_domains));
    output_add_routing(found, domain->routing);
    json_incref(found);
    enum cli_exit done = output_record(cli, found, show_columns, OUTPUT_COUNT(show_columns));
    output_shares(cli, found);
    json_decref(found);
    return done;
}
