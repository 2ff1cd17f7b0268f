/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_SUPERVISOR_NODE_LAB_H
#define TESTS_UNIT_NODE_SUPERVISOR_NODE_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/types.h>

#include "node/base/bytes.h"
#include "node/runtime/loop.h"

enum { WAIT_MS = 30000, STEP_US = 5000 };

/* A node in a temporary folder: the real postraftd, and a fake for every other program. */
struct node {
    char folder[64];
    char config[96];
    char log_path[96];
    unsigned smtp_port, imap_port, imaps_port;
    pid_t pid;
    char log[256 * 1024];
};

/* For cmocka: *state is the node. */
int node_setup(void **state);
int node_teardown(void **state);
/* The configuration, with `more` at its end. */
void node_config(struct node *node, const char *more);
void node_start(struct node *node);
/* SIGTERM, and what follows. */
void node_stop(struct node *node);
/* The exit status, or -1 for a signal. */
int node_end(struct node *node);

const char *node_log(struct node *node);
/* How many lines have both texts; and until it is so many. */
unsigned node_count(struct node *node, const char *first, const char *second);
void node_wait(struct node *node, const char *first, const char *second, unsigned count);

/* The pid of a child's latest start. */
pid_t node_child(struct node *node, const char *name);
/* What a port says at once. */
void node_greeting(unsigned port, char *text, size_t size);

#endif
