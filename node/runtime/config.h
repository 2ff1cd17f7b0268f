/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_CONFIG_H
#define NODE_RUNTIME_CONFIG_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/err.h"
#include "node/runtime/address.h"

/*
 * The local configuration file (libconfuse): only what one node must know to start. Everything
 * else lies in the directory and is managed by `postraft ...`. The rows of config_table.c are
 * the whole language; `postraftd --help-config` prints the manual from them. An example:
 *
 *   folder = "/var/lib/postraft"          # data; only postraft-store opens it
 *   run = "/run/postraft"                 # sockets between the processes
 *   hostname = "mx1.example.net"          # in greetings and Received headers
 *   cluster { raft = "127.0.1.1:7101" rpc = "127.0.1.1:7102" join = "127.0.1.1:7103" }
 *   listen "smtp" { address = { "127.0.1.1:2525", "[::1]:2525" } }
 *   listen "imap" { address = { "127.0.1.1:1430" } }
 *   listen "imaps" { address = { "127.0.1.1:9930" } }
 *   listen "submission" { address = { "127.0.1.1:5870" } }
 *   listen "lmtp" { address = { "unix:/run/postraft/lmtp.sock" } }
 *   proxy { networks = { "192.0.2.0/28" } }
 *   dns { servers = { "127.0.0.53" } }
 *   relay { addresses = { "192.0.2.25" } }
 *   limits { message_bytes = 52428800 }
 */
enum {
    CONFIG_ADDRESSES_MAX = 16,
    CONFIG_PREFIXES_MAX = 64,
    CONFIG_SERVERS_MAX = 8,
    CONFIG_SOURCES_MAX = 64,
    CONFIG_ROUTES_MAX = 64,
    CONFIG_TIMES_MAX = 16,
    CONFIG_TIME_MAX_S = 30 * 24 * 3600,
    CONFIG_LISTENERS_MAX = 8
};
#define CONFIG_PATH_DEFAULT "/etc/postraft/postraft.conf"

struct config_listener {
    const char *addresses[CONFIG_ADDRESSES_MAX]; /* "host:port", numeric; "unix:/path" */
    unsigned count;
};

struct config_prefixes {
    struct address_prefix at[CONFIG_PREFIXES_MAX];
    unsigned count;
};

struct config_servers {
    const char *at[CONFIG_SERVERS_MAX]; /* "192.0.2.53", "192.0.2.53:53", "[2001:db8::1]:53" */
    unsigned count;
};

struct config_sources {
    struct address at[CONFIG_SOURCES_MAX];
    unsigned count;
};

struct config_route {
    const char
        *domain;      /* "example.com", ".example.com": below it, "*": any other; lower case */
    const char *host; /* its addresses count, not its MX; "[192.0.2.1]", "[IPv6:2001:db8::1]":
                         that one; "": as the DNS says */
    unsigned port;    /* 0: relay_port */
};

struct config_times {
    unsigned at_s[CONFIG_TIMES_MAX];
    unsigned count;
};

struct config_routes {
    struct config_route at[CONFIG_ROUTES_MAX];
    unsigned count;
};

struct config {
    const char *folder;
    const char *run;
    const char *hostname;
    const char *log_level;
    bool log_json;
    const char *cluster_raft;
    const char *cluster_rpc;
    const char *cluster_join;
    struct config_listener smtp;
    struct config_listener submission;
    struct config_listener submissions;
    struct config_listener lmtp;
    struct config_listener imap;
    struct config_listener imaps;
    const char *tls_certificate; /* "" when missing */
    const char *tls_key;
    struct config_prefixes proxy_networks;   /* where PROXY headers come from */
    struct config_prefixes xclient_networks; /* who may use XCLIENT */
    bool dns_enabled;
    struct config_servers dns_servers; /* forwarders; none: recursion from the root */
    const char *dns_trust_anchor;      /* "" : nothing is validated */
    unsigned dns_timeout_ms;
    const char *network_map_file;   /* "" : no map */
    const char *passwords_breached; /* "" : no list */
    const char *user_store;         /* "" : as whoever started the supervisor */
    const char *user_smtp;
    const char *user_imap;
    const char *user_relay; /* not set: user_smtp */
    const char *user_operator;
    unsigned processes_smtp;
    unsigned processes_imap;
    unsigned processes_relay;
    bool durability_cross_dc;
    unsigned durability_grace_s;
    uint64_t message_bytes_max;
    unsigned recipients_max;
    unsigned submission_recipients_max;
    unsigned auth_failures_max; /* log-ins of one connection that fail */
    unsigned memory_mb;         /* of one front end process; 0: a quarter of the machine's */
    unsigned connections_max;
    unsigned connections_address_max;
    struct config_sources relay_addresses; /* none: the system chooses */
    unsigned relay_port;
    bool relay_prefer_ipv6;
    struct config_prefixes relay_networks; /* that mail may go to although they are private */
    struct config_routes relay_routes;
    const char *relay_authorities; /* "" : the system's */
    unsigned relay_connections_max;
    unsigned relay_connections_provider_max;
    struct config_times relay_retry; /* none: as smtp/relay/retry.h has it; so below */
    unsigned relay_expire_s;
    unsigned relay_expire_notice_s;  /* of mail with the null sender */
    struct config_times relay_delay; /* ascending */
    uint64_t disk_reserve_bytes;     /* 0: a part of the disk */
    uint64_t log_retain_bytes;       /* of the replication log, over all groups */
    uint64_t log_hold_bytes;   /* the same, for nodes that are away; 0: eight times that */
    unsigned log_hold_hours;   /* or until one has been away for so long */
    unsigned scrub_rate_mb;    /* of bodies compared with their digests, a second */
    unsigned scrub_days;       /* between the beginnings; 0: only when asked */
    unsigned transfer_rate_mb; /* of copies of groups' states that are received, a second */
    uint64_t map_bytes;        /* upper bound of one LMDB environment; 0: by the disk */
    unsigned election_ms;      /* 0: the default for the measured network */
    unsigned heartbeat_ms;
};

/*
 * Reads the file. On an error *problem is a line for the operator with file and line number, in
 * `arena`, as are all strings of *config.
 */
/* ERR_NOTFOUND when the file cannot be read, else ERR_INVALID. */
MUST_CHECK enum err config_load(const char *path, struct arena *arena, struct config *config,
                                const char **problem);

/* One kind of port after the other, with the name under which its descriptors are handed over
 * (process_listeners()); NULL when there are no more. At most CONFIG_LISTENERS_MAX. */
const struct config_listener *config_listener_at(const struct config *config, unsigned index,
                                                 const char **name);

/* The manual: every setting with what it means, its range and its default. */
void config_manual(struct buffer *text);
/* The same as a page for man(1): postraft.conf(5). */
void config_man_page(struct buffer *page);

#endif
