/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_ROOM_H
#define SMTP_RECEIVE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Memory of messages under way. The process's budget (node/runtime/memory_budget.h) tells what
 * is in use now, not what messages that have just begun will need: a thousand of them, in
 * several wordings each, may begin within it and then grow far beyond. So each puts down what
 * it holds at most at its size, step by step as it grows; what has no room any more is thrown
 * away at once and refused with 452 4.3.1 at its end, and none begins.
 */
struct receive;

/* Of a message in so many wordings with that many bytes (each wording: editors and scanner; its
 * text up to a block and a piece, a block that is compressed, and that once more on its way).
 */
uint64_t room_of_message(unsigned wordings, uint64_t size);

/* No message may begin now. */
bool room_is_over(const struct receive *receive);

/* Puts down that `held` becomes `bytes`, which are more; false, and nothing changes: there is
 * no room. */
bool room_raise(struct receive *receive, uint64_t *held, uint64_t bytes);

/* `held` becomes 0. */
void room_leave(struct receive *receive, uint64_t *held);

#endif
