/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"id", "ID", OUTPUT_NUMBER},
    {"name", "TENANT", OUTPUT_TEXT},
    {"domains", "DOMAINS", OUTPUT_NUMBER},
    {"used_bytes", "HOLDS", OUTPUT_BYTES},
    {"total_bytes", "AT MOST", OUTPUT_BYTES},
    {"used_messages", "MESSAGES", OUTPUT_NUMBER},
    {"total_messages", "MESSAGES AT MOST", OUTPUT_NUMBER},
    {"quota_bytes", "EACH", OUTPUT_BYTES},
    {"quota_messages", "MESSAGES EACH", OUTPUT_NUMBER},
    {"created_ms", "ADDED", OUTPUT_TIME},
};

enum cli_exit cli_tenant_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__TenantAdd add = PR__TENANT_ADD__INIT;

    add.name = cli->arguments[0];
    request.call_case = PR__REQUEST__CALL_TENANT_ADD;
    request.tenant_add = &add;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    uint64_t id = reply->outcome != NULL ? reply->outcome->id : 0;
    return output_done(
        cli, json_pack("{s:I, s:s}", "id", (json_int_t)id, "name", add.name),
        "tenant %s added; `postraft domain add DOMAIN --tenant %s` gives it a domain", add.name,
        add.name);
}

enum cli_exit cli_tenant_remove(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__TenantRemove remove = PR__TENANT_REMOVE__INIT;

    remove.name = cli->arguments[0];
    if (!cli_confirm(cli, arena_printf(&cli->arena, "Remove the tenant %s?", remove.name)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_TENANT_REMOVE;
    request.tenant_remove = &remove;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:s}", "removed", remove.name), "tenant %s removed",
                       remove.name);
}

/* All tenants; NULL after a message. */
static json_t *fetch_tenants(struct cli *cli)
{
    Pr__TenantList ask = PR__TENANT_LIST__INIT;
    json_t *rows = json_array();
    bool more = true;

    ask.with_usage = true;
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_TENANT_LIST;
        request.tenant_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_TENANT_LIST) {
            json_decref(rows);
            return NULL;
        }
        cli_remark(reply);
        const Pr__TenantListAnswer *answer = reply->tenant_list;
        for (size_t i = 0; i < answer->n_tenants; i++) {
            const Pr__TenantRecord *tenant = answer->tenants[i];
            json_t *row =
                json_pack("{s:I, s:s, s:I, s:I}", "id", (json_int_t)tenant->id, "name",
                          tenant->name, "domains", (json_int_t)tenant->domains, "created_ms",
                          (json_int_t)tenant->created_ms);
            output_add_quota(row, tenant->quota);
            output_add_usage(row, tenant->total,
                             i < answer->n_usages ? answer->usages[i] : NULL,
                             answer->n_silent_groups == 0);
            CHECK(json_array_append_new(rows, row) == 0);
            ask.after = tenant->name;
        }
        more = answer->more && answer->n_tenants > 0;
    }
    return rows;
}

enum cli_exit cli_tenant_list(struct cli *cli)
{
    json_t *rows = fetch_tenants(cli);

    if (rows == NULL)
        return CLI_FAILED;
    return output_list(cli, "tenants", rows, columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_tenant_show(struct cli *cli)
{
    json_t *rows = fetch_tenants(cli);

    if (rows == NULL)
        return CLI_FAILED;
    json_t *found = output_find(rows, "name", cli->arguments[0]);
    json_decref(rows);
    if (found == NULL)
        return cli_fail("there is no tenant %s; `postraft tenant list` shows those there are",
                        cli->arguments[0]);
    json_incref(found);
    enum cli_exit done = output_record(cli, found, columns, OUTPUT_COUNT(columns));
    output_shares(cli, found);
    json_decref(found);
    return done;
}
