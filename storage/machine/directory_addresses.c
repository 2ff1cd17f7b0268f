/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses there may be. */
#include "storage/machine/directory_addresses.h"

#include "storage/machine/utf8.h"
#include "storage/schema/address.h"
#include "storage/schema/format.h"

bool directory_text_valid(struct bytes text, size_t max)
{
    uint32_t character;

    if (text.len > max)
        return false;
    while (text.len > 0)
        if (!utf8_next(&text, &character) || character < ' ' ||
            (character >= 0x7f && character < 0xa0))
            return false;
    return true;
}

bool directory_address_valid(struct bytes address)
{
    struct bytes local;
    struct bytes domain;

    return address_split(address, &local, &domain) && directory_local_valid(local) &&
           directory_text_valid(local, DIRECTORY_LOCAL_SIZE_MAX) &&
           directory_domain_valid(domain);
}

enum err directory_targets_check(struct apply *apply, char *const *targets, size_t count,
                                 size_t max, const char *self)
{
    if (count > max)
        return apply_refuse(apply, ERR_TOOBIG, "%zu addresses, more than %zu", count, max);
    for (size_t i = 0; i < count; i++) {
        if (!directory_address_valid(bytes_of(targets[i])))
            return apply_refuse(apply, ERR_INVALID, "%s is no address", targets[i]);
        if (bytes_equal(bytes_of(targets[i]), bytes_of(self)))
            return apply_refuse(apply, ERR_INVALID, "%s would lead to itself", self);
    }
    return ERR_OK;
}

Pr__AliasRecord *directory_alias_load(struct apply *apply, struct bytes local,
                                      struct bytes domain)
{
    struct key key;

    return directory_load(apply->txn, TABLE_ALIAS,
                          key_address(&key, DIRECTORY_GROUP, local, domain),
                          &pr__alias_record__descriptor, apply->arena);
}

/* The list that an address like NAME-owner@domain belongs to; NULL: none. */
static Pr__AliasRecord *list_of(struct apply *apply, struct bytes local, struct bytes domain)
{
    for (size_t i = 0; i < LIST_PARTS; i++) {
        struct bytes base;
        Pr__AliasRecord *alias;
        if (!address_list_part(local, (enum list_part)i, &base))
            continue;
        alias = directory_alias_load(apply, base, domain);
        if (alias != NULL && alias->list != NULL)
            return alias;
    }
    return NULL;
}

enum err directory_address_free(struct apply *apply, const Pr__DomainRecord *domain,
                                struct bytes local, const char *address)
{
    struct bytes name = bytes_of(domain->name);
    const Pr__AliasRecord *list;

    if (apply_format(apply) < FORMAT_ADDRESSES)
        return ERR_OK;
    if (!directory_address_valid(bytes_of(address)))
        return apply_refuse(apply, ERR_INVALID, "%s is no address", address);
    if (address_is_rewritten(local))
        return apply_refuse(apply, ERR_INVALID, "%s is of the form of rewritten senders",
                            address);
    if (domain->routing != NULL && domain->routing->alias_of[0] != '\0')
        return apply_refuse(apply, ERR_INVALID, "the addresses of %s are those of %s",
                            domain->name, domain->routing->alias_of);
    if (directory_alias_load(apply, local, name) != NULL)
        return apply_refuse(apply, ERR_EXISTS, "there is an alias %s already", address);
    if ((list = list_of(apply, local, name)) != NULL)
        return apply_refuse(apply, ERR_EXISTS, "%s belongs to the list %s", address,
                            list->address);
    return ERR_OK;
}
