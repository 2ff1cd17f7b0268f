/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_CLIENT_H
#define SMTP_RELAY_CLIENT_H

#include "node/base/bytes.h"

/*
 * One SMTP conversation, the client's side (RFC 5321, with 1870, 2034, 2852, 2920, 3030, 3207,
 * 3461, 6152, 6531, 8689 and 9422): no socket, clock or disk in it.
 *
 * The driver connects, tells what happens by the functions below, and does what the table of
 * calls asks for. A connection takes one message after the other: ready(), send(), for each
 * recipient exactly one recipient(), done(), ready() again ... and at the end closed().
 *
 * The calls are made in order, from within whichever function of the engine made them
 * necessary. wait(), write() and recipient() must not call the engine but to ask it; the others
 * may call anything but feed(). closed() is the last, and the only one that may free the
 * client.
 *
 * A recipient is DELIVERED only by a 2xx behind the final dot or the last chunk. Neither is
 * sent before let_finish(true), nor ever behind body_failed().
 */
struct smtp_client;

enum smtp_client_tls {
    SMTP_CLIENT_TLS_NEVER,
    SMTP_CLIENT_TLS_OFFERED,  /* when it is offered; refused, it goes on in the clear */
    SMTP_CLIENT_TLS_REQUIRED, /* else the connection is of no use */
};

/* What is waited for, each with its limit (RFC 5321 section 4.5.3.2). */
enum smtp_client_time {
    SMTP_CLIENT_TIME_NONE, /* for the driver, which has all the time it wants */
    SMTP_CLIENT_TIME_GREETING,
    SMTP_CLIENT_TIME_HELLO, /* EHLO, HELO, STARTTLS */
    SMTP_CLIENT_TIME_TLS,   /* the handshake */
    SMTP_CLIENT_TIME_MAIL,
    SMTP_CLIENT_TIME_RCPT,
    SMTP_CLIENT_TIME_DATA,
    SMTP_CLIENT_TIME_BLOCK, /* until the next body_add() or body_end() */
    SMTP_CLIENT_TIME_FINAL,
    SMTP_CLIENT_TIME_RESET,
    SMTP_CLIENT_TIME_QUIT,
    SMTP_CLIENT_TIME_COUNT,
};

/* In milliseconds; NONE is 0. */
extern const uint32_t smtp_client_times[SMTP_CLIENT_TIME_COUNT];

/* Borrowed; must outlive the client. */
struct smtp_client_config {
    const char *hello; /* name or address literal to say behind EHLO */
    enum smtp_client_tls tls;
    const uint32_t *times; /* SMTP_CLIENT_TIME_COUNT of them; NULL: smtp_client_times */
};

enum smtp_client_result {
    SMTP_CLIENT_DELIVERED, /* taken: see smtp_client_offers.dsn for who tells the sender */
    SMTP_CLIENT_DEFERRED,  /* not now */
    SMTP_CLIENT_FAILED,    /* never */
    SMTP_CLIENT_UNKNOWN,   /* the end of the message was sent, and nobody said what became of it
                            */
};

enum smtp_client_phase {
    SMTP_CLIENT_PHASE_CONNECT, /* the driver's own: nothing here happens in it */
    SMTP_CLIENT_PHASE_GREETING,
    SMTP_CLIENT_PHASE_HELLO,
    SMTP_CLIENT_PHASE_TLS,
    SMTP_CLIENT_PHASE_MAIL,
    SMTP_CLIENT_PHASE_RCPT,
    SMTP_CLIENT_PHASE_DATA,  /* DATA and the body, up to its end */
    SMTP_CLIENT_PHASE_FINAL, /* behind the final dot or the last chunk */
    SMTP_CLIENT_PHASE_IDLE,  /* between messages */
};

enum {
    SMTP_CLIENT_STATUS_SIZE = 12,     /* "5.123.123", with its NUL */
    SMTP_CLIENT_TEXT_SIZE_MAX = 1024, /* with its NUL */
};

/* Valid during the call. Who keeps it copies the struct. */
struct smtp_client_verdict {
    enum smtp_client_result result;
    enum smtp_client_phase phase;
    unsigned code; /* of the reply, 200 to 599; 0: the server has not said it, we did */
    /* RFC 3463: what the server said, when it is of the code's class; else as the code has it.
     */
    char status[SMTP_CLIENT_STATUS_SIZE];
    bool status_said; /* by the server */
    /* RFC 5321 section 4.5.3.1.10: there were too many in this transaction. The recipient may
     * be tried in the next one at once; with DEFERRED only. */
    bool too_many;
    /* "550 5.1.1 No such user": the reply in one line, its lines joined by spaces, a repeated
     * status said once. Without a code: our own words. UTF-8 without control characters. */
    char text[SMTP_CLIENT_TEXT_SIZE_MAX];
};

/* Why a connection is of no use any more. `verdict` of closed() has the words: of the server
 * where there is a code. */
enum smtp_client_end {
    SMTP_CLIENT_END_QUIT,             /* by quit(), in order */
    SMTP_CLIENT_END_MAILS_MAX,        /* the server takes no more messages on it (RFC 9422) */
    SMTP_CLIENT_END_GREETING_REFUSED, /* what the host says, not of any recipient: try another
                                       */
    SMTP_CLIENT_END_HELLO_REFUSED,    /* likewise */
    SMTP_CLIENT_END_TLS_MISSING,      /* REQUIRED, and not offered */
    SMTP_CLIENT_END_TLS_REFUSED,      /* REQUIRED, offered, and refused */
    SMTP_CLIENT_END_TLS_INJECTED,     /* something stands behind the reply to STARTTLS */
    SMTP_CLIENT_END_SERVICE_CLOSED,   /* 421, or 221 unasked for */
    SMTP_CLIENT_END_RESET_REFUSED,
    SMTP_CLIENT_END_PROTOCOL,    /* a reply that is none, or none to what was said */
    SMTP_CLIENT_END_FLOOD,       /* a reply beyond the limits */
    SMTP_CLIENT_END_OUT_OF_TURN, /* a reply that nobody waited for */
    SMTP_CLIENT_END_TIMED_OUT,
    SMTP_CLIENT_END_LOST,
    SMTP_CLIENT_END_BODY_FAILED, /* body_failed(), or a body with a bare CR or LF */
    SMTP_CLIENT_END_COUNT,
};

/* "TLS_MISSING": for logs. */
const char *smtp_client_end_name(enum smtp_client_end end);

struct smtp_client_calls {
    void (*write)(void *context, struct bytes bytes);
    /* What was written has to leave first. What has been read and not been fed is fed: it
     * came in the clear, and ends the connection. Then tls_started(), or lost(). */
    void (*start_tls)(void *context);
    /* From now on the driver waits so long for feed() to get on, then it calls timed_out().
     * It replaces what was waited for before; 0: no limit. */
    void (*wait)(void *context, uint32_t limit_ms);
    void (*ready)(void *context); /* send() or quit() */
    void (*recipient)(void *context, unsigned index, const struct smtp_client_verdict *verdict);
    void (*body_wanted)(void *context); /* body_add() ... body_end(), and let_finish() */
    void (*done)(void *context);        /* the message is not looked at again */
    /* What was written has to leave, then the connection is closed. */
    void (*closed)(void *context, enum smtp_client_end end,
                   const struct smtp_client_verdict *verdict);
};

/* What the server said to EHLO. All false after HELO, and after STARTTLS until the next EHLO.
 */
struct smtp_client_offers {
    bool extended; /* EHLO was taken */
    bool pipelining;
    bool eight_bit;
    bool smtputf8;
    bool chunking;
    bool dsn;
    bool enhanced_status;
    bool starttls;
    bool requiretls;
    bool size;
    bool deliver_by;
    uint64_t size_max;              /* bytes; 0: no limit is said */
    uint32_t deliver_by_min_s;      /* 0: none */
    uint32_t mails_max;             /* of a connection; 0: no limit is said */
    uint32_t recipients_max;        /* of a message; 0: no limit is said */
    uint32_t recipient_domains_max; /* likewise */
};

/* Values as in RFC 3461; NOTIFY as SMTP_NOTIFY_* in smtp/protocol/session.h. */
enum smtp_client_return {
    SMTP_CLIENT_RETURN_UNSAID,
    SMTP_CLIENT_RETURN_FULL,
    SMTP_CLIENT_RETURN_HEADERS,
};

enum smtp_client_by { SMTP_CLIENT_BY_NONE, SMTP_CLIENT_BY_NOTIFY, SMTP_CLIENT_BY_RETURN };

struct smtp_client_recipient {
    struct bytes address; /* "local@domain", quoted where it must be */
    unsigned notify;      /* 0: not said */
    struct bytes orcpt;   /* "type;address", decoded; empty: not said */
};

/* Borrowed, with all it points to, until done(). */
struct smtp_client_message {
    struct bytes sender; /* "local@domain"; empty: the null sender */
    uint64_t size;       /* bytes of the body with CR LF; 0: not known */
    enum smtp_client_return dsn_return;
    struct bytes envid; /* decoded; empty: not said */
    bool utf8;          /* the header, or what else SMTPUTF8 is needed for */
    bool body_8bit;
    bool require_tls; /* RFC 8689 */
    enum smtp_client_by by_mode;
    int32_t by_seconds; /* left from now on; RETURN: more than 0 */
    bool by_traced;
    const struct smtp_client_recipient *recipients;
    unsigned recipient_count; /* 1 to SMTP_CLIENT_RECIPIENTS_MAX */
};

enum { SMTP_CLIENT_RECIPIENTS_MAX = 1000 };

/* `calls` is borrowed. The connection is there, nothing was read: wait() is called at once. */
struct smtp_client *smtp_client_new(const struct smtp_client_config *config,
                                    const struct smtp_client_calls *calls, void *context);

/* Frees *client and sets it to NULL. Calls nobody: recipients without a verdict stay so. */
void smtp_client_free(struct smtp_client **client);

/* Takes all of it: what has come from the server, in any pieces. */
void smtp_client_feed(struct smtp_client *client, struct bytes input);

/* After start_tls(). `verified`: by a policy that satisfies RFC 8689 section 4.2.1 (DANE or
 * MTA-STS); only then a message that requires TLS may leave. */
void smtp_client_tls_started(struct smtp_client *client, bool verified);

/* The limit of wait() is over. Without effect while the limit is 0. */
void smtp_client_timed_out(struct smtp_client *client);

/* The connection is gone, or the driver cuts it. `why`: in words for logs and notices. */
void smtp_client_lost(struct smtp_client *client, const char *why);

bool smtp_client_is_ready(const struct smtp_client *client);
const struct smtp_client_offers *smtp_client_offers(const struct smtp_client *client);

/*
 * Whether a message can be given to this server; once it is ready. Else `refusal` says why not,
 * as every recipient would hear it: 5.6.7 (SMTPUTF8), 5.6.3 (8BITMIME), 5.7.30 (REQUIRETLS),
 * 5.3.4 (SIZE), 5.4.7 (to be returned in time, which the server cannot do), 5.1.7 (the sender's
 * address cannot be written). send() says so too, and the connection stays good.
 */
bool smtp_client_takes(const struct smtp_client *client,
                       const struct smtp_client_message *message,
                       struct smtp_client_verdict *refusal);

/* Only after ready(), once. Recipients beyond recipients_max of the server are DEFERRED with
 * `too_many`; one whose address cannot be written FAILED. */
void smtp_client_send(struct smtp_client *client, const struct smtp_client_message *message);

/*
 * The body, lines ending in CR LF, in any pieces; a CR LF is added when the last one lacks it.
 * From body_wanted() on; behind done() of the message it is ignored. A piece of any size is
 * written out at once, but for up to SMTP_CLIENT_CHUNK_SIZE bytes: the driver gives as much as
 * its connection takes.
 *
 * A bare CR or LF is sent to nobody: the recipients hear 5.6.0 (FAILED) and the connection is
 * cut.
 *
 * failed(): the rest cannot be read. The recipients are DEFERRED, and the connection is cut.
 */
void smtp_client_body_add(struct smtp_client *client, struct bytes body);
void smtp_client_body_end(struct smtp_client *client);
void smtp_client_body_failed(struct smtp_client *client);

/*
 * Whether the end of the message under way may be sent; false at first for each message. It is
 * sent as soon as the body is complete and this is true, within this call or body_end(). Who
 * holds a lease says true when what was written before has left and the lease is good for the
 * write. Behind done() it is ignored.
 */
void smtp_client_let_finish(struct smtp_client *client, bool allowed);

/* The body is complete, and only let_finish() is waited for. */
bool smtp_client_is_held(const struct smtp_client *client);

/* QUIT, once nothing is under way: at once, or behind done() in place of ready(). */
void smtp_client_quit(struct smtp_client *client);

#endif
