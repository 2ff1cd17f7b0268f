/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_ADDRESS_H
#define NODE_RUNTIME_ADDRESS_H

#include <sys/socket.h>

#include "node/base/bytes.h"

/*
 * An internet address: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that one
 * comparison serves both and an address that came in either dress is the same one.
 */
struct address {
    uint8_t bytes[16];
};

/* Of the 16 bytes: the prefix 192.0.2.0/24 has 120 bits. */
struct address_prefix {
    struct address address;
    unsigned bits;
};

enum { ADDRESS_TEXT_SIZE = 46 };

/* All of `text`, numeric, without brackets, scope or port. */
bool address_parse(struct bytes text, struct address *address);

/* "192.0.2.0/24", "2001:db8::/32", or an address for itself alone. No bits behind the prefix.
 */
bool address_prefix_parse(struct bytes text, struct address_prefix *prefix);

/* As inet_ntop(3) writes it; IPv4 as IPv4. */
void address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

bool address_is_v4(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);
bool address_in(const struct address *address, const struct address_prefix *prefix);

/* False for families other than AF_INET and AF_INET6. `port` may be NULL. */
bool address_of_socket(const struct sockaddr *socket_address, struct address *address,
                       uint16_t *port);

#endif
