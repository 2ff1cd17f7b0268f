/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/pool_jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "node/base/check.h"

struct pool_jobs {
    struct loop *loop;
    unsigned references; /* the owner's, and one of each job until the loop has seen its end */
    bool ended;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned running; /* under `lock` */
};

struct job {
    struct pool_jobs *jobs;
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
};

struct pool_jobs *pool_jobs_new(struct loop *loop)
{
    struct pool_jobs *jobs = calloc(1, sizeof(*jobs));

    CHECK(jobs != NULL);
    jobs->loop = loop;
    jobs->references = 1;
    CHECK(pthread_mutex_init(&jobs->lock, NULL) == 0);
    CHECK(pthread_cond_init(&jobs->idle, NULL) == 0);
    return jobs;
}

static void unreference(struct pool_jobs *jobs)
{
    if (--jobs->references > 0)
        return;
    pthread_cond_destroy(&jobs->idle);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

static void in_pool(void *context)
{
    struct job *job = context;
    struct pool_jobs *jobs = job->jobs;

    job->work(job->context);
    pthread_mutex_lock(&jobs->lock);
    jobs->running--;
    if (jobs->running == 0)
        pthread_cond_broadcast(&jobs->idle);
    pthread_mutex_unlock(&jobs->lock);
}

static void in_loop(void *context)
{
    struct job *job = context;
    struct pool_jobs *jobs = job->jobs;

    if (!jobs->ended)
        job->done(job->context);
    unreference(jobs);
    free(job);
}

void pool_jobs_run(struct pool_jobs *jobs, void (*work)(void *context),
                   void (*done)(void *context), void *context)
{
    struct job *job = malloc(sizeof(*job));

    CHECK(job != NULL && !jobs->ended);
    *job = (struct job){jobs, work, done, context};
    jobs->references++;
    pthread_mutex_lock(&jobs->lock);
    jobs->running++;
    pthread_mutex_unlock(&jobs->lock);
    loop_work(jobs->loop, in_pool, in_loop, job);
}

void pool_jobs_end(struct pool_jobs **jobs)
{
    struct pool_jobs *ending = *jobs;

    if (ending == NULL)
        return;
    *jobs = NULL;
    pthread_mutex_lock(&ending->lock);
    while (ending->running > 0)
        pthread_cond_wait(&ending->idle, &ending->lock);
    pthread_mutex_unlock(&ending->lock);
    ending->ended = true;
    unreference(ending);
}
