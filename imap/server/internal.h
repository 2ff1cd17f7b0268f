/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SERVER_INTERNAL_H
#define IMAP_SERVER_INTERNAL_H

#include "imap/server/server.h"
#include "node/base/check.h"
#include "storage/client/body_writer.h"
#include "storage/client/guard.h"

enum {
    IMAP_IDLE_LOGIN_MS = 3 * 60 * 1000, /* to log in, all in all, and between two inputs */
    IMAP_IDLE_MS = 30 * 60 * 1000,      /* RFC 3501 section 5.4 */
    IMAP_UPLOAD_DEADLINE_MS = 30 * 1000,
    IMAP_LOGOUT_DEADLINE_MS = 5 * 1000,
    IMAP_WATCH_DEADLINE_MS = 60 * 1000,
    IMAP_WATCH_RETRY_MS = 500,
    IMAP_CALLS_MAX = 1024, /* under way with the store */
    IMAP_SETTINGS_DEADLINE_MS = 60 * 1000,
    IMAP_SETTINGS_RETRY_MS = 1000,
};

struct imap_connection {
    struct imap_server *server;
    struct conn *conn;
    struct imap_session *session;
    struct imap_call *call;     /* the outstanding one */
    struct body_writer *writer; /* of APPEND */
    struct loop_timer *timer;   /* of a delay */
    struct loop_timer *login_timer;
    uint64_t delay_ticket;
    struct guard *guard; /* NULL: it is not watched */
    struct imap_verdict
        sentence;      /* with a text: the client is to go as soon as it can be told */
    bool guard_delays; /* the delay that the session wants next is the firewall's */
    bool held;         /* by the firewall: nothing is read */
    bool starved;      /* input was left because the session could not take it */
    struct imap_connection *next; /* of all */
    struct imap_connection **self;
    struct imap_connection *hash_next; /* by the store's session */
    uint64_t store_id;                 /* 0: not in the table */
};

struct imap_server {
    struct loop *loop;
    struct store_client *client;
    struct imap_server_config config;
    struct imap_session_config session_config;
    struct imap_connection *connections;
    unsigned connection_count;
    struct imap_connection **table; /* by the store's session */
    size_t table_size;              /* a power of two */
    size_t table_count;
    uint64_t watch_ticket;
    struct loop_timer *watch_timer;
    struct firewall_link *firewall;
    uint64_t settings_ticket;
    uint64_t settings_version;
    struct loop_timer *settings_timer;
    void (*stopped)(void *context);
    void *stop_context;
    bool stopping;
};

/* connection.c: does what the session wants. */
void imap_connection_pump(struct imap_connection *connection);
/* Says BYE and closes, even when the client takes nothing. */
void imap_connection_end(struct imap_connection *connection, const char *reason);

/* Counts and logs; the session's on_event. */
void imap_connection_event(void *owner, enum imap_event event, struct bytes text);

/* gate.c: what the firewall says. */
void imap_gate_open(struct imap_connection *connection);
void imap_gate_close(struct imap_connection *connection);
/* A command, or a breach. What follows from it is done by imap_gate_carry_out(). */
void imap_gate_tell(struct imap_connection *connection, enum firewall_event event);
void imap_gate_carry_out(struct imap_connection *connection);
/* The session's judge(). */
struct imap_verdict imap_gate_judge(void *owner, enum imap_attempt attempt, uint64_t account,
                                    struct bytes secret);

/* table.c: connections by the store's session. */
void imap_table_add(struct imap_server *server, struct imap_connection *connection,
                    uint64_t store_id);
void imap_table_remove(struct imap_server *server, struct imap_connection *connection);
struct imap_connection *imap_table_find(struct imap_server *server, uint64_t store_id);

/* calls.c */
void imap_call_start(struct imap_connection *connection, const struct imap_action *action);
/* The connection is gone: nobody waits for the answer, but a login must not stay open. */
void imap_call_forget(struct imap_connection *connection);
void imap_call_logout(struct imap_server *server, uint64_t store_id);

/* watch.c */
void imap_watch_start(struct imap_server *server);
void imap_watch_stop(struct imap_server *server);

/* settings.c: which mechanisms are offered. */
void imap_settings_start(struct imap_server *server);
void imap_settings_stop(struct imap_server *server);

/* server.c */
void imap_server_closed(struct imap_server *server);

#endif
