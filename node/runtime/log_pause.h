/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_LOG_PAUSE_H
#define NODE_RUNTIME_LOG_PAUSE_H

#include <stdatomic.h>

#include "node/runtime/loop.h"

/*
 * True at most once a second for one `last_ms` (static, zero at first), from any thread: for
 * lines about a peer that is refused and comes again and again.
 */
static inline bool log_pause_over(_Atomic uint64_t *last_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t before_ms = atomic_load(last_ms);

    return (before_ms == 0 || now_ms - before_ms >= 1000) &&
           atomic_compare_exchange_strong(last_ms, &before_ms, now_ms);
}

#endif
