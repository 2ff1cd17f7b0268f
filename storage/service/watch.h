/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_WATCH_H
#define STORAGE_SERVICE_WATCH_H

#include "storage/service/sessions.h"

/*
 * Telling front ends what happened in the mailboxes that their sessions have open. A front end
 * keeps one Watch call waiting; events gather per connection and a session is named once,
 * however much happened to it.
 */
struct watches;

struct watches *watches_new(void);
void watches_free(struct watches **watches);

/* Watch: answers at once when something is there to tell, else when something comes or at the
 * deadline. */
void watch_call(struct service_call *call);

/* What a batch of commands did. */
void watch_events(struct service *service, const struct machine_events *events);

/* A session is about to be closed: what was to be told of it is forgotten. */
void watch_session_closing(struct service *service, struct session *session);

/* Before the sessions of a connection are closed. */
void watch_connection_closed(struct service *service, uint32_t connection);

/* The highest modseq of a session's mailbox, learnt from another node (no replica here). */
void watch_learnt(struct service *service, struct session *session, uint64_t modseq);

#endif
