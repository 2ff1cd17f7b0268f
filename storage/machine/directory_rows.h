/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_ROWS_H
#define STORAGE_MACHINE_DIRECTORY_ROWS_H

#include "storage/machine/directory.h"

/* Rows of tenants, domains and accounts, for the commands on them. NULL: there is none. */
Pr__TenantRecord *directory_tenant_load(struct apply *apply, const char *name);
void directory_tenant_store(struct apply *apply, const Pr__TenantRecord *tenant);
Pr__DomainRecord *directory_domain_load(struct apply *apply, struct bytes name);
void directory_domain_store(struct apply *apply, const Pr__DomainRecord *domain);
/* Splits the address and looks its account up (NULL: there is none); refuses what is no folded
 * address. */
enum err directory_address_check(struct apply *apply, const char *address, struct bytes *local,
                                 struct bytes *domain, Pr__AccountRecord **account);
void directory_account_store(struct apply *apply, struct bytes local, struct bytes domain,
                             const Pr__AccountRecord *account);
/* The counts of the account's domain and group: one more, or one less. */
void directory_account_count(struct apply *apply, struct bytes domain_name, uint32_t number,
                             bool more);
/* It does not move any more. */
void directory_move_forget(struct apply *apply, uint64_t account_id);
/* The account is removed; its mail is due `keep_ms` from now. */
void directory_purge_due_add(struct apply *apply, Pr__AccountRecord *account, uint64_t keep_ms);

#endif
