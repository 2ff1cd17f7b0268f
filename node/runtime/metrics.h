/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_METRICS_H
#define NODE_RUNTIME_METRICS_H

#include <stdint.h>

#include "node/base/buffer.h"

/*
 * Counters and gauges of this process, from one table: a row is the name, the unit and what it
 * says. Any thread; relaxed atomics. Rows are added by the code that counts.
 */
#define METRICS(X)                                                                             \
    X(CONNECTIONS_ACCEPTED, "connections_accepted_total", "connections taken")                 \
    X(CONNECTIONS_REFUSED, "connections_refused_total", "connections over a limit")            \
    X(PROXY_HEADERS_REFUSED, "proxy_headers_refused_total",                                    \
      "connections from proxies that did not say who the client is")                           \
    X(CONNECTIONS_DIALLED, "connections_dialled_total", "connections made to other hosts")     \
    X(DIALS_FAILED, "dials_failed_total",                                                      \
      "connections to other hosts that did not come about")                                    \
    X(CONNECTIONS_OPEN, "connections_open", "connections open now")                            \
    X(DNS_QUERIES, "dns_queries_total", "names that were asked for")                           \
    X(DNS_JOINED, "dns_joined_total", "of these, while the same was under way already")        \
    X(DNS_SERVFAILS, "dns_servfails_total", "questions that nobody could answer")              \
    X(DNS_TIMEOUTS, "dns_timeouts_total", "names without an answer in time")                   \
    X(DNS_BOGUS, "dns_bogus_total", "answers whose signatures do not fit")                     \
    X(DNS_REFUSED, "dns_refused_total", "names not asked for, too many were under way")        \
    X(DNS_OUTSTANDING, "dns_outstanding", "questions under way")                               \
    X(MEMORY_USED, "memory_used_bytes", "memory that belongs to this process alone")           \
    X(MEMORY_OVER, "memory_over_budget", "1: no new mail is taken for want of memory")         \
    X(SMTP_MESSAGES_ACCEPTED, "smtp_messages_accepted_total", "messages answered with 250")    \
    X(SMTP_MESSAGES_DEFERRED, "smtp_messages_deferred_total", "messages answered with 4xx")    \
    X(SMTP_MESSAGES_REFUSED, "smtp_messages_refused_total", "messages answered with 5xx")      \
    X(RELAY_SENT, "relay_sent_total", "recipients that another host has taken")                \
    X(RELAY_PUT_OFF, "relay_put_off_total", "attempts that are made again later")              \
    X(RELAY_FAILED, "relay_failed_total", "recipients that were given up")                     \
    X(RELAY_UNKNOWN, "relay_unknown_total",                                                    \
      "of those put off, where the reply to the message's end was lost")                       \
    X(RELAY_NOTICES, "relay_notices_total", "delivery status notifications that were made")    \
    X(IMAP_LOGINS, "imap_logins_total", "log-ins that succeeded")                              \
    X(IMAP_LOGIN_FAILURES, "imap_login_failures_total", "log-ins that failed")                 \
    X(IMAP_COMMANDS, "imap_commands_total", "commands")                                        \
    X(RPC_CALLS, "rpc_calls_total", "calls made")                                              \
    X(RPC_TIMEOUTS, "rpc_timeouts_total", "calls without an answer in time")                   \
    X(RAFT_ENTRIES_WRITTEN, "raft_entries_written_total", "log entries made durable")          \
    X(RAFT_LOG_COMMITS, "raft_log_commits_total", "transactions of the log")                   \
    X(RAFT_ENTRIES_APPLIED, "raft_entries_applied_total", "log entries applied")               \
    X(RAFT_APPLY_COMMITS, "raft_apply_commits_total", "transactions of the state")             \
    X(RAFT_ELECTIONS_WON, "raft_elections_won_total", "groups that this node came to lead")    \
    X(RAFT_MESSAGES_REFUSED, "raft_messages_refused_total",                                    \
      "peer messages that failed a check")                                                     \
    X(RAFT_SINGLE_SITE_RELEASES, "raft_single_site_releases_total",                            \
      "acknowledgements released with no replica outside the data center")                     \
    X(DISK_FREE_MB, "disk_free_mb", "megabytes left on the disk of the data folder")           \
    X(DISK_SHORT, "disk_short", "1: too few, this node takes part in no writes")               \
    X(STATE_COPIES, "state_copies_total", "groups whose state was copied here")                \
    X(STATE_COPY_FAILURES, "state_copy_failures_total",                                        \
      "copies of a group's state that ended before the end")                                   \
    X(STATE_COPY_ROWS, "state_copy_rows_total", "rows received by copies")                     \
    X(STATE_COPY_BYTES, "state_copy_bytes_total", "bytes of rows received by copies")          \
    X(STATE_COPY_COMPARED_BYTES, "state_copy_compared_bytes_total",                            \
      "bytes of rows here that copies compared with their source's")                           \
    X(STATE_COPY_READ_LONGEST, "state_copy_read_longest_ms",                                   \
      "the longest read transaction of a copy")                                                \
    X(STATE_COPY_WRITE_LONGEST, "state_copy_write_longest_ms",                                 \
      "the longest write transaction of a copy")                                               \
    X(SCRUB_BYTES, "scrub_bytes_total", "bytes of bodies compared with their digests")         \
    X(SCRUB_DAMAGED, "scrub_damaged_total", "bodies that were found damaged")                  \
    X(SCRUB_REPAIRED, "scrub_repaired_total", "of these, repaired from another replica")       \
    X(READS_LONG, "reads_long_total", "queries whose read transaction took over two seconds")  \
    X(READ_LONGEST, "read_longest_ms", "the longest read transaction of a query")

#define METRIC_ENUM(name, text, help) METRIC_##name,
enum metric { METRICS(METRIC_ENUM) METRIC_COUNT };
#undef METRIC_ENUM

void metric_add(enum metric metric, uint64_t amount);
void metric_sub(enum metric metric, uint64_t amount);
void metric_set(enum metric metric, uint64_t value);
/* A gauge of the largest value there was. */
void metric_raise(enum metric metric, uint64_t value);
uint64_t metric_get(enum metric metric);

/* All rows in the text form that Prometheus reads, "postraft_<name> <value>", with HELP lines.
 */
void metrics_print(struct buffer *text);

#endif
