/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_PEOPLE_H
#define TESTS_SIM_PEOPLE_H

/*
 * People who use a cluster through its front ends: letters that are sent to accounts, and
 * visitors who are logged in to them and go from node to node; and whether what they are told
 * can be true. Nothing here knows of groups or leaders, but for what people.c asks operators
 * to do. Everything that is begun, ended or seen has a moment, a number that only grows.
 */
#include "tests/sim/service.h"

enum { VISITORS = 8 };
#define LATER UINT64_MAX /* a moment that has not come */

enum letter_state {
    LETTER_OPEN,
    LETTER_DONE,   /* is in the first account, and will be with the others */
    LETTER_NEVER,  /* was refused, and for good */
    LETTER_UNKNOWN /* nobody asks any more */
};

/* Its number is told by its size, so whoever sees it knows which it is. */
struct letter {
    uint64_t number;
    unsigned recipients; /* bits, from account 1 on */
    unsigned first;      /* the account whose group takes it */
    enum letter_state state;
    uint64_t begun_ms; /* of virtual time */
    uint64_t begun;
    uint64_t ended;
    uint32_t uids[ACCOUNTS + 1]; /* where it was seen */
};

struct message {
    uint64_t letter; /* 0: nobody has seen it */
    bool removing;   /* somebody wanted it to go */
    uint64_t gone;   /* the moment since when it is */
};

/* A number that never falls. */
struct floor {
    uint64_t at;
    uint64_t value;
};

/* What an inbox was at a modseq. */
struct state {
    uint64_t modseq;
    uint64_t digest;
};

struct inbox {
    struct message *messages; /* of uid n + 1 */
    unsigned message_room;
    struct floor *floors;
    unsigned floor_count;
    unsigned floor_room;
    struct state *states; /* by modseq */
    unsigned state_count;
    unsigned state_room;
};

/* A message as a visitor's session has it. */
struct seen {
    uint32_t uid;
    uint64_t flags;
    uint64_t modseq;
    uint64_t letter;
};

struct view {
    unsigned account;
    uint64_t modseq; /* the highest */
    uint64_t floor;  /* what this session has been shown, or told of its own writes */
    struct seen *seen;
    unsigned count;
    unsigned room;
};

struct visitor {
    struct world *world;
    unsigned number;
    unsigned node;
    uint64_t session; /* 0: not logged in */
    uint32_t mailbox;
    bool busy;
    uint64_t begun; /* of the call under way */
    bool fresh;
    uint64_t told; /* modseq */
    struct letter *letter;
    uint32_t uids[8];
    unsigned uid_count;
    struct view view;
};

struct people {
    uint64_t moment;
    uint64_t calm_from_ms; /* nothing is refused from here on */
    struct letter **letters;
    unsigned letter_count;
    unsigned letter_room;
    struct inbox inboxes[ACCOUNTS + 1];
    struct visitor visitors[VISITORS];
};

char *people_address(struct arena *arena, unsigned account); /* from 1 */

/* ---- people.c ---- */

void people_init(struct world *world);
void people_fini(struct world *world);
void people_begin(struct world *world);
/* Nothing new is begun any more. */
bool people_rest(const struct world *world);

/* ---- service_run.c ---- */

/* The cluster stands: from here on there are faults. */
void people_world_begin(struct world *world);

/* ---- letters.c ---- */

void letter_send(struct world *world);
/* Of one account, by a visitor who adds it himself. */
struct letter *letter_new(struct world *world, unsigned recipients, unsigned first);
Pr__Body *letter_body(struct world *world, const struct letter *letter, bool blocks,
                      struct arena *arena);
/* An id for a request, made on that node. 16 bytes in `arena`. */
ProtobufCBinaryData letter_request_id(struct world *world, unsigned node, struct arena *arena);
/* Whether the answer to a call that was made once is certain never to take effect. */
bool letter_never(const Pr__Reply *reply);
void letter_end(struct world *world, struct letter *letter, enum letter_state state);

/* ---- visitors.c ---- */

void visitor_begin(struct world *world, unsigned number);
void visitor_session_lost(struct visitor *visitor);

/* ---- told.c ---- */

void watch_begin(struct world *world, unsigned node);
/* Each session that is still there was told of all that happened. */
void visitors_check_end(struct world *world);

/* ---- views.c ---- */

uint64_t people_moment(struct world *world);
struct message *inbox_message(struct inbox *inbox, uint32_t uid);
void inbox_raise(struct world *world, unsigned account, uint64_t modseq);
uint64_t inbox_floor(const struct inbox *inbox, uint64_t before);
void view_clear(struct view *view);
void view_apply(struct world *world, struct view *view, const Pr__ChangesAnswer *answer);
/* All changes have been taken in, for somebody who asked at `begun`. */
void view_check(struct world *world, struct view *view, uint64_t begun, bool fresh);
/* Each letter is where it must be. `views` are of all accounts, from 1. */
void letters_check_end(struct world *world, const struct view *views);

#endif
