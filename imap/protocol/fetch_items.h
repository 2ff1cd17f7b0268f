/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_FETCH_ITEMS_H
#define IMAP_PROTOCOL_FETCH_ITEMS_H

#include "imap/protocol/cursor.h"
#include "node/base/buffer.h"

/* What FETCH asks of each message (RFC 3501 section 6.4.5). */
enum imap_fetch_kind {
    IMAP_FETCH_FLAGS,
    IMAP_FETCH_UID,
    IMAP_FETCH_INTERNALDATE,
    IMAP_FETCH_SIZE,
    IMAP_FETCH_ENVELOPE,
    IMAP_FETCH_BODY, /* the structure without extension data */
    IMAP_FETCH_BODYSTRUCTURE,
    IMAP_FETCH_SECTION, /* BODY[...], RFC822 and its kin */
};

enum imap_section {
    IMAP_SECTION_ALL,
    IMAP_SECTION_HEADER,
    IMAP_SECTION_TEXT,
    IMAP_SECTION_MIME,
    IMAP_SECTION_FIELDS,
    IMAP_SECTION_FIELDS_NOT,
};

struct imap_fetch_item {
    enum imap_fetch_kind kind;
    /* of a section */
    enum imap_section section;
    bool marks_seen;
    bool has_partial;
    uint32_t partial_at;
    uint32_t partial_len;
    uint32_t *numbers; /* "1.2" of BODY[1.2.MIME] */
    size_t number_count;
    struct bytes *names; /* of FIELDS and FIELDS_NOT */
    size_t name_count;
    struct bytes label; /* how the answer calls it: "BODY[1.2]<0>", "RFC822" */
};

struct imap_fetch_items {
    struct imap_fetch_item *at;
    size_t count;
    bool needs_summary;
    bool needs_body;
    bool marks_seen;
};

/* One item, a list of them, or a macro. */
bool imap_take_fetch_items(struct imap_cursor *cursor, struct imap_fetch_items *items);

#endif
