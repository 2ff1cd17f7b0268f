/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "storage/service/scopes.h"

static Pr__ScopeShare *share_left(const Pr__ScopeRecord *record, uint32_t group,
                                  struct arena *arena)
{
    Pr__ScopeShare *none;

    for (size_t i = 0; i < record->n_shares; i++)
        if (record->shares[i]->group == group)
            return record->shares[i];
    none = arena_alloc(arena, sizeof(*none));
    pr__scope_share__init(none);
    none->kind = record->kind;
    none->scope_id = record->id;
    none->group = group;
    none->limit = record->limit;
    none->version = record->version; /* of no part; what was granted before is older */
    none->granted_bytes = record->total->bytes == 0 ? UINT64_MAX : 0;
    none->granted_messages = record->total->messages == 0 ? UINT64_MAX : 0;
    return none;
}

void scopes_of_move_end(struct db_txn *directory, uint64_t account_id, uint32_t group,
                        struct arena *arena, Pr__MoveEnd *end)
{
    const Pr__AccountScopes *scopes = scopes_of_account_id(directory, account_id, arena);
    struct scopes_place places[2];

    if (scopes == NULL || machine_format(directory, DIRECTORY_GROUP) < FORMAT_SCOPES)
        return;
    places[0] = (struct scopes_place){PR__SCOPE_KIND__SCOPE_DOMAIN, scopes->domain_id};
    places[1] = (struct scopes_place){PR__SCOPE_KIND__SCOPE_TENANT, scopes->tenant_id};
    end->shares = arena_alloc(arena, 2 * sizeof(*end->shares));
    for (unsigned i = 0; i < 2; i++) {
        const Pr__ScopeRecord *record = scopes_record(directory, places[i], arena);
        if (record != NULL && record->total != NULL)
            end->shares[end->n_shares++] = share_left(record, group, arena);
    }
}
