/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_NET_H
#define STORAGE_SCHEMA_NET_H

#include "node/base/bytes.h"

/*
 * What an entry of the firewall is about, as a key of its table: an address, a prefix of
 * addresses, or an autonomous system. The log must mean the same in all releases, so this is
 * independent of the firewall's own parser, which reads whatever is canonical here.
 */
enum net_kind { NET_V4 = 4, NET_V6 = 6, NET_AS = 7 };

enum {
    NET_KEY_SIZE_MAX = 1 + 16 + 1, /* kind, address, length of the prefix */
    NET_TEXT_SIZE = 46 + 4,
};

struct net {
    enum net_kind kind;
    uint8_t bits;        /* of the prefix: 0..32, 0..128 */
    uint8_t address[16]; /* IPv4 in the first 4; 0 behind the prefix */
    uint32_t number;     /* of an autonomous system, not 0 */
};

/*
 * "192.0.2.0/24", "2001:db8::/32", "192.0.2.7", "AS64500": all of `text`. Returns false for
 * anything else, for bits behind the prefix, and for IPv4-mapped addresses in IPv6 dress, so
 * that a net has one key.
 */
bool net_parse(struct bytes text, struct net *net);

/* The one form in which a net is stored (RFC 5952; a whole address without a length). */
void net_text(const struct net *net, char text[NET_TEXT_SIZE]);

/* In the order of kinds, then addresses, wide prefixes before what lies in them. Returns the
 * length. */
size_t net_key(const struct net *net, uint8_t key[NET_KEY_SIZE_MAX]);

/* The prefix of `bits`, no more than it has, that it lies in. Not of an autonomous system. */
struct net net_wider(const struct net *net, unsigned bits);
/* Whether all of `inner` lies in `outer`; equal ones do. */
bool net_covers(const struct net *outer, const struct net *inner);

#endif
