/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/server/internal.h"

enum { TABLE_SIZE_FIRST = 64 };

static size_t slot(const struct imap_server *server, uint64_t store_id)
{
    return (size_t)(store_id * 0x9E3779B97F4A7C15u >> 32) & (server->table_size - 1);
}

static void link_in(struct imap_server *server, struct imap_connection *connection)
{
    struct imap_connection **head = &server->table[slot(server, connection->store_id)];

    connection->hash_next = *head;
    *head = connection;
}

static void grow(struct imap_server *server)
{
    struct imap_connection **old = server->table;
    size_t old_size = server->table_size;

    server->table_size = old_size > 0 ? old_size * 2 : TABLE_SIZE_FIRST;
    server->table = calloc(server->table_size, sizeof(server->table[0]));
    CHECK(server->table != NULL);
    for (size_t i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            struct imap_connection *connection = old[i];
            old[i] = connection->hash_next;
            link_in(server, connection);
        }
    }
    free(old);
}

void imap_table_add(struct imap_server *server, struct imap_connection *connection,
                    uint64_t store_id)
{
    CHECK(connection->store_id == 0 && store_id != 0);
    if (server->table_count == server->table_size)
        grow(server);
    connection->store_id = store_id;
    link_in(server, connection);
    server->table_count++;
}

void imap_table_remove(struct imap_server *server, struct imap_connection *connection)
{
    if (connection->store_id == 0)
        return;
    struct imap_connection **at = &server->table[slot(server, connection->store_id)];
    while (*at != connection)
        at = &(*at)->hash_next;
    *at = connection->hash_next;
    connection->store_id = 0;
    server->table_count--;
}

struct imap_connection *imap_table_find(struct imap_server *server, uint64_t store_id)
{
    if (server->table_size == 0)
        return NULL;
    struct imap_connection *connection = server->table[slot(server, store_id)];
    while (connection != NULL && connection->store_id != store_id)
        connection = connection->hash_next;
    return connection;
}
