/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FUZZ_SMTP_RUN_H
#define TESTS_FUZZ_SMTP_RUN_H

#include "node/base/buffer.h"
#include "smtp/protocol/limits.h"
#include "smtp/protocol/session.h"

/*
 * Runs the SMTP session engine over any input, twice: whole with answers at once; and cut
 * anywhere, answered at any time. What must hold: the client sees the same; replies are well
 * formed; a commit comes of one body, and that body is what an independent reading of the input
 * says; nothing is consumed while a question is out; no piece is larger than its limit; nothing
 * in an envelope is a control character; nobody sends mail by submission who was not let in.
 */
struct smtp_run_setup {
    struct smtp_config config;
    struct smtp_connection connection;
    uint8_t choices; /* how questions are answered */
    uint8_t seed;    /* of cuts and waits */
};

/* Fills in one of four: MX, submission, LMTP, and MX that asks and offers everything. */
void smtp_run_configure(struct smtp_run_setup *setup, unsigned kind);

void smtp_run_compare(const struct smtp_run_setup *setup, struct bytes input);

/* smtp_reference.c: the message by the book, read once more out of `input`: it began at
 * `start`, behind the line of its command, and ended at `end`. */
void smtp_reference_body(const struct smtp_config *config, struct bytes input, size_t start,
                         size_t end, bool binary, struct buffer *body);

#endif
