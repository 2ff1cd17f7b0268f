/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/server/internal.h"
#include "storage/schema/entry.h"

/* A call that a session waits for. It outlives the connection only for a log-in. */
struct imap_call {
    struct imap_server *server;
    struct imap_connection *connection; /* NULL: gone */
    uint64_t ticket;                    /* the session's */
    uint64_t store_ticket;
    bool is_login;
};

static void logged_out(void *context, enum err err, const Pr__Reply *reply)
{
    (void)context;
    (void)err; /* the store closes sessions with the connection they came on at the latest */
    (void)reply;
}

void imap_call_logout(struct imap_server *server, uint64_t store_id)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Logout logout = PR__LOGOUT__INIT;

    request.session = store_id;
    request.call_case = PR__REQUEST__CALL_LOGOUT;
    request.logout = &logout;
    store_call(server->client, &request, IMAP_LOGOUT_DEADLINE_MS, logged_out, NULL);
}

/* What a log-in brought whose client has gone must not stay open. */
static void log_out_left(struct imap_server *server, enum err err, const Pr__Reply *reply)
{
    if (err == ERR_OK && reply->err == ERR_OK &&
        reply->answer_case == PR__REPLY__ANSWER_AUTH_STEP && reply->auth_step->session != 0)
        imap_call_logout(server, reply->auth_step->session);
}

static void answered(void *context, enum err err, const Pr__Reply *reply)
{
    struct imap_call *call = context;
    struct imap_connection *connection = call->connection;

    if (connection == NULL) {
        log_out_left(call->server, err, reply);
    } else {
        connection->call = NULL;
        imap_session_answered(connection->session, call->ticket, err, reply);
        imap_connection_pump(connection);
    }
    free(call);
}

/* What binds a log-in to its TLS connection is said with its first message. */
struct binding {
    struct buffer exporter;
    struct buffer end_point;
};

static void add_binding(const struct imap_connection *connection, enum conn_binding kind,
                        struct buffer *buffer, ProtobufCBinaryData *field)
{
    if (conn_channel_binding(connection->conn, kind, buffer))
        *field = field_of_bytes(buffer_bytes(buffer));
}

static void add_bindings(const struct imap_connection *connection, struct binding *binding,
                         Pr__AuthStep *step)
{
    if (step->exchange != 0)
        return;
    add_binding(connection, CONN_BINDING_TLS_EXPORTER, &binding->exporter, &step->exporter);
    add_binding(connection, CONN_BINDING_TLS_SERVER_END_POINT, &binding->end_point,
                &step->end_point);
}

void imap_call_start(struct imap_connection *connection, const struct imap_action *action)
{
    struct imap_call *call = calloc(1, sizeof(*call));
    struct binding binding = {BUFFER_EMPTY, BUFFER_EMPTY};
    struct request_id id;

    CHECK(call != NULL);
    /* A session that was sent away leaves its last call behind. */
    if (connection->call != NULL)
        imap_call_forget(connection);
    call->server = connection->server;
    call->connection = connection;
    call->ticket = action->ticket;
    call->is_login = action->request->call_case == PR__REQUEST__CALL_AUTH_STEP;
    if (call->is_login)
        add_bindings(connection, &binding, action->request->auth_step);
    if (action->is_write) {
        id = store_request_id();
        action->request->request_id =
            (ProtobufCBinaryData){.data = id.bytes, .len = REQUEST_ID_SIZE};
    }
    connection->call = call;
    call->store_ticket = store_call(connection->server->client, action->request,
                                    action->deadline_ms, answered, call);
    /* Packed: what may be a password is needed no more. */
    if (call->is_login && action->request->auth_step->message.len > 0)
        explicit_bzero(action->request->auth_step->message.data,
                       action->request->auth_step->message.len);
    buffer_fini(&binding.exporter);
    buffer_fini(&binding.end_point);
}

void imap_call_forget(struct imap_connection *connection)
{
    struct imap_call *call = connection->call;

    if (call == NULL)
        return;
    connection->call = NULL;
    call->connection = NULL;
    if (call->is_login)
        return;
    store_cancel(call->server->client, call->store_ticket);
    free(call);
}
