/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_NETWORK_MAP_H
#define NODE_RUNTIME_NETWORK_MAP_H

#include "node/base/err.h"
#include "node/runtime/address.h"

/*
 * Which network and country an address belongs to, by a file on this machine (libloc's format).
 * One thread. The file is mapped: it must be replaced by renaming, never written in place.
 */
struct network_map;

enum { NETWORK_MAP_NAME_SIZE = 64 };

struct network_facts {
    uint32_t asn;    /* 0: unknown */
    char country[3]; /* two upper-case letters (ISO 3166); "" : unknown */
    bool anonymous;  /* proxies that hide who is behind them */
    bool hostile;    /* listed as one that nobody should talk to (DROP) */
    bool anycast;
    bool satellite;
};

/* Never NULL: without a file ("" or one that cannot be used, which is logged) everything is
 * unknown. */
struct network_map *network_map_open(const char *path);
void network_map_free(struct network_map **map);

/* Another file takes the place of the one there is; `fd` is closed. ERR_MALFORMED (logged), and
 * all stays as it is, when it cannot be used. */
MUST_CHECK enum err network_map_replace(struct network_map *map, int fd);

/* False when nothing is known; *facts is filled anyway. */
bool network_map_look_up(struct network_map *map, const struct address *address,
                         struct network_facts *facts);

/* The name of an autonomous system, "" when it is unknown. */
void network_map_name(struct network_map *map, uint32_t asn, char name[NETWORK_MAP_NAME_SIZE]);

/* When the file was made, seconds since 1970; 0: there is none. */
uint64_t network_map_made_s(const struct network_map *map);

#endif
