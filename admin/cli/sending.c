/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tenants send, all of their accounts together. */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"id", "ID", OUTPUT_NUMBER},
    {"name", "TENANT", OUTPUT_TEXT},
    {"hour", "SENT IN AN HOUR", OUTPUT_NUMBER},
    {"hour_max", "AT MOST AN HOUR", OUTPUT_NUMBER},
    {"day", "SENT IN A DAY", OUTPUT_NUMBER},
    {"day_max", "AT MOST A DAY", OUTPUT_NUMBER},
};

static const struct output_column share_columns[] = {
    {"group", "GROUP", OUTPUT_NUMBER},      {"hour", "SENT IN AN HOUR", OUTPUT_NUMBER},
    {"hour_granted", "MAY", OUTPUT_NUMBER}, {"day", "SENT IN A DAY", OUTPUT_NUMBER},
    {"day_granted", "MAY", OUTPUT_NUMBER},
};

/* No limit, or none that a group was granted a part of, is left out. */
static void add(json_t *row, const char *key, uint64_t value)
{
    if (value <= INT64_MAX)
        output_add(row, key, json_integer((json_int_t)value));
}

static json_t *json_of_share(const Pr__ScopeShare *share)
{
    json_t *made = json_object();

    add(made, "group", share->group);
    add(made, "hour", share->used_messages);
    add(made, "day", share->used_bytes);
    if (share->limit != 0) {
        add(made, "hour_granted", share->granted_messages);
        add(made, "day_granted", share->granted_bytes);
    }
    return made;
}

static json_t *json_of_tenant(const Pr__TenantListAnswer *answer, size_t number)
{
    const Pr__AccountQuota *most = answer->sendings[number];
    const Pr__ScopeUsage *usage = answer->usages[number];
    json_t *row = json_object();
    json_t *shares = json_array();

    add(row, "id", answer->tenants[number]->id);
    output_add(row, "name", json_of_text(answer->tenants[number]->name));
    add(row, "hour", usage->messages);
    add(row, "day", usage->bytes);
    if (most->messages != 0)
        add(row, "hour_max", most->messages);
    if (most->bytes != 0)
        add(row, "day_max", most->bytes);
    for (size_t i = 0; i < usage->n_shares; i++)
        CHECK(json_array_append_new(shares, json_of_share(usage->shares[i])) == 0);
    output_add(row, "complete", json_boolean(answer->n_silent_groups == 0));
    output_add(row, "shares", shares);
    return row;
}

/* All tenants; NULL after a message. */
static json_t *fetch(struct cli *cli)
{
    Pr__TenantList ask = PR__TENANT_LIST__INIT;
    json_t *rows = json_array();
    bool more = true;

    ask.with_sending = true;
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_TENANT_LIST;
        request.tenant_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_TENANT_LIST) {
            json_decref(rows);
            return NULL;
        }
        const Pr__TenantListAnswer *answer = reply->tenant_list;
        if (answer->n_tenants > 0 && (answer->n_usages != answer->n_tenants ||
                                      answer->n_sendings != answer->n_tenants)) {
            json_decref(rows);
            cli_fail("what tenants send is counted when the cluster's upgrade is finished: "
                     "`postraft cluster upgrade`");
            return NULL;
        }
        cli_remark(reply);
        for (size_t i = 0; i < answer->n_tenants; i++) {
            CHECK(json_array_append_new(rows, json_of_tenant(answer, i)) == 0);
            ask.after = answer->tenants[i]->name;
        }
        more = answer->more && answer->n_tenants > 0;
    }
    return rows;
}

enum cli_exit cli_sending_list(struct cli *cli)
{
    json_t *rows = fetch(cli);

    if (rows == NULL)
        return CLI_FAILED;
    return output_list(cli, "tenants", rows, columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_sending_show(struct cli *cli)
{
    json_t *rows = fetch(cli);

    if (rows == NULL)
        return CLI_FAILED;
    json_t *found = output_find(rows, "name", cli->arguments[0]);
    json_decref(rows);
    if (found == NULL)
        return cli_fail("there is no tenant %s; `postraft tenant list` shows those there are",
                        cli->arguments[0]);
    json_incref(found);
    enum cli_exit done = output_record(cli, found, columns, OUTPUT_COUNT(columns));
    const json_t *shares = json_object_get(found, "shares");
    if (!cli_has(cli, OPTION_JSON) && json_array_size(shares) > 0) {
        printf("\n");
        output_table(shares, share_columns, OUTPUT_COUNT(share_columns));
    }
    json_decref(found);
    return done;
}
