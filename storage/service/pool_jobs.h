/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_POOL_JOBS_H
#define STORAGE_SERVICE_POOL_JOBS_H

#include "node/runtime/loop.h"

/*
 * Work in pool threads that whoever ends waits for, because it uses a database that is about to
 * be closed; loop_work() alone may still be running then. In the loop's thread.
 */
struct pool_jobs;

struct pool_jobs *pool_jobs_new(struct loop *loop);
/* Waits for the work that has begun; `done` comes no more. Accepts NULL. */
void pool_jobs_end(struct pool_jobs **jobs);
/* Runs `work` in a pool thread, then `done` in the loop. */
void pool_jobs_run(struct pool_jobs *jobs, void (*work)(void *context),
                   void (*done)(void *context), void *context);

#endif
