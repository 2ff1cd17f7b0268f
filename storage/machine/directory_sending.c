/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits on what tenants send. */
#include "storage/machine/directory_scopes.h"

static bool is_other(const Pr__AccountQuota *a, const Pr__AccountQuota *b)
{
    return a == NULL || a->messages != b->messages || a->bytes != b->bytes;
}

Pr__ScopeRecord *directory_sending_scope(struct apply *apply, const Pr__ScopeAsk *call)
{
    const Pr__TenantRecord *tenant = directory_tenant_load(apply, call->name);
    uint64_t id = call->share->scope_id;
    Pr__ScopeRecord *scope = directory_scope_load(apply, PR__SCOPE_KIND__SCOPE_SENDING, id);
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);

    if (tenant == NULL || tenant->id != id || cluster == NULL || call->total == NULL ||
        (call->total->messages == 0 && call->total->bytes == 0))
        return scope;
    if (scope == NULL || (call->settings_version >= scope->settings_version &&
                          is_other(scope->total, call->total))) {
        directory_scope_limit(apply, cluster, PR__SCOPE_KIND__SCOPE_SENDING, id, call->name,
                              call->total);
        directory_cluster_store(apply, cluster);
        scope = directory_scope_load(apply, PR__SCOPE_KIND__SCOPE_SENDING, id);
    }
    if (scope != NULL && call->settings_version > scope->settings_version)
        scope->settings_version = call->settings_version;
    return scope;
}

void directory_sending_tell(const Pr__ScopeRecord *scope, Pr__ScopeShare *share)
{
    if (scope->kind != PR__SCOPE_KIND__SCOPE_SENDING || share->limit >= scope->limit)
        return;
    share->limit = scope->limit;
    share->version = share->granted_bytes = share->granted_messages = 0;
}
