/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/config_table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

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
    TEXT("users", "store", CONFIG_WORD, user_store, "",
         "Who postraft-store runs as. Not set: who started postraftd. The same goes for the "
         "next two."),
    TEXT("users", "smtp", CONFIG_WORD, user_smtp, "", "Who postraft-smtp runs as."),
    TEXT("users", "imap", CONFIG_WORD, user_imap, "", "Who postraft-imap runs as."),
    TEXT("users", "operator", CONFIG_WORD, user_operator, "",
         "Who may use the `postraft` command on this node. Not set: who started postraftd."),
    NUMBER("processes", "smtp", CONFIG_UNSIGNED, processes_smtp, 1, 0, 64,
           "How many postraft-smtp share the work; one a core is enough. 0: this node takes no "
           "mail."),
    NUMBER("processes", "imap", CONFIG_UNSIGNED, processes_imap, 1, 0, 64,
           "The same for postraft-imap."),
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
    NUMBER("limits", "connections", CONFIG_UNSIGNED, connections_max, 20000, 1, 1000000,
           "Connections of one process."),
    NUMBER("limits", "connections_address", CONFIG_UNSIGNED, connections_address_max, 50, 1,
           1000000, "Connections of one process from one IPv4 address or IPv6 /64."),
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
    {"smtp", offsetof(struct config, smtp), "Mail from other servers (port 25)."},
    {"imap", offsetof(struct config, imap), "Mail clients, STARTTLS (port 143)."},
    {"imaps", offsetof(struct config, imaps), "Mail clients, TLS from the start (port 993)."},
};
const unsigned config_listen_rows_count =
    sizeof(config_listen_rows) / sizeof(config_listen_rows[0]);

static const char *path_problem(const char *text)
{
    if (text[0] != '/')
        return "is not an absolute path";
    return strlen(text) <= 1024 ? NULL : "is too long";
}

static const char *host_problem(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-.";
    size_t len = strlen(text);

    if (len > 253 || strspn(text, allowed) != len || strstr(text, "..") != NULL)
        return "is not a host name";
    return strchr(".-", text[0]) == NULL && text[len - 1] != '-' ? NULL : "is not a host name";
}

static const char *address_problem(const char *text)
{
    static const char problem[] = "is not an address like 192.0.2.1:25 or [2001:db8::1]:25";
    struct in6_addr number;
    char host[64];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    if (len == 0 || len >= sizeof(host) || !bytes_to_u64(bytes_of(colon + 1), &port) ||
        port == 0 || port > 65535)
        return problem;
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &number) == 1 ? NULL : problem;
    }
    return inet_pton(AF_INET, host, &number) == 1 ? NULL : problem;
}

static const char *word_problem(const char *text)
{
    if (strlen(text) > 64)
        return "is too long";
    return strpbrk(text, " \t\r\n:/") == NULL ? NULL : "is not a name";
}

const char *config_text_problem(enum config_kind kind, const char *const *choices,
                                const char *text)
{
    if (text[0] == '\0')
        return NULL;
    switch (kind) {
    case CONFIG_PATH:
        return path_problem(text);
    case CONFIG_HOST:
        return host_problem(text);
    case CONFIG_ADDRESS:
        return address_problem(text);
    case CONFIG_WORD:
        return word_problem(text);
    case CONFIG_CHOICE:
    case CONFIG_SWITCH:
        for (; *choices != NULL; choices++)
            if (strcmp(*choices, text) == 0)
                return NULL;
        return "is not one of the values that there are";
    case CONFIG_BOOL:
    case CONFIG_UNSIGNED:
    case CONFIG_U64:
        break;
    }
    return "is not a text";
}

static void print_row(struct buffer *text, const struct config_row *row, const char *indent)
{
    static const char *const shapes[] = {[CONFIG_PATH] = "path",
                                         [CONFIG_HOST] = "name",
                                         [CONFIG_ADDRESS] = "host:port",
                                         [CONFIG_WORD] = "name",
                                         [CONFIG_BOOL] = "true or false"};

    buffer_printf(text, "%s%s\n%s    %s\n%s    ", indent, row->name, indent, row->help, indent);
    if (row->kind == CONFIG_UNSIGNED || row->kind == CONFIG_U64) {
        buffer_printf(text, "%llu to %llu, else %llu\n", (unsigned long long)row->least,
                      (unsigned long long)row->most, (unsigned long long)row->number);
        return;
    }
    if (row->kind == CONFIG_BOOL) {
        buffer_printf(text, "true or false, else %s\n", row->number != 0 ? "true" : "false");
        return;
    }
    for (const char *const *choice = row->choices; choice != NULL && *choice != NULL; choice++)
        buffer_printf(text, "%s\"%s\"", choice == row->choices ? "" : " or ", *choice);
    if (row->choices == NULL)
        buffer_add_string(text, shapes[row->kind]);
    if (row->text[0] != '\0')
        buffer_printf(text, ", else \"%s\"", row->text);
    buffer_add_string(text, "\n");
}

void config_manual(struct buffer *text)
{
    const char *section = "";

    buffer_add_string(text, "The configuration file of one node. name = value, a line each; "
                            "texts in \"quotes\"; # begins a comment.\n\n");
    for (unsigned i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(row->section, section) != 0) {
            if (section[0] != '\0')
                buffer_add_string(text, "}\n");
            buffer_printf(text, "\n%s {\n", row->section);
            section = row->section;
        }
        print_row(text, row, section[0] != '\0' ? "    " : "");
    }
    buffer_add_string(text, "}\n");
    for (unsigned i = 0; i < config_listen_rows_count; i++)
        buffer_printf(text,
                      "\nlisten \"%s\" {\n    address = { \"host:port\", ... }\n"
                      "        %s At most %d addresses.\n}\n",
                      config_listen_rows[i].title, config_listen_rows[i].help,
                      CONFIG_ADDRESSES_MAX);
}
