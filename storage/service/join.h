/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_JOIN_H
#define STORAGE_SERVICE_JOIN_H

#include "storage/service/service.h"

/*
 * How a machine becomes a node. It makes a key and a signing request, shows the token's secret
 * to a node on the one port that takes clients without certificate, and gets a certificate
 * back. The token pins the cluster's authority, so that the secret is shown to nobody else.
 *
 * The key is kept in the file `joining` until this node has its own record in its own copy of
 * the directory: a join that was interrupted and is done again with the same token asks the
 * same question, and so gets the same node id.
 */
enum {
    JOIN_REQUEST_SIZE_MAX = 64 * 1024,
    JOIN_ADDRESSES_MAX = 8,
    JOIN_SECRET_SIZE = 16,
    JOIN_TRY_MS = 10000, /* an address of the token */
};

/* The operator's `cluster join`, on a node that is in no cluster. */
void join_call(struct service_call *call);

/* Answers a JoinRequest from the anonymous port. */
void join_serve(struct service *service, struct rpc_request *request, struct bytes body);

/* True from `cluster join` until this node has the directory: only then may it begin with an
 * empty replica of group 0. A node that has an identity, but no group 0 and is not joining, has
 * lost its disk; it must not vote again under its old id. */
bool join_under_way(const struct service *service);
/* A `cluster join` is under way and has no identity yet. */
bool join_busy(const struct service *service);
/* The directory is here: forgets the key for joining. */
void join_finished(struct service *service);

/* "PRJ1.<secret>.<authority's fingerprint>.<join address>[,<join address>...]" */
struct join_token {
    uint8_t secret[JOIN_SECRET_SIZE];
    char authority_pin[65];
    const char *addresses[JOIN_ADDRESSES_MAX];
    unsigned address_count;
};
/* False for anything else. Strings in `arena`. */
bool join_token_parse(struct bytes text, struct arena *arena, struct join_token *token);
const char *join_token_format(const struct join_token *token, struct arena *arena);

#endif
