/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_PROCESS_TLS_H
#define NODE_RUNTIME_PROCESS_TLS_H

#include "node/runtime/process.h"

/* The part of a process that has to do with the pair for mail clients. Inside this folder only.
 */

/* A descriptor's number out of the environment; -1 when there is none. */
int process_number(const char *name);
/* Before the sandbox: the first pair. */
void process_tls_read(struct process *process);
void process_tls_end(struct process *process);

#endif
