/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_UNTIL_H
#define TESTS_UNIT_NODE_RUNTIME_UNTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/runtime/loop.h"

/* Runs the loop until a condition holds; a test that waits longer than this has failed. */
enum { UNTIL_MAX_MS = 30000, UNTIL_STEP_MS = 5 };

struct until {
    struct loop *loop;
    bool (*holds)(void *context);
    void *context;
    bool late;
};

static inline void until_check(void *argument)
{
    struct until *until = argument;
    if (until->holds(until->context))
        loop_stop(until->loop);
}

static inline void until_late(void *argument)
{
    struct until *until = argument;
    until->late = true;
    loop_stop(until->loop);
}

static inline void run_until(struct loop *loop, bool (*holds)(void *context), void *context)
{
    struct until until = {.loop = loop, .holds = holds, .context = context};
    struct loop_timer *step =
        loop_timer_start(loop, UNTIL_STEP_MS, UNTIL_STEP_MS, until_check, &until);
    struct loop_timer *late = loop_timer_start(loop, UNTIL_MAX_MS, 0, until_late, &until);
    struct loop_hook *hook = loop_on_turn(loop, until_check, &until);
    loop_run(loop);
    loop_hook_remove(&hook);
    loop_timer_stop(&step);
    if (until.late)
        fail_msg("the condition did not come true in time");
    loop_timer_stop(&late);
}

/* For a condition that is a flag or a count. */
static inline bool is_set(void *context)
{
    return *(const bool *)context;
}

#endif
