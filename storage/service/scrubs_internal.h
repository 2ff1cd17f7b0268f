/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCRUBS_INTERNAL_H
#define STORAGE_SERVICE_SCRUBS_INTERNAL_H

#include "cluster.pb-c.h"
#include "storage/query/scrub.h"
#include "storage/service/pool_jobs.h"
#include "storage/service/scrubs.h"

/* Rows that are not the same here and there. */
enum { SCRUBS_DIFFERENCES_MAX = 32 };
struct row_difference {
    uint32_t group;
    enum db_table table;
    uint64_t node_id;
    uint64_t minority_node_id; /* 0: nobody knows */
};

struct rows_compare;

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

    uint64_t pause_ms;  /* before the next step */
    uint64_t from;      /* bodies of groups[group_at] that are done, when `scrub` begins */
    uint64_t noted_ms;  /* how far it is: when that was written last; 0: not yet */
    Pr__ScrubNote note; /* while it is being written */

    struct scrub *scrub; /* of groups[group_at] */
    struct scrub_counts seen;
    enum scrub_state state;
    enum err err;

    struct rows_compare *rows; /* of groups[group_at], behind its bodies */
    struct row_difference differences[SCRUBS_DIFFERENCES_MAX];
    unsigned difference_count;
    char problem[200];

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

/*
 * scrub_note.c: writes down how far the pass is. start(): in the pool, at most once a minute;
 * false: not yet, else `done` follows in the loop, and nothing moves before that. save(): at
 * once.
 */
bool scrub_note_start(struct scrubs *scrubs, void (*done)(void *context));
void scrub_note_save(struct scrubs *scrubs);
/* False: there is none that can be read. */
bool scrub_note_read(const struct service *service, Pr__ScrubNote *note);
/* What it counted, for who asks before another pass has begun. */
void scrub_note_counts(struct scrubs *scrubs, const Pr__ScrubNote *note);
/* The pass that has just begun is that one, gone on with. */
void scrub_note_resume(struct scrubs *scrubs, const Pr__ScrubNote *note);

/* Asks the other replicas in turn; then scrubs_go_on(). */
void scrub_repair_start(struct scrubs *scrubs);
void scrubs_go_on(struct scrubs *scrubs);

/* rows_compare.c: compares the group's rows with the other replicas'; then scrubs_rows_done(),
 * also at once. */
void rows_compare_start(struct scrubs *scrubs, uint32_t group);
void rows_compare_free(struct rows_compare **rows);
void scrubs_rows_done(struct scrubs *scrubs);
/* rows_found.c: the groups whose rows here are alone among three or more are fetched anew.
 * Returns how many. */
unsigned rows_repair(struct scrubs *scrubs);

#endif
