/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_BASE64_LINES_H
#define SMTP_MESSAGE_BASE64_LINES_H

#include "node/base/buffer.h"

enum { BASE64_LINE_BYTES = 57 }; /* make 76 characters (RFC 2045 section 6.8) */

/* Base64 in lines, with CRLF between them. Zeroed at the start, and after its end. */
struct base64_lines {
    bool has_line; /* one is there already, without its CRLF */
    size_t size;
    uint8_t left[BASE64_LINE_BYTES]; /* the start of the next line */
};

void base64_lines_add(struct base64_lines *lines, struct bytes bytes, struct buffer *text);

/* Returns whether there is any line; the last one has no CRLF yet. */
bool base64_lines_end(struct base64_lines *lines, struct buffer *text);

#endif
