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

#endif
