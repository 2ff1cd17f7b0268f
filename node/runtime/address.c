/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "node/base/check.h"

enum { V4_BITS = 96 }; /* what stands before the four bytes of an IPv4 address */

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool address_parse(struct bytes text, struct address *address)
{
    char copy[ADDRESS_TEXT_SIZE];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (strchr(copy, ':') != NULL)
        return inet_pton(AF_INET6, copy, address->bytes) == 1;
    memcpy(address->bytes, v4_prefix, sizeof(v4_prefix));
    return inet_pton(AF_INET, copy, address->bytes + sizeof(v4_prefix)) == 1;
}

static bool bits_behind(const struct address_prefix *prefix)
{
    for (unsigned bit = prefix->bits; bit < 128; bit++)
        if (prefix->address.bytes[bit / 8] & 0x80 >> bit % 8)
            return true;
    return false;
}

bool address_prefix_parse(struct bytes text, struct address_prefix *prefix)
{
    struct bytes number = bytes_from(text.at, bytes_find(text, '/'));
    uint64_t bits = 0;

    if (!address_parse(number, &prefix->address))
        return false;
    /* "::ffff:192.0.2.0/120" counts the bits of what is written. */
    bool short_form = address_is_v4(&prefix->address) && bytes_find(number, ':') == number.len;
    unsigned most = short_form ? 32 : 128;
    if (number.len == text.len)
        bits = most;
    else if (!bytes_to_u64(bytes_skip(text, number.len + 1), &bits) || bits > most)
        return false;
    prefix->bits = (unsigned)bits + (short_form ? V4_BITS : 0);
    return !bits_behind(prefix);
}

void address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    bool v4 = address_is_v4(address);

    CHECK(inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? sizeof(v4_prefix) : 0),
                    text, ADDRESS_TEXT_SIZE) != NULL);
}

bool address_in(const struct address *address, const struct address_prefix *prefix)
{
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

    CHECK(prefix->bits <= 128);
    if (memcmp(address->bytes, prefix->address.bytes, whole) != 0)
        return false;
    return rest == 0 ||
           (address->bytes[whole] ^ prefix->address.bytes[whole]) >> (8 - rest) == 0;
}

bool address_of_socket(const struct sockaddr *socket_address, struct address *address,
                       uint16_t *port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)socket_address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)socket_address;
    uint16_t number = 0;

    if (socket_address->sa_family == AF_INET) {
        memcpy(address->bytes, v4_prefix, sizeof(v4_prefix));
        memcpy(address->bytes + sizeof(v4_prefix), &v4->sin_addr, 4);
        number = v4->sin_port;
    } else if (socket_address->sa_family == AF_INET6) {
        memcpy(address->bytes, &v6->sin6_addr, 16);
        number = v6->sin6_port;
    } else {
        return false;
    }
    if (port != NULL)
        *port = ntohs(number);
    return true;
}
