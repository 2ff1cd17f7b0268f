/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LISTING_H
#define STORAGE_SERVICE_LISTING_H

#include "storage/service/service.h"

/*
 * An operator's question to the directory. It is answered as the majority has it; when there is
 * none, as this node last knew it, and the reply's text says so.
 */
enum { LISTING_FRESH_MS = 3000 };

/* Runs in a pool thread: fills in the reply, from `txn` and the call's request, in `arena`. */
typedef void listing_fill(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                          Pr__Reply *reply);
void listing_call(struct service_call *call, listing_fill *fill);
/* The same, but that `then` has the reply, in the call's arena, and ends the call. */
void listing_call_then(struct service_call *call, listing_fill *fill,
                       void (*then)(struct service_call *call, Pr__Reply *reply));

/* The limit of a page, from what the caller asked for. */
unsigned listing_limit(uint32_t asked);

#endif
