/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_VISITOR_H
#define SMTP_RECEIVE_VISITOR_H

#include "node/runtime/conn.h"
#include "smtp/policy/senders.h"
#include "smtp/protocol/session.h"
#include "smtp/receive/destination.h"
#include "smtp/receive/receive.h"
#include "smtp/submit/login.h"
#include "smtp/submit/rights.h"
#include "storage/client/guard.h"

/* What the files of this folder share. Nobody else includes it. */
enum { RECEIVE_LISTENERS_MAX = 16 };

/* What a listener serves. */
struct port {
    struct receive *receive;
    struct smtp_config protocol; /* but for what settings say */
    struct conn_limits limits;
};

struct receive {
    struct receive_config config;
    struct port ports[SMTP_SERVICE_COUNT];
    struct bytes authserv_id;             /* our name in Authentication-Results */
    char organisation[SENDERS_NAME_SIZE]; /* the other nodes' names are in there */
    struct conn_listener *listeners[RECEIVE_LISTENERS_MAX];
    unsigned listener_count;
    struct visitor *visitors;
    struct message *messages;
    unsigned message_count;
    uint64_t room_bytes; /* what they may come to hold, see room.h */
    struct loop_timer *sweep_timer;
    struct loop_timer *stop_timer;
    bool stopping;
    void (*stopped)(void *context);
    void *stopped_context;
};

/* One client's connection. */
struct visitor {
    struct receive *receive;
    const struct port *port;
    struct visitor *next;
    struct visitor **self; /* what points to this one */
    struct conn *conn;
    char xclient_peer[ADDRESS_TEXT_SIZE]; /* for whom a proxy speaks; "": for nobody else */
    struct smtp_config protocol;          /* the session's */
    struct smtp_session *session;
    struct guard *guard;          /* the firewall; NULL: none */
    struct policy_client *policy; /* NULL: it is not judged */
    uint64_t greet_ticket;
    struct login *login;    /* of submission */
    struct rights *rights;  /* the question about a sender that is under way */
    uint64_t sender_ticket; /* its engine's ticket */
    uint64_t mail_ms;       /* when the sender was named, by the wall clock; of submission */
    struct lookup *lookups;
    struct destinations destinations; /* of the recipients so far */
    struct message *message;          /* being received or committed, or NULL */
    uint64_t phase_ms;                /* when the last reply was written */
    uint64_t refusals;                /* see lines.h */
    bool start_tls;                   /* wanted, once feed() is through */
    bool acting;                      /* act() is at work */
    bool closing;
};

/* visitor.c: performs what the session wants, and goes on reading. The visitor may be gone
 * afterwards. */
extern const struct conn_protocol visitor_protocol;
void visitor_continue(struct visitor *visitor);
void visitor_cut(struct visitor *visitor);
/* The client's address, as the proxies that we trust tell it. */
const char *visitor_peer(const struct visitor *visitor);
void visitor_sweep(struct visitor *visitor, uint64_t now_ms);

/* The client has to log in again: the store has lost its session. */
extern const struct smtp_refusal visitor_log_in_again;

/* As the engine says it. */
struct smtp_refusal visitor_refusal(const struct firewall_verdict *verdict);

/* sender.c: may it send as this address? */
void sender_ask(struct visitor *visitor, const struct smtp_action *action);

/* lookup.c */
void lookup_start(struct visitor *visitor, const struct smtp_action *action);
void lookup_cancel_all(struct visitor *visitor);

/* message.c: a message on its way; it may outlive its connection. */

/* NULL when there are too many. */
struct message *message_begin(struct visitor *visitor);
const char *message_trace_id(const struct message *message);
void message_add(struct message *message, struct bytes bytes);
bool message_full(const struct message *message);
uint64_t message_size(const struct message *message);
uint64_t message_began_ms(const struct message *message);
/* The final dot has come; smtp_session_committed() gets `ticket` and the outcome. */
void message_commit(struct message *message, uint64_t ticket);
/* Thrown away; frees it. */
void message_abort(struct message *message, enum smtp_reply refusal);
/* The connection is gone. What was not complete is thrown away; what is complete takes the
 * visitor's log-in over. */
void message_leave(struct message *message);
/* The service cannot wait any longer. The store settles what becomes of it. */
void message_give_up(struct message *message);
struct message *message_next(const struct message *message);

/* receive.c: what is spoken there, as operators have set it now. Tokens are offered where
 * somebody is set who makes them. */
struct smtp_config receive_protocol(const struct port *port);

/* receive.c: somebody has left; the last one ends a stop. */
void receive_left(struct receive *receive);

#endif
