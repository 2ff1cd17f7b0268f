/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/net.h"

#include <arpa/inet.h>
#include <stdio.h>

static unsigned bits_max(enum net_kind kind)
{
    return kind == NET_V4 ? 32 : 128;
}

static bool has_zeros_behind(const struct net *net)
{
    for (unsigned bit = net->bits; bit < bits_max(net->kind); bit++)
        if (net->address[bit / 8] >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* ::ffff:0:0/96: IPv4 in IPv6 dress; or a prefix around all of that, but for ::/0 and others
 * that hold more. */
static bool is_mapped(const struct net *net)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return net->kind == NET_V6 && net->bits >= 96 &&
           memcmp(net->address, mapped, sizeof(mapped)) == 0;
}

/* A number without leading zeros. */
static bool number_parse(struct bytes text, uint64_t max, uint64_t *number)
{
    return text.len >= 1 && (text.len == 1 || text.at[0] != '0') &&
           bytes_to_u64(text, number) && *number <= max;
}

static bool address_parse(struct bytes text, struct net *net)
{
    char copy[INET6_ADDRSTRLEN];
    bool v6 = bytes_find(text, ':') < text.len;

    if (text.len >= sizeof(copy) || bytes_find(text, '\0') < text.len)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    net->kind = v6 ? NET_V6 : NET_V4;
    return inet_pton(v6 ? AF_INET6 : AF_INET, copy, net->address) == 1;
}

bool net_parse(struct bytes text, struct net *net)
{
    size_t slash = bytes_find(text, '/');
    uint64_t number;

    *net = (struct net){.kind = NET_AS};
    if (text.len > 2 && text.at[0] == 'A' && text.at[1] == 'S') {
        if (!number_parse(bytes_skip(text, 2), UINT32_MAX, &number) || number == 0)
            return false;
        net->number = (uint32_t)number;
        return true;
    }
    if (text.len == 0 || !address_parse(bytes_from(text.at, slash), net))
        return false;
    number = bits_max(net->kind);
    if (slash < text.len && !number_parse(bytes_skip(text, slash + 1), number, &number))
        return false;
    net->bits = (uint8_t)number;
    return has_zeros_behind(net) && !is_mapped(net);
}

static uint16_t word(const struct net *net, unsigned i)
{
    return (uint16_t)(net->address[2 * i] << 8 | net->address[2 * i + 1]);
}

/* The longest run of two and more zero words, the first among equals. Returns its length. */
static unsigned zeros_find(const struct net *net, unsigned *at)
{
    unsigned longest = 0;

    for (unsigned first = 0; first < 8; first++) {
        unsigned end = first;
        while (end < 8 && word(net, end) == 0)
            end++;
        if (end - first > longest && end - first >= 2) {
            longest = end - first;
            *at = first;
        }
    }
    return longest;
}

static void v6_text(const struct net *net, char text[NET_TEXT_SIZE])
{
    unsigned zeros_at = 8;
    unsigned zeros = zeros_find(net, &zeros_at);
    size_t len = 0;

    for (unsigned i = 0; i < 8; i++) {
        if (i == zeros_at) {
            len += (size_t)snprintf(text + len, NET_TEXT_SIZE - len, "::");
            i += zeros - 1;
            continue;
        }
        len += (size_t)snprintf(text + len, NET_TEXT_SIZE - len, "%s%x",
                                i > 0 && text[len - 1] != ':' ? ":" : "", word(net, i));
    }
}

void net_text(const struct net *net, char text[NET_TEXT_SIZE])
{
    if (net->kind == NET_AS) {
        snprintf(text, NET_TEXT_SIZE, "AS%u", net->number);
        return;
    }
    if (net->kind == NET_V6)
        v6_text(net, text);
    else
        snprintf(text, NET_TEXT_SIZE, "%u.%u.%u.%u", net->address[0], net->address[1],
                 net->address[2], net->address[3]);
    if (net->bits < bits_max(net->kind)) {
        size_t len = strlen(text);
        snprintf(text + len, NET_TEXT_SIZE - len, "/%u", net->bits);
    }
}

size_t net_key(const struct net *net, uint8_t key[NET_KEY_SIZE_MAX])
{
    size_t size = net->kind == NET_V6 ? 16 : 4;

    key[0] = (uint8_t)net->kind;
    if (net->kind == NET_AS) {
        for (unsigned i = 0; i < 4; i++)
            key[1 + i] = (uint8_t)(net->number >> (24 - 8 * i));
        return 5;
    }
    memcpy(key + 1, net->address, size);
    key[1 + size] = net->bits;
    return 1 + size + 1;
}

struct net net_wider(const struct net *net, unsigned bits)
{
    struct net wider = *net;

    wider.bits = (uint8_t)bits;
    for (unsigned bit = bits; bit < bits_max(net->kind); bit++)
        wider.address[bit / 8] &= (uint8_t) ~(1u << (7 - bit % 8));
    return wider;
}

bool net_covers(const struct net *outer, const struct net *inner)
{
    struct net wider;

    if (outer->kind != inner->kind)
        return false;
    if (outer->kind == NET_AS)
        return outer->number == inner->number;
    if (outer->bits > inner->bits)
        return false;
    wider = net_wider(inner, outer->bits);
    return memcmp(wider.address, outer->address, sizeof(wider.address)) == 0;
}
