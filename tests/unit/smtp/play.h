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
 * postmaster@mx.test is account 3. No other domain is ours.
 */
enum play_answers {
    PLAY_AT_ONCE,
    PLAY_LATE,     /* when no more input is taken; the oldest first */
    PLAY_REVERSED, /* likewise; the newest first */
    PLAY_RANDOM,   /* at any time, in any order */
    PLAY_ANSWERS_COUNT,
};

struct play {
    struct smtp_session *session;
    enum play_answers answers;
    enum err commit; /* what COMMIT is answered with */
    enum err begin;
    uint64_t random;
    struct buffer transcript;
    struct buffer body;
    struct {
        uint64_t ticket;
        enum smtp_want want;
        char address[400];
    } outstanding[64];
    unsigned outstanding_count;
    unsigned outstanding_most; /* at any time */
    unsigned begins;
    unsigned commits;
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
void play_expect(const struct smtp_config *config, const char *name, struct bytes input,
                 const char *want);

/* Feeds all of `input` that the session will take, answering on the way, until nothing moves.
 */
void play_feed(struct play *play, struct bytes input);

/* Performs the actions that are there; answers nothing unless `answers` is PLAY_AT_ONCE. */
void play_drain(struct play *play);

/* Answers the outstanding ticket at that position. */
void play_answer(struct play *play, unsigned position);

/* The transcript so far, NUL-terminated, valid until the next call; what was there is dropped.
 */
const char *play_take(struct play *play);

#endif
