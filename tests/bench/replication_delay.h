/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_REPLICATION_DELAY_H
#define TESTS_BENCH_REPLICATION_DELAY_H

#include "node/runtime/loop.h"
#include "raft/transport.h"

/* Distance between nodes: a transport that holds each frame for a time before it hands it to
 * the real one. */
struct delay;

struct delay *delay_new(struct loop *loop, struct transport *inner, unsigned delay_ms);
void delay_free(struct delay **delay);
struct transport *delay_interface(struct delay *delay);

#endif
