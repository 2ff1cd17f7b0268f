/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_IMAP_MODES_H
#define TESTS_BENCH_IMAP_MODES_H

#include "bench/imap_client.h"

enum { IMAP_LOAD_TARGETS_MAX = 16, IMAP_LOAD_PIDS_MAX = 64 };

enum imap_mode {
    IMAP_MODE_LOGIN,
    IMAP_MODE_FLAGS,
    IMAP_MODE_ENVELOPE,
    IMAP_MODE_BODY,
    IMAP_MODE_STORE,
    IMAP_MODE_SEARCH,
    IMAP_MODE_TEXT,
    IMAP_MODE_APPEND,
    IMAP_MODE_NOOP,
    IMAP_MODE_IDLE,
    IMAP_MODE_COUNT,
};
extern const char *const imap_mode_names[IMAP_MODE_COUNT];

struct imap_load {
    SSL_CTX *tls;
    struct sockaddr_storage targets[IMAP_LOAD_TARGETS_MAX];
    socklen_t target_lens[IMAP_LOAD_TARGETS_MAX];
    unsigned target_count;
    char **users;
    unsigned user_count;
    const char *password;
    unsigned connections;
    uint32_t messages; /* that every INBOX has, made before the first mode that needs them */
    size_t size;       /* of a message that is made */
    uint64_t seconds;
    unsigned pids[IMAP_LOAD_PIDS_MAX]; /* whose memory counts */
    unsigned pid_count;
};

struct imap_figures {
    uint64_t operations;
    uint64_t messages; /* told in FETCH responses */
    uint64_t bytes;
    uint64_t refused;
    uint64_t lost; /* connections */
    double seconds;
    double p50_ms;
    double p99_ms;
    unsigned connections;
    uint64_t rss_before; /* bytes; of IDLE only */
    uint64_t rss_after;
};

/* False: what went wrong was said on standard error. */
bool imap_load_fill(const struct imap_load *load);
bool imap_load_run(const struct imap_load *load, enum imap_mode mode,
                   struct imap_figures *figures);

#endif
