/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_ADDRESSES_LIST_H
#define STORAGE_QUERY_ADDRESSES_LIST_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"

/* Pages of what the directory has since format 4, for operators and front ends. Records live in
 * `arena`; each returns whether there are more. */

/* NULL: there is none. `address` is folded. */
Pr__AliasRecord *directory_alias(struct db_txn *txn, struct bytes address, struct arena *arena);

/* Of a domain (empty: all), by domain and local part, behind a folded address; lists, or what
 * are none. A page that has looked at many others may be shorter; go on behind `*last` then. */
enum { ALIASES_LOOKS_MAX = 10000 };
bool directory_aliases(struct db_txn *txn, struct bytes domain, struct bytes after,
                       unsigned limit, bool lists, struct arena *arena,
                       Pr__AliasRecord ***aliases, size_t *count, struct bytes *last);

/*
 * Entries of the firewall in the order of kinds (IPv4, IPv6, AS), then addresses, behind the
 * entry of a net ("": from the first; it need not be there any more). `bans`: only bans. A page
 * that has looked at many others may be shorter; go on behind `*last` then. ERR_INVALID:
 * `after` is no net.
 */
enum { FIREWALL_LOOKS_MAX = 20000 };
enum err firewall_entries(struct db_txn *txn, struct bytes after, unsigned limit, bool bans,
                          struct arena *arena, Pr__FirewallEntry ***entries, size_t *count,
                          struct bytes *last, bool *more);
/* Those that meet a net, the wide ones first: prefixes that hold it, then those in it. At most
 * `limit`, from the `skip`th on. ERR_INVALID: it is no net. */
enum err firewall_entries_about(struct db_txn *txn, struct bytes net, unsigned skip,
                                unsigned limit, struct arena *arena,
                                Pr__FirewallEntry ***entries, size_t *count, bool *more);

/* NULL: nobody has seen it. */
Pr__SenderDomain *sender_domain(struct db_txn *txn, struct bytes name, struct arena *arena);
bool sender_domains(struct db_txn *txn, struct bytes after, unsigned limit, struct arena *arena,
                    Pr__SenderDomain ***domains, size_t *count);

#endif
