/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_CLIENT_STATE_H
#define SMTP_RELAY_CLIENT_STATE_H

#include "smtp/relay/client.h"
#include "smtp/relay/client_reply.h"

/*
 * Inside of the engine (client.h). Invariants:
 * 1. A reply is waited for exactly when smtp_client_awaits(); one that begins at another time
 *    is early, and ends the connection.
 * 2. A recipient without a verdict is UNDECIDED or ACCEPTED; there is none behind done().
 * 3. The end of a message is written only in one place (client_body.c), from BODY to FINAL.
 */

enum smtp_client_state {
    SMTP_CLIENT_GREETING,
    SMTP_CLIENT_EHLO,
    SMTP_CLIENT_HELO,
    SMTP_CLIENT_STARTTLS,
    SMTP_CLIENT_TLS,      /* the driver shakes hands */
    SMTP_CLIENT_READY,    /* for a message */
    SMTP_CLIENT_ENVELOPE, /* MAIL, RCPT and DATA under way */
    SMTP_CLIENT_BODY,
    SMTP_CLIENT_FINAL, /* the end of the message was sent */
    SMTP_CLIENT_EMPTY, /* DATA was taken for no recipient: a dot was sent (RFC 2920) */
    SMTP_CLIENT_DRAIN, /* a chunk was refused: the replies to those behind it */
    SMTP_CLIENT_RESET,
    SMTP_CLIENT_QUIT,
    SMTP_CLIENT_CLOSED,
    SMTP_CLIENT_STATE_COUNT,
};

enum smtp_client_fate {
    SMTP_CLIENT_UNDECIDED,
    SMTP_CLIENT_ACCEPTED, /* its RCPT */
    SMTP_CLIENT_DECIDED,
};

/* The message under way. */
struct smtp_client_transaction {
    const struct smtp_client_message *message; /* NULL: none */
    uint8_t *fates;                            /* enum smtp_client_fate, of each recipient */
    unsigned *asked;                           /* recipients of the RCPT commands, in order */
    unsigned asked_count;
    unsigned accepted_count;
    bool utf8; /* SMTPUTF8 is said */
    bool chunked;
    /* Commands are numbered: MAIL, each RCPT, DATA. */
    unsigned sent;
    unsigned answered;
    bool mail_refused;
};

/* client_body.c */
struct smtp_client_body {
    bool open;       /* body_add() is looked at */
    bool complete;   /* body_end() was called */
    bool may_finish; /* let_finish() */
    uint8_t before;  /* the byte before; '\n' at the start */
    struct buffer chunk;
    uint64_t chunks_sent;
    uint64_t chunks_answered;
    bool refused; /* a chunk, while the last one was under way */
    struct smtp_client_verdict refusal;
};

struct smtp_client {
    const struct smtp_client_config *config;
    const struct smtp_client_calls *calls;
    void *context;
    enum smtp_client_state state;
    struct smtp_client_offers offers;
    unsigned extension_count;
    bool tls;
    bool tls_verified;
    bool quitting;
    unsigned mails; /* MAIL commands of this connection */
    struct smtp_client_reply_reader reader;
    bool early; /* the reply that has begun was not waited for */
    struct buffer output;
    struct smtp_client_transaction transaction;
    struct smtp_client_body body;
    /* What the driver has to be told, in this order (client.c). */
    bool settling;
    bool wait_pending;
    bool start_tls_pending;
    bool body_wanted_pending;
    bool done_pending;
    bool ready_pending;
    bool closed_pending;
    enum smtp_client_end end;
    struct smtp_client_verdict end_verdict;
};

/* client.c */
void smtp_client_move(struct smtp_client *client, enum smtp_client_state state);
/* Appends a command to what is written; `line` has its CR LF. */
void smtp_client_say(struct smtp_client *client, const char *line);
enum smtp_client_phase smtp_client_phase(const struct smtp_client *client);
bool smtp_client_awaits(const struct smtp_client *client);

/* client_end.c */
/* For the next message, unless there can be none: then QUIT. */
void smtp_client_become_ready(struct smtp_client *client);
/* No more is said or heard. The message under way is decided by `verdict`, made UNKNOWN where
 * its end was sent and `answered` is false. */
void smtp_client_end(struct smtp_client *client, enum smtp_client_end end,
                     const struct smtp_client_verdict *verdict, bool answered);
/* The same in our own words. */
void smtp_client_end_local(struct smtp_client *client, enum smtp_client_end end,
                           const char *status, const char *text);
/* The same in the words of the reply that is complete. */
void smtp_client_end_reply(struct smtp_client *client, enum smtp_client_end end);
/* QUIT was said: however it ends, it is the end that was asked for. */
void smtp_client_end_quit(struct smtp_client *client);
/* end_quit() once QUIT was said, else end_local(). */
void smtp_client_end_trouble(struct smtp_client *client, enum smtp_client_end end,
                             const char *status, const char *text);

/* Each takes the reply that is complete, but for 421 and 221: client_hello.c ... */
void smtp_client_on_greeting(struct smtp_client *client);
void smtp_client_on_ehlo(struct smtp_client *client);
void smtp_client_on_helo(struct smtp_client *client);
void smtp_client_on_starttls(struct smtp_client *client);
/* One line of the reply to EHLO behind the first. */
void smtp_client_learn(struct smtp_client *client, struct bytes line);
/* ... client_transaction.c ... */
void smtp_client_on_envelope(struct smtp_client *client);
void smtp_client_on_empty(struct smtp_client *client);
void smtp_client_on_reset(struct smtp_client *client);
/* ... and client_body.c. */
void smtp_client_on_chunk(struct smtp_client *client); /* BODY and DRAIN */
void smtp_client_on_final(struct smtp_client *client);

/* client_transaction.c */
void smtp_client_decide(struct smtp_client *client, unsigned index,
                        const struct smtp_client_verdict *verdict);
/* All that have none yet. */
void smtp_client_decide_rest(struct smtp_client *client,
                             const struct smtp_client_verdict *verdict);
/* Every recipient is decided: done(), then RSET if the server has to be told. */
void smtp_client_finish(struct smtp_client *client);
void smtp_client_reset(struct smtp_client *client);
void smtp_client_transaction_fini(struct smtp_client_transaction *transaction);

/* client_body.c */
void smtp_client_body_open(struct smtp_client *client);
void smtp_client_body_close(struct smtp_client *client);

/* client_command.c */
bool smtp_client_address_fits(struct bytes address, bool utf8);
bool smtp_client_is_ascii(struct bytes text);
void smtp_client_say_mail(struct smtp_client *client);
void smtp_client_say_rcpt(struct smtp_client *client,
                          const struct smtp_client_recipient *recipient);

/* client.c: tells the driver. The client may be gone behind it. */
void smtp_client_settle(struct smtp_client *client);

#endif
