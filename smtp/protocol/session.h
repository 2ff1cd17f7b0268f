/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_SESSION_H
#define SMTP_PROTOCOL_SESSION_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "smtp/protocol/reply.h"

/*
 * One SMTP conversation, the server's side (RFC 5321, with 1870, 2033, 2034, 2852, 2920, 3030,
 * 3207, 3461, 4865, 4954, 6152, 6531, 8689 and 9422, and XCLIENT): no socket, clock or disk in
 * it.
 *
 * Bytes go in through feed(); what must happen next comes out of next(). Whoever owns the
 * session performs the actions in order and answers those that have a ticket, in any order and
 * at any time. After feed() or an answer, call next() until it returns false; after an answer,
 * offer the input that was not consumed again.
 *
 * Actions with a ticket are questions. Several RESOLVE may be out at a time, while nothing but
 * further RCPT are taken. Of the others one is out at a time, and until it is answered feed()
 * consumes nothing; so replies keep the order of the commands, whenever answers come.
 *
 * The only road to 250 after DATA or BDAT LAST is committed(ERR_OK). A message in chunks is
 * given out as BODY like any other: nothing of it is kept here, BEGIN comes with the first
 * chunk, and COMMIT after the last.
 *
 * What AUTH brings is wiped from the session's memory as soon as it is answered; the input that
 * the driver holds is the driver's to wipe.
 */
struct smtp_session;

/* What is spoken. Commands and extensions belong to some of them: tables in command.c and
 * extensions.c. */
enum smtp_service {
    SMTP_SERVICE_MX,         /* mail from the world: port 25 */
    SMTP_SERVICE_SUBMISSION, /* mail from users (RFC 6409): ports 587 and 465 */
    SMTP_SERVICE_LMTP,       /* mail from a host of ours (RFC 2033) */
    SMTP_SERVICE_COUNT,
};

/* What differs between listeners is a value here. Borrowed; must outlive the session. */
struct smtp_config {
    enum smtp_service service;
    const char *hostname;
    uint64_t message_size_max; /* bytes; announced as SIZE */
    unsigned recipients_max;   /* of one message; at least 100 (RFC 5321 section 4.5.3.1.8) */
    size_t data_line_size_max; /* bytes with CRLF */
    unsigned errors_max;       /* refusals since the last accepted message, then 421 */
    bool starttls;             /* there is a certificate */
    bool tls_required;         /* MAIL and AUTH in the clear get 530 and 538 */
    /* SUBMISSION: the mechanisms of AUTH, with spaces between them, in the clear and with TLS;
     * NULL or "": none. In the clear there are none for real use. */
    const char *auth_clear;
    const char *auth_tls;
    unsigned auth_failures_max; /* refused log-ins of a connection, then 421 */
    bool ask_greet;             /* GREET is asked */
    bool ask_sender;            /* SENDER is asked */
    bool early_refused;         /* input before the greeting gets 554 and ends the connection */
    bool null_sender_single;    /* a message from <> has one recipient, others get 452 */
    bool dsn;                   /* RFC 3461: what is asked for will be honoured */
    bool smtputf8;              /* RFC 6531: addresses and headers may be UTF-8 */
    bool requiretls;            /* RFC 8689, offered within TLS: it will be honoured */
    bool limits_announced;      /* RFC 9422 */
    unsigned mails_max; /* transactions of a connection, then 421; MAILMAX. 0: no limit */
    unsigned recipient_domains_max; /* RCPTDOMAINMAX: announced, not enforced. 0: none */
    uint32_t hold_max_s;            /* SUBMISSION: FUTURERELEASE (RFC 4865). 0: not offered */
    bool deliver_by;                /* SUBMISSION: DELIVERBY (RFC 2852) */
    bool binarymime;                /* NUL, CR and LF may stand anywhere behind the header */
    bool sync_enforced; /* input behind HELO, EHLO or DATA, sent without waiting for the reply
                           (against RFC 2920 section 3.1), ends the connection */
    bool data_sync_enforced; /* so does input behind a DATA that is refused, sent before the
                                refusal: it may be a message */
};

enum smtp_want {
    SMTP_WANT_WRITE,   /* send action.bytes to the client */
    SMTP_WANT_GREET,   /* may this client be greeted? Then call allowed() */
    SMTP_WANT_XCLIENT, /* may the peer speak for smtp_session_xclient()? Then xclient_taken() */
    SMTP_WANT_AUTH,    /* action.bytes are the client's part of an exchange: authenticated() */
    SMTP_WANT_SENDER,  /* may action.bytes send? See envelope(); then call allowed() */
    SMTP_WANT_RESOLVE, /* look action.bytes (a folded address, or "postmaster", this host's) up,
                          then call resolved() */
    SMTP_WANT_BEGIN,   /* a message is about to come, see envelope(); then call begun() */
    SMTP_WANT_BODY,    /* action.bytes continue the message */
    SMTP_WANT_COMMIT,  /* the message is complete: make it durable, then call committed() */
    SMTP_WANT_ABORT,   /* throw away what came since BEGIN; action.refusal says why: what the
                          client hears, or SMTP_REPLY_TAKEN_BACK */
    SMTP_WANT_START_TLS, /* send what is queued, then start TLS and call tls_started(); if
                            anything stands behind what was consumed, cut the connection */
    SMTP_WANT_CLOSE,     /* send what is queued, then close. The last action */
};

struct smtp_action {
    enum smtp_want want;
    struct bytes bytes;      /* borrowed: valid until the next call on the session */
    uint64_t ticket;         /* of questions; never 0 */
    enum smtp_reply refusal; /* of ABORT */
    /* Of AUTH. An exchange that is not answered to its end is over when the next one begins, or
     * the session ends. */
    struct bytes mechanism; /* as it stands in smtp_config */
    bool initial;           /* the exchange begins */
    bool has_response; /* false: the client has sent nothing yet, not even an empty response */
    /* The client has ended the exchange itself, and had sent a message before: it has seen what
     * became of that. Whatever the answer is but TOO_MANY, it is a failure, and counted. */
    bool given_up;
};

/* NOTIFY of RCPT (RFC 3461 section 4.1): NEVER alone, or any of the others. */
enum {
    SMTP_NOTIFY_NEVER = 1 << 0,
    SMTP_NOTIFY_SUCCESS = 1 << 1,
    SMTP_NOTIFY_FAILURE = 1 << 2,
    SMTP_NOTIFY_DELAY = 1 << 3,
};

/* A recipient that was accepted, in the order of the RCPT commands. */
struct smtp_recipient {
    struct bytes address; /* folded, to be looked up; "postmaster" alone is this host's */
    struct bytes path;    /* as it is written: quoted where it must be */
    uint64_t account_id;
    unsigned notify; /* 0: not said, which means FAILURE and maybe DELAY */
    /* ORCPT, decoded and free of control characters: "rfc822" and an ASCII address, or "utf-8"
     * and a UTF-8 one. Empty: not said. */
    struct bytes original_type;
    struct bytes original_address;
};

/* BY of MAIL (RFC 2852 section 4), counted from now. */
struct smtp_deliver_by {
    bool given;
    int32_t seconds; /* may be over already, unless `returns` */
    bool returns;    /* R: the message is returned then; else (N) the sender is told */
    bool traced;     /* T */
};

/* RET of MAIL: what a DSN of a failure should hold of the message. */
enum smtp_return { SMTP_RETURN_UNSAID, SMTP_RETURN_FULL, SMTP_RETURN_HEADERS };

/* Valid from BEGIN until the answer to COMMIT, or until ABORT was handed out. */
struct smtp_envelope {
    struct bytes helo; /* checked: letters, digits and "-._:[]" only */
    enum smtp_service service;
    bool extended; /* EHLO or LHLO */
    bool tls;
    bool authenticated;
    uint64_t account_id; /* of who is authenticated */
    struct bytes login;  /* likewise: as the driver has named him */
    struct bytes sender; /* "local@domain", or empty: the null sender. UTF-8 only if `utf8` */
    uint64_t size;       /* as declared, 0: not declared */
    bool body_8bit;      /* BODY=8BITMIME */
    bool body_binary;    /* BODY=BINARYMIME: any bytes behind the header */
    bool utf8;           /* SMTPUTF8 was said: addresses and header may be UTF-8 */
    bool requiretls;     /* RFC 8689: it must not go on but with TLS that was verified */
    uint32_t
        hold_for_s; /* FUTURERELEASE: to be released then. At most one of the two is not 0 */
    int64_t hold_until_s;
    struct smtp_deliver_by deliver_by;
    enum smtp_return dsn_return;
    struct bytes envelope_id;   /* ENVID, decoded: printable ASCII and spaces; or empty */
    struct bytes auth_identity; /* AUTH of MAIL, decoded: an address, "<>", or empty: not said,
                                   or by somebody who is not trusted */
    const struct smtp_recipient *recipients;
    unsigned recipient_count; /* at least 1 */
};

/* A MAIL, a RCPT, or a message before its first byte, that was refused. */
enum smtp_refused_what { SMTP_REFUSED_SENDER, SMTP_REFUSED_RECIPIENT, SMTP_REFUSED_MESSAGE };

struct smtp_refused {
    enum smtp_refused_what what;
    struct bytes address; /* of a sender or recipient; of one that could not be read, what
                             stands there, cut at SMTP_REFUSED_SIZE_MAX */
    struct bytes line;    /* the reply, with its CRLF */
};

/* What differs between connections. Copied. */
struct smtp_connection {
    bool tls;      /* from the start */
    bool trusted;  /* AUTH= of MAIL is believed (RFC 4954 section 5) */
    bool xclient;  /* XCLIENT is offered: the peer may say for whom it speaks */
    int64_t now_s; /* since 1970; for FUTURERELEASE */
    /* NULL, or hears of refusals for the log, each when its reply is written. It may look at
     * the envelope, and at nothing else of the session. */
    void (*refused)(void *context, const struct smtp_refused *refused);
    void *context;
};

struct smtp_session *smtp_session_new(const struct smtp_config *config,
                                      const struct smtp_connection *connection);

/* Frees *session and sets it to NULL. */
void smtp_session_free(struct smtp_session **session);

/* Returns how many bytes were consumed; the caller keeps the rest. */
size_t smtp_session_feed(struct smtp_session *session, struct bytes input);

/* Returns false when there is nothing to do before more input or an answer arrives. */
bool smtp_session_next(struct smtp_session *session, struct smtp_action *action);

const struct smtp_envelope *smtp_session_envelope(const struct smtp_session *session);

/*
 * Answers. An unknown ticket is ignored. Any question can be answered by refused(): the client
 * hears the refusal, and what was asked for does not happen. GREET refused ends the connection.
 *
 * allowed(): GREET and SENDER.
 * resolved(): ERR_OK with the account; ERR_NOTFOUND (a domain of ours has no such user);
 * ERR_DENIED (not our domain); ERR_QUOTA or ERR_FULL (no room: at present, for good); anything
 * else is a 451.
 * begun(): ERR_OK, with a trace id of at most SMTP_TRACE_ID_SIZE_MAX - 1 characters that the
 * client is told; or why no message can be taken now.
 * committed(): ERR_OK is the promise that the message is durable. ERR_UNKNOWN, when it may or
 * may not come to be, closes the connection without a reply. Anything else is a refusal. With
 * LMTP the client hears it once for each recipient. committed_each(): LMTP; what becomes of
 * each recipient of the envelope, in its order. Those before one with ERR_UNKNOWN hear theirs,
 * then the connection is closed.
 */
struct smtp_outcome {
    enum err result;
    const struct smtp_refusal *refusal; /* instead of `result`, unless it is NULL */
};

void smtp_session_refused(struct smtp_session *session, uint64_t ticket,
                          const struct smtp_refusal *refusal);
void smtp_session_allowed(struct smtp_session *session, uint64_t ticket);
void smtp_session_resolved(struct smtp_session *session, uint64_t ticket, enum err result,
                           uint64_t account_id);
void smtp_session_begun(struct smtp_session *session, uint64_t ticket, enum err result,
                        const char *trace_id);
void smtp_session_committed(struct smtp_session *session, uint64_t ticket, enum err result);
void smtp_session_committed_each(struct smtp_session *session, uint64_t ticket,
                                 const struct smtp_outcome *outcomes, unsigned count);

/* What becomes of an exchange. DONE logs the client in; its bytes, if there are any, are sent
 * as a last challenge, and the client is logged in when it has taken it (RFC 4954 section 4).
 */
enum smtp_auth_result {
    SMTP_AUTH_CONTINUE,   /* `bytes` are the next challenge */
    SMTP_AUTH_DONE,       /* 235 */
    SMTP_AUTH_REFUSED,    /* 535 5.7.8; counted, see auth_failures_max */
    SMTP_AUTH_TEMPORARY,  /* 454 4.7.0: nobody can say now */
    SMTP_AUTH_WEAK,       /* 534 5.7.9: not with this mechanism */
    SMTP_AUTH_NEEDS_TLS,  /* 538 5.7.11 */
    SMTP_AUTH_TRANSITION, /* 432 4.7.12: the password has to be changed first */
    SMTP_AUTH_MALFORMED,  /* 501 5.5.2: no message of this mechanism */
    SMTP_AUTH_TOO_MANY,   /* 421 4.7.0, and the connection ends */
};

struct smtp_auth_answer {
    enum smtp_auth_result result;
    struct bytes bytes;  /* at most SMTP_AUTH_BYTES_MAX */
    uint64_t account_id; /* of DONE */
    struct bytes login;  /* of DONE; at most SMTP_LOGIN_SIZE_MAX. Copied */
};
void smtp_session_authenticated(struct smtp_session *session, uint64_t ticket,
                                const struct smtp_auth_answer *answer);

/* What XCLIENT says (its README is Postfix's). Valid from XCLIENT until its answer. */
enum smtp_xclient {
    SMTP_XCLIENT_NAME,
    SMTP_XCLIENT_ADDR, /* numeric; with "IPV6:" before it if it is */
    SMTP_XCLIENT_PORT,
    SMTP_XCLIENT_PROTO, /* "SMTP" or "ESMTP" */
    SMTP_XCLIENT_HELO,
    SMTP_XCLIENT_LOGIN,
    SMTP_XCLIENT_DESTADDR,
    SMTP_XCLIENT_DESTPORT,
    SMTP_XCLIENT_REVERSE_NAME,
    SMTP_XCLIENT_COUNT,
};

struct smtp_xclient_value {
    enum {
        SMTP_XCLIENT_UNSAID, /* as it was */
        SMTP_XCLIENT_SAID,
        SMTP_XCLIENT_UNAVAILABLE, /* there is none */
        SMTP_XCLIENT_TEMPORARY,   /* nobody could say for now */
    } said;
    struct bytes text; /* printable, checked for what the attribute is; empty unless SAID */
};
const struct smtp_xclient_value *smtp_session_xclient(const struct smtp_session *session,
                                                      enum smtp_xclient attribute);

/* The session begins anew: it greets, and asks GREET before that if it is configured. With a
 * `login` (LOGIN, as the driver knows it; "": none) it is authenticated from the start. */
void smtp_session_xclient_taken(struct smtp_session *session, uint64_t ticket,
                                uint64_t account_id, struct bytes login);

/* The client has spoken before it was greeted (RFC 5321 section 4.3.1). Known while GREET is
 * being answered, and later. */
bool smtp_session_early(const struct smtp_session *session);

/* The session has ended because the client spoke as no client of good will does. */
bool smtp_session_breached(const struct smtp_session *session);

/* After START_TLS: all that was learnt in the clear is forgotten (RFC 3207 section 4.2). */
void smtp_session_tls_started(struct smtp_session *session);

/* The client waits for an answer of ours: its silence is no fault of its own. */
bool smtp_session_waiting(const struct smtp_session *session);

/* A message is under way: between DATA, or the first BDAT, and the reply to its end. */
bool smtp_session_in_message(const struct smtp_session *session);

/* The client is too slow: 421 and CLOSE, now. Does nothing while waiting(). */
void smtp_session_time_out(struct smtp_session *session);

/* The service ends: 421 and CLOSE; behind the reply to a message if one is under way. */
void smtp_session_go_down(struct smtp_session *session);

#endif
