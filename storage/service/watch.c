/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/watch.h"

#include <stdlib.h>

#include "node/base/check.h"

/* One front-end connection. */
struct watcher {
    uint32_t connection;
    struct service_call *waiting; /* NULL: no Watch call is here */
    struct loop_timer *deadline;
    struct session *told; /* sessions with something to tell */
    unsigned told_count;
};

struct watches {
    struct map watchers; /* by connection */
};

struct watches *watches_new(void)
{
    struct watches *watches = calloc(1, sizeof(*watches));
    CHECK(watches != NULL);
    map_init(&watches->watchers);
    return watches;
}

static struct watcher *watcher_of(struct service *service, uint32_t connection)
{
    struct watcher *watcher = map_get(&service->watches->watchers, connection);

    if (watcher == NULL) {
        watcher = calloc(1, sizeof(*watcher));
        CHECK(watcher != NULL);
        watcher->connection = connection;
        map_put(&service->watches->watchers, connection, watcher);
    }
    return watcher;
}

static void forget_told(struct watcher *watcher)
{
    while (watcher->told != NULL) {
        struct session *session = watcher->told;
        watcher->told = session->told_next;
        session->told = false;
    }
    watcher->told_count = 0;
}

/* Answers the waiting call with what there is, which may be nothing. */
static void answer(struct service *service, struct watcher *watcher)
{
    struct service_call *call = watcher->waiting;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__WatchAnswer watch = PR__WATCH_ANSWER__INIT;
    Pr__WatchEvent **events =
        arena_alloc(&call->call_arena, watcher->told_count * sizeof(*events));
    struct session *next;

    for (struct session *session = watcher->told; session != NULL; session = next) {
        Pr__WatchEvent *event = arena_alloc(&call->call_arena, sizeof(*event));
        next = session->told_next;
        pr__watch_event__init(event);
        event->session = session->id;
        event->highest_modseq = session->watched_modseq;
        event->ended = session->ended;
        events[watch.n_events++] = event;
        session->told = false;
        if (session->ended)
            session_close(service->sessions, session);
    }
    watcher->told = NULL;
    watcher->told_count = 0;
    watcher->waiting = NULL;
    loop_timer_stop(&watcher->deadline);
    watch.events = events;
    reply.answer_case = PR__REPLY__ANSWER_WATCH;
    reply.watch = &watch;
    call_reply(call, &reply);
}

static void on_deadline(void *context)
{
    struct service_call *call = context;
    struct watcher *watcher = watcher_of(call->service, call->connection);

    watcher->deadline = NULL;
    answer(call->service, watcher);
}

void watch_call(struct service_call *call)
{
    struct watcher *watcher = watcher_of(call->service, call->connection);
    uint64_t now_ms = clock_monotonic_ms();

    if (watcher->waiting != NULL)
        answer(call->service,
               watcher); /* sent again after a lost connection: the newer one counts */
    watcher->waiting = call;
    if (watcher->told != NULL) {
        answer(call->service, watcher);
        return;
    }
    uint64_t wait_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0;
    watcher->deadline = loop_timer_start(call->service->loop, wait_ms, 0, on_deadline, call);
}

static void tell(struct service *service, struct session *session)
{
    struct watcher *watcher = watcher_of(service, session->connection);

    if (!session->told) {
        session->told = true;
        session->told_next = watcher->told;
        watcher->told = session;
        watcher->told_count++;
    }
}

/* After the events of a batch: each connection that waits is answered once. */
static void answer_waiting(struct service *service)
{
    size_t at = 0;
    uint64_t connection;
    void *value;

    while (map_next(&service->watches->watchers, &at, &connection, &value)) {
        struct watcher *watcher = value;
        if (watcher->waiting != NULL && watcher->told != NULL)
            answer(service, watcher);
    }
}

void watch_learnt(struct service *service, struct session *session, uint64_t modseq)
{
    if (session->watched_mailbox == 0 || modseq == session->watched_modseq)
        return;
    session->watched_modseq = modseq;
    tell(service, session);
    answer_waiting(service);
}

void watch_events(struct service *service, const struct machine_events *events)
{
    bool some = false;

    for (unsigned i = 0; i < events->mailbox_count; i++) {
        const struct machine_mailbox_event *event = &events->mailboxes[i];
        struct session *session = sessions_of_account(service->sessions, event->account_id);
        for (; session != NULL; session = session->account_next) {
            if (event->mailbox_id == 0 || session->watched_mailbox != event->mailbox_id ||
                session->group != event->group)
                continue;
            session->watched_modseq = event->modseq;
            tell(service, session);
            some = true;
        }
    }
    for (unsigned i = 0; i < events->ended_count; i++) {
        struct session *session =
            sessions_of_account(service->sessions, events->accounts_ended[i]);
        for (struct session *next; session != NULL; session = next) {
            next = session->account_next;
            session->ended = true;
            if (session->unwatched) {
                watch_session_closing(service, session);
                session_close(service->sessions, session);
                continue;
            }
            tell(service, session);
            some = true;
        }
    }
    if (some)
        answer_waiting(service);
}

void watch_session_closing(struct service *service, struct session *session)
{
    struct watcher *watcher = watcher_of(service, session->connection);

    if (!session->told)
        return;
    for (struct session **at = &watcher->told; *at != NULL; at = &(*at)->told_next) {
        if (*at != session)
            continue;
        *at = session->told_next;
        watcher->told_count--;
        break;
    }
    session->told = false;
}

void watch_connection_closed(struct service *service, uint32_t connection)
{
    struct watcher *watcher = map_remove(&service->watches->watchers, connection);

    if (watcher == NULL)
        return;
    forget_told(watcher);
    loop_timer_stop(&watcher->deadline);
    if (watcher->waiting != NULL)
        call_fail(watcher->waiting, ERR_CLOSED, NULL); /* frees it; nobody hears */
    free(watcher);
}

void watches_free(struct watches **watches)
{
    size_t at = 0;
    uint64_t connection;
    void *value;

    if (*watches == NULL)
        return;
    while (map_next(&(*watches)->watchers, &at, &connection, &value)) {
        struct watcher *watcher = value;
        forget_told(watcher);
        loop_timer_stop(&watcher->deadline);
        if (watcher->waiting != NULL)
            call_fail(watcher->waiting, ERR_CLOSED, NULL);
        free(watcher);
    }
    map_fini(&(*watches)->watchers);
    free(*watches);
    *watches = NULL;
}
