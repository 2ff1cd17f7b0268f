/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/config_table.h"

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const policies[] = {"majority", "cross-dc", NULL};

#define TEXT(in, key, what, field, otherwise, about)                                           \
    {                                                                                          \
        .section = in, .name = key, .kind = what, .offset = offsetof(struct config, field),    \
        .text = otherwise, .help = about                                                       \
    }
#define CHOICE(in, key, what, field, otherwise, of, about)                                     \
    {                                                                                          \
        .section = in, .name = key, .kind = what, .offset = offsetof(struct config, field),    \
        .text = otherwise, .choices = of, .help = about                                        \
    }
#define NUMBER(in, key, what, field, otherwise, from, to, about)                               \
    {                                                                                          \
        .section = in, .name = key, .kind = what, .offset = offsetof(struct config, field),    \
        .number = otherwise, .least = from, .most = to, .help = about                          \
    }

#define LIST(in, key, what, field, about)                                                      \
    {                                                                                          \
        .section = in, .name = key, .kind = what, .offset = offsetof(struct config, field),    \
        .help = about                                                                          \
    }

#define GIB (UINT64_C(1) << 30)

const struct config_row config_rows[] = {
    TEXT("", "folder", CONFIG_PATH, folder, "/var/lib/postraft",
         "Data of this node. Only postraft-store opens it."),
    TEXT("", "run", CONFIG_PATH, run, "/run/postraft",
         "Sockets between the processes of this node, and postraftd's process id."),
    TEXT("", "hostname", CONFIG_HOST, hostname, "",
         "The name in greetings and Received headers. Not set: the machine's."),
    CHOICE("log", "level", CONFIG_CHOICE, log_level, "info", levels,
           "The least important lines that are still written."),
    NUMBER("log", "json", CONFIG_BOOL, log_json, 0, 0, 1,
           "One JSON object a line instead of key=value."),
    TEXT("cluster", "raft", CONFIG_ADDRESS, cluster_raft, "",
         "Where the other nodes reach this one for replication."),
    TEXT("cluster", "rpc", CONFIG_ADDRESS, cluster_rpc, "",
         "Where the other nodes reach this one for forwarded requests."),
    TEXT("cluster", "join", CONFIG_ADDRESS, cluster_join, "",
         "Where new nodes that have a token may ask to join."),
    NUMBER("cluster", "election_ms", CONFIG_UNSIGNED, election_ms, 0, 0, 60000,
           "Silence of a leader after which another is elected. 0: by the network."),
    NUMBER("cluster", "heartbeat_ms", CONFIG_UNSIGNED, heartbeat_ms, 0, 0, 10000,
           "How often a leader says that it is there. 0: by the network."),
    TEXT("tls", "certificate", CONFIG_PATH, tls_certificate, "",
         "PEM chain that mail clients see. Not set: self-signed, made on the first start. Read "
         "again on SIGHUP to postraftd, for new connections."),
    TEXT("tls", "key", CONFIG_PATH, tls_key, "",
         "The key that belongs to it, PEM. To be read again, both must be readable to root as "
         "owner or group."),
    LIST("proxy", "networks", CONFIG_PREFIXES, proxy_networks,
         "From these addresses only proxies connect: every connection must begin with a PROXY "
         "header (version 1 or 2), which names the client. From elsewhere none is taken."),
    LIST("xclient", "networks", CONFIG_PREFIXES, xclient_networks,
         "Who may name another client by XCLIENT on the SMTP ports."),
    NUMBER(
        "dns", "enabled", CONFIG_BOOL, dns_enabled, 1, 0, 1,
        "false: no name server is ever asked, for networks without any. What would have to be "
        "asked for speaks for and against nobody."),
    LIST("dns", "servers", CONFIG_SERVERS, dns_servers,
         "Resolvers that are asked. Empty: names are looked up from the root, without anybody "
         "else's help. DNS lists want that, or a resolver of one's own."),
    TEXT("dns", "trust_anchor", CONFIG_PATH, dns_trust_anchor, "/usr/share/dns/root.key",
         "The root zone's keys; the package dns-root-data keeps them fresh. \"\": signatures "
         "are not looked at."),
    NUMBER("dns", "timeout_ms", CONFIG_UNSIGNED, dns_timeout_ms, 5000, 100, 60000,
           "How long one look-up may take; after that it is as if nobody had answered."),
    TEXT("network_map", "file", CONFIG_PATH, network_map_file, "/var/lib/location/database.db",
         "Which network and country addresses belong to (libloc; package libloc-database or "
         "`location update`). Read again on SIGHUP to postraftd. Without it both are unknown."),
    TEXT("passwords", "breached", CONFIG_PATH, passwords_breached, "",
         "Passwords that were stolen elsewhere, which nobody may choose: lines of SHA-1 in "
         "hexadecimal, with or without \":COUNT\", sorted, as such lists are published. Looked "
         "at each time a password is set, so a file that takes its place counts at once. "
         "postraft-store must be able to read it, and may read the whole folder it is in."),
    TEXT("users", "store", CONFIG_WORD, user_store, "",
         "Who postraft-store runs as. Not set: who started postraftd. The same goes for the "
         "next two."),
    TEXT("users", "smtp", CONFIG_WORD, user_smtp, "", "Who postraft-smtp runs as."),
    TEXT("users", "imap", CONFIG_WORD, user_imap, "", "Who postraft-imap runs as."),
    TEXT("users", "relay", CONFIG_WORD, user_relay, "",
         "Who postraft-relay runs as. Not set: as postraft-smtp, which can then do what only "
         "the "
         "relay should: read mail that waits to be sent."),
    TEXT("users", "operator", CONFIG_WORD, user_operator, "",
         "Who may use the `postraft` command on this node. Not set: who started postraftd."),
    NUMBER("processes", "smtp", CONFIG_UNSIGNED, processes_smtp, 1, 0, 64,
           "How many postraft-smtp share the work; one a core is enough. 0: this node takes no "
           "mail."),
    NUMBER("processes", "imap", CONFIG_UNSIGNED, processes_imap, 1, 0, 64,
           "The same for postraft-imap."),
    NUMBER("processes", "relay", CONFIG_UNSIGNED, processes_relay, 1, 0, 1,
           "0: this node sends no mail to other hosts. What lies in groups that it leads waits "
           "until another node leads them."),
    CHOICE("durability", "policy", CONFIG_SWITCH, durability_cross_dc, "cross-dc", policies,
           "What an acknowledgement promises: a copy in a second data center, or a majority "
           "wherever it is."),
    NUMBER("durability", "grace_s", CONFIG_UNSIGNED, durability_grace_s, 30, 0, 86400,
           "With cross-dc: how long every other data center may be unreachable before mail is "
           "accepted without it."),
    NUMBER("limits", "message_bytes", CONFIG_U64, message_bytes_max, 50 * 1024 * 1024,
           64 * 1024, GIB, "The largest message."),
    NUMBER("limits", "recipients", CONFIG_UNSIGNED, recipients_max, 1000, 100, 50000,
           "Recipients of one SMTP transaction (RFC 5321 asks for 100 at least)."),
    NUMBER("limits", "submission_recipients", CONFIG_UNSIGNED, submission_recipients_max, 100,
           1, 50000, "Recipients of one message that a user of ours sends."),
    NUMBER("limits", "auth_failures", CONFIG_UNSIGNED, auth_failures_max, 3, 1, 100,
           "Log-ins that may fail on one connection before it is closed."),
    NUMBER("limits", "memory_mb", CONFIG_UNSIGNED, memory_mb, 0, 0, 1024 * 1024,
           "Memory of one front end process beyond which it takes no new mail for the time "
           "being (452 4.3.1). 0: a quarter of what the machine or the container has."),
    NUMBER("limits", "connections", CONFIG_UNSIGNED, connections_max, 20000, 1, 1000000,
           "Connections of one process."),
    NUMBER("limits", "connections_address", CONFIG_UNSIGNED, connections_address_max, 50, 1,
           1000000, "Connections of one process from one IPv4 address or IPv6 /64."),
    LIST("relay", "addresses", CONFIG_SOURCES, relay_addresses,
         "Addresses of this machine that mail leaves from. Each needs a name in the DNS that "
         "leads back to it. Empty: the system chooses."),
    NUMBER("relay", "port", CONFIG_UNSIGNED, relay_port, 25, 1, 65535,
           "Where other hosts are reached, unless a route says otherwise. Anything but 25 is "
           "for tests."),
    NUMBER("relay", "prefer_ipv6", CONFIG_BOOL, relay_prefer_ipv6, 0, 0, 1,
           "Of a host that has both kinds of addresses IPv6 is tried first."),
    LIST("relay", "networks", CONFIG_PREFIXES, relay_networks,
         "Private, loopback and other special networks that mail may go to all the same. To "
         "others of them none goes, whatever the DNS says."),
    LIST("relay", "routes", CONFIG_ROUTES, relay_routes,
         "Where mail for a domain goes instead of its MX hosts: \"example.com=host\", "
         "\".example.com=host:2525\" for what is below it, \"*=[192.0.2.1]\" for all others; "
         "\"example.com=\" for its MX hosts after all."),
    TEXT("relay", "authorities", CONFIG_PATH, relay_authorities, "",
         "Certificate authorities that are believed where a host's certificate must be good, "
         "PEM. Not set: the system's."),
    NUMBER("relay", "connections", CONFIG_UNSIGNED, relay_connections_max, 500, 1, 100000,
           "Connections to other hosts at a time."),
    NUMBER("relay", "connections_provider", CONFIG_UNSIGNED, relay_connections_provider_max, 10,
           1, 10000,
           "The same to one provider: to all domains whose mail the same hosts take."),
    LIST("relay", "retry", CONFIG_TIMES, relay_retry,
         "How long to wait after the first, second, ... attempt that was put off: \"90s\", "
         "\"5m\", \"4h\". The last one holds for all that follow. Empty: 2, 5, 10, 20, 40 and "
         "60 "
         "minutes, 2 hours, 4 hours."),
    NUMBER("relay", "expire_s", CONFIG_UNSIGNED, relay_expire_s, 432000, 1, 2592000,
           "After so long what could not be sent goes back to its sender."),
    NUMBER("relay", "expire_notice_s", CONFIG_UNSIGNED, relay_expire_notice_s, 172800, 1,
           2592000, "The same for mail without a sender: it is given up."),
    LIST("relay", "delay", CONFIG_TIMES, relay_delay,
         "After so long a sender is told that a message still waits. Empty: 4 hours, and once "
         "more after 24."),
    NUMBER(
        "storage", "log_retain_bytes", CONFIG_U64, log_retain_bytes, GIB, 1024 * 1024,
        1024 * GIB,
        "How much of the replication log is kept for nodes that come back, over all groups."),
    NUMBER("storage", "log_hold_bytes", CONFIG_U64, log_hold_bytes, 0, 0, 8192 * GIB,
           "To how much the log may grow for a node that is away. After that, the node fetches "
           "the state of its groups when it is back. 0: eight times log_retain_bytes."),
    NUMBER("storage", "log_hold_hours", CONFIG_UNSIGNED, log_hold_hours, 24, 1, 8760,
           "For how long a node that is away is waited for like that."),
    NUMBER(
        "storage", "transfer_rate_mb", CONFIG_UNSIGNED, transfer_rate_mb, 64, 1, 100000,
        "Megabytes a second that this node fetches of the states of groups, where the log of "
        "the others does not reach back far enough."),
    NUMBER("storage", "scrub_rate_mb", CONFIG_UNSIGNED, scrub_rate_mb, 8, 1, 100000,
           "Megabytes a second that are read to compare stored bodies with their digests."),
    NUMBER("storage", "scrub_days", CONFIG_UNSIGNED, scrub_days, 7, 0, 3650,
           "All bodies are compared so often. 0: only by `postraft storage check`."),
    NUMBER("storage", "disk_reserve_bytes", CONFIG_U64, disk_reserve_bytes, 0, 0, 1024 * GIB,
           "With less than this left on the disk the node takes part in no writes. 0: a "
           "twentieth of the disk, between 64 MiB and 1 GiB."),
    NUMBER(
        "storage", "map_bytes", CONFIG_U64, map_bytes, 0, 0, 16384 * GIB,
        "Upper bound of one database. Address space only, no disk is reserved. 0: eight times "
        "the disk, so that the disk can grow without a stop."),
};
const unsigned config_rows_count = sizeof(config_rows) / sizeof(config_rows[0]);

const struct config_listen_row config_listen_rows[] = {
    {"smtp", offsetof(struct config, smtp), false, "Mail from other servers (port 25)."},
    {"submission", offsetof(struct config, submission), false,
     "Mail that users send, STARTTLS (port 587)."},
    {"submissions", offsetof(struct config, submissions), false,
     "Mail that users send, TLS from the start (port 465)."},
    {"lmtp", offsetof(struct config, lmtp), true,
     "Mail from programs of your own that have checked it already (LMTP). Whoever can connect "
     "may deliver to every mailbox: a loopback or inner address, or \"unix:/path\", a socket "
     "that everybody may use who can come to its folder."},
    {"imap", offsetof(struct config, imap), false, "Mail clients, STARTTLS (port 143)."},
    {"imaps", offsetof(struct config, imaps), false,
     "Mail clients, TLS from the start (port 993)."},
};
const unsigned config_listen_rows_count =
    sizeof(config_listen_rows) / sizeof(config_listen_rows[0]);

_Static_assert(sizeof(config_listen_rows) / sizeof(config_listen_rows[0]) <=
                   CONFIG_LISTENERS_MAX,
               "as config.h promises");
