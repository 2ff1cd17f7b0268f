/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may send as an address. */
#include "storage/query/addresses_find.h"

static bool has_right(const Pr__AccountRecord *account, struct bytes address)
{
    struct bytes local;
    struct bytes domain;

    if (!address_split(address, &local, &domain))
        return false;
    for (size_t i = 0; i < account->n_send_as; i++) {
        struct bytes right = bytes_of(account->send_as[i]);
        if (bytes_equal(right, address) ||
            (right.len > 1 && right.at[0] == '@' && bytes_equal(bytes_skip(right, 1), domain)))
            return true;
    }
    return false;
}

bool addresses_may_send(struct db_txn *txn, const Pr__AccountRecord *account,
                        struct bytes address, struct arena *arena)
{
    struct address_found found;

    if (has_right(account, address))
        return true;
    if (!address_find(txn, address, arena, &found))
        return false;
    if (found.kind == ADDRESS_ACCOUNT && found.account->id == account->id)
        return true;
    if (found.kind == ADDRESS_ALIAS && found.alias->list == NULL && !found.alias->disabled)
        for (size_t i = 0; i < found.alias->n_targets; i++)
            if (strcmp(found.alias->targets[i], account->address) == 0)
                return true;
    return found.kind != ADDRESS_REMOTE && has_right(account, found.address);
}
