/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_ADDRESS_H
#define STORAGE_SCHEMA_ADDRESS_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/*
 * The form in which an address is looked up: ASCII letters of both sides in lower case. RFC
 * 5321 lets a host tell local parts apart by case; no user expects it. Other bytes stay as they
 * are.
 */
struct bytes address_fold(struct arena *arena, struct bytes local, struct bytes domain);

/* Splits a folded address at its last '@'. Returns false when there is none, or a side is
 * empty. */
bool address_split(struct bytes address, struct bytes *local, struct bytes *domain);

/*
 * The addresses that belong to a list: mail for its owner, and where bounces of what it sent
 * out go. Returns whether `local` has such an end behind a name, which is then `list`.
 */
enum list_part { LIST_OWNER, LIST_BOUNCES, LIST_PARTS };
bool address_list_part(struct bytes local, enum list_part part, struct bytes *list);
/* "name-bounces@domain" of the list's address. */
struct bytes address_of_list(struct arena *arena, struct bytes list, enum list_part part);

/* A local part in the form of rewritten senders ("srs0=", "srs1=", also with '+' or '-'): never
 * that of an account or alias. */
bool address_is_rewritten(struct bytes local);

/* Each a mark that may part a local part from a sub-address; none twice; "" for no
 * sub-addresses. */
enum { ADDRESS_SEPARATORS_MAX = 8 };
bool address_separators_valid(struct bytes separators);

/* abuse, postmaster (RFC 2142, RFC 5321 section 4.5.1). */
bool address_is_role(struct bytes local);

#endif
