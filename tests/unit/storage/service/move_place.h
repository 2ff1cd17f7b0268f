/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_MOVE_PLACE_H
#define TESTS_UNIT_STORAGE_SERVICE_MOVE_PLACE_H

#include "storage/service/moves.h"
#include "tests/unit/storage/moving.h"
#include "tests/unit/storage/service/service_world.h"

enum {
    PLACE_MESSAGES = 40,
    PLACE_LEADERS = 2, /* of the group that is left, and of the one that is gone to */
    PLACE_LONG_MS = 60000,
};

/* An account with mail, and who leads both groups. */
struct place {
    struct model model;
    uint64_t account;
    uint32_t from;
    uint32_t to;
    struct moves *leaders[PLACE_LEADERS];
    unsigned delivered;
    /* Of a fate: the write of that number is the leader's last. */
    unsigned last_write;
    enum world_fate last_fate;
    bool died;
};

struct place *place_new(void);
void place_free(struct place *place);
struct lab *place_lab(struct place *place);

/* A message for the account, to that group. */
enum err place_deliver(struct place *place, uint32_t group);
/* Asks the directory to move it. */
void place_ask(struct place *place);

void place_lead_begin(struct place *place);
void place_lead_end(struct place *place);
/* Lets the leaders do what they do unasked. */
void place_lead(struct place *place, uint64_t until_ms);

struct move_truth place_truth(struct place *place);
bool place_moves_in(struct place *place, uint32_t group);
uint64_t place_messages(struct place *place, uint32_t group);
/* Nothing of the move is left, and the account is in that group with all of its mail. */
void place_expect_settled(struct place *place, uint32_t group);

#endif
