/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_HEADER_H
#define SMTP_PROTOCOL_HEADER_H

#include "node/base/buffer.h"

/*
 * The header of a message as it passes by: counted, limited, and freed of the fields that only
 * the host of final delivery may write (Return-Path: RFC 5321 section 4.4). Everything else
 * passes unchanged, and after the header everything does. Constant memory, linear time.
 */
enum smtp_header_fault {
    SMTP_HEADER_FINE,
    SMTP_HEADER_TOO_LARGE,
    SMTP_HEADER_TOO_MANY_LINES,
    SMTP_HEADER_LOOP,
};

struct smtp_header {
    bool over;      /* the body has begun: nothing is looked at any more */
    bool continued; /* this line goes on with the field of the one before */
    bool named;     /* a colon was seen: the line is a field */
    bool matching;  /* what is held may still become a name of the table */
    bool dropping;  /* the field is one to be left out */
    unsigned received;
    unsigned lines;
    size_t size;
    size_t column; /* bytes of the current line so far */
    size_t held_len;
    uint8_t held[16]; /* the start of the line, while it is not clear whether it is dropped */
};

void smtp_header_init(struct smtp_header *header);

/*
 * `text` continues the message; CR and LF come as pairs only, never cut in two, and the message
 * ends with such a pair. Appends to `output`. After a fault only init() may follow.
 */
enum smtp_header_fault smtp_header_feed(struct smtp_header *header, struct bytes text,
                                        struct buffer *output);

#endif
