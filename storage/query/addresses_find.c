/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/addresses_find.h"

#include "storage/machine/directory.h"
#include "storage/machine/directory_addresses.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"

static struct bytes join(struct arena *arena, struct bytes local, struct bytes domain)
{
    return bytes_of(arena_printf(arena, "%.*s@%.*s", BYTES_ARG(local), BYTES_ARG(domain)));
}

/* The account or alias of a local part of this domain. */
static bool owner_find(struct db_txn *txn, struct bytes local, struct bytes domain,
                       struct arena *arena, struct address_found *found)
{
    struct bytes address = join(arena, local, domain);

    if ((found->account = directory_account(txn, address, arena)) != NULL)
        found->kind = ADDRESS_ACCOUNT;
    else if ((found->alias = directory_alias(txn, address, arena)) != NULL)
        found->kind = ADDRESS_ALIAS;
    else
        return false;
    found->address = address;
    return true;
}

static bool list_find(struct db_txn *txn, struct bytes local, struct bytes domain,
                      struct arena *arena, struct address_found *found)
{
    struct bytes name;

    for (unsigned part = 0; part < LIST_PARTS; part++) {
        if (!address_list_part(local, (enum list_part)part, &name))
            continue;
        found->alias = directory_alias(txn, join(arena, name, domain), arena);
        if (found->alias != NULL && found->alias->list != NULL) {
            found->kind = ADDRESS_OF_LIST;
            found->address = join(arena, local, domain);
            return true;
        }
        found->alias = NULL;
    }
    return false;
}

static struct bytes separators_of(struct db_txn *txn, const Pr__DomainRecord *domain,
                                  struct arena *arena)
{
    if (domain->routing != NULL && domain->routing->separators != NULL)
        return bytes_of(domain->routing->separators->text);
    return setting_marks(settings_text(txn, settings_place_domain(txn, domain, arena),
                                       SETTING_MAIL_SEPARATORS, arena));
}

/* Names that have a separator in them are names too: the longest is meant. */
static bool base_find(struct db_txn *txn, struct bytes local, struct bytes domain,
                      struct arena *arena, struct address_found *found)
{
    struct bytes marks = separators_of(txn, found->domain, arena);

    for (size_t len = local.len; len-- > 1;)
        if (bytes_find(marks, local.at[len]) < marks.len &&
            owner_find(txn, bytes_from(local.at, len), domain, arena, found)) {
            found->by_sub_address = true;
            return true;
        }
    return false;
}

bool address_find(struct db_txn *txn, struct bytes address, struct arena *arena,
                  struct address_found *found)
{
    struct bytes local;
    struct bytes name;

    *found = (struct address_found){.kind = ADDRESS_REMOTE, .address = address};
    if (!address_split(address, &local, &name))
        return false;
    found->local = local;
    if (bytes_equal(address, BYTES(ROLE_ADDRESS)) && owner_find(txn, local, name, arena, found))
        return true;
    if ((found->domain = directory_domain(txn, name, arena)) == NULL)
        return true;
    found->kind = ADDRESS_UNKNOWN;
    if (found->domain->routing != NULL && found->domain->routing->alias_of[0] != '\0') {
        const Pr__DomainRecord *other =
            directory_domain(txn, bytes_of(found->domain->routing->alias_of), arena);
        if (other != NULL) {
            found->domain = other;
            found->by_domain = true;
            name = bytes_of(other->name);
            found->address = join(arena, local, name);
        }
    }
    if (local.len > DIRECTORY_LOCAL_SIZE_MAX || owner_find(txn, local, name, arena, found) ||
        list_find(txn, local, name, arena, found))
        return true;
    if (address_is_rewritten(local))
        found->kind = ADDRESS_REWRITTEN;
    else
        base_find(txn, local, name, arena, found);
    return true;
}
