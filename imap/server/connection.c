/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/server/internal.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"

static void on_delayed(void *context)
{
    struct imap_connection *connection = context;

    connection->timer = NULL;
    imap_session_delayed(connection->session, connection->delay_ticket);
    imap_connection_pump(connection);
}

static void on_guard_delayed(void *context)
{
    struct imap_connection *connection = context;

    connection->guard_delays = false;
    on_delayed(connection);
}

static void delay(struct imap_connection *connection, const struct imap_action *action)
{
    connection->delay_ticket = action->ticket;
    loop_timer_stop(&connection->timer);
    if (connection->guard_delays && !connection->held) {
        guard_delay(connection->guard, action->delay_ms, on_guard_delayed, connection);
    } else {
        connection->guard_delays = false;
        connection->timer = loop_timer_start(connection->server->loop, action->delay_ms, 0,
                                             on_delayed, connection);
    }
}

static void on_drained(void *context)
{
    struct imap_connection *connection = context;

    if (connection->starved)
        conn_resume(connection->conn);
}

static void on_body(void *context, enum err err, Pr__Body *body)
{
    struct imap_connection *connection = context;

    imap_session_body_finished(connection->session, err, body,
                               (int64_t)(clock_wall_ms() / 1000));
    imap_connection_pump(connection);
}

static void body_begin(struct imap_connection *connection)
{
    body_writer_free(&connection->writer);
    connection->writer =
        body_writer_new(connection->server->client, imap_session_store_id(connection->session),
                        0, IMAP_UPLOAD_DEADLINE_MS);
    body_writer_on_drained(connection->writer, on_drained, connection);
}

static void perform(struct imap_connection *connection, const struct imap_action *action)
{
    switch (action->want) {
    case IMAP_WANT_WRITE:
        conn_write(connection->conn, action->bytes);
        break;
    case IMAP_WANT_CALL:
        imap_call_start(connection, action);
        break;
    case IMAP_WANT_BODY_BEGIN:
        body_begin(connection);
        break;
    case IMAP_WANT_BODY_DATA:
        body_writer_add(connection->writer, action->bytes);
        break;
    case IMAP_WANT_BODY_END:
        body_writer_finish(connection->writer, on_body, connection);
        break;
    case IMAP_WANT_BODY_USED:
        body_writer_used(connection->writer);
        body_writer_free(&connection->writer);
        break;
    case IMAP_WANT_BODY_DROP:
        body_writer_free(&connection->writer);
        break;
    case IMAP_WANT_DELAY:
        delay(connection, action);
        break;
    case IMAP_WANT_START_TLS:
        /* Bytes behind the command may be an attacker's: the connection ends. */
        if (conn_start_tls(connection->conn) != ERR_OK)
            conn_close(connection->conn);
        break;
    case IMAP_WANT_CLOSE:
        conn_close(connection->conn);
        break;
    }
}

void imap_connection_pump(struct imap_connection *connection)
{
    struct imap_action action;

    while (!conn_full(connection->conn) && imap_session_next(connection->session, &action))
        perform(connection, &action);
    if (connection->starved && !connection->held && imap_session_reads(connection->session))
        conn_resume(connection->conn);
}

void imap_connection_end(struct imap_connection *connection, const char *reason)
{
    imap_session_bye(connection->session, reason);
    imap_connection_pump(connection);
    if (conn_full(connection->conn))
        conn_close(connection->conn);
}

void imap_connection_event(void *owner, enum imap_event event, struct bytes text)
{
    struct imap_connection *connection = owner;

    if (event == IMAP_EVENT_COMMAND || event == IMAP_EVENT_BREACH) {
        metric_add(METRIC_IMAP_COMMANDS, event == IMAP_EVENT_COMMAND);
        imap_gate_tell(connection, event == IMAP_EVENT_COMMAND ? FIREWALL_COMMAND
                                                               : FIREWALL_PROTOCOL_ERROR);
        return;
    }
    const struct log_field *fields =
        LOG_FIELDS(LOG_U64("conn", conn_id(connection->conn)), LOG_BYTES("user", text),
                   LOG_TEXT("peer", conn_peer_address(connection->conn)),
                   LOG_TEXT("tls", conn_tls_text(connection->conn)));
    if (event == IMAP_EVENT_LOGIN_FAILED) {
        metric_add(METRIC_IMAP_LOGIN_FAILURES, 1);
        log_warn(NULL, "login failed", fields);
        return;
    }
    if (event == IMAP_EVENT_TURNED_AWAY) {
        log_info(NULL, "login turned away", fields);
        imap_call_logout(connection->server, imap_session_store_id(connection->session));
        return;
    }
    metric_add(METRIC_IMAP_LOGINS, 1);
    log_info(NULL, "login", fields);
    loop_timer_stop(&connection->login_timer);
    conn_set_idle(connection->conn, IMAP_IDLE_MS);
    imap_table_add(connection->server, connection, imap_session_store_id(connection->session));
}

static void on_login_late(void *context)
{
    struct imap_connection *connection = context;

    connection->login_timer = NULL;
    imap_connection_end(connection, "Nobody has logged in");
}

static void *open_connection(void *context, struct conn *conn)
{
    struct imap_server *server = context;
    struct imap_connection *connection = calloc(1, sizeof(*connection));
    bool has_tls = conn_has_tls(conn);

    CHECK(connection != NULL);
    connection->server = server;
    connection->conn = conn;
    connection->session =
        imap_session_new(&server->session_config, connection, conn_peer_address(conn), has_tls,
                         server->config.can_tls && !has_tls);
    connection->next = server->connections;
    connection->self = &server->connections;
    if (server->connections != NULL)
        server->connections->self = &connection->next;
    server->connections = connection;
    server->connection_count++;
    conn_set_idle(conn, IMAP_IDLE_LOGIN_MS);
    connection->login_timer =
        loop_timer_start(server->loop, IMAP_IDLE_LOGIN_MS, 0, on_login_late, connection);
    if (server->stopping)
        imap_session_bye(connection->session, "The server is shutting down");
    else
        imap_gate_open(connection);
    imap_connection_pump(connection);
    return connection;
}

static size_t feed(void *context, struct bytes input)
{
    struct imap_connection *connection = context;
    size_t used = 0;

    connection->starved = false;
    while (used < input.len && !connection->held && !conn_full(connection->conn)) {
        if (connection->writer != NULL && body_writer_full(connection->writer))
            break;
        size_t taken = imap_session_feed(connection->session, bytes_skip(input, used));
        imap_connection_pump(connection);
        imap_gate_carry_out(connection);
        if (taken == 0)
            break;
        used += taken;
    }
    connection->starved = used < input.len;
    return used;
}

static void tls_started(void *context)
{
    struct imap_connection *connection = context;

    imap_session_tls_started(connection->session);
    imap_connection_pump(connection);
}

static void idle(void *context)
{
    struct imap_connection *connection = context;

    imap_connection_end(connection, "Nothing was said for too long");
}

static void writable(void *context)
{
    imap_connection_pump(context);
}

static void closed(void *context)
{
    struct imap_connection *connection = context;
    struct imap_server *server = connection->server;

    imap_gate_close(connection);
    imap_call_forget(connection);
    if (connection->store_id != 0)
        imap_call_logout(server, connection->store_id);
    imap_table_remove(server, connection);
    loop_timer_stop(&connection->timer);
    loop_timer_stop(&connection->login_timer);
    body_writer_free(&connection->writer);
    imap_session_free(&connection->session);
    *connection->self = connection->next;
    if (connection->next != NULL)
        connection->next->self = connection->self;
    server->connection_count--;
    free(connection);
    imap_server_closed(server);
}

const struct conn_protocol imap_server_protocol = {
    .open = open_connection,
    .feed = feed,
    .tls_started = tls_started,
    .idle = idle,
    .writable = writable,
    .closed = closed,
};
