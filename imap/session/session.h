/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SESSION_SESSION_H
#define IMAP_SESSION_SESSION_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "storage/client/body_block.h"
#include "store.pb-c.h"

/*
 * One IMAP conversation (RFC 3501), with no socket, clock or store in it.
 *
 * Bytes go in through feed(); what must happen next comes out of next(), in order. Whoever owns
 * the session calls next() until it returns false after everything that it has put in, but may
 * stop while the client does not take what was written: nothing is produced until next() asks
 * for it, so that is all there is to back-pressure.
 *
 * Commands are carried out one at a time. At most one CALL is outstanding; until its answer,
 * feed() consumes nothing.
 */
struct imap_session;

enum imap_event {
    IMAP_EVENT_COMMAND,
    IMAP_EVENT_BREACH,       /* of the protocol, such as no client of good will commits */
    IMAP_EVENT_LOGIN,        /* text: the account's address */
    IMAP_EVENT_LOGIN_FAILED, /* text: the name that was tried, as far as it is known */
    IMAP_EVENT_TURNED_AWAY, /* was right, but judge() would not have it: text as with LOGIN. The
                               store's session is to be ended; it is forgotten afterwards. */
};

/* A log-in on its way past whoever guards the server. */
enum imap_attempt {
    IMAP_ATTEMPT_TRIES, /* a message of it has come, and is going to cost something */
    IMAP_ATTEMPT_RIGHT,
    IMAP_ATTEMPT_WRONG,
};

struct imap_verdict {
    unsigned delay_ms; /* how long the answer is to be held back; not for TRIES */
    const char *code;  /* of RFC 5530, with `text` */
    const char *text;  /* the client has to go, and why; NULL: it may stay. A constant. */
};

struct imap_session_config {
    const char *hostname;
    uint64_t append_size_max;
    unsigned login_failures_max; /* log-ins of a connection that fail, then BYE; not 0 */
    /* What is offered with TLS: "SCRAM-SHA-256 PLAIN", the best first, in capitals. May be
     * changed between calls. Without TLS nothing is offered. */
    const char *mechanisms;
    struct body_codec *codec;
    /* Something to count or to log. May be NULL. */
    void (*on_event)(void *owner, enum imap_event event, struct bytes text);
    /* `account` and `secret`: digests as the store gives them; 0 and empty where not known.
     * NULL: everybody may stay. */
    struct imap_verdict (*judge)(void *owner, enum imap_attempt attempt, uint64_t account,
                                 struct bytes secret);
};

enum imap_want {
    IMAP_WANT_WRITE,      /* bytes to the client */
    IMAP_WANT_CALL,       /* request to the store, answered with the ticket */
    IMAP_WANT_BODY_BEGIN, /* a message is coming */
    IMAP_WANT_BODY_DATA,  /* bytes of it: they lie in what was fed last */
    IMAP_WANT_BODY_END,   /* all is there: body_finished() has to follow */
    IMAP_WANT_BODY_DROP,  /* nobody wants the message any more */
    IMAP_WANT_BODY_USED,  /* the message is in the mailbox */
    IMAP_WANT_DELAY,      /* call delayed() with the ticket after delay_ms */
    IMAP_WANT_START_TLS,  /* what was written goes out in the clear, then tls_started() */
    IMAP_WANT_CLOSE,      /* when what was written is out; nothing comes after it */
};

struct imap_action {
    enum imap_want want;
    struct bytes bytes;   /* valid until the next call on the session */
    Pr__Request *request; /* the same; session is filled in, deadline_ms, request_id and what
                             binds an AuthStep to its TLS connection are not */
    bool is_write;        /* the request needs a request_id */
    unsigned deadline_ms; /* of the call */
    unsigned delay_ms;
    uint64_t ticket;
};

/* `config` and `peer_address` are borrowed. `has_tls`: the connection is encrypted already;
 * `can_tls`: STARTTLS is possible. */
struct imap_session *imap_session_new(const struct imap_session_config *config, void *owner,
                                      const char *peer_address, bool has_tls, bool can_tls);

/* The client is welcome; until then nothing is read. Once; after bye() it does nothing. */
void imap_session_greet(struct imap_session *session);

/* Frees *session and sets it to NULL. Outstanding tickets become unknown. */
void imap_session_free(struct imap_session **session);

/* Returns how many bytes were consumed; the rest is to be offered again when next() has been
 * asked and returned false. */
size_t imap_session_feed(struct imap_session *session, struct bytes input);

bool imap_session_next(struct imap_session *session, struct imap_action *action);

/* Whether feed() would consume anything. */
bool imap_session_reads(const struct imap_session *session);

/* Answers. Unknown tickets are ignored. `reply` is NULL unless err is ERR_OK. */
void imap_session_answered(struct imap_session *session, uint64_t ticket, enum err err,
                           const Pr__Reply *reply);
void imap_session_delayed(struct imap_session *session, uint64_t ticket);

/* The message of BODY_END; `body` is valid until BODY_DROP or BODY_USED. `wall_s` is the time
 * now, for messages that come without a date. */
void imap_session_body_finished(struct imap_session *session, enum err err, Pr__Body *body,
                                int64_t wall_s);
void imap_session_tls_started(struct imap_session *session);

/* The store says that something happened in the selected mailbox. */
void imap_session_changed(struct imap_session *session, uint64_t highest_modseq);

/* Says BYE with this reason ("[UNAVAILABLE] ..."), instead of a greeting if there was none, and
 * closes. */
void imap_session_bye(struct imap_session *session, const char *reason);

/* Whether a log-in is under way for which the client has shown something: when it goes now, it
 * has not waited to hear that it was wrong. */
bool imap_session_logs_in(const struct imap_session *session);

/* The store's session, or 0 before login. */
uint64_t imap_session_store_id(const struct imap_session *session);

/* Bytes on the heap that belong to the session now, its own struct included. */
size_t imap_session_memory(const struct imap_session *session);

#endif
