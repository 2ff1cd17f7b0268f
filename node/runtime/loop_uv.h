/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_LOOP_UV_H
#define NODE_RUNTIME_LOOP_UV_H

#include <uv.h>

#include "node/runtime/loop.h"

/*
 * What this folder knows of libuv beneath a loop. Nobody outside node/runtime includes it.
 *
 * Every uv handle on a loop is the first member of a block from malloc() and is closed with
 * uv_close(handle, loop_handle_freed), so that loop_free() can close what others left open.
 */
uv_loop_t *loop_uv(struct loop *loop);
void loop_handle_freed(uv_handle_t *handle);

/*
 * A bell that any thread may ring; `rung` runs in the loop's thread, once for any number of
 * rings since the last time. ring() must not run at the same time as free() or after it.
 */
struct loop_bell;
struct loop_bell *loop_bell_new(struct loop *loop, void (*rung)(void *context), void *context);
void loop_bell_ring(struct loop_bell *bell);
void loop_bell_free(struct loop_bell **bell);

/* Calls `closing` from loop_free(), before it closes what is open: for state that hangs on a
 * loop. */
void loop_at_free(struct loop *loop, void (*closing)(void *context), void *context);

/* Where conn.c keeps what all connections of a loop share; NULL at first. */
struct conn_shared;
struct conn_shared **loop_conns(struct loop *loop);

#endif
