/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_BINARY_CONVERT_H
#define SMTP_MESSAGE_BINARY_CONVERT_H

#include "node/base/buffer.h"
#include "smtp/message/mime_walk.h"

/*
 * Turns a message that came as BINARYMIME (RFC 3030 section 3) into one that hosts and clients
 * without it can take, as it passes by. Of the entities whose Content-Transfer-Encoding is
 * "binary":
 *  - a text part of at most SMTP_CONVERT_TEXT_SIZE_MAX bytes that is lines of at most 998
 * bytes, each ended by CRLF, without NUL, becomes "8bit", its text unchanged;
 *  - any other leaf becomes "base64": decoded, it is what it was, byte for byte;
 *  - a multipart or a message inside becomes "8bit".
 * All else passes byte for byte, and so does every entity inside of a multipart/signed: another
 * encoding would break the signature (RFC 1847 section 2.1). Such a message, and one with bytes
 * out of lines in an entity that is not called binary, is reported as `is_binary` still; no
 * IMAP client can be given it as it is, so the caller refuses it (554 5.6.3 for the former,
 * 550 5.6.0 for the latter).
 *
 * Signatures over the whole message (DKIM) have to be checked before, and made after.
 *
 * Linear time; what comes out is less than half as much again as what went in, plus a line an
 * entity. Memory: one header, the open boundaries, one text part up to its limit.
 */
enum {
    SMTP_CONVERT_TEXT_SIZE_MAX = 64 * 1024,
    SMTP_CONVERT_LINE_SIZE_MAX = 998, /* without CRLF */
};

struct smtp_convert_report {
    unsigned
        mime_faults;     /* enum smtp_mime_fault_bit; what a limit keeps closed is not converted
                          */
    size_t converted;    /* entities */
    bool is_signed_left; /* a binary entity in a multipart/signed was left as it is */
    bool is_stray;       /* NUL, or CR or LF on its own, in a header or in what is not binary */
    bool is_8bit;        /* what came out has a byte over 127 */
    bool is_binary;      /* what came out is no message of lines: one of the two above, or a
                            binary entity that a limit left as it is */
};

struct smtp_convert;

struct smtp_convert *smtp_convert_new(void);
void smtp_convert_free(struct smtp_convert **convert);

/* Appends to `output`. */
void smtp_convert_feed(struct smtp_convert *convert, struct bytes piece, struct buffer *output);

/* Ends the message. Call once. */
struct smtp_convert_report smtp_convert_finish(struct smtp_convert *convert,
                                               struct buffer *output);

#endif
