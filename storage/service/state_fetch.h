/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATE_FETCH_H
#define STORAGE_SERVICE_STATE_FETCH_H

#include "storage/service/service.h"

/*
 * The states of groups that this node copies from others (raft/machine.h, fetch;
 * storage/transfer/sink.h), each over a connection of its own, at most STATE_FETCHES_MAX at
 * once and together no faster than the configuration says. Others wait their turn.
 */
enum { STATE_FETCHES_MAX = 2 };

struct state_fetches;

struct state_fetches *state_fetches_new(struct service *service);
/* Before the databases are closed. What is under way ends; nobody is told. */
void state_fetches_free(struct state_fetches **fetches);

/* replication_fetched() comes once for each, later. */
void state_fetch_start(struct service *service, uint32_t group, uint64_t source,
                       uint64_t index);
/* All rows of the group go (raft/machine.h, forget); replication_forgotten() comes later. */
void state_forget_start(struct service *service, uint32_t group);
/* Soon: with ERR_CANCELLED. */
void state_fetch_stop(struct service *service, uint32_t group);

struct state_fetch_progress {
    uint64_t source;
    uint64_t begun_ms; /* wall clock */
    uint64_t bytes;    /* of rows that came */
    uint64_t rows;
    uint64_t compared_bytes; /* of rows that were here */
};
/* Returns false when none is under way or waiting. */
bool state_fetch_progress(const struct service *service, uint32_t group,
                          struct state_fetch_progress *progress);

/* NULL, or what an operator must know: a copy is outrun by its source (state_outrun.h). Valid
 * until the next call. */
const char *state_fetches_problem(struct service *service);

#endif
