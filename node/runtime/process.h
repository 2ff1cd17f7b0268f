/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_PROCESS_H
#define NODE_RUNTIME_PROCESS_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
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
 * (optional: a pipe with the PEM chain and key for mail clients, read to its end before
 * privileges matter), POSTRAFT_INDEX (which of several). Started by hand without these, a
 * program says so and exits with 2.
 */
struct process {
    const char *name;
    struct arena arena; /* lives as long as the process */
    struct config config;
    struct loop *loop;
    unsigned index;
    struct bytes tls_certificate; /* PEM, empty when none was handed over */
    struct bytes tls_key;
};

/* Returns false when the process has to end with *status (after --help, or after an error that
 * was printed). */
bool process_start(struct process *process, int argc, char **argv, const char *name,
                   int *status);

/* The descriptors handed over under that name, at most `max`; returns how many. Ownership goes
 * to the caller. */
unsigned process_listeners(struct process *process, const char *name, int *fds, unsigned max);

/* Tells the supervisor. `stop` is called once, on SIGTERM or when the supervisor is gone; it
 * ends in loop_stop(). */
void process_ready(struct process *process, void (*stop)(void *context), void *context);

/* Limits what the process may do from here on: no_new_privs, no core of others, seccomp and
 * landlock as `files` (a folder it may read and write, or NULL for none) allows. Call before
 * the first byte of a client is read. */
void process_sandbox(struct process *process, const char *files);

/* Frees what process_start() made. Returns the exit status. */
int process_end(struct process *process);

#endif
