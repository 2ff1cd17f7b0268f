/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/server/internal.h"

/* One Watch call waits at the store at all times; each answer is handed round, and the next
 * call goes out. What happens in between, the store keeps. */

static void ask(struct imap_server *server);

static void retry(void *context)
{
    struct imap_server *server = context;

    server->watch_timer = NULL;
    ask(server);
}

static void tell(struct imap_server *server, const Pr__WatchEvent *event)
{
    struct imap_connection *connection = imap_table_find(server, event->session);

    if (connection == NULL)
        return;
    if (event->ended) {
        imap_connection_end(connection, "The account was closed or its password changed");
        return;
    }
    imap_session_changed(connection->session, event->highest_modseq);
    imap_connection_pump(connection);
}

static void answered(void *context, enum err err, const Pr__Reply *reply)
{
    struct imap_server *server = context;

    server->watch_ticket = 0;
    if (err == ERR_OK)
        err = (enum err)reply->err;
    if (err == ERR_OK && reply->answer_case == PR__REPLY__ANSWER_WATCH)
        for (size_t i = 0; i < reply->watch->n_events; i++)
            tell(server, reply->watch->events[i]);
    if (err == ERR_OK || err == ERR_TIMEOUT)
        ask(server);
    else if (err != ERR_CLOSED)
        server->watch_timer =
            loop_timer_start(server->loop, IMAP_WATCH_RETRY_MS, 0, retry, server);
}

static void ask(struct imap_server *server)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Watch watch = PR__WATCH__INIT;

    request.call_case = PR__REQUEST__CALL_WATCH;
    request.watch = &watch;
    server->watch_ticket =
        store_call(server->client, &request, IMAP_WATCH_DEADLINE_MS, answered, server);
}

void imap_watch_start(struct imap_server *server)
{
    ask(server);
}

void imap_watch_stop(struct imap_server *server)
{
    loop_timer_stop(&server->watch_timer);
    store_cancel(server->client, server->watch_ticket);
    server->watch_ticket = 0;
}
