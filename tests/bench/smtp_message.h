/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_SMTP_MESSAGE_H
#define TESTS_BENCH_SMTP_MESSAGE_H

#include "node/base/buffer.h"

/*
 * Messages to load a server with: a header as a mail client writes it, and a body of words and
 * quoted data that compresses about as well as real mail (some 3 : 1). Each carries a token, in
 * Message-ID and X-Bench-Token, by which it is found again.
 */
void smtp_message_text_init(uint64_t seed);

struct smtp_message {
    size_t size;         /* about, without the dots; at least some 700 bytes */
    bool has_attachment; /* a short text and base64, which compresses by a quarter; else text */
    const char *token;
    const char *sender;
    const char *recipient;
};

/* Appends the message with its dots stuffed, and the final dot. */
void smtp_message_write(struct buffer *output, const struct smtp_message *message);

#endif
