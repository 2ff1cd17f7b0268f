/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sessions.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"

struct sessions {
    struct map by_id;
    struct map by_account; /* the first of the account's list */
};

struct sessions *sessions_new(void)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    CHECK(sessions != NULL);
    map_init(&sessions->by_id);
    map_init(&sessions->by_account);
    return sessions;
}

void sessions_free(struct sessions **sessions)
{
    if (*sessions == NULL)
        return;
    size_t at = 0;
    for (struct session *session = sessions_next(*sessions, &at); session != NULL;
         session = sessions_next(*sessions, &at))
        session_close(*sessions, session);
    map_fini(&(*sessions)->by_id);
    map_fini(&(*sessions)->by_account);
    free(*sessions);
    *sessions = NULL;
}

struct session *session_open(struct sessions *sessions, uint32_t connection,
                             uint64_t account_id, uint32_t group, const char *address)
{
    size_t size = strlen(address) + 1;
    struct session *session = calloc(1, sizeof(*session) + size);
    CHECK(session != NULL);
    char *own_address = (char *)(session + 1);

    memcpy(own_address, address, size);
    session->connection = connection;
    session->account_id = account_id;
    session->group = group;
    session->address = own_address;
    session->refresh = true; /* its user may have seen more, in a session on another node */
    do
        randombytes_buf(&session->id, sizeof(session->id));
    while (session->id == 0 || map_get(&sessions->by_id, session->id) != NULL);
    map_put(&sessions->by_id, session->id, session);
    session->account_next = map_get(&sessions->by_account, account_id);
    if (session->account_next != NULL)
        session->account_next->account_previous = session;
    map_put(&sessions->by_account, account_id, session);
    return session;
}

struct session *session_find_any(const struct sessions *sessions, uint32_t connection,
                                 uint64_t id)
{
    struct session *session = map_get(&sessions->by_id, id);

    return session != NULL && session->connection == connection ? session : NULL;
}

struct session *session_find(const struct sessions *sessions, uint32_t connection, uint64_t id)
{
    struct session *session = session_find_any(sessions, connection, id);

    return session != NULL && !session->ended ? session : NULL;
}

void session_close(struct sessions *sessions, struct session *session)
{
    CHECK(!session->told);
    map_remove(&sessions->by_id, session->id);
    if (session->account_next != NULL)
        session->account_next->account_previous = session->account_previous;
    if (session->account_previous != NULL)
        session->account_previous->account_next = session->account_next;
    else if (session->account_next != NULL)
        map_put(&sessions->by_account, session->account_id, session->account_next);
    else
        map_remove(&sessions->by_account, session->account_id);
    free(session);
}

void sessions_connection_closed(struct sessions *sessions, uint32_t connection)
{
    size_t at = 0;

    for (struct session *session = sessions_next(sessions, &at); session != NULL;
         session = sessions_next(sessions, &at))
        if (session->connection == connection)
            session_close(sessions, session);
}

struct session *sessions_of_account(const struct sessions *sessions, uint64_t account_id)
{
    return map_get(&sessions->by_account, account_id);
}

unsigned sessions_count(const struct sessions *sessions)
{
    return (unsigned)sessions->by_id.count;
}

struct session *sessions_next(const struct sessions *sessions, size_t *at)
{
    uint64_t id;
    void *session;

    return map_next(&sessions->by_id, at, &id, &session) ? session : NULL;
}
