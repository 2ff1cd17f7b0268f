/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCRUBS_H
#define STORAGE_SERVICE_SCRUBS_H

#include "storage/service/service.h"

/*
 * Compares the bodies that this node keeps with their digests (storage/query/scrub.h), group
 * after group, at a bounded rate; one that is damaged is fetched from another replica. By the
 * days of the configuration, and at full speed when an operator asks (operator.h,
 * storage_check_call).
 */
struct scrubs;

struct scrubs *scrubs_new(struct service *service);
/* Before the databases are closed. */
void scrubs_free(struct scrubs **scrubs);

/* BodyBlocks: another node repairs a body. `ask` is used within the call only. */
void scrub_serve(struct service *service, struct rpc_request *rpc, const Pr__BodyBlocks *ask);

/* RowDigests: another node compares its rows with those here. As scrub_serve(). */
void rows_serve(struct service *service, struct rpc_request *rpc, const Pr__RowDigests *ask);

/* NULL, or what an operator must know: rows differ. Valid until the next call. */
const char *scrubs_problem(struct scrubs *scrubs);
/* That, or what the disk has: what this node says of itself in `postraft status`. */
const char *service_problem(struct service *service);

#endif
