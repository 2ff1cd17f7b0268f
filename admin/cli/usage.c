/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What domains and tenants hold, all of their accounts together. */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column share_columns[] = {
    {"group", "GROUP", OUTPUT_NUMBER},
    {"used_bytes", "HOLDS", OUTPUT_BYTES},
    {"granted_bytes", "MAY HOLD", OUTPUT_BYTES},
    {"used_messages", "MESSAGES", OUTPUT_NUMBER},
    {"granted_messages", "MAY HOLD", OUTPUT_NUMBER},
};

/* A sum, or what a group may use; UINT64_MAX is no limit, and is left out. */
static void add(json_t *row, const char *key, uint64_t value)
{
    if (value <= INT64_MAX)
        CHECK(json_object_set_new(row, key, json_integer((json_int_t)value)) == 0);
}

static json_t *json_of_share(const Pr__ScopeShare *share)
{
    json_t *made = json_object();

    add(made, "group", share->group);
    add(made, "used_bytes", share->used_bytes);
    add(made, "used_messages", share->used_messages);
    if (share->limit != 0) {
        add(made, "granted_bytes", share->granted_bytes);
        add(made, "granted_messages", share->granted_messages);
    }
    return made;
}

void output_add_usage(json_t *row, const Pr__AccountQuota *total, const Pr__ScopeUsage *usage,
                      bool complete)
{
    if (total != NULL && total->bytes != 0)
        add(row, "total_bytes", total->bytes);
    if (total != NULL && total->messages != 0)
        add(row, "total_messages", total->messages);
    if (usage == NULL)
        return;
    json_t *shares = json_array();
    for (size_t i = 0; i < usage->n_shares; i++)
        CHECK(json_array_append_new(shares, json_of_share(usage->shares[i])) == 0);
    add(row, "used_bytes", usage->bytes);
    add(row, "used_messages", usage->messages);
    CHECK(json_object_set_new(row, "complete", json_boolean(complete)) == 0);
    CHECK(json_object_set_new(row, "shares", shares) == 0);
}

void output_shares(const struct cli *cli, const json_t *row)
{
    const json_t *shares = json_object_get(row, "shares");

    if (cli_has(cli, OPTION_JSON) || json_array_size(shares) == 0)
        return;
    printf("\n");
    output_table(shares, share_columns, OUTPUT_COUNT(share_columns));
}
