/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDER_DOMAIN_SIMILAR_H
#define STORAGE_SERVICE_SENDER_DOMAIN_SIMILAR_H

#include "storage/db/db.h"
#include "storage/schema/settings.h"

/* Hosted domains that one name is compared with: a second of a pool thread. */
enum { SENDER_SIMILAR_LOOKS_MAX = 500000 };

/*
 * The protected name that a domain looks like: of newdomain.protected (near), or one whose mail
 * is here (newdomain.protect_own; looks). Empty: none, or it is one of those itself. Walks the
 * table of domains: pool thread. The name lives in `arena`.
 */
struct bytes sender_domain_similar(struct db_txn *txn, const struct settings *settings,
                                   struct bytes domain, struct arena *arena);

#endif
