/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RELAY_CLIENT_LAB_H
#define TESTS_UNIT_RELAY_CLIENT_LAB_H

#include "node/base/buffer.h"
#include "smtp/relay/client.h"

/*
 * The client engine between a driver and a small server by the book, all in memory. What
 * happens is written down: what the client sends, with LF for CR LF, and in angle brackets what
 * it tells:
 *
 *   <ready> <tls> <body> <done> <0 FAILED RCPT 550 5.1.1 "550 5.1.1 No"> <closed QUIT "">
 *
 * The driver sends the messages one after the other, then QUIT. A message in DATA or chunks is
 * written down as it was sent.
 */

/* What the server says instead of what it would say. */
struct lab_rule {
    const char
        *command;      /* what the line begins with; "greeting", "." and "LAST" are such too */
    const char *reply; /* "" is silence; LAB_LOST and LAB_TIMEOUT are none */
    unsigned nth;      /* of such commands in a connection, from 1; 0: each */
};

#define LAB_LOST "lost"
#define LAB_TIMEOUT "timeout"

#define LAB_BODY_FAILS 1U   /* body_failed() in place of body_end() */
#define LAB_LATE_LEAVE 2U   /* let_finish() after body_end() */
#define LAB_EARLY_LEAVE 4U  /* let_finish() before send() has an answer */
#define LAB_NO_LEAVE 8U     /* never; then the connection is lost */
#define LAB_UNVERIFIED 16U  /* TLS */
#define LAB_TLS_FAILS 32U   /* the handshake */
#define LAB_NESTED_BODY 64U /* from within body_wanted() */
#define LAB_IDLE 128U       /* nothing is done at ready() */
#define LAB_BY_HAND 256U    /* nor at body_wanted() */

struct lab_setup {
    struct smtp_client_config config;
    const char *extensions;       /* with a LF behind each; NULL: none */
    const char *extensions_tls;   /* within TLS; NULL: the same */
    const struct lab_rule *rules; /* up to one without a command */
    const struct smtp_client_message *messages;
    unsigned message_count;
    struct bytes body;
    size_t body_piece; /* 0: whole */
    unsigned flags;
};

/* A transaction as the server has it. */
struct lab_received {
    char *mail;       /* the line without CR LF */
    char *recipients; /* lines of RCPT that were taken, a LF behind each */
    struct buffer body;
};

enum { LAB_RECEIVED_MAX = 16 };

struct lab {
    const struct lab_setup *setup;
    struct smtp_client *client;
    struct buffer transcript;
    /* the driver */
    unsigned sent;
    unsigned verdicts[SMTP_CLIENT_RECIPIENTS_MAX]; /* of the message under way */
    unsigned verdict_count;
    unsigned done_count;
    bool body_wanted;
    bool tls_wanted;
    bool under_way;
    bool closed;
    enum smtp_client_end end;
    struct smtp_client_verdict last; /* of the last recipient */
    struct smtp_client_verdict end_verdict;
    uint32_t wait_ms;
    /* the server */
    struct buffer to_server;
    struct buffer to_client;
    unsigned rule_hits[32];
    size_t said;         /* bytes */
    const char *trouble; /* LAB_LOST or LAB_TIMEOUT, once what was said is heard */
    bool in_data;
    bool in_tls;
    bool mail_taken;
    uint64_t chunk_left;
    bool chunk_last;
    bool chunk_failed;
    unsigned rcpt_taken;
    struct lab_received received[LAB_RECEIVED_MAX];
    unsigned received_count; /* complete ones */
};

/* `cut`: the server's bytes are cut there, counted from the first; SIZE_MAX: nowhere; 0: after
 * each byte. */
void lab_play(struct lab *lab, const struct lab_setup *setup, size_t cut);
void lab_fini(struct lab *lab);

/* The same in steps. */
void lab_begin(struct lab *lab, const struct lab_setup *setup);
void lab_feed(struct lab *lab, const char *bytes);

/* Plays it whole, cut at every byte, and byte by byte: each time the transcript has to be
 * `want`. */
void lab_expect(const char *name, const struct lab_setup *setup, const char *want);

#endif
