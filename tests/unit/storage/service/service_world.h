/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_SERVICE_WORLD_H
#define TESTS_UNIT_STORAGE_SERVICE_SERVICE_WORLD_H

#include "storage/service/service.h"
#include "tests/unit/storage/lab.h"

/*
 * What stands around a part of the service: one state with all groups, which this node leads,
 * and a loop whose clock moves only when nothing else is left to do. Commands are carried out
 * by the real machine, questions read the real tables, each at its turn; what a test says
 * happens to a command on its way.
 */
enum world_fate {
    WORLD_APPLIED,
    WORLD_LOST,    /* no majority: it never takes effect */
    WORLD_UNKNOWN, /* it takes effect, but its answer is lost */
};

struct service_world {
    struct lab *lab;
    struct service service;
    uint64_t now_ms; /* monotonic */
    unsigned writes; /* commands so far */
    bool reads_fail; /* no majority */
    unsigned undelete_days;
    /* NULL: all are applied. */
    enum world_fate (*fate)(struct service_world *world, uint32_t group,
                            const Pr__Command *command);
    void *context; /* the test's */
    Pr__Command__CallCase calls[256];
    uint32_t groups[256];
};
extern struct service_world world;

void world_begin(struct lab *lab);
void world_end(void);
/* Carries out one thing; lets time pass to the next timer when nothing else is there, but not
 * beyond `until_ms`. False: nothing is left. */
bool world_step(uint64_t until_ms);
/* Everything up to that time, which it is then. */
void world_run(uint64_t until_ms);
/* Forgets which commands there were. */
void world_calls_forget(void);

#endif
