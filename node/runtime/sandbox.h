/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_SANDBOX_H
#define NODE_RUNTIME_SANDBOX_H

#include "node/runtime/config.h"

/*
 * What the kernel is told to refuse this process. Inside this folder only. A kernel that knows
 * less refuses less; what is missing is logged.
 *
 * Landlock binds the calling thread and the threads that it starts later, so the wide rule
 * comes first, when there is one thread only; seccomp binds all threads.
 */

/* Writing in the two folders of the configuration, reading of what libraries read, nothing
 * else. No new privileges. */
void sandbox_files(const struct config *config);

/* For programs that keep files: no other program, no other process, no administration. */
void sandbox_for_files(void);

/*
 * For programs that have none: no file is opened any more, no socket but of this machine; only
 * the calls that such a program needs. `network` adds sockets to other machines, to anywhere,
 * since the filter cannot look at addresses; to listen is allowed to nobody.
 */
enum {
    SANDBOX_DNS = 1 << 0,      /* name servers: IPv4 and IPv6, UDP and TCP */
    SANDBOX_OUTGOING = 1 << 1, /* other hosts: IPv4 and IPv6, TCP */
};
void sandbox_without_files(unsigned network);

#endif
