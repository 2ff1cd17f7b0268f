/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/server/server.h"

#include <stdlib.h>

#include "imap/server/internal.h"
#include "node/base/log.h"

/* The store was lost, and with it all sessions that it knew. */
static void on_store(void *context, bool up)
{
    struct imap_server *server = context;
    struct imap_connection *next;

    log_info(NULL, up ? "store is there" : "store is away", NULL);
    if (up)
        return;
    for (struct imap_connection *connection = server->connections; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->store_id == 0)
            continue;
        imap_table_remove(server, connection);
        imap_connection_end(connection,
                            "[UNAVAILABLE] The mail store was restarted, log in again");
    }
}

enum err imap_server_new(struct loop *loop, const struct imap_server_config *config,
                         struct imap_server **server)
{
    struct imap_server *made = calloc(1, sizeof(*made));
    const struct store_client_config client = {
        .url = config->store_url,
        .parallel_max = IMAP_CALLS_MAX,
        .connected = on_store,
        .context = made,
    };

    CHECK(made != NULL);
    *server = NULL;
    made->loop = loop;
    made->config = *config;
    enum err err = store_client_new(loop, &client, &made->client);
    if (err != ERR_OK) {
        free(made);
        return err;
    }
    made->session_config = (struct imap_session_config){
        .hostname = config->hostname,
        .append_size_max = config->append_size_max,
        .login_failures_max = config->login_failures_max,
        .codec = store_client_codec(made->client),
        .on_event = imap_connection_event,
        .judge = imap_gate_judge,
    };
    made->firewall =
        firewall_link_new(made->client, config->network_of, config->network_context);
    imap_settings_start(made);
    imap_watch_start(made);
    *server = made;
    return ERR_OK;
}

void imap_server_closed(struct imap_server *server)
{
    void (*stopped)(void *context) = server->stopped;

    if (stopped == NULL || server->connection_count > 0)
        return;
    server->stopped = NULL;
    stopped(server->stop_context);
}

void imap_server_stop(struct imap_server *server, void (*stopped)(void *context), void *context)
{
    struct imap_connection *next;

    server->stopping = true;
    server->stopped = stopped;
    server->stop_context = context;
    for (struct imap_connection *connection = server->connections; connection != NULL;
         connection = next) {
        next = connection->next;
        imap_connection_end(connection, "The server is shutting down");
    }
    imap_server_closed(server);
}

void imap_server_free(struct imap_server **server)
{
    if (*server == NULL)
        return;
    CHECK((*server)->connection_count == 0);
    imap_watch_stop(*server);
    imap_settings_stop(*server);
    firewall_link_free(&(*server)->firewall);
    store_client_free(&(*server)->client);
    free((*server)->table);
    free(*server);
    *server = NULL;
}
