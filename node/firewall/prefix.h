/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_PREFIX_H
#define NODE_FIREWALL_PREFIX_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * Addresses and prefixes as numbers, for the firewall's tables. IPv4 lies in its IPv4-mapped
 * form
 * ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so an address that came in either dress is the
 * same.
 */
struct firewall_address {
    uint64_t high; /* the first 8 bytes of the 16, as a big-endian number */
    uint64_t low;
};

/* `bits` counts in the 16 bytes: 96..128 for IPv4 (192.0.2.0/24 has 120). The bits behind are
 * 0. An IPv6 prefix, ::/0 too, holds no IPv4 address. */
struct firewall_prefix {
    struct firewall_address address;
    uint8_t bits; /* 0..128 */
};

/* What an operator names: a prefix, or an autonomous system. */
struct firewall_place {
    struct firewall_prefix prefix; /* counts when network is 0 */
    uint32_t network;              /* 1..UINT32_MAX, or 0 */
};

enum {
    FIREWALL_V4_BITS = 96,             /* of an IPv4-mapped address in front of the IPv4 part */
    FIREWALL_NET_BITS_V4 = 96 + 24,    /* the neighbourhood of an IPv4 address */
    FIREWALL_NET_BITS_V6 = 64,         /* and of an IPv6 address: one customer, as a rule */
    FIREWALL_PLACE_TEXT_SIZE = 46 + 4, /* the longest text of a place, and its NUL */
};

/* The 16 bytes of an address, IPv4 in its mapped form: those of `struct address` in runtime/.
 */
struct firewall_address firewall_address_from(const uint8_t bytes[16]);
void firewall_address_bytes(const struct firewall_address *address, uint8_t bytes[16]);

bool firewall_address_is_v4(const struct firewall_address *address);
bool firewall_address_equal(const struct firewall_address *a, const struct firewall_address *b);

/* The prefix of `bits` (0..128, as above) that `address` lies in. */
struct firewall_prefix firewall_prefix_of(const struct firewall_address *address,
                                          unsigned bits);
/* Its IPv4 /24 or IPv6 /64. */
struct firewall_prefix firewall_net_of(const struct firewall_address *address);

bool firewall_prefix_holds(const struct firewall_prefix *prefix,
                           const struct firewall_address *address);
/* Whether all of `inner` lies in `outer`; equal ones do. */
bool firewall_prefix_covers(const struct firewall_prefix *outer,
                            const struct firewall_prefix *inner);

/*
 * "192.0.2.0/24", "2001:db8::/32", "192.0.2.7" (for itself alone), "::ffff:192.0.2.7",
 * "AS64500" (any case). All of `text`, no blanks, zones or leading zeros of a length.
 * ERR_MALFORMED for anything else, and for IPv4-mapped prefixes that reach beyond IPv4 (a
 * length below 96). ERR_INVALID when there are bits behind the length ("192.0.2.1/24"); `place`
 * is then what was probably meant ("192.0.2.0/24"), for the refusal's text.
 */
MUST_CHECK enum err firewall_place_parse(struct bytes text, struct firewall_place *place);

/* What firewall_place_parse() reads; a /32 or /128 is written as an address. */
void firewall_place_text(const struct firewall_place *place,
                         char text[FIREWALL_PLACE_TEXT_SIZE]);
void firewall_prefix_text(const struct firewall_prefix *prefix,
                          char text[FIREWALL_PLACE_TEXT_SIZE]);
void firewall_address_text(const struct firewall_address *address,
                           char text[FIREWALL_PLACE_TEXT_SIZE]);

#endif
