/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_PLAY_H
#define TESTS_UNIT_SMTP_PLAY_H

#include "node/base/buffer.h"
#include "smtp/protocol/session.h"

/*
 * Plays a conversation against the session engine and writes down what it does: every byte
 * written, and in angle brackets the other actions: "<body N:...>" with a COMMIT (its bytes),
 * "<abort CODE>", "<tls>" (answered at once: what follows counts as sent inside TLS),
 * "<close>".
 *
 * Users of here.test: y (account 1), z (2), u0 ... u999 (100 + n); "down" cannot be looked up.
 * postmaster without a domain is account 3. No other domain is ours. What the driver refuses in
 * its own words, by the local part, with PLAY_REFUSED, PLAY_LATER or (and the connection ends)
 * PLAY_CUT: "refused", "later", "cut" as a sender or a recipient; "nobegin" as a sender at
 * BEGIN, "virus" as a sender at COMMIT. A hostname that begins with "refuse" makes it refuse to
 * greet.
 *
 * XCLIENT is noted as "<xclient attribute:said:text ...>", in numbers, and refused to
 * 192.0.2.66.
 *
 * Mechanisms: PLAIN and LOGIN know "y" with "secret"; FINAL takes "first", challenges "more",
 * takes "second" and says "last" with its success; RESULT ends with what the response names.
 */
#define PLAY_REFUSED "550 5.7.1 Not you\r\n"
#define PLAY_LATER "450 4.7.1 Later\r\n"
#define PLAY_CUT "421 4.7.0 Enough\r\n<close>"

enum play_answers {
    PLAY_AT_ONCE,
    PLAY_LATE,     /* when no more input is taken; the oldest first */
    PLAY_REVERSED, /* likewise; the newest first */
    PLAY_RANDOM,   /* at any time, in any order */
    PLAY_ANSWERS_COUNT,
};

struct play_question {
    uint64_t ticket;
    enum smtp_want want;
    char text[400]; /* the address, or the start of the client's part of AUTH */
    size_t text_len;
    char mechanism[24];
    bool initial;
    bool has_response;
};

struct play {
    struct smtp_session *session;
    enum play_answers answers;
    enum err commit; /* what COMMIT is answered with */
    enum err begin;
    uint64_t random;
    struct buffer transcript;
    struct buffer body;
    struct play_question outstanding[64];
    unsigned outstanding_count;
    unsigned outstanding_most; /* at any time */
    char auth_user[32];        /* of LOGIN */
    unsigned auth_step;        /* likewise */
    unsigned auths;            /* exchanges begun */
    unsigned begins;
    unsigned commits;
    bool greet_refused;
    bool closed;
};

extern const struct smtp_config play_config;

/* What it says to EHLO; `tls` is the line of STARTTLS, or "". */
#define PLAY_EHLO(tls)                                                                         \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n" tls "250-ENHANCEDSTATUSCODES\r\n"      \
    "250-8BITMIME\r\n250 CHUNKING\r\n"
#define PLAY_HI "220 mx.test ESMTP\r\n"
#define PLAY_HELLO PLAY_HI PLAY_EHLO("250-STARTTLS\r\n")

void play_init(struct play *play, const struct smtp_config *config, enum play_answers answers);
void play_init_connection(struct play *play, const struct smtp_config *config,
                          const struct smtp_connection *connection, enum play_answers answers);
void play_fini(struct play *play);

/*
 * Plays `input` whole, cut in two at every byte, byte by byte and in random pieces, with
 * answers that come at once, late, in reverse and in random order. Each transcript has to be
 * `want`: where TCP splits, and how long the store takes, must never change what the server
 * says.
 */
void play_expect_connection(const struct smtp_config *config,
                            const struct smtp_connection *connection, const char *name,
                            struct bytes input, const char *want);
void play_expect(const struct smtp_config *config, const char *name, struct bytes input,
                 const char *want);

/* Likewise, for one line behind others: `before` says what it says, and then comes `want`. */
void play_expect_line(const struct smtp_config *config,
                      const struct smtp_connection *connection, const char *before,
                      const char *line, const char *want);

/* Feeds all of `input` that the session will take, answering on the way, until nothing moves.
 */
void play_feed(struct play *play, struct bytes input);

/* Performs the actions that are there; answers nothing unless `answers` is PLAY_AT_ONCE. */
void play_drain(struct play *play);

/* play_auth.c */
void play_answer_auth(struct play *play, const struct play_question *question);

/* Answers the outstanding ticket at that position. */
void play_answer(struct play *play, unsigned position);

/* The transcript so far, NUL-terminated, valid until the next call; what was there is dropped.
 */
const char *play_take(struct play *play);

#endif
