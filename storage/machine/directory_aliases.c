/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aliases and lists. */
#include "storage/machine/directory_addresses.h"
#include "storage/schema/address.h"
#include "storage/schema/text_set.h"

static void alias_store(struct apply *apply, struct bytes local, struct bytes domain,
                        const Pr__AliasRecord *alias)
{
    struct key key;

    directory_store(apply, TABLE_ALIAS, key_address(&key, DIRECTORY_GROUP, local, domain),
                    &alias->base);
}

static enum err list_check(struct apply *apply, const char *address,
                           const Pr__ListSettings *list)
{
    if (!directory_address_valid(bytes_of(list->owner)))
        return apply_refuse(apply, ERR_INVALID, "a list needs an owner: %s is no address",
                            list->owner);
    if (strcmp(list->owner, address) == 0)
        return apply_refuse(apply, ERR_INVALID, "the list %s cannot own itself", address);
    if (list->post != PR__LIST_SETTINGS__POST__ANYONE &&
        list->post != PR__LIST_SETTINGS__POST__MEMBERS &&
        list->post != PR__LIST_SETTINGS__POST__OWNER)
        return apply_refuse(apply, ERR_INVALID, "nobody knows who may write to the list");
    if (!directory_text_valid(bytes_of(list->description), LIST_DESCRIPTION_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID,
                            "a list's description is one line of %d bytes at the most",
                            LIST_DESCRIPTION_SIZE_MAX);
    return ERR_OK;
}

/* The addresses of the list's owner and for its bounces must be free, and stay free. */
static enum err list_addresses_check(struct apply *apply, struct bytes local,
                                     struct bytes domain, const char *address)
{
    if (local.len > DIRECTORY_LOCAL_SIZE_MAX - LIST_SUFFIX_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "the name of a list has %d bytes at the most",
                            DIRECTORY_LOCAL_SIZE_MAX - LIST_SUFFIX_SIZE_MAX);
    for (unsigned part = 0; part < LIST_PARTS; part++) {
        const char *wanted =
            arena_string(apply->arena, address_of_list(apply->arena, bytes_of(address),
                                                       (enum list_part)part));
        Pr__AccountRecord *account;
        struct bytes name;
        enum err err;
        if ((err = directory_address_check(apply, wanted, &name, &domain, &account)) != ERR_OK)
            return err;
        if (account != NULL || directory_alias_load(apply, name, domain) != NULL)
            return apply_refuse(apply, ERR_EXISTS, "%s is needed for the list %s, and exists",
                                wanted, address);
    }
    return ERR_OK;
}

/* Drops what is there twice. */
static void targets_set(struct apply *apply, Pr__AliasRecord *alias, char *const *targets,
                        size_t count)
{
    struct text_set known;

    text_set_init(&known, apply->arena);
    alias->targets = arena_alloc(apply->arena, count * sizeof(*alias->targets));
    alias->n_targets = 0;
    for (size_t i = 0; i < count; i++)
        if (text_set_add(&known, bytes_of(targets[i])))
            alias->targets[alias->n_targets++] = targets[i];
}

static enum err add_check(struct apply *apply, const Pr__AliasAdd *call, struct bytes *local,
                          struct bytes *name, Pr__DomainRecord **domain)
{
    Pr__AccountRecord *account;
    enum err err;

    if ((err = directory_address_check(apply, call->address, local, name, &account)) != ERR_OK)
        return err;
    if (account != NULL)
        return apply_refuse(apply, ERR_EXISTS, "there is an account %s already", call->address);
    if ((*domain = directory_domain_load(apply, *name)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %.*s", BYTES_ARG(*name));
    if ((err = directory_address_free(apply, *domain, *local, call->address)) != ERR_OK ||
        (err = directory_targets_check(apply, call->targets, call->n_targets, ALIAS_TARGETS_MAX,
                                       call->address)) != ERR_OK)
        return err;
    if (call->list == NULL)
        return ERR_OK;
    if ((err = list_check(apply, call->address, call->list)) != ERR_OK)
        return err;
    return list_addresses_check(apply, *local, *name, call->address);
}

enum err apply_alias_add(struct apply *apply)
{
    const Pr__AliasAdd *call = apply->command->alias_add;
    Pr__AliasRecord alias = PR__ALIAS_RECORD__INIT;
    Pr__GroupRecord *group;
    Pr__DomainRecord *domain = NULL;
    struct bytes local;
    struct bytes name;
    enum err err;

    if ((err = add_check(apply, call, &local, &name, &domain)) != ERR_OK)
        return err;
    if ((group = directory_group_choose(apply)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group");
    alias.address = call->address;
    alias.tenant = domain->tenant;
    alias.created_ms = apply->command->time_ms;
    alias.group = group->group;
    alias.list = call->list;
    targets_set(apply, &alias, call->targets, call->n_targets);
    alias_store(apply, local, name, &alias);
    domain->aliases++;
    directory_domain_store(apply, domain);
    return ERR_OK;
}

/* Refuses when there is none. */
static enum err alias_find(struct apply *apply, const char *address, struct bytes *local,
                           struct bytes *domain, Pr__AliasRecord **alias)
{
    Pr__AccountRecord *account;
    enum err err;

    if ((err = directory_address_check(apply, address, local, domain, &account)) != ERR_OK)
        return err;
    if ((*alias = directory_alias_load(apply, *local, *domain)) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no alias %s", address);
    return ERR_OK;
}

static enum err change_check(struct apply *apply, const Pr__AliasChange *call,
                             const Pr__AliasRecord *alias)
{
    enum err err;

    if ((err = directory_targets_check(apply, call->add, call->n_add, ALIAS_TARGETS_MAX,
                                       call->address)) != ERR_OK)
        return err;
    if (call->n_remove > ALIAS_TARGETS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu addresses, more than %d", call->n_remove,
                            ALIAS_TARGETS_MAX);
    if (call->list == NULL)
        return ERR_OK;
    if (alias->list == NULL)
        return apply_refuse(apply, ERR_INVALID, "%s is no list", call->address);
    return list_check(apply, call->address, call->list);
}

enum err apply_alias_change(struct apply *apply)
{
    const Pr__AliasChange *call = apply->command->alias_change;
    Pr__AliasRecord *alias;
    struct bytes local;
    struct bytes domain;
    struct text_set gone;
    char **targets;
    size_t count = 0;
    enum err err;

    if ((err = alias_find(apply, call->address, &local, &domain, &alias)) != ERR_OK ||
        (err = change_check(apply, call, alias)) != ERR_OK)
        return err;
    text_set_init(&gone, apply->arena);
    for (size_t i = 0; i < call->n_remove; i++)
        text_set_add(&gone, bytes_of(call->remove[i]));
    targets = arena_alloc(apply->arena, (alias->n_targets + call->n_add) * sizeof(*targets));
    for (size_t i = 0; i < alias->n_targets; i++)
        if (!text_set_has(&gone, bytes_of(alias->targets[i])))
            targets[count++] = alias->targets[i];
    for (size_t i = 0; i < call->n_add; i++)
        targets[count++] = call->add[i];
    targets_set(apply, alias, targets, count);
    if (alias->n_targets > ALIAS_TARGETS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%s would have %zu targets, more than %d",
                            call->address, alias->n_targets, ALIAS_TARGETS_MAX);
    if (call->disabled != NULL)
        alias->disabled = call->disabled->on;
    if (call->list != NULL)
        alias->list = call->list;
    alias_store(apply, local, domain, alias);
    return ERR_OK;
}

enum err apply_alias_remove(struct apply *apply)
{
    const char *address = apply->command->alias_remove->address;
    Pr__AliasRecord *alias;
    Pr__DomainRecord *domain;
    struct bytes local;
    struct bytes name;
    struct key key;
    enum err err;

    if ((err = alias_find(apply, address, &local, &name, &alias)) != ERR_OK)
        return err;
    db_delete(apply->txn, TABLE_ALIAS, key_address(&key, DIRECTORY_GROUP, local, name));
    if ((domain = directory_domain_load(apply, name)) != NULL) {
        domain->aliases--;
        directory_domain_store(apply, domain);
    }
    return ERR_OK;
}
