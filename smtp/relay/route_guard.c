/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/route_guard.h"

struct guarded_v4 {
    uint32_t net;
    unsigned bits;
    const char *what;
};

/* The first 64 bits decide; what needs more is said in code. */
struct guarded_v6 {
    uint64_t net;
    unsigned bits;
    const char *what;
};

/* The first that fits. */
static const struct guarded_v4 guarded_v4[] = {
    {0x00000000, 32, "unspecified"},
    {0x00000000, 8, "this network"},
    {0x0a000000, 8, "private"},
    {0x64400000, 10, "shared"}, /* RFC 6598 */
    {0x7f000000, 8, "loopback"},
    {0xa9fe0000, 16, "link-local"},
    {0xac100000, 12, "private"},
    {0xc0000000, 24, "reserved"}, /* 192.0.0.0/24, protocol assignments */
    {0xc0000200, 24, "documentation"},
    {0xc0586300, 24, "reserved"}, /* 192.88.99.0/24, once relays of 6to4 */
    {0xc0a80000, 16, "private"},
    {0xc6120000, 15, "benchmarking"}, /* 198.18.0.0/15 */
    {0xc6336400, 24, "documentation"},
    {0xcb007100, 24, "documentation"},
    {0xe0000000, 4, "multicast"},
    {0xffffffff, 32, "broadcast"},
    {0xf0000000, 4, "reserved"},
};

/* Only 2000::/3 is given out to networks (RFC 4291 section 2.4). */
static const struct guarded_v6 guarded_v6[] = {
    {0x2001000000000000, 23, "reserved"}, /* protocol assignments; Teredo, ORCHID */
    {0x20010db800000000, 32, "documentation"},
    {0x3fff000000000000, 20, "documentation"}, /* RFC 9637 */
    {0x2000000000000000, 3, NULL},
    {0x0100000000000000, 64, "discard"}, /* RFC 6666 */
    {0xfc00000000000000, 7, "private"},
    {0xfe80000000000000, 10, "link-local"},
    {0xfec0000000000000, 10, "private"}, /* site-local, RFC 3879 */
    {0xff00000000000000, 8, "multicast"},
    {0x0000000000000000, 0, "reserved"},
};

static const struct address_prefix nat64 = {{{0x00, 0x64, 0xff, 0x9b}}, 96};
static const struct address_prefix six_to_four = {{{0x20, 0x02}}, 16};

static uint32_t read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static const char *guard_v4(const uint8_t *at)
{
    uint32_t number = read32(at);

    for (size_t i = 0; i < sizeof(guarded_v4) / sizeof(*guarded_v4); i++)
        if ((number ^ guarded_v4[i].net) >> (32 - guarded_v4[i].bits) == 0)
            return guarded_v4[i].what;
    return NULL;
}

static const char *guard_v6(const struct address *address)
{
    static const struct address unspecified, loopback = {{[15] = 1}};
    uint64_t high = (uint64_t)read32(address->bytes) << 32 | read32(address->bytes + 4);

    if (address_equal(address, &unspecified))
        return "unspecified";
    if (address_equal(address, &loopback))
        return "loopback";
    for (size_t i = 0; i < sizeof(guarded_v6) / sizeof(*guarded_v6); i++) {
        const struct guarded_v6 *row = &guarded_v6[i];
        if (row->bits == 0 || (high ^ row->net) >> (64 - row->bits) == 0)
            return row->what;
    }
    return NULL;
}

const char *route_guard(const struct address *address)
{
    if (address_is_v4(address) || address_in(address, &nat64))
        return guard_v4(address->bytes + 12);
    if (address_in(address, &six_to_four))
        return guard_v4(address->bytes + 2);
    return guard_v6(address);
}
