/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tenants, domains and accounts. */
#include <stdio.h>

#include "node/base/check.h"
#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_credentials.h"
#include "storage/machine/directory_scopes.h"
#include "storage/machine/directory_settings.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

Pr__TenantRecord *directory_tenant_load(struct apply *apply, const char *name)
{
    struct key key;

    if (!directory_name_valid(bytes_of(name)))
        return NULL;
    return directory_load(apply->txn, TABLE_TENANT,
                          key_name(&key, DIRECTORY_GROUP, bytes_of(name)),
                          &pr__tenant_record__descriptor, apply->arena);
}

void directory_tenant_store(struct apply *apply, const Pr__TenantRecord *tenant)
{
    struct key key;

    directory_store(apply, TABLE_TENANT,
                    key_name(&key, DIRECTORY_GROUP, bytes_of(tenant->name)), &tenant->base);
}

Pr__DomainRecord *directory_domain_load(struct apply *apply, struct bytes name)
{
    struct key key;

    if (!directory_domain_valid(name))
        return NULL;
    return directory_load(apply->txn, TABLE_DOMAIN, key_name(&key, DIRECTORY_GROUP, name),
                          &pr__domain_record__descriptor, apply->arena);
}

void directory_domain_store(struct apply *apply, const Pr__DomainRecord *domain)
{
    struct key key;

    directory_store(apply, TABLE_DOMAIN,
                    key_name(&key, DIRECTORY_GROUP, bytes_of(domain->name)), &domain->base);
}

enum err apply_tenant_add(struct apply *apply)
{
    const Pr__TenantAdd *call = apply->command->tenant_add;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    Pr__TenantRecord tenant = PR__TENANT_RECORD__INIT;

    if (cluster == NULL)
        return apply->outcome->err;
    if (!directory_name_valid(bytes_of(call->name)))
        return apply_refuse(apply, ERR_INVALID,
                            "a tenant's name is 1 to %d letters, digits, '-', '_', '.'",
                            DIRECTORY_NAME_SIZE_MAX);
    if (directory_tenant_load(apply, call->name) != NULL)
        return apply_refuse(apply, ERR_EXISTS, "there is a tenant %s already", call->name);
    tenant.id = cluster->next_tenant_id++;
    tenant.name = call->name;
    tenant.created_ms = apply->command->time_ms;
    directory_tenant_store(apply, &tenant);
    directory_cluster_store(apply, cluster);
    apply->outcome->id = tenant.id;
    return ERR_OK;
}

enum err apply_tenant_remove(struct apply *apply)
{
    const char *name = apply->command->tenant_remove->name;
    Pr__TenantRecord *tenant = directory_tenant_load(apply, name);
    struct key key;

    if (tenant == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no tenant %s", name);
    if (tenant->domains > 0)
        return apply_refuse(apply, ERR_INVALID, "tenant %s still has %llu domains", name,
                            (unsigned long long)tenant->domains);
    db_delete(apply->txn, TABLE_TENANT, key_name(&key, DIRECTORY_GROUP, bytes_of(name)));
    directory_settings_forget(apply, PR__SETTING_SCOPE__SETTING_TENANT, tenant->id);
    directory_scope_forget(apply, PR__SCOPE_KIND__SCOPE_TENANT, tenant->id);
    directory_scope_forget(apply, PR__SCOPE_KIND__SCOPE_SENDING, tenant->id);
    return ERR_OK;
}

enum err apply_domain_add(struct apply *apply)
{
    const Pr__DomainAdd *call = apply->command->domain_add;
    Pr__DomainRecord domain = PR__DOMAIN_RECORD__INIT;
    Pr__DomainRecord *known;
    Pr__TenantRecord *tenant;

    if (!directory_domain_valid(bytes_of(call->name)))
        return apply_refuse(apply, ERR_INVALID,
                            "%s is no domain name (lower case, in its ASCII form)", call->name);
    if ((known = directory_domain_load(apply, bytes_of(call->name))) != NULL)
        return apply_refuse(apply, ERR_EXISTS, "domain %s belongs to tenant %s already",
                            call->name, known->tenant);
    if ((tenant = directory_tenant_load(apply, call->tenant)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no tenant %s", call->tenant);
    domain.name = call->name;
    domain.tenant = call->tenant;
    domain.created_ms = apply->command->time_ms;
    if (apply_format(apply) >= FORMAT_SCOPES) {
        Pr__ClusterRecord *cluster = directory_cluster_load(apply);
        if (cluster == NULL)
            return apply->outcome->err;
        domain.id = directory_domain_number(cluster);
        directory_cluster_store(apply, cluster);
    }
    apply->outcome->id = domain.id;
    directory_domain_store(apply, &domain);
    tenant->domains++;
    directory_tenant_store(apply, tenant);
    return ERR_OK;
}

enum err apply_domain_remove(struct apply *apply)
{
    const char *name = apply->command->domain_remove->name;
    Pr__DomainRecord *domain = directory_domain_load(apply, bytes_of(name));
    Pr__TenantRecord *tenant;
    struct key key;

    if (domain == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %s", name);
    if (domain->accounts > 0)
        return apply_refuse(apply, ERR_INVALID, "domain %s still has %llu accounts", name,
                            (unsigned long long)domain->accounts);
    if (domain->aliases > 0)
        return apply_refuse(apply, ERR_INVALID, "domain %s still has %llu aliases and lists",
                            name, (unsigned long long)domain->aliases);
    if (domain->alias_domains > 0)
        return apply_refuse(apply, ERR_INVALID,
                            "the addresses of %llu other domains are those of %s",
                            (unsigned long long)domain->alias_domains, name);
    directory_route_forget(apply, domain);
    db_delete(apply->txn, TABLE_DOMAIN, key_name(&key, DIRECTORY_GROUP, bytes_of(name)));
    directory_settings_forget(apply, PR__SETTING_SCOPE__SETTING_DOMAIN, domain->id);
    directory_scope_forget(apply, PR__SCOPE_KIND__SCOPE_DOMAIN, domain->id);
    if ((tenant = directory_tenant_load(apply, domain->tenant)) != NULL) {
        tenant->domains--;
        directory_tenant_store(apply, tenant);
    }
    return ERR_OK;
}

Pr__GroupRecord *directory_group_choose(struct apply *apply)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_GROUP, key_group(&prefix, DIRECTORY_GROUP));
    Pr__GroupRecord *chosen = NULL;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        Pr__GroupRecord *group =
            directory_unpack(apply->txn, row, &pr__group_record__descriptor, apply->arena);
        if (group == NULL)
            break;
        if (group->group != DIRECTORY_GROUP && !directory_group_unborn(group) &&
            (chosen == NULL || group->accounts < chosen->accounts))
            chosen = group;
    }
    db_cursor_close(&cursor);
    return chosen;
}

void directory_group_count(struct apply *apply, Pr__GroupRecord *group, bool more)
{
    struct key key;

    group->accounts = more ? group->accounts + 1 : group->accounts - 1;
    directory_store(apply, TABLE_GROUP, key_small_number(&key, DIRECTORY_GROUP, group->group),
                    &group->base);
}

static enum err password_check(struct apply *apply, const char *hash)
{
    size_t len = strlen(hash);

    if (len == 0)
        return apply_refuse(apply, ERR_INVALID, "an account needs a password");
    if (len > DIRECTORY_PASSWORD_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "a password hash of %zu bytes", len);
    return ERR_OK;
}

/* The account of the cluster itself is of no domain. */
static bool is_role_address(const struct apply *apply, const char *address)
{
    return apply_format(apply) >= FORMAT_ADDRESSES && strcmp(address, ROLE_ADDRESS) == 0;
}

/* Splits and looks the account up; refuses what is no folded address. */
enum err directory_address_check(struct apply *apply, const char *address, struct bytes *local,
                                 struct bytes *domain, Pr__AccountRecord **account)
{
    struct key key;

    if (!address_split(bytes_of(address), local, domain) || !directory_local_valid(*local) ||
        (!directory_domain_valid(*domain) && !is_role_address(apply, address)))
        return apply_refuse(apply, ERR_INVALID, "%s is no address", address);
    *account = directory_load(apply->txn, TABLE_ADDRESS,
                              key_address(&key, DIRECTORY_GROUP, *local, *domain),
                              &pr__account_record__descriptor, apply->arena);
    return ERR_OK;
}

void directory_account_store(struct apply *apply, struct bytes local, struct bytes domain,
                             const Pr__AccountRecord *account)
{
    struct key key;

    directory_store(apply, TABLE_ADDRESS, key_address(&key, DIRECTORY_GROUP, local, domain),
                    &account->base);
}

enum err apply_account_add(struct apply *apply)
{
    const Pr__AccountAdd *call = apply->command->account_add;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    Pr__AccountRecord account = PR__ACCOUNT_RECORD__INIT;
    Pr__AccountRecord *known;
    Pr__DomainRecord *domain;
    Pr__GroupRecord *group;
    struct bytes local;
    struct bytes domain_name;
    struct key key;
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if ((err = directory_address_check(apply, call->address, &local, &domain_name, &known)) !=
            ERR_OK ||
        (err = password_check(apply, call->password_hash)) != ERR_OK)
        return err;
    if (known != NULL)
        return apply_refuse(apply, ERR_EXISTS, "there is an account %s already", call->address);
    if ((domain = directory_domain_load(apply, domain_name)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %.*s",
                            BYTES_ARG(domain_name));
    if ((err = directory_address_free(apply, domain, local, call->address)) != ERR_OK)
        return err;
    if ((group = directory_group_choose(apply)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group");
    account.id = cluster->next_account_id++;
    account.address = call->address;
    account.tenant = domain->tenant;
    account.group = group->group;
    account.password_hash = call->password_hash;
    account.created_ms = apply->command->time_ms;
    directory_account_store(apply, local, domain_name, &account);
    db_put(apply->txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account.id),
           bytes_of(call->address));
    domain->accounts++;
    directory_domain_store(apply, domain);
    directory_group_count(apply, group, true);
    directory_cluster_store(apply, cluster);
    apply->outcome->id = account.id;
    return ERR_OK;
}

void directory_account_count(struct apply *apply, struct bytes domain_name, uint32_t number,
                             bool more)
{
    Pr__DomainRecord *domain = directory_domain_load(apply, domain_name);
    Pr__GroupRecord *group;
    struct key key;

    if (domain != NULL) {
        domain->accounts = more ? domain->accounts + 1 : domain->accounts - 1;
        directory_domain_store(apply, domain);
    }
    group =
        directory_load(apply->txn, TABLE_GROUP, key_small_number(&key, DIRECTORY_GROUP, number),
                       &pr__group_record__descriptor, apply->arena);
    if (group != NULL)
        directory_group_count(apply, group, more);
}

enum err apply_account_remove(struct apply *apply)
{
    const char *address = apply->command->account_remove->address;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain_name;
    struct key key;
    enum err err;

    if ((err = directory_address_check(apply, address, &local, &domain_name, &account)) !=
        ERR_OK)
        return err;
    if (account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", address);
    if (is_role_address(apply, address))
        return apply_refuse(apply, ERR_INVALID, "%s is the cluster's own", address);
    db_delete(apply->txn, TABLE_ADDRESS,
              key_address(&key, DIRECTORY_GROUP, local, domain_name));
    db_delete(apply->txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account->id));
    directory_account_count(apply, domain_name, account->group, false);
    directory_move_forget(apply, account->id);
    if (apply_format(apply) >= FORMAT_DEPTH)
        directory_purge_due_add(apply, account, apply->command->account_remove->keep_ms);
    apply->outcome->id = account->id;
    event_account_ended(apply, account->id);
    return ERR_OK;
}

enum err apply_account_password(struct apply *apply)
{
    const Pr__AccountPassword *call = apply->command->account_password;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = directory_address_check(apply, call->address, &local, &domain, &account)) !=
            ERR_OK ||
        (err = password_check(apply, call->password_hash)) != ERR_OK)
        return err;
    if (account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", call->address);
    account->password_hash = call->password_hash;
    if (apply_format(apply) >= FORMAT_ADDRESSES)
        directory_password_changed(apply, account);
    directory_account_store(apply, local, domain, account);
    apply->outcome->id = account->id;
    event_account_ended(apply, account->id);
    return ERR_OK;
}
