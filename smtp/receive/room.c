/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/room.h"

#include "node/base/check.h"
#include "smtp/protocol/limits.h"
#include "smtp/receive/visitor.h"
#include "storage/schema/flags.h"

enum {
    /* Of the budget; the rest is for connections, look-ups and what was put down too low. */
    SHARE_PERCENT = 75,
    FIXED_BYTES = 32 * 1024,
    /* So that small messages are put down once. */
    STEP_BYTES = 16 * 1024,
    GROWN_BYTES_MAX = 2 * (BODY_BLOCK_SIZE + SMTP_BODY_PIECE_MAX) + 2 * BODY_FRAME_SIZE_MAX,
};

uint64_t room_of_message(unsigned wordings, uint64_t size)
{
    uint64_t steps = size / STEP_BYTES + 1;
    uint64_t grown = GROWN_BYTES_MAX;

    /* Buffers grow by doubling; the block is there as text, compressed, and sent. */
    if (steps < GROWN_BYTES_MAX / STEP_BYTES / 4)
        grown = 4 * steps * STEP_BYTES;
    return wordings * (FIXED_BYTES + grown);
}

static uint64_t share(const struct receive *receive)
{
    return memory_budget_bytes(receive->config.memory) / 100 * SHARE_PERCENT;
}

bool room_is_over(const struct receive *receive)
{
    return receive->config.memory != NULL && (memory_budget_over(receive->config.memory) ||
                                              receive->room_bytes >= share(receive));
}

bool room_raise(struct receive *receive, uint64_t *held, uint64_t bytes)
{
    uint64_t more = bytes - *held;

    CHECK(bytes > *held);
    if (receive->config.memory != NULL && (receive->room_bytes + more > share(receive) ||
                                           memory_budget_over(receive->config.memory)))
        return false;
    receive->room_bytes += more;
    *held = bytes;
    return true;
}

void room_leave(struct receive *receive, uint64_t *held)
{
    CHECK(*held <= receive->room_bytes);
    receive->room_bytes -= *held;
    *held = 0;
}
