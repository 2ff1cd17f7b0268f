/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_SCOPE_H
#define STORAGE_MACHINE_SCOPE_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * What the accounts of a domain, or of a tenant, hold together in this group, and how much of
 * the limit on it the group may use (README.md, "Limits of domains and tenants"). An account's
 * record names the scopes that it is counted in; account_store() moves their rows.
 *
 * Granted is SCOPE_UNLIMITED where the limit says nothing; both are when the version is
 * SCOPE_ENDED: the limit is gone. A row of a limit that is not gone stays even when nothing is
 * used or granted: it knows which grants are old.
 */
#define SCOPE_UNLIMITED UINT64_MAX
#define SCOPE_ENDED UINT64_MAX

/* Which scope a number is of. */
struct scope_name {
    Pr__ScopeKind kind;
    uint64_t id;
};

/* Whether there is a row; all zero when there is none. */
bool scope_load(struct db_txn *txn, uint32_t group, struct scope_name name,
                struct scope_record *scope);
/* The same, with what is used at that time: of SCOPE_SENDING it changes by itself (sending.h),
 * and is not in the row. */
bool scope_load_at(struct db_txn *txn, uint32_t group, struct scope_name name, uint64_t now_ms,
                   struct scope_record *scope);
void scope_store(struct db_txn *txn, uint32_t group, struct scope_name name,
                 const struct scope_record *scope);
Pr__ScopeShare *scope_share(struct arena *arena, uint32_t group, struct scope_name name,
                            const struct scope_record *scope);

/* One account counts differently. Sums are taken modulo 2^64, so that what was added can always
 * be taken away. */
void scope_count(struct db_txn *txn, uint32_t group, const struct account_counted *before,
                 const struct account_counted *now);

/* Refuses what is no share of a limit. */
enum err scope_share_check(struct apply *apply, const Pr__ScopeShare *share);
/* What the directory says that the group may use, checked: taken when it is newer than what the
 * group has heard before. *scope: as it is then. */
void scope_hear(struct apply *apply, const Pr__ScopeShare *share, struct scope_record *scope);

/*
 * The account is counted where `scopes` says from the next account_store() on; numbers that are
 * 0 are not known, and say nothing. Domains' ids ascend, also those of one name: a proposer
 * that names an older one than the account's has an old directory, and is not heeded. NULL:
 * nothing changes.
 */
void scope_enrol(const struct apply *apply, struct account *account,
                 const Pr__AccountScopes *scopes);

/* What a command needs, in the scopes of all accounts that it writes to. */
struct scope_needs {
    struct scope_need *at;
    size_t count;
    size_t room;
};
/* `messages` of together `size` bytes for an account, which will be enrolled. `known`: it is in
 * the needs already. Without scopes nothing is asked: what was promised is counted, not
 * refused. */
void scope_needs_add(struct apply *apply, struct scope_needs *needs,
                     const struct account *account, const Pr__AccountScopes *scopes, bool known,
                     uint64_t messages, uint64_t size);
/* Refuses with GRANT when a scope has no room; Outcome.share is the first such scope's, with
 * what is used when the accounts are enrolled, and what is needed beyond that. */
enum err scope_needs_check(struct apply *apply, const struct scope_needs *needs);
/* Of one scope, as a proposer knows its limit. */
enum err scope_room_check(struct apply *apply, struct scope_name name, uint64_t limit,
                          uint64_t messages, uint64_t bytes);
/* The two for one account. */
enum err scope_check(struct apply *apply, const struct account *account,
                     const Pr__AccountScopes *scopes, uint64_t messages, uint64_t size);

#endif
