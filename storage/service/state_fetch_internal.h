/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATE_FETCH_INTERNAL_H
#define STORAGE_SERVICE_STATE_FETCH_INTERNAL_H

#include "storage/service/pool_jobs.h"
#include "storage/service/state_fetch.h"
#include "storage/service/state_outrun.h"
#include "storage/transfer/sink.h"

/* What state_fetch.c (which, and when) and state_fetch_steps.c (one of them) share. */

/*
 * While `busy` a pool thread has the sink, `answer` and what follows `err`; also `packed` and
 * `question`, unless it writes. All else belongs to the loop. The next question is on its way
 * while the last answer is written: a running fetch has a job in the pool, or a call or a timer
 * before it, or both.
 */
struct state_fetch {
    struct state_fetch *next;
    struct state_fetches *owner;
    uint32_t group;
    uint64_t source;
    uint64_t index; /* at least */
    uint64_t begun_wall_ms;
    uint64_t begun_ms;
    bool running;
    bool stopping;
    struct rpc_client *rpc;
    uint64_t ticket;
    struct loop_timer *timer;
    unsigned tries;
    uint8_t seed[TRANSFER_SEED_SIZE];
    uint64_t session; /* 0: not opened */
    uint64_t step;
    struct transfer_sink_progress seen; /* after the last job */

    bool busy;
    struct transfer_sink *sink;
    bool marked;          /* the group is partial, on disk */
    struct buffer packed; /* the reply */
    struct buffer answer; /* out of it */
    struct buffer question;
    enum err err;  /* of this node's database, or of the copy */
    enum err said; /* by the source */
    bool more;     /* of the answer is to be written */
    bool done;
    bool ask; /* there is a question that has not gone out */

    bool answered;   /* the loop's: `packed` is to be taken when the answer before is written */
    enum err failed; /* the loop's: a call has, for good, while the pool was busy */
};

/* A group's rows on their way out. While a job is in the pool all of it is the job's. */
struct state_forget {
    struct state_forget *next;
    struct state_fetches *owner;
    uint32_t group;
    bool begun;
    bool more;
    enum err err;
};

struct state_fetches {
    struct service *service;
    struct state_forget *forgets;
    struct state_fetch *first; /* in the order in which they came */
    unsigned running;
    struct pool_jobs *jobs;
    uint64_t allowed_ns; /* when the next call may be made, by the rate */
    struct state_outrun outrun;
    char problem[200];
};

/* Opens the session at the source and goes on from there, to fetch_end(). */
void fetch_run(struct state_fetch *fetch);
/* Not while it is busy. Frees it; the replicator is told. */
void fetch_end(struct state_fetch *fetch, enum err err);

#endif
