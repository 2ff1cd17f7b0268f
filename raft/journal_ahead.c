/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The next segment is made before it is needed. */
#include <time.h>

#include "raft/journal_internal.h"

enum { PAUSE_S = 5 }; /* after an attempt that failed */

static uint64_t size_wanted(const struct journal *journal)
{
    uint64_t used = 0;
    uint64_t size = SEGMENT_SIZE_LEAST;

    if (journal->config.segment_bytes != 0)
        return journal->config.segment_bytes;
    for (unsigned i = 0; i < journal->segment_count; i++)
        used += journal->segments[i]->used;
    while (size < SEGMENT_SIZE_MOST && size < used / 4)
        size *= 2;
    return size;
}

static void pause_a_while(struct journal *journal)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PAUSE_S;
    pthread_cond_timedwait(&journal->ahead.changed, &journal->lock, &until);
}

static void *ahead_thread(void *context)
{
    struct journal *journal = context;
    struct journal_ahead *ahead = &journal->ahead;

    pthread_mutex_lock(&journal->lock);
    while (!ahead->closing) {
        if (ahead->ready != NULL || ahead->held) {
            pthread_cond_wait(&ahead->changed, &journal->lock);
            continue;
        }
        struct journal_segment *spare = ahead->spare;
        struct journal_segment *made = NULL;
        uint64_t number = ahead->number;
        uint64_t size = ahead->size;
        ahead->spare = NULL;
        pthread_mutex_unlock(&journal->lock);
        enum err err = journal_segment_new(journal, number, size, spare, &made);
        pthread_mutex_lock(&journal->lock);
        ahead->ready = made;
        ahead->err = err;
        pthread_cond_broadcast(&ahead->changed);
        if (err == ERR_IO)
            break; /* a disk that failed once is not asked again: who needs it is told */
        if (err != ERR_OK)
            pause_a_while(journal);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

void journal_ahead_start(struct journal *journal, struct journal_segment *ready)
{
    const struct journal_segment *last = journal->segments[journal->segment_count - 1];

    journal->ahead.ready = ready;
    journal->ahead.number = last->number + 1;
    journal->ahead.size = size_wanted(journal);
    CHECK(pthread_create(&journal->ahead.thread, NULL, ahead_thread, journal) == 0);
    journal->ahead.thread_runs = true;
}

void journal_ahead_stop(struct journal *journal)
{
    struct journal_ahead *ahead = &journal->ahead;

    if (ahead->thread_runs) {
        pthread_mutex_lock(&journal->lock);
        ahead->closing = true;
        pthread_cond_broadcast(&ahead->changed);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(ahead->thread, NULL);
    }
    journal_segment_close(&ahead->ready);
    journal_segment_remove(journal, &ahead->spare);
}

enum err journal_ahead_take(struct journal *journal, struct journal_segment **segment)
{
    struct journal_ahead *ahead = &journal->ahead;

    /* Perhaps there is room by now. */
    if (ahead->ready == NULL && ahead->err == ERR_FULL) {
        ahead->err = ERR_OK;
        pthread_cond_broadcast(&ahead->changed);
    }
    while (ahead->ready == NULL && ahead->err == ERR_OK)
        pthread_cond_wait(&ahead->changed, &journal->lock);
    if (ahead->ready == NULL)
        return ahead->err;
    *segment = ahead->ready;
    ahead->ready = NULL;
    ahead->held = true;
    ahead->number = (*segment)->number + 1;
    ahead->size = size_wanted(journal);
    return ERR_OK;
}

void journal_ahead_go(struct journal *journal)
{
    journal->ahead.held = false;
    pthread_cond_broadcast(&journal->ahead.changed);
}

void journal_ahead_give(struct journal *journal, struct journal_segment *segment)
{
    if (journal->ahead.spare == NULL)
        journal->ahead.spare = segment;
    else
        journal_segment_remove(journal, &segment);
}
