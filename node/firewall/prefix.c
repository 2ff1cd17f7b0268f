/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "node/base/check.h"

#define MAPPED 0xFFFFull /* the 16 bits in front of the IPv4 part */

static uint64_t read_number(const uint8_t *at)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

struct firewall_address firewall_address_from(const uint8_t bytes[16])
{
    return (struct firewall_address){read_number(bytes), read_number(bytes + 8)};
}

void firewall_address_bytes(const struct firewall_address *address, uint8_t bytes[16])
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(address->high >> (56 - 8 * i));
        bytes[8 + i] = (uint8_t)(address->low >> (56 - 8 * i));
    }
}

bool firewall_address_is_v4(const struct firewall_address *address)
{
    return address->high == 0 && address->low >> 32 == MAPPED;
}

bool firewall_address_equal(const struct firewall_address *a, const struct firewall_address *b)
{
    return a->high == b->high && a->low == b->low;
}

static uint64_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : UINT64_MAX << (64 - bits);
}

struct firewall_prefix firewall_prefix_of(const struct firewall_address *address, unsigned bits)
{
    CHECK(bits <= 128);
    return (struct firewall_prefix){
        .address = {address->high & mask_of(bits < 64 ? bits : 64),
                    bits <= 64 ? 0 : address->low & mask_of(bits - 64)},
        .bits = (uint8_t)bits,
    };
}

struct firewall_prefix firewall_net_of(const struct firewall_address *address)
{
    return firewall_prefix_of(address, firewall_address_is_v4(address) ? FIREWALL_NET_BITS_V4
                                                                       : FIREWALL_NET_BITS_V6);
}

static bool prefix_is_v4(const struct firewall_prefix *prefix)
{
    return prefix->bits >= FIREWALL_V4_BITS && firewall_address_is_v4(&prefix->address);
}

bool firewall_prefix_holds(const struct firewall_prefix *prefix,
                           const struct firewall_address *address)
{
    struct firewall_prefix own = firewall_prefix_of(address, prefix->bits);

    return firewall_address_equal(&own.address, &prefix->address) &&
           prefix_is_v4(prefix) == firewall_address_is_v4(address);
}

bool firewall_prefix_covers(const struct firewall_prefix *outer,
                            const struct firewall_prefix *inner)
{
    struct firewall_prefix own = firewall_prefix_of(&inner->address, outer->bits);

    return outer->bits <= inner->bits &&
           firewall_address_equal(&own.address, &outer->address) &&
           prefix_is_v4(outer) == prefix_is_v4(inner);
}

static bool parse_address(struct bytes text, struct firewall_address *address, bool *is_dotted)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16] = {[10] = 0xFF, [11] = 0xFF};

    if (text.len == 0 || text.len >= sizeof(copy) || bytes_find(text, 0) < text.len)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = 0;
    *is_dotted = bytes_find(text, ':') == text.len;
    if (inet_pton(*is_dotted ? AF_INET : AF_INET6, copy, *is_dotted ? bytes + 12 : bytes) != 1)
        return false;
    *address = firewall_address_from(bytes);
    return true;
}

/* Decimal, without leading zeros. */
static bool parse_number(struct bytes text, uint64_t max, uint64_t *number)
{
    return !(text.len > 1 && text.at[0] == '0') && bytes_to_u64(text, number) && *number <= max;
}

static enum err parse_prefix(struct bytes text, struct firewall_prefix *prefix)
{
    size_t slash = bytes_find(text, '/');
    struct firewall_address address;
    uint64_t bits;
    bool is_dotted;

    if (!parse_address(bytes_from(text.at, slash), &address, &is_dotted))
        return ERR_MALFORMED;
    bits = is_dotted ? 32 : 128;
    if (slash < text.len && !parse_number(bytes_skip(text, slash + 1), bits, &bits))
        return ERR_MALFORMED;
    if (is_dotted)
        bits += FIREWALL_V4_BITS;
    if (firewall_address_is_v4(&address) && bits < FIREWALL_V4_BITS)
        return ERR_MALFORMED;
    *prefix = firewall_prefix_of(&address, (unsigned)bits);
    return firewall_address_equal(&prefix->address, &address) ? ERR_OK : ERR_INVALID;
}

enum err firewall_place_parse(struct bytes text, struct firewall_place *place)
{
    uint64_t network;

    *place = (struct firewall_place){.network = 0};
    if (!bytes_start_nocase(text, BYTES("AS")))
        return parse_prefix(text, &place->prefix);
    if (!parse_number(bytes_skip(text, 2), UINT32_MAX, &network) || network == 0)
        return ERR_MALFORMED;
    place->network = (uint32_t)network;
    return ERR_OK;
}

static size_t put_address(const struct firewall_address *address, char *text)
{
    uint8_t bytes[16];
    bool is_v4 = firewall_address_is_v4(address);

    firewall_address_bytes(address, bytes);
    CHECK(inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? bytes + 12 : bytes, text,
                    INET6_ADDRSTRLEN) != NULL);
    return strlen(text);
}

void firewall_address_text(const struct firewall_address *address,
                           char text[FIREWALL_PLACE_TEXT_SIZE])
{
    put_address(address, text);
}

void firewall_prefix_text(const struct firewall_prefix *prefix,
                          char text[FIREWALL_PLACE_TEXT_SIZE])
{
    size_t len = put_address(&prefix->address, text);
    unsigned front = prefix_is_v4(prefix) ? FIREWALL_V4_BITS : 0;

    if (prefix->bits < 128)
        snprintf(text + len, FIREWALL_PLACE_TEXT_SIZE - len, "/%u", prefix->bits - front);
}

void firewall_place_text(const struct firewall_place *place,
                         char text[FIREWALL_PLACE_TEXT_SIZE])
{
    if (place->network != 0)
        snprintf(text, FIREWALL_PLACE_TEXT_SIZE, "AS%u", place->network);
    else
        firewall_prefix_text(&place->prefix, text);
}
