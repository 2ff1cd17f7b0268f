/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_WIRE_H
#define NODE_RUNTIME_RPC_WIRE_H

#include <stdint.h>

/* How RPC looks on the wire; rpc_link.h says what it means. Numbers are little-endian. */
enum { RPC_WIRE_HEADER_SIZE = 16 };

/* The last byte is the version. */
static const uint8_t rpc_wire_hello[8] = {'P', 'r', 'R', 'p', 'c', 0, 0, 1};

static inline uint32_t rpc_wire_32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

static inline uint64_t rpc_wire_64(const uint8_t *at)
{
    return (uint64_t)rpc_wire_32(at + 4) << 32 | rpc_wire_32(at);
}

static inline void rpc_wire_put_32(uint8_t *at, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

static inline void rpc_wire_header(uint8_t *at, uint32_t body_len, uint64_t number)
{
    rpc_wire_put_32(at, body_len);
    rpc_wire_put_32(at + 4, 0);
    rpc_wire_put_32(at + 8, (uint32_t)number);
    rpc_wire_put_32(at + 12, (uint32_t)(number >> 32));
}

#endif
