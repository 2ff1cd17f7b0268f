/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_FRAME_H
#define RAFT_FRAME_H

#include "node/base/bytes.h"

/* Reference-counted memory that entries point into: a received message, or a proposal. Any
 * thread. */
struct frame;

/* With `len` bytes of its own. One reference. */
struct frame *frame_new(size_t len);

/* Around foreign memory: `release(context)` is called when the last reference goes. One
 * reference. */
struct frame *frame_wrap(struct bytes bytes, void (*release)(void *context), void *context);

struct frame *frame_ref(struct frame *frame);
/* Accepts NULL. */
void frame_unref(struct frame *frame);

struct bytes frame_bytes(const struct frame *frame);
/* Only of frame_new(), and only before the frame is shared. */
uint8_t *frame_memory(struct frame *frame);

#endif
