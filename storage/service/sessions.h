/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SESSIONS_H
#define STORAGE_SERVICE_SESSIONS_H

#include "storage/service/service.h"

/*
 * Who is logged in through which front-end connection. A session is found only through the
 * connection that it was opened on, and ends with it, by LOGOUT, or when its account is
 * removed, barred, or has new secrets: then at the answer to WATCH that tells of it. Calls that
 * wait hold the session's id and look it up again when they go on.
 */
struct session {
    uint64_t id; /* random */
    uint32_t connection;
    uint64_t account_id;
    uint32_t group;
    const char *address;
    uint64_t seen_index; /* reads answer from a state at least as new */
    bool refresh; /* it is new, or its account came to its group since: the next read is fresh
                   */
    uint32_t watched_mailbox; /* 0: none open */
    uint64_t watched_modseq;  /* the last that the front end was told of */
    bool told;                /* it waits in its connection's list of events */
    bool ended;               /* the account was removed or has a new password */
    bool unwatched;           /* its front end does not ask for events: it ends at once */
    struct session *told_next;
    struct session *account_next; /* of the same account */
    struct session *account_previous;
};

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions **sessions);

struct session *session_open(struct sessions *sessions, uint32_t connection,
                             uint64_t account_id, uint32_t group, const char *address);
/* NULL when there is none of that id on that connection. */
struct session *session_find_any(const struct sessions *sessions, uint32_t connection,
                                 uint64_t id);
/* Nor when it has ended, and its front end has not been told yet. */
struct session *session_find(const struct sessions *sessions, uint32_t connection, uint64_t id);
void session_close(struct sessions *sessions, struct session *session);
void sessions_connection_closed(struct sessions *sessions, uint32_t connection);

/* The first of an account's sessions; go on with account_next. */
struct session *sessions_of_account(const struct sessions *sessions, uint64_t account_id);

unsigned sessions_count(const struct sessions *sessions);

/* All sessions: start with *at == 0. */
struct session *sessions_next(const struct sessions *sessions, size_t *at);

#endif
