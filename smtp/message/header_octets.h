/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_HEADER_OCTETS_H
#define SMTP_MESSAGE_HEADER_OCTETS_H

#include <stdbool.h>

#include "node/base/bytes.h"

/* What is wrong with the bytes of a header, whatever they mean: 8-bit, UTF-8, control
 * characters, lines. Constant memory; zeroed at the start. Pieces may be cut anywhere. */
struct header_octets {
    size_t line_size; /* of the current line, CR and LF included */
    uint8_t last_byte;
    unsigned tails; /* bytes of UTF-8 that have to follow */
    uint8_t least;  /* bounds of the next of them */
    uint8_t most;
};

/* Returns enum smtp_header_fault_bit, joined. */
unsigned header_octets_take(struct header_octets *octets, struct bytes text);
unsigned header_octets_end(struct header_octets *octets);

#endif
