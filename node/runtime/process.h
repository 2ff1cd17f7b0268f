/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_PROCESS_H
#define NODE_RUNTIME_PROCESS_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/log.h"
#include "node/runtime/config.h"
#include "node/runtime/loop.h"
#include "node/runtime/tls.h"

/*
 * What every program of a node does first and last: read the command line (--config FILE,
 * --help, --version) and the configuration, set up the log, take over the sockets that the
 * supervisor has bound, say when it is ready, stop cleanly on SIGTERM.
 *
 * From the supervisor a program gets: POSTRAFT_LISTEN ("smtp=3,smtp=4,imaps=5": already bound
 * and listening descriptors), POSTRAFT_READY_FD (write one byte when serving), POSTRAFT_TLS_FD
 * (optional: a file with the PEM chain and key for mail clients, read to its end before
 * privileges matter), POSTRAFT_KEYS_FD (optional: a socket on which further such files, and new
 * network maps, come as descriptors), POSTRAFT_INDEX (which of several). Started by hand
 * without these, a program says so and exits with 2.
 */
/* What a file is that the supervisor hands over later: a byte beside the descriptor. */
enum {
    PROCESS_FILE_KEYS = 'K',
    PROCESS_FILE_MAP = 'M',
};

struct process {
    const char *name;
    struct arena arena; /* lives as long as the process */
    struct config config;
    struct loop *loop;
    unsigned index;
    struct bytes tls_certificate; /* PEM, empty when none was handed over */
    struct bytes tls_key;
    struct tls_context *tls; /* of process_tls(); borrowed */
    int keys_fd;             /* -1: none */
    struct loop_watch *keys_watch;
    struct network_map *network_map; /* of process_network_map() */
};

/* Returns false when the process has to end with *status (after --help, or after an error that
 * was printed). */
bool process_start(struct process *process, int argc, char **argv, const char *name,
                   int *status);

/* The descriptors handed over under that name, at most `max`; returns how many. Ownership goes
 * to the caller. */
unsigned process_listeners(struct process *process, const char *name, int *fds, unsigned max);

/*
 * What mail clients see, of the pair that was handed over; *tls is NULL when there was none,
 * else the caller's, who frees it after the loop. While the loop runs, a pair that the
 * supervisor sends later takes its place (tls_context_replace()).
 */
MUST_CHECK enum err process_tls(struct process *process, struct tls_context **tls);

/* Tells the supervisor. `stop` is called once, on SIGTERM or when the supervisor is gone; it
 * ends in loop_stop(). */
void process_ready(struct process *process, void (*stop)(void *context), void *context);

/*
 * Limits what the process may do from here on; call before the first byte of a client is read.
 * From process_start() on it may write in the two folders of the configuration only (landlock).
 * With `files` NULL no file is opened any more, nor a socket to anywhere but this machine; else
 * it may go on in these folders (`files` is the one it needs). In both cases it starts no
 * program and no process (seccomp, all threads).
 */
void process_sandbox(struct process *process, const char *files);
/* As without files, but the process may ask name servers: sockets to other machines. For
 * programs that called process_dns(). */
void process_sandbox_dns(struct process *process);
/* As process_sandbox_dns(), and the process may connect to other hosts (dial.h), from any of
 * its addresses. It still cannot listen. */
void process_sandbox_outgoing(struct process *process);

/* The resolver of the configuration (dns.h), the caller's, to be freed before process_end().
 * NULL, with the reason logged, when it cannot be had, or is switched off (dns.enabled). Before
 * the sandbox. */
struct dns *process_dns(struct process *process);

/*
 * The map of the configuration (network_map.h); the process's, lives until process_end(). When
 * postraftd gets SIGHUP, the file that is there then takes its place. Before the sandbox.
 */
struct network_map *process_network_map(struct process *process);

/* The configuration's log.level, as log_init() takes it. */
enum log_level process_log_level(const struct config *config);

/*
 * Sanitizers look for leaks with a process of their own and write reports where they like, so a
 * build for them is not fenced off.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROCESS_UNFENCED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
    __has_feature(memory_sanitizer)
#define PROCESS_UNFENCED
#endif
#endif

/* Frees what process_start() made. Returns the exit status. */
int process_end(struct process *process);

#endif
