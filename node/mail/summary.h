/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_SUMMARY_H
#define NODE_MAIL_SUMMARY_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/*
 * What is read off a message once, when it comes in, so that listing a mailbox never opens a
 * body: the envelope (RFC 3501 section 7.4.2) and the MIME tree with the place of every part
 * (RFC 2045).
 *
 * All bytes are as they stand in the message (encoded words undecoded, comments removed where
 * the RFC says so), unfolded, without CR, LF and NUL. A missing header is {NULL, 0}; an empty
 * one has a non-NULL `at`. Offsets count from the first byte of the message, whose lines end
 * with CRLF.
 */

/* A table of every limit; what is past a limit is left out, and `truncated` is set. Parsing
 * goes on. */
enum {
    MAIL_HEADER_SIZE_MAX = 256 * 1024, /* of one header block that is looked into */
    MAIL_FIELD_SIZE_MAX = 64 * 1024,   /* of one header field, folding included */
    MAIL_PART_DEPTH_MAX = 50,
    MAIL_PART_COUNT_MAX = 1000,
    MAIL_PARAMETER_COUNT_MAX = 64,      /* of one Content-Type or Content-Disposition */
    MAIL_BOUNDARY_SIZE_MAX = 200,       /* RFC 2046 says 70; real mail is more generous */
    MAIL_ADDRESS_COUNT_MAX = 2000,      /* of one header */
    MAIL_SUMMARY_SIZE_MAX = 512 * 1024, /* encoded */
    MAIL_SUMMARY_MEMORY_MAX = 2 * 1024 * 1024, /* of kept text; then no more parts are opened */
};

/* One address of an address list (RFC 5322 section 3.4). A group start has only `local` (its
 * name) set and `group` GROUP_START; its end has nothing set and GROUP_END, as in IMAP's
 * ENVELOPE. The domain of a plain address is never NULL: it is empty where there was none. */
struct mail_address {
    struct bytes name;
    struct bytes route;
    struct bytes local;
    struct bytes domain;
    enum { MAIL_ADDRESS_PLAIN, MAIL_ADDRESS_GROUP_START, MAIL_ADDRESS_GROUP_END } group;
};

struct mail_address_list {
    struct mail_address *at;
    size_t count;
};

struct mail_envelope {
    struct bytes date; /* the text of the Date header */
    struct bytes subject;
    struct mail_address_list from;
    struct mail_address_list
        sender; /* as in the message: IMAP's default (from) is the reader's work */
    struct mail_address_list reply_to; /* likewise */
    struct mail_address_list to;
    struct mail_address_list cc;
    struct mail_address_list bcc;
    struct bytes in_reply_to;
    struct bytes message_id;
};

/* Continuations are joined: "name*0", "name*1" make "name"; where some piece was extended
 * ("name*0*") they make "name*". */
struct mail_parameter {
    struct bytes name;
    struct bytes value; /* unquoted; of "name*" (RFC 2231) still charset'language'percent */
};

/* One MIME entity. The message itself is the root; its header is the message header. */
struct mail_part {
    struct bytes type;    /* upper case, "TEXT" when the header is missing or broken */
    struct bytes subtype; /* upper case */
    struct mail_parameter *parameters;
    size_t parameter_count;
    struct bytes id;
    struct bytes description;
    struct bytes encoding; /* upper case, "7BIT" when missing */
    struct bytes md5;
    struct bytes disposition; /* upper case; missing: {NULL, 0} */
    struct mail_parameter *disposition_parameters;
    size_t disposition_parameter_count;
    struct bytes language; /* the header's text: a comma-separated list */
    struct bytes location;
    uint64_t header_at;  /* offset of the part's header */
    uint64_t header_len; /* up to and with the empty line; 0 when the part has no header */
    uint64_t body_at;
    uint64_t body_len;              /* without the CRLF that belongs to the next boundary */
    uint64_t lines;                 /* of the body; a last one without CRLF counts */
    struct mail_envelope *envelope; /* of the message inside a message/rfc822 or message/global
                                       part, else NULL; NULL also where the message inside was
                                       not read: it is encoded, or a limit was met */
    struct mail_part *children; /* of a multipart: its parts, none where no boundary was found;
                                   of a part with an envelope: the one root inside */
    struct mail_part *next;     /* the next part of the same parent */
};

struct mail_summary {
    struct mail_envelope envelope;
    struct mail_part *root;
    struct bytes preview; /* up to 200 characters of text in UTF-8, white space folded */
    int64_t sent;         /* the Date header as seconds since 1970; 0 when missing or broken */
    uint64_t size;        /* of the whole message in bytes */
    bool has_8bit;        /* some byte is over 127 */
    bool truncated;       /* some limit above was met */
    unsigned received_count; /* Received headers, for loop detection (RFC 5321 section 6.3) */
};

/*
 * Reads a message piece by piece; memory is bounded by the limits above, not by the message.
 * The pieces may be cut anywhere. Lines end with CRLF; a bare LF is counted as a byte of a
 * line.
 */
struct mail_scanner;

struct mail_scanner *mail_scanner_new(void);
void mail_scanner_free(struct mail_scanner **scanner);
void mail_scanner_feed(struct mail_scanner *scanner, struct bytes piece);

/* Ends the message. The summary lives in `arena`. Call once; afterwards only free the scanner.
 */
void mail_scanner_finish(struct mail_scanner *scanner, struct arena *arena,
                         struct mail_summary *summary);

/*
 * The stored form: a version byte and tagged fields, so that later versions can add. Encoding
 * is at most MAIL_SUMMARY_SIZE_MAX; a summary that would be larger loses its deepest parts
 * first (`truncated`). Returns false, and an undefined summary, for bytes that no encoder
 * wrote. The decoded summary borrows from `encoded`, and its structs live in `arena`.
 */
struct bytes mail_summary_encode(const struct mail_summary *summary, struct arena *arena);
bool mail_summary_decode(struct bytes encoded, struct arena *arena,
                         struct mail_summary *summary);

/*
 * The part that an IMAP section number names ("1.2.3", RFC 3501 section 6.4.5), or NULL.
 * `numbers` may be empty: the root. A message/rfc822 part's numbers go on inside the message.
 * Part 1 of a message that is not a multipart is its text.
 */
const struct mail_part *mail_part_find(const struct mail_summary *summary,
                                       const uint32_t *numbers, size_t count);

#endif
