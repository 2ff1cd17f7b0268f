/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_SCOPES_H
#define STORAGE_MACHINE_DIRECTORY_SCOPES_H

#include "storage/machine/directory_rows.h"

/*
 * Which group may use how much of a limit. The parts of all groups together are never more
 * than the limit, but for mail that is there already. A part grows here before its group hears
 * of it, and shrinks only when the group has said that it uses less.
 */

/*
 * A new, another or no limit on what a scope's accounts hold together. Returns the number of
 * the limit, 0 for none. What is limited for the first time gets a new number: no group has a
 * part of it then, whatever it had heard before. A changed limit keeps its number. NULL: none.
 * The caller stores the cluster's record.
 */
uint64_t directory_scope_limit(struct apply *apply, Pr__ClusterRecord *cluster,
                               Pr__ScopeKind kind, uint64_t id, const char *name,
                               Pr__AccountQuota *total);
/* NULL: no limit. */
Pr__ScopeRecord *directory_scope_load(struct apply *apply, Pr__ScopeKind kind, uint64_t id);
/* The scope is gone. */
void directory_scope_forget(struct apply *apply, Pr__ScopeKind kind, uint64_t id);
/* An account that holds so much is in group `to` now: a fact, which counts as granted there. In
 * `from` as much less is. */
void directory_scope_moved(struct apply *apply, Pr__ScopeKind kind, uint64_t id, uint32_t from,
                           uint32_t to, uint64_t messages, uint64_t bytes);

/*
 * The limits on what tenants send are settings, which the log does not read: who asks for a
 * part brings them along, and the newest are kept. NULL: there is no such tenant, or no limit
 * on it, also none of before.
 */
Pr__ScopeRecord *directory_sending_scope(struct apply *apply, const Pr__ScopeAsk *call);
/* Which limit it is a group learns with its first grant: what it has of an older one is
 * nothing.
 */
void directory_sending_tell(const Pr__ScopeRecord *scope, Pr__ScopeShare *share);

/* The next domain's id. The caller stores the cluster's record. */
uint64_t directory_domain_number(Pr__ClusterRecord *cluster);

#endif
