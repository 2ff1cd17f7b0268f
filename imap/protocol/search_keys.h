/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_SEARCH_KEYS_H
#define IMAP_PROTOCOL_SEARCH_KEYS_H

#include "imap/protocol/sequence.h"
#include "store.pb-c.h"

/* Message numbers in a SEARCH: `key` is of kind UID, and its uids are for whoever knows the
 * mailbox to fill in. */
struct imap_search_set {
    Pr__SearchKey *key;
    struct imap_sequence sequence;
    bool by_uid;
    struct imap_search_set *next;
};

enum imap_search_return {
    IMAP_RETURN_MIN = 1 << 0,
    IMAP_RETURN_MAX = 1 << 1,
    IMAP_RETURN_ALL = 1 << 2,
    IMAP_RETURN_COUNT = 1 << 3,
    IMAP_RETURN_SAVE = 1 << 4,
};

/* RFC 3501 section 6.4.4, and the results of RFC 4731 and 5182. */
struct imap_search {
    Pr__SearchKey *key; /* the store's own form */
    struct imap_search_set *sets;
    bool is_extended; /* RETURN was there: answer with ESEARCH */
    unsigned returns; /* enum imap_search_return */
};

/* All of it behind "SEARCH ". */
bool imap_take_search(struct imap_cursor *cursor, struct imap_search *search);

#endif
