/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCOPES_USAGE_H
#define STORAGE_SERVICE_SCOPES_USAGE_H

#include "storage/service/service.h"

/*
 * What all accounts of domains or tenants hold together: each mail group is asked, in a state
 * that is as new as its leader's, and what they say is added up. A group that does not answer
 * in time is named.
 */
enum {
    SCOPES_USAGE_MS = 3000,
    SCOPES_USAGE_PARALLEL = 32, /* groups that are asked at the same time */
    SCOPES_USAGE_PAGE = 200,    /* scopes in one answer */
    SCOPES_READ_MAX = 1000,     /* in one question to a group */
};

struct scopes_usage;
/* In the call's arena: one a scope, and the groups without answer. */
typedef void scopes_usage_done(struct service_call *call, Pr__ScopeUsage **usages,
                               uint32_t *silent, size_t silent_count);
/* `ids` (in the call's arena): of that kind. */
void scopes_usage_start(struct service_call *call, Pr__ScopeKind kind, uint64_t *ids,
                        size_t count, scopes_usage_done *done);

/* A group's own answer, in a pool thread. */
enum err scopes_usage_read(struct db_txn *txn, uint32_t group, const Pr__ScopeRead *call,
                           struct arena *arena, Pr__ScopeReadAnswer *answer);

#endif
