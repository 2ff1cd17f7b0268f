/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_FIREWALL_LIST_H
#define NODE_FIREWALL_FIREWALL_LIST_H

#include "node/base/buffer.h"
#include "node/firewall/event.h"
#include "node/firewall/prefix.h"

/*
 * The allow, deny and ban entries of the directory, made once and then only read; a new list
 * takes the place of the old one as a whole. 40 bytes an entry of a prefix, 24 of a network,
 * notes apart (equal notes in a row are kept once).
 * Of entries that are equal in place, kind and scope, the one that lasts longest is kept.
 *
 * Which entry decides about an address, in this order:
 * 1. ALLOW and DENY are the operator's: the longest prefix wins, networks are shorter than any
 *    prefix, at equal length ALLOW wins.
 * 2. ALLOW of any length wins over each BAN.
 * 3. EXEMPT (an address with credit, tally.h) wins over each BAN of a shorter prefix or of a
 *    network, not over one of its own length.
 * 4. BAN: the longest that is in force.
 */
enum firewall_entry_kind { /* in the directory: add at the end only */
                           FIREWALL_ENTRY_ALLOW = 1,
                           FIREWALL_ENTRY_DENY = 2,
                           FIREWALL_ENTRY_BAN = 3,
                           FIREWALL_ENTRY_EXEMPT = 4,
};

enum {
    FIREWALL_LIST_ENTRIES_MAX = 1 << 20,
    FIREWALL_NOTE_SIZE_MAX = 255,
};

struct firewall_entry {
    struct firewall_place place;
    enum firewall_entry_kind kind;
    unsigned scope;    /* enum firewall_service bits that it is about */
    uint16_t rule;     /* enum firewall_rule_id that banned; 0: a person did */
    uint8_t level;     /* of a ban's ladder */
    uint64_t since_s;  /* Unix time */
    uint64_t until_s;  /* in force before it; 0: for good */
    struct bytes note; /* evidence, or the operator's words; at most FIREWALL_NOTE_SIZE_MAX are
                          kept. Of an entry found: lives as long as the list */
};

struct firewall_list;

/* Copies `entries`; ERR_TOOBIG for more than FIREWALL_LIST_ENTRIES_MAX, and no list. */
MUST_CHECK enum err firewall_list_new(const struct firewall_entry *entries, size_t count,
                                      struct firewall_list **list);
void firewall_list_free(struct firewall_list **list);

size_t firewall_list_count(const struct firewall_list *list);
size_t firewall_list_bytes(const struct firewall_list *list);

/*
 * What the list says of an address (its `network` may be 0) at a service, now (Unix time in
 * seconds). Returns false when nothing is said, and fills `entry`, which may be NULL, else.
 * Kind EXEMPT is returned only where no ALLOW, DENY or BAN decides. `list` may be NULL.
 *
 * An entry whose beginning lies more than an hour ahead was made by a clock that jumped and is
 * not in force: such a clock must not shut anybody out for years.
 */
bool firewall_list_find(const struct firewall_list *list,
                        const struct firewall_address *address, uint32_t network,
                        enum firewall_service service, uint64_t now_s,
                        struct firewall_entry *entry);

/* Each entry about the address, of any service and whether in force or not: networks first,
 * then from the shortest prefix to the longest. Start with *cursor == 0; false at the end. */
bool firewall_list_next(const struct firewall_list *list,
                        const struct firewall_address *address, uint32_t network,
                        size_t *cursor, struct firewall_entry *entry);

/* For `postraft firewall explain`: a line for each of these, in words, and which of them wins,
 * in `text`. */
void firewall_list_explain(const struct firewall_list *list,
                           const struct firewall_address *address, uint32_t network,
                           uint64_t now_s, struct buffer *text);

#endif
