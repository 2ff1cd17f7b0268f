/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/addresses_list.h"

#include "storage/machine/directory.h"
#include "storage/machine/directory_firewall.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"

/* The key of a folded address; false for what cannot be in the table. */
static bool address_key(struct key *key, struct bytes address)
{
    struct bytes local;
    struct bytes domain;

    if (!address_split(address, &local, &domain) || local.len > DIRECTORY_LOCAL_SIZE_MAX ||
        domain.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return false;
    key_address(key, DIRECTORY_GROUP, local, domain);
    return true;
}

Pr__AliasRecord *directory_alias(struct db_txn *txn, struct bytes address, struct arena *arena)
{
    struct key key;

    if (!address_key(&key, address))
        return NULL;
    return directory_load(txn, TABLE_ALIAS, bytes_from(key.at, key.len),
                          &pr__alias_record__descriptor, arena);
}

/* The first row behind a key, which need not be there; without one the first of all. */
static bool seek_behind(struct db_cursor *cursor, const struct key *behind, struct bytes *key,
                        struct bytes *row)
{
    struct bytes at = bytes_from(behind->at, behind->len);

    if (behind->len == 0)
        return db_cursor_first(cursor, key, row);
    return db_cursor_seek(cursor, at, key, row) &&
           (!bytes_equal(*key, at) || db_cursor_next(cursor, key, row));
}

bool directory_aliases(struct db_txn *txn, struct bytes domain, struct bytes after,
                       unsigned limit, bool lists, struct arena *arena,
                       Pr__AliasRecord ***aliases, size_t *count, struct bytes *last)
{
    struct key prefix;
    struct key behind = {.len = 0};
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    unsigned looks = 0;
    bool more;

    *aliases = arena_alloc(arena, limit * sizeof(**aliases));
    *count = 0;
    *last = after;
    if (domain.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return false;
    cursor = db_cursor_open(
        txn, TABLE_ALIAS,
        domain.len > 0 ? key_address(&prefix, DIRECTORY_GROUP, bytes_from(NULL, 0), domain)
                       : key_group(&prefix, DIRECTORY_GROUP));
    if (after.len > 0)
        address_key(&behind, after);
    for (more = seek_behind(cursor, &behind, &key, &row);
         more && *count < limit && looks < ALIASES_LOOKS_MAX;
         more = db_cursor_next(cursor, &key, &row)) {
        Pr__AliasRecord *alias =
            directory_unpack(txn, row, &pr__alias_record__descriptor, arena);
        if (alias == NULL)
            break;
        looks++;
        *last = bytes_of(alias->address);
        if (lists == (alias->list != NULL))
            (*aliases)[(*count)++] = alias;
    }
    db_cursor_close(&cursor);
    return more;
}

static Pr__FirewallEntry *entry_of(struct db_txn *txn, struct bytes row, struct arena *arena)
{
    return directory_unpack(txn, row, &pr__firewall_entry__descriptor, arena);
}

enum err firewall_entries(struct db_txn *txn, struct bytes after, unsigned limit, bool bans,
                          struct arena *arena, Pr__FirewallEntry ***entries, size_t *count,
                          struct bytes *last, bool *more)
{
    struct key prefix;
    struct key behind = {.len = 0};
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    struct net net;
    unsigned looks = 0;

    *entries = arena_alloc(arena, limit * sizeof(**entries));
    *count = 0;
    *last = after;
    *more = false;
    if (after.len > 0) {
        if (!net_parse(after, &net))
            return ERR_INVALID;
        firewall_key(&behind, &net);
    }
    cursor = db_cursor_open(txn, TABLE_FIREWALL, key_group(&prefix, DIRECTORY_GROUP));
    for (*more = seek_behind(cursor, &behind, &key, &row);
         *more && *count < limit && looks < FIREWALL_LOOKS_MAX;
         *more = db_cursor_next(cursor, &key, &row)) {
        Pr__FirewallEntry *entry = entry_of(txn, row, arena);
        if (entry == NULL)
            break;
        looks++;
        *last = bytes_of(entry->net);
        if (!bans || entry->action == PR__FIREWALL_ACTION__FIREWALL_BAN)
            (*entries)[(*count)++] = entry;
    }
    db_cursor_close(&cursor);
    return db_error(txn);
}

/* Entries that are asked for, one by one: the first `skip` are passed over. */
struct meeting {
    struct db_txn *txn;
    struct arena *arena;
    Pr__FirewallEntry **entries;
    size_t count;
    unsigned skip;
    unsigned limit;
};

/* False when there is one more than there may be. */
static bool meeting_add(struct meeting *meeting, struct bytes row)
{
    if (meeting->skip > 0) {
        meeting->skip--;
        return true;
    }
    if (meeting->count == meeting->limit)
        return false;
    meeting->entries[meeting->count] = entry_of(meeting->txn, row, meeting->arena);
    if (meeting->entries[meeting->count] == NULL)
        return false;
    meeting->count++;
    return true;
}

/* Prefixes that hold the net, and are wider. */
static bool wider_add(struct meeting *meeting, const struct net *net)
{
    for (unsigned bits = 0; net->kind != NET_AS && bits < net->bits; bits++) {
        struct net wider = net_wider(net, bits);
        struct key key;
        struct bytes row;
        if (db_get(meeting->txn, TABLE_FIREWALL, firewall_key(&key, &wider), &row) == ERR_OK &&
            !meeting_add(meeting, row))
            return false;
    }
    return true;
}

/* What lies in the net lies side by side in the table, behind its first address; wider prefixes
 * that begin with the same address come before. */
static bool narrower_add(struct meeting *meeting, const struct net *net)
{
    struct key prefix;
    struct key from;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(meeting->txn, TABLE_FIREWALL, key_group(&prefix, DIRECTORY_GROUP));
    bool fits = true;

    for (bool more = db_cursor_seek(cursor, firewall_key(&from, net), &key, &row); more && fits;
         more = db_cursor_next(cursor, &key, &row)) {
        const Pr__FirewallEntry *entry = entry_of(meeting->txn, row, meeting->arena);
        struct net found;
        if (entry == NULL || !net_parse(bytes_of(entry->net), &found) ||
            !net_covers(net, &found))
            break;
        fits = meeting_add(meeting, row);
    }
    db_cursor_close(&cursor);
    return fits;
}

enum err firewall_entries_about(struct db_txn *txn, struct bytes text, unsigned skip,
                                unsigned limit, struct arena *arena,
                                Pr__FirewallEntry ***entries, size_t *count, bool *more)
{
    struct meeting meeting = {.txn = txn, .arena = arena, .skip = skip, .limit = limit};
    struct net net;

    *entries = NULL;
    *count = 0;
    *more = false;
    if (!net_parse(text, &net))
        return ERR_INVALID;
    meeting.entries = arena_alloc(arena, limit * sizeof(*meeting.entries));
    *more = !wider_add(&meeting, &net) || !narrower_add(&meeting, &net);
    *entries = meeting.entries;
    *count = meeting.count;
    return db_error(txn);
}

Pr__SenderDomain *sender_domain(struct db_txn *txn, struct bytes name, struct arena *arena)
{
    struct key key;

    if (name.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return NULL;
    return directory_load(txn, TABLE_SENDER_DOMAIN, key_name(&key, DIRECTORY_GROUP, name),
                          &pr__sender_domain__descriptor, arena);
}

bool sender_domains(struct db_txn *txn, struct bytes after, unsigned limit, struct arena *arena,
                    Pr__SenderDomain ***domains, size_t *count)
{
    struct key prefix;
    struct key behind = {.len = 0};
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_SENDER_DOMAIN, key_group(&prefix, DIRECTORY_GROUP));
    bool more;

    *domains = arena_alloc(arena, limit * sizeof(**domains));
    *count = 0;
    if (after.len > 0 && after.len <= DIRECTORY_DOMAIN_SIZE_MAX)
        key_name(&behind, DIRECTORY_GROUP, after);
    for (more = seek_behind(cursor, &behind, &key, &row); more && *count < limit;
         more = db_cursor_next(cursor, &key, &row)) {
        Pr__SenderDomain *domain =
            directory_unpack(txn, row, &pr__sender_domain__descriptor, arena);
        if (domain == NULL)
            break;
        (*domains)[(*count)++] = domain;
    }
    db_cursor_close(&cursor);
    return more;
}
