/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_ADDRESSES_H
#define STORAGE_MACHINE_DIRECTORY_ADDRESSES_H

#include "storage/machine/directory_rows.h"

/*
 * What addresses stand for, from format 4 on. An address has one owner: it is an account's, an
 * alias's or a list's, or, with "-owner" or "-bounces" behind it, belongs to a list.
 */
enum {
    ALIAS_TARGETS_MAX = 1000, /* members of a list too */
    FORWARD_TARGETS_MAX = 50,
    CATCH_ALL_TARGETS_MAX = 50,
    SEND_AS_MAX = 100,
    LIST_DESCRIPTION_SIZE_MAX = 256,
    LIST_SUFFIX_SIZE_MAX = 8, /* "-bounces": room that a list's local part leaves */
    ROLE_KEY_SIZE = 32,
};

/* The one account of no domain, and of no tenant. */
#define ROLE_ADDRESS "postmaster@localhost"

/* Refuses a list that cannot be: more than `max`, what is no folded address, `self`. */
enum err directory_targets_check(struct apply *apply, char *const *targets, size_t count,
                                 size_t max, const char *self);
/* Folded, without control characters: what a new row may name. */
bool directory_address_valid(struct bytes address);
/* UTF-8 without control characters, at most `max` bytes. */
bool directory_text_valid(struct bytes text, size_t max);

/* NULL: there is none. */
Pr__AliasRecord *directory_alias_load(struct apply *apply, struct bytes local,
                                      struct bytes domain);

/* Refuses what an account or alias of this domain cannot have as a new address: it belongs to
 * an alias or a list, or the domain has no addresses of its own. Below format 4 all is well. */
enum err directory_address_free(struct apply *apply, const Pr__DomainRecord *domain,
                                struct bytes local, const char *address);

/* The mail group with the fewest accounts, the lowest number among equals; NULL: none. */
Pr__GroupRecord *directory_group_choose(struct apply *apply);
/* One account more, or one less. */
void directory_group_count(struct apply *apply, Pr__GroupRecord *group, bool more);

/* The domain is about to go: the one that it stood for, if any, hears of it. */
void directory_route_forget(struct apply *apply, const Pr__DomainRecord *domain);

#endif
