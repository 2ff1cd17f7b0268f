/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCRUBS_INTERNAL_H
#define STORAGE_SERVICE_SCRUBS_INTERNAL_H

#include "storage/query/scrub.h"
#include "storage/service/pool_jobs.h"
#include "storage/service/scrubs.h"

/*
 * What scrubs.c (which group, and when) and scrub_repair.c (a body that is damaged) share.
 * While a job is in the pool its fields (`scrub`, `state`, `err`, `repair`, `packed`,
 * `outcome`) belong to it.
 */
struct scrubs {
    struct service *service;
    struct pool_jobs *jobs;
    struct loop_timer *timer; /* the next step, or the next pass */
    bool running;
    bool busy;    /* a job is in the pool, or a call under way */
    bool hurried; /* an operator waits */
    uint64_t begun_wall_ms;
    uint64_t ended_wall_ms;
    uint32_t *groups; /* of this pass */
    unsigned group_count;
    unsigned group_at;
    Pr__StorageCheckAnswer counts; /* only its numbers */

    struct scrub *scrub; /* of groups[group_at] */
    struct scrub_counts seen;
    enum scrub_state state;
    enum err err;

    uint64_t blob; /* that is repaired */
    struct scrub_repair *repair;
    unsigned turn;    /* how many replicas were asked */
    uint64_t node_id; /* that is asked */
    uint64_t ticket;
    struct buffer packed;
    bool whole; /* all blocks have come */
    bool useless;
    enum scrub_outcome outcome;
};

/* Asks the other replicas in turn; then scrubs_go_on(). */
void scrub_repair_start(struct scrubs *scrubs);
void scrubs_go_on(struct scrubs *scrubs);

#endif
