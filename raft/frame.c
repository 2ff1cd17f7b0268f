/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/frame.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "node/base/check.h"

struct frame {
    atomic_uint references;
    struct bytes bytes;
    void (*release)(void *context);
    void *context;
    uint8_t memory[];
};

static struct frame *frame_alloc(size_t len)
{
    CHECK(len < SIZE_MAX - sizeof(struct frame));
    struct frame *frame = malloc(sizeof(*frame) + len);
    CHECK(frame != NULL);
    atomic_init(&frame->references, 1);
    frame->release = NULL;
    frame->context = NULL;
    return frame;
}

struct frame *frame_new(size_t len)
{
    struct frame *frame = frame_alloc(len);
    frame->bytes = bytes_from(frame->memory, len);
    return frame;
}

struct frame *frame_wrap(struct bytes bytes, void (*release)(void *context), void *context)
{
    struct frame *frame = frame_alloc(0);
    frame->bytes = bytes;
    frame->release = release;
    frame->context = context;
    return frame;
}

struct frame *frame_ref(struct frame *frame)
{
    unsigned before = atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (frame == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    if (frame->release != NULL)
        frame->release(frame->context);
    free(frame);
}

struct bytes frame_bytes(const struct frame *frame)
{
    return frame->bytes;
}

uint8_t *frame_memory(struct frame *frame)
{
    CHECK(frame->bytes.at == frame->memory);
    return frame->memory;
}
