/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MACHINE_SCOPE_LAB_H
#define TESTS_UNIT_STORAGE_MACHINE_SCOPE_LAB_H

#include "storage/machine/scope.h"
#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

/* Short words for tests of what domains and tenants hold, in the group SCOPE_GROUP. */
enum { SCOPE_GROUP = 3 };
enum { ANN = 7, BEA = 8, CID = 9, INBOX = 1, TRASH = 5 };
enum { DOMAIN_A = 11, DOMAIN_B = 12, TENANT = 4, LIMIT = 5 };
#define OF_DOMAIN PR__SCOPE_KIND__SCOPE_DOMAIN
#define OF_TENANT PR__SCOPE_KIND__SCOPE_TENANT

/* A directory with the tenant acme and its domain acme.example. */
enum { SCOPE_MAIL_GROUPS = 5 };
void scope_lab_directory(struct lab *lab, unsigned format);
Pr__Outcome *scope_lab_tenant(struct lab *lab, const char *name);
/* Of acme. */
Pr__Outcome *scope_lab_domain(struct lab *lab, const char *name);
/* Zeros: no limit. */
Pr__Outcome *scope_lab_together(struct lab *lab, const char *tenant, const char *domain,
                                uint64_t messages, uint64_t bytes);

void scope_lab_format(struct lab *lab, uint32_t group, unsigned format);

Pr__AccountScopes *scope_lab_of(struct lab *lab, uint64_t domain_id, uint64_t domain_limit,
                                uint64_t tenant_id, uint64_t tenant_limit);
/* DOMAIN_A with that limit, TENANT without one. */
Pr__AccountScopes *scope_lab_in_a(struct lab *lab, uint64_t limit);
Pr__ScopeShare *scope_lab_share(struct lab *lab, Pr__ScopeKind kind, uint64_t id);
/* Aborts unless the scope holds so much, and every other what its accounts do. */
void scope_lab_expect(struct lab *lab, Pr__ScopeKind kind, uint64_t id, uint64_t messages,
                      uint64_t bytes);
unsigned scope_lab_rows(struct lab *lab);

Pr__Outcome *scope_lab_grant(struct lab *lab, Pr__ScopeKind kind, uint64_t id, uint64_t limit,
                             uint64_t version, uint64_t messages, uint64_t bytes);

/* To `count` accounts, at most four; the same one again: to its TRASH. */
Pr__Outcome *scope_lab_deliver(struct lab *lab, const char *text, size_t count,
                               const uint64_t *accounts, Pr__AccountScopes *const *scopes);
Pr__Outcome *scope_lab_deliver_to(struct lab *lab, const char *text, uint64_t account,
                                  Pr__AccountScopes *scopes);
Pr__Outcome *scope_lab_append(struct lab *lab, uint64_t account, const char *text,
                              Pr__AccountScopes *scopes);
/* All of the INBOX, to TRASH. */
Pr__Outcome *scope_lab_copy(struct lab *lab, uint64_t account, bool move,
                            Pr__AccountScopes *scopes);
/* All of a mailbox. */
void scope_lab_expunge(struct lab *lab, uint64_t account, uint32_t mailbox, bool keep);
/* All of the account. */
Pr__Outcome *scope_lab_undelete(struct lab *lab, uint64_t account, Pr__AccountScopes *scopes);

#endif
