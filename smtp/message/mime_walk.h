/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_MIME_WALK_H
#define SMTP_MESSAGE_MIME_WALK_H

#include "node/mail/summary.h"

/*
 * Walks through the MIME structure of a message (RFC 2045, 2046) as it passes by, by the same
 * rules as node/mail's scanner, and calls back with every byte of it, in order and once. It
 * keeps no part, only the header that it is in and the boundaries that are open.
 *
 * Pieces may be cut anywhere; what is called back with what text, when all text of one kind is
 * joined, does not depend on it. Lines end with CRLF; anything else is a byte of a line.
 */

enum {
    SMTP_MIME_DEPTH_MAX = 100, /* entities inside of each other, the message itself the first */
    SMTP_MIME_PART_COUNT_MAX = 1000,
    SMTP_MIME_PARAMETER_COUNT_MAX = 100, /* of a Content-Type or Content-Disposition */
    SMTP_MIME_BOUNDARY_SIZE_MAX = 70,    /* RFC 2046 section 5.1.1 */
};

/* What was met. The first four stop nothing: what is inside is treated as text without
 * structure. */
enum smtp_mime_fault_bit {
    SMTP_MIME_TOO_DEEP = 1 << 0,
    SMTP_MIME_TOO_MANY_PARTS = 1 << 1,
    SMTP_MIME_TOO_MANY_PARAMETERS = 1 << 2,
    SMTP_MIME_HEADER_TOO_LARGE = 1 << 3, /* MAIL_HEADER_SIZE_MAX */
    SMTP_MIME_NO_BOUNDARY = 1 << 4,      /* a multipart that no boundary can be found in */
    SMTP_MIME_ODD_BOUNDARY =
        1 << 5,                 /* too long, of other characters than RFC 2046 allows, given
                                   twice, or one that an open one begins or is begun by */
    SMTP_MIME_UNENDED = 1 << 6, /* a multipart without its end */
};

enum mime_kind {
    MIME_LEAF,
    MIME_MULTIPART, /* with a boundary that is looked for: its parts follow */
    MIME_MESSAGE,   /* the message inside follows */
};

struct mime_entity {
    const struct mail_part *part; /* what the header says; during on_header() only */
    enum mime_kind kind;
    size_t depth;         /* the message is 1 */
    bool is_in_signed;    /* some multipart/signed is around it */
    bool is_header_whole; /* else the limit was met: its rest is body, and the kind MIME_LEAF */
};

struct mime_events {
    void *context;
    /* The header of an entity, with the empty line that ends it where there is one. */
    void (*on_header)(void *context, const struct mime_entity *entity, struct bytes header);
    /* A leaf's text; a multipart's, before its first and behind its last boundary. Not empty.
     */
    void (*on_body)(void *context, struct bytes text);
    /* The innermost open entity ends. For each entity once. */
    void (*on_end)(void *context);
    /* A boundary's line, with the CRLF in front that is no part's. The CRLF that ends a last
     * boundary's line is body, or in front of the next. */
    void (*on_boundary)(void *context, struct bytes text);
};

struct mime_walk;

/* `events` is borrowed; a function that is NULL is not called. */
struct mime_walk *mime_walk_new(const struct mime_events *events);
void mime_walk_free(struct mime_walk **walk);
void mime_walk_feed(struct mime_walk *walk, struct bytes piece);

/* The message has ended; every entity is ended. Call once. */
void mime_walk_finish(struct mime_walk *walk);

/* enum smtp_mime_fault_bit, joined, so far. */
unsigned mime_walk_faults(const struct mime_walk *walk);
size_t mime_walk_parts(const struct mime_walk *walk);
size_t mime_walk_depth_most(const struct mime_walk *walk);

/* No more structure can come: every further byte is on_body() of what is open. */
bool mime_walk_settled(const struct mime_walk *walk);

#endif
