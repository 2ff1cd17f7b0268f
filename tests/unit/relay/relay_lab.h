/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RELAY_RELAY_LAB_H
#define TESTS_UNIT_RELAY_RELAY_LAB_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include "smtp/relay/internal.h"

/*
 * A relay without a store, name servers and hosts: time stands still unless the test moves it,
 * calls to the store wait until the test answers them, connections are what the test says.
 * Functions of the loop, the store's client, routes and conversations are replaced by the
 * linker (--wrap, see smtp.cmake).
 */
enum { LAB_GROUP = 7, LAB_NODE = 3, LAB_CALLS_MAX = 4096, LAB_TIMERS_MAX = 4096 };

struct lab_call {
    uint64_t ticket; /* 0: free */
    Pr__Request *request;
    store_done *done;
    void *context;
};

struct lab_talk {
    struct list node;
    struct list all;
    struct site *site;
    bool ready;
    struct job *job;
};

extern struct relay_lab {
    uint64_t now_ms;
    uint64_t wall_ms; /* less now_ms */
    uint64_t tickets;
    struct lab_call calls[LAB_CALLS_MAX];
    struct list timers;
    struct list routes;
    struct list talks;
    void (*turn)(void *context);
    void *turn_context;
    bool held; /* the end of turns does not come */
    bool dead; /* connections cannot be made */
    struct relay *relay;
    struct retry_config retry;
    struct arena lab_arena;
} lab;

int lab_open(void **state);
int lab_close(void **state);
/* Moves time, and calls what is due on the way. */
void lab_run(uint64_t ms);
/* What comes at the end of each turn of the loop; routes are found before. */
void lab_turn(void);

/* ---- the store ---- */

unsigned lab_call_count(Pr__Request__CallCase what);
/* The oldest one; NULL: none. */
struct lab_call *lab_call(Pr__Request__CallCase what);
/* Of QueueWrite. */
struct lab_call *lab_write(Pr__QueueWrite__CommandCase what);
/* NULL: the store cannot be reached. */
void lab_answer(struct lab_call *call, Pr__Reply *reply);
void lab_answer_err(struct lab_call *call, enum err err);

/* That this node leads LAB_GROUP in the term; 0: it does not. */
void lab_lead(uint64_t term);
/* The next question for lanes is answered; waits for it up to a minute. */
void lab_lanes(size_t count, const char *const *domains, bool more);
/* The next question for what is in a lane. */
void lab_read(size_t count, Pr__QueueRecord *const *records, bool more);
/* Of one destination with one recipient; kept until lab_close(). */
Pr__QueueRecord *lab_record(uint64_t id, const char *domain);
/* The next lease that is asked for, or renewed: the first `count` items are granted. Returns
 * how many were asked for. */
size_t lab_grant(size_t count);
/* The next report is taken. Returns how many attempts it has. */
size_t lab_report_taken(void);

/* A lane of that domain with one message is found, read and leased. */
void lab_job(uint64_t id, const char *domain);

/* ---- connections ---- */

/* The oldest one that is not ready yet becomes so, and takes a job. NULL: none. */
struct lab_talk *lab_talk_ready(void);
unsigned lab_talk_count(void);
/* Its job is over, and it takes the next one, if there is one. */
void lab_talk_done(struct lab_talk *talk, enum relay_result result);
void lab_talk_end(struct lab_talk *talk);

/* Timers and connections that are left are no more. */
void lab_world_end(void);

#endif
