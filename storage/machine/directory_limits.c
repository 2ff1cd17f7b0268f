/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mail policy, and what accounts may hold. */
#include "storage/machine/directory_rows.h"
#include "storage/machine/directory_scopes.h"
#include "storage/schema/format.h"

enum { UNDELETE_DAYS_MAX = 3650 };

enum err apply_policy_set(struct apply *apply)
{
    const Pr__PolicySet *call = apply->command->policy_set;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);

    if (cluster == NULL)
        return apply->outcome->err;
    if (call->policy == NULL)
        return apply_refuse(apply, ERR_INVALID, "no policy");
    if (call->policy->undelete_days > UNDELETE_DAYS_MAX)
        return apply_refuse(apply, ERR_INVALID,
                            "mail can be brought back for %d days at the most",
                            UNDELETE_DAYS_MAX);
    cluster->policy = call->policy;
    directory_cluster_store(apply, cluster);
    return ERR_OK;
}

/* A release without such limits takes it for a default of the accounts. */
static bool is_together(const struct apply *apply, const Pr__QuotaSet *call)
{
    return call->together && apply_format(apply) >= FORMAT_SCOPES;
}

static enum err tenant_quota_set(struct apply *apply, const Pr__QuotaSet *call)
{
    Pr__TenantRecord *tenant = directory_tenant_load(apply, call->tenant);

    if (tenant == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no tenant %s", call->tenant);
    if (is_together(apply, call)) {
        Pr__ClusterRecord *cluster = directory_cluster_load(apply);
        if (cluster == NULL)
            return apply->outcome->err;
        tenant->limit = directory_scope_limit(apply, cluster, PR__SCOPE_KIND__SCOPE_TENANT,
                                              tenant->id, tenant->name, call->quota);
        tenant->total = tenant->limit != 0 ? call->quota : NULL;
        directory_cluster_store(apply, cluster);
    } else {
        tenant->quota = call->quota;
    }
    directory_tenant_store(apply, tenant);
    return ERR_OK;
}

static enum err domain_quota_set(struct apply *apply, const Pr__QuotaSet *call)
{
    Pr__DomainRecord *domain = directory_domain_load(apply, bytes_of(call->domain));

    if (domain == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %s", call->domain);
    if (is_together(apply, call)) {
        Pr__ClusterRecord *cluster = directory_cluster_load(apply);
        if (cluster == NULL)
            return apply->outcome->err;
        if (domain->id == 0)
            domain->id = directory_domain_number(cluster);
        domain->limit = directory_scope_limit(apply, cluster, PR__SCOPE_KIND__SCOPE_DOMAIN,
                                              domain->id, domain->name, call->quota);
        domain->total = domain->limit != 0 ? call->quota : NULL;
        directory_cluster_store(apply, cluster);
    } else {
        domain->quota = call->quota;
    }
    directory_domain_store(apply, domain);
    return ERR_OK;
}

static enum err account_quota_set(struct apply *apply, const Pr__QuotaSet *call)
{
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = directory_address_check(apply, call->address, &local, &domain, &account)) !=
        ERR_OK)
        return err;
    if (account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", call->address);
    account->quota = call->quota;
    directory_account_store(apply, local, domain, account);
    return ERR_OK;
}

enum err apply_quota_set(struct apply *apply)
{
    const Pr__QuotaSet *call = apply->command->quota_set;
    bool tenant = call->tenant[0] != '\0';
    bool domain = call->domain[0] != '\0';
    bool address = call->address[0] != '\0';

    if (tenant + domain + address != 1)
        return apply_refuse(apply, ERR_INVALID, "a quota of a tenant, a domain or an account");
    if (address && is_together(apply, call))
        return apply_refuse(apply, ERR_INVALID, "an account has no others to share with");
    if (tenant)
        return tenant_quota_set(apply, call);
    return domain ? domain_quota_set(apply, call) : account_quota_set(apply, call);
}
