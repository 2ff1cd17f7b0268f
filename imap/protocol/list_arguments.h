/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_LIST_ARGUMENTS_H
#define IMAP_PROTOCOL_LIST_ARGUMENTS_H

#include "imap/protocol/cursor.h"

enum imap_status_item {
    IMAP_STATUS_MESSAGES = 1 << 0,
    IMAP_STATUS_RECENT = 1 << 1,
    IMAP_STATUS_UIDNEXT = 1 << 2,
    IMAP_STATUS_UIDVALIDITY = 1 << 3,
    IMAP_STATUS_UNSEEN = 1 << 4,
    IMAP_STATUS_SIZE = 1 << 5,            /* RFC 8438 */
    IMAP_STATUS_DELETED = 1 << 6,         /* RFC 9051 section 6.3.11 */
    IMAP_STATUS_APPENDLIMIT = 1 << 7,     /* RFC 7889 */
    IMAP_STATUS_DELETED_STORAGE = 1 << 8, /* RFC 9208 */
};

/* "(MESSAGES UNSEEN)" */
bool imap_take_status_items(struct imap_cursor *cursor, unsigned *items);

enum imap_list_option {
    IMAP_LIST_SUBSCRIBED = 1 << 0,
    IMAP_LIST_REMOTE = 1 << 1, /* there are none: changes nothing */
    IMAP_LIST_RECURSIVEMATCH = 1 << 2,
    IMAP_LIST_SPECIAL_USE = 1 << 3,
    IMAP_LIST_CHILDREN = 1 << 4,
    IMAP_LIST_STATUS = 1 << 5,
};

/* RFC 3501 section 6.3.8, RFC 5258, RFC 5819, RFC 6154. */
struct imap_list {
    unsigned select;  /* enum imap_list_option */
    unsigned returns; /* enum imap_list_option */
    bool is_extended; /* some option, or several patterns */
    bool is_lsub;
    unsigned status_items;
    struct bytes reference; /* UTF-8, as are the patterns; the reference is in front of each */
    struct bytes *patterns;
    size_t pattern_count;
};

bool imap_take_list(struct imap_cursor *cursor, struct imap_list *list);
bool imap_take_lsub(struct imap_cursor *cursor, struct imap_list *list);

/*
 * Whether a name matches: '*' is any run of bytes, '%' any without '/'. In time linear in the
 * name times the pattern, whatever the pattern. The INBOX matches in any case.
 */
bool imap_pattern_matches(struct bytes pattern, struct bytes name);

#endif
