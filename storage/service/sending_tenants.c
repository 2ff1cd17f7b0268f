/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sending_tenants.h"

#include "storage/query/directory.h"
#include "storage/query/scopes.h"
#include "storage/query/settings.h"

enum { TENANTS_PAGE = 256 };

Pr__AccountQuota *sending_tenant_total(struct db_txn *directory, uint64_t tenant_id,
                                       struct arena *arena)
{
    const struct settings_place place = {.tenant_id = tenant_id};
    Pr__AccountQuota *total = arena_alloc(arena, sizeof(*total));

    pr__account_quota__init(total);
    total->messages = (uint64_t)settings_number(directory, place, SETTING_SENDING_TENANT_HOUR);
    total->bytes = (uint64_t)settings_number(directory, place, SETTING_SENDING_TENANT_DAY);
    return total;
}

bool sending_is_limited(const Pr__AccountQuota *total)
{
    return total->messages != 0 || total->bytes != 0;
}

static Pr__ScopeRecord *record_of(struct db_txn *directory, uint64_t tenant_id,
                                  struct arena *arena)
{
    const struct scopes_place place = {PR__SCOPE_KIND__SCOPE_SENDING, tenant_id};

    return scopes_record(directory, place, arena);
}

uint64_t sending_tenant_limit(struct db_txn *directory, uint64_t tenant_id, struct arena *arena)
{
    const Pr__ScopeRecord *record;

    if (!sending_is_limited(sending_tenant_total(directory, tenant_id, arena)))
        return 0;
    record = record_of(directory, tenant_id, arena);
    return record != NULL ? record->limit : 1;
}

/* Tenants are found by name; this is for the first question about one. "": it is gone. */
static char *name_of(struct db_txn *directory, uint64_t tenant_id, struct arena *arena)
{
    static char none[] = "";
    struct bytes after = bytes_from(NULL, 0);
    bool more = true;

    while (more) {
        Pr__TenantRecord **tenants;
        size_t count = 0;
        more = directory_tenants(directory, after, TENANTS_PAGE, arena, &tenants, &count);
        for (size_t i = 0; i < count; i++)
            if (tenants[i]->id == tenant_id)
                return tenants[i]->name;
        if (count == 0)
            break;
        after = bytes_of(tenants[count - 1]->name);
    }
    return none;
}

void sending_tenant_ask(struct db_txn *directory, Pr__ScopeAsk *ask, struct arena *arena)
{
    uint64_t tenant_id = ask->share->scope_id;
    const Pr__ScopeRecord *record = record_of(directory, tenant_id, arena);

    ask->total = sending_tenant_total(directory, tenant_id, arena);
    ask->settings_version = settings_version(directory);
    ask->name = record != NULL ? record->name : name_of(directory, tenant_id, arena);
}

bool sending_tenant_changed(struct db_txn *directory, const Pr__ScopeRecord *record,
                            const Pr__AccountQuota *total)
{
    return settings_version(directory) > record->settings_version &&
           (record->total == NULL || record->total->messages != total->messages ||
            record->total->bytes != total->bytes);
}
