/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/server/internal.h"
#include "storage/schema/entry.h"

/* A call that a session waits for. It outlives the connection only for a login. */
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

static void answered(void *context, enum err err, const Pr__Reply *reply)
{
    struct imap_call *call = context;
    struct imap_connection *connection = call->connection;

    if (connection == NULL) {
        if (err == ERR_OK && reply->err == ERR_OK &&
            reply->answer_case == PR__REPLY__ANSWER_LOGIN && reply->login->session != 0)
            imap_call_logout(call->server, reply->login->session);
    } else {
        connection->call = NULL;
        imap_session_answered(connection->session, call->ticket, err, reply);
        imap_connection_pump(connection);
    }
    free(call);
}

void imap_call_start(struct imap_connection *connection, const struct imap_action *action)
{
    struct imap_call *call = calloc(1, sizeof(*call));
    struct request_id id;

    CHECK(call != NULL);
    /* A session that was sent away leaves its last call behind. */
    if (connection->call != NULL)
        imap_call_forget(connection);
    call->server = connection->server;
    call->connection = connection;
    call->ticket = action->ticket;
    call->is_login = action->request->call_case == PR__REQUEST__CALL_LOGIN;
    if (action->is_write) {
        id = store_request_id();
        action->request->request_id =
            (ProtobufCBinaryData){.data = id.bytes, .len = REQUEST_ID_SIZE};
    }
    connection->call = call;
    call->store_ticket = store_call(connection->server->client, action->request,
                                    action->deadline_ms, answered, call);
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
