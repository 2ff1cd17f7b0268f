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

/* For programs that have none: no file is opened any more, no socket but of this machine; only
 * the calls that such a program needs. With `dns` also sockets to name servers, which are IPv4
 * and IPv6, UDP and TCP, to anywhere: the filter cannot look at addresses. */
void sandbox_without_files(bool dns);

#endif
