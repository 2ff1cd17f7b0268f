/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_LOOP_H
#define NODE_RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The event loop of a process: libuv behind names of ours, so that nothing else includes
 * <uv.h>. All calls are for the loop's own thread, but loop_post(). Callbacks never run inside
 * the call that asked for them.
 */
struct loop;
struct loop_timer;
struct loop_hook;

struct loop *loop_new(void);

/* Closes what is left open. The loop must not be running. */
void loop_free(struct loop **loop);

/* Returns when loop_stop() was called. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Monotonic milliseconds, read fresh. Never 0, never goes back. Any thread. */
uint64_t clock_monotonic_ms(void);
/* The same in nanoseconds, for measuring. */
uint64_t clock_monotonic_ns(void);
/* Wall clock, milliseconds since 1970. Any thread. */
uint64_t clock_wall_ms(void);

/*
 * Calls `fired` once after `delay_ms`, then every `repeat_ms` if that is not 0. A timer that
 * will not repeat is gone after its call: *timer is not to be used again. stop() accepts NULL
 * and sets NULL.
 */
struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context);
void loop_timer_stop(struct loop_timer **timer);

/* Runs `call` in the loop's thread soon. From any thread; calls of one thread keep their order.
 */
void loop_post(struct loop *loop, void (*call)(void *context), void *context);

/* Runs `work` in a pool thread, then `done` in the loop's thread. */
void loop_work(struct loop *loop, void (*work)(void *context), void (*done)(void *context),
               void *context);

/* Calls `caught` in the loop for every delivery of the signal. */
void loop_on_signal(struct loop *loop, int signal_number,
                    void (*caught)(void *context, int signal_number), void *context);

/*
 * Calls `turn` once at the end of each loop turn, before the loop sleeps: the place to send
 * what the turn has collected. loop_wake() makes sure that another turn comes without waiting.
 */
struct loop_hook *loop_on_turn(struct loop *loop, void (*turn)(void *context), void *context);
void loop_hook_remove(struct loop_hook **hook);
void loop_wake(struct loop *loop);

/* Calls `readable` when `fd` can be read or was closed at the other end. The fd stays the
 * caller's. */
struct loop_watch *loop_watch_start(struct loop *loop, int fd, void (*readable)(void *context),
                                    void *context);
void loop_watch_stop(struct loop_watch **watch);

#endif
