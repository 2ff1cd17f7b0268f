/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_SESSION_STATE_H
#define SMTP_PROTOCOL_SESSION_STATE_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "smtp/protocol/body.h"
#include "smtp/protocol/limits.h"
#include "smtp/protocol/session.h"

/*
 * What the files of the session engine share. Nobody else includes it.
 *
 * 1. Replies leave in the order of their commands. While a look-up is under way, only RCPT is
 *    taken; any other command is held until the replies to all RCPT are written.
 * 2. At most one other question is outstanding, and only in the state of that name. No input is
 *    taken meanwhile.
 * 3. The envelope and the body belong to one transaction; smtp_session_finish() and
 *    smtp_session_abandon() end both.
 */
#define SMTP_IN(state) (1U << (state))

enum smtp_state {
    SMTP_STATE_GREET,     /* may the client be greeted? */
    SMTP_STATE_CONNECTED, /* no HELO yet */
    SMTP_STATE_XCLIENT,   /* may it speak for this client? */
    SMTP_STATE_READY,
    SMTP_STATE_AUTH,   /* an exchange: the driver's turn while there is a ticket */
    SMTP_STATE_SENDER, /* may this sender send? */
    SMTP_STATE_MAIL,   /* no recipient accepted yet */
    SMTP_STATE_RCPT,   /* at least one */
    SMTP_STATE_BEGIN,
    SMTP_STATE_DATA,
    SMTP_STATE_CHUNK,  /* within the bytes of a BDAT */
    SMTP_STATE_CHUNKS, /* between two of them */
    SMTP_STATE_COMMIT,
    SMTP_STATE_TLS,
    SMTP_STATE_CLOSED,
    SMTP_STATE_COUNT,
};

/* A reply that is a row of the table, or a line of the driver's. */
struct smtp_verdict {
    enum smtp_reply reply;
    struct bytes line; /* with CRLF; instead of the row unless it is empty */
    unsigned flags;    /* of the line, as of a row */
};

/* An exchange of AUTH. */
struct smtp_auth {
    struct bytes mechanism; /* of smtp_config */
    struct buffer response; /* decoded; wiped when it is answered */
    bool initial;           /* it came with the command */
    bool has_response;
    enum smtp_reply given_up; /* by the client, which hears this; OK: it was not */
    bool final; /* the driver is satisfied; the client has still to take its last bytes */
    unsigned failures; /* refused since the connection began */
};

/* A BDAT. */
struct smtp_chunk {
    bool active; /* the transaction has one: BEGIN was asked for by BDAT */
    bool last;
    uint64_t left; /* bytes that are still to come */
};

/* Bytes of a BDAT that was refused: thrown away, and only then replied to (RFC 3030 section 2).
 */
struct smtp_skip {
    uint64_t left;
    struct buffer reply;
    unsigned flags; /* of it */
};

/* A RCPT whose reply could not be written yet: looked up, or behind one that is. */
struct smtp_lookup {
    uint64_t ticket; /* 0: the reply is known */
    bool handed_out; /* next() has given RESOLVE out */
    struct smtp_verdict verdict;
    struct smtp_recipient recipient;
};

struct smtp_session {
    const struct smtp_config *config;
    enum smtp_state state;
    bool tls;
    bool trusted;
    bool xclient_allowed;
    void (*refused)(void *context, const struct smtp_refused *refused);
    void *refused_context;
    int64_t now_s;  /* when the connection began */
    unsigned mails; /* transactions since then */
    struct smtp_xclient_value xclient[SMTP_XCLIENT_COUNT];
    bool going_down;
    bool breached; /* smtp_session_breached() */
    bool greeted;  /* once: what comes before a second greeting is not early */
    bool early;
    bool authenticated;
    uint64_t account_id;
    struct buffer login;
    struct smtp_auth auth;

    /* Input: the command line so far. */
    struct buffer line;
    size_t discarded;             /* bytes of a line that is too long; 0: there is none */
    bool discarded_cr;            /* the last of them was a CR */
    bool held;                    /* `line` is complete, and waits for look-ups (invariant 1) */
    enum smtp_reply held_refusal; /* OK: `line` is to be run */
    struct smtp_skip skip;
    unsigned chunks_failed_count; /* replies that the last one of them gets */
    bool chunks_failed; /* a chunk was refused that was not the last one, and BDAT goes on */
    bool held_early;    /* more input came before the command was answered */
    bool data_early;    /* likewise, of the newest DATA */
    bool data_refused;  /* DATA was; what comes now may be a message all the same */

    /* Output. */
    struct buffer output;
    size_t output_lent; /* bytes that next() has lent; the next call drops them */
    bool start_tls_pending;
    bool close_pending;
    unsigned errors;
    uint64_t ticket_newest;
    uint64_t ticket;     /* of any question but RESOLVE; 0: none outstanding */
    bool ticket_pending; /* next() has still to give it out */

    /* Learnt from HELO. */
    char helo[SMTP_HELO_SIZE_MAX + 1];

    /* The transaction. */
    struct arena transaction_arena;
    struct smtp_envelope envelope;
    struct smtp_recipient *recipients;
    unsigned recipients_room;
    unsigned recipients_refused;
    struct smtp_lookup *lookups; /* a ring of SMTP_LOOKUPS_MAX */
    unsigned lookup_first;
    unsigned lookup_count;
    struct smtp_chunk chunk;
    struct smtp_body body;
    struct buffer body_piece;
    bool body_lent;
    bool body_open; /* BEGIN was answered with ERR_OK; neither COMMIT nor ABORT was given out */
    bool abort_pending;
    enum smtp_reply abort_refusal;
    size_t abort_behind; /* bytes of output that were written before the ABORT */
    char trace_id[SMTP_TRACE_ID_SIZE_MAX];
};

/* session.c */
void smtp_session_move(struct smtp_session *session, enum smtp_state state);
void smtp_session_reply(struct smtp_session *session, enum smtp_reply reply);
unsigned smtp_verdict_flags(const struct smtp_verdict *verdict);
void smtp_verdict_write(const struct smtp_session *session, const struct smtp_verdict *verdict,
                        struct buffer *output);
void smtp_session_say(struct smtp_session *session, const struct smtp_verdict *verdict);
void smtp_session_forget_transaction(struct smtp_session *session);
/* All that was learnt is forgotten; `state` is CONNECTED or GREET. */
void smtp_session_restart(struct smtp_session *session, enum smtp_state state);
void smtp_session_greet(struct smtp_session *session);
/* In state GREET: asks, or greets at once. */
void smtp_session_welcome(struct smtp_session *session);
/* Asks the question of this state. */
void smtp_session_ask(struct smtp_session *session, enum smtp_state state);
uint64_t smtp_session_ticket(struct smtp_session *session);
/*
 * The transaction is over, with this reply: said once the rest of a chunk is read. `each`: the
 * end of the message was there, so LMTP says it for each recipient.
 */
void smtp_session_finish(struct smtp_session *session, const struct smtp_verdict *verdict,
                         bool each);
/* LMTP: with one reply for each recipient. Takes `replies` over. */
void smtp_session_finish_each(struct smtp_session *session, struct buffer *replies,
                              unsigned flags, bool accepted);
/* The transaction is over at the client's wish. */
void smtp_session_abandon(struct smtp_session *session);
/* Throws `left` bytes of input away, then replies `count` times. */
void smtp_session_skip(struct smtp_session *session, uint64_t left,
                       const struct smtp_verdict *verdict, unsigned count);
void smtp_session_skipped(struct smtp_session *session);
/* The body is not wanted any more: ABORT, if it was begun. */
void smtp_session_abort_body(struct smtp_session *session, enum smtp_reply refusal);
void smtp_session_close(struct smtp_session *session, enum smtp_reply reply);
/* Forgets what next() has lent out; at the start of every call of the driver's. */
void smtp_session_drop_lent(struct smtp_session *session);

/* answers.c */
bool smtp_session_takes_answer(struct smtp_session *session, enum smtp_state state,
                               uint64_t ticket);

/* refusal.c. The line of the verdict is that of `line`. */
struct smtp_verdict smtp_refusal_verdict(const struct smtp_refusal *refusal, const char *trace,
                                         struct buffer *line);
/* Tells who wants to know. `address`: as it was written, or as it is looked up. */
void smtp_refusal_tell(const struct smtp_session *session, enum smtp_refused_what what,
                       struct bytes address, const struct smtp_verdict *verdict);

/* auth.c */
/* The mechanisms, with spaces between them; "" where there are none. */
const char *smtp_auth_offered(const struct smtp_session *session);
void smtp_command_auth(struct smtp_session *session, struct bytes args);
/* A line of an exchange, without its CRLF. */
void smtp_auth_line(struct smtp_session *session, struct bytes line);
/* The client says, or shows, that it does not go on. */
void smtp_auth_give_up(struct smtp_session *session, enum smtp_reply reply);
void smtp_auth_end(struct smtp_session *session, const struct smtp_verdict *verdict);
void smtp_session_set_account(struct smtp_session *session, uint64_t account_id,
                              struct bytes login);
void smtp_auth_forget(struct smtp_session *session);

/* input.c */
void smtp_session_run_held(struct smtp_session *session);

/* chunk.c */
void smtp_command_bdat(struct smtp_session *session, struct bytes args);
/* BEGIN was answered with OK. */
void smtp_chunk_begin(struct smtp_session *session);
size_t smtp_chunk_feed(struct smtp_session *session, struct bytes input);

/* command.c. `line` is what stands before the LF. `early`: more input came behind it. */
bool smtp_command_take_cr(struct bytes *line);
bool smtp_command_must_wait(const struct smtp_session *session, struct bytes line);
/* What a command gets that may not arrive in this state. */
enum smtp_reply smtp_command_bad_sequence(const struct smtp_session *session);
void smtp_command_run(struct smtp_session *session, struct bytes line, bool early);
/* Its reply is written. */
void smtp_command_data_refused(struct smtp_session *session);

/* xclient.c */
void smtp_command_xclient(struct smtp_session *session, struct bytes args);
void smtp_xclient_refused(struct smtp_session *session, const struct smtp_verdict *verdict);
/* Appends the names of the attributes. */
void smtp_xclient_write(const struct smtp_session *session, struct buffer *line);

/* extensions.c. Whether it is offered to this session at this point. */
bool smtp_dsn_offered(const struct smtp_session *session);
bool smtp_utf8_offered(const struct smtp_session *session);
bool smtp_requiretls_offered(const struct smtp_session *session);
bool smtp_hold_offered(const struct smtp_session *session);
bool smtp_deliver_by_offered(const struct smtp_session *session);
bool smtp_helo_valid(struct bytes name);
void smtp_command_ehlo(struct smtp_session *session, struct bytes args);
void smtp_command_helo(struct smtp_session *session, struct bytes args);

/* mail.c */
void smtp_command_mail(struct smtp_session *session, struct bytes args);
void smtp_command_rcpt(struct smtp_session *session, struct bytes args);

/* parameters.c. Why one is refused, or OK; what is taken is in the envelope or the recipient.
 */
enum smtp_reply smtp_parameters_mail(struct smtp_session *session, struct bytes args);
enum smtp_reply smtp_parameters_rcpt(struct smtp_session *session, struct bytes args,
                                     struct arena *arena, struct smtp_recipient *recipient);

/* recipient.c */
/* How many the message may have. */
unsigned smtp_recipient_limit(const struct smtp_session *session);
bool smtp_recipient_full(const struct smtp_session *session);
void smtp_recipient_look_up(struct smtp_session *session,
                            const struct smtp_recipient *recipient);
/* `address`: what stands in the command. */
void smtp_recipient_refuse(struct smtp_session *session, enum smtp_reply reply,
                           struct bytes address);
/* Answers RESOLVE. Returns false when the ticket is none of its. */
bool smtp_recipient_answer(struct smtp_session *session, uint64_t ticket,
                           const struct smtp_verdict *verdict, uint64_t account_id);
bool smtp_recipient_next(struct smtp_session *session, struct smtp_action *action);

#endif
