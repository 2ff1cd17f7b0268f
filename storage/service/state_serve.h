/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATE_SERVE_H
#define STORAGE_SERVICE_STATE_SERVE_H

#include "storage/service/service.h"

/*
 * Other nodes copy the states of groups from here (storage/transfer/source.h): a session for
 * each, at most STATE_SESSIONS_MAX, forgotten when it was silent for STATE_SESSION_SILENT_MS.
 * The last answer is kept until the next step is asked for, so that a step can be asked again.
 */
enum {
    STATE_SESSIONS_MAX = 4,
    STATE_SESSION_SILENT_MS = 60 * 1000,
};

struct state_sessions;

struct state_sessions *state_sessions_new(struct service *service);
/* Before the databases are closed, and after the servers whose requests they answer. */
void state_sessions_free(struct state_sessions **sessions);

/* A StateOpen, StateRead or StateClose. `request` is used within the call only; `rpc` is
 * answered. */
void state_serve(struct service *service, struct rpc_request *rpc, uint64_t node_id,
                 const Pr__PeerRequest *request);

#endif
