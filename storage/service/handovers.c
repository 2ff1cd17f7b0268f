/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/handovers.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/service/handover_follow.h"

/* One hand-over under way. With `owner` NULL nobody cares any more. */
struct push {
    struct push *next;
    struct handovers *owner;
    struct service *service;
    struct arena push_arena;
    struct query_handover handover;
    size_t bytes;
    size_t sent; /* entries */
    uint32_t source;
};

/* One look at the state, in a pool thread. */
struct look {
    struct handovers *owner;
    struct read_job job;
    uint64_t after;
    uint64_t under_way[HANDOVERS_UNDER_WAY_MAX];
    size_t under_way_count;
    uint32_t resting[HANDOVERS_RESTING_MAX];
    size_t resting_count;
    size_t room;
    size_t bytes_room;
    struct push *found; /* the newest first */
    bool end;           /* nothing behind what was seen */
};

struct handovers {
    struct service *service;
    uint32_t group;
    struct look *look;
    bool look_again;
    uint64_t after; /* the next look goes on behind it */
    struct push *pushes;
    size_t push_count;
    size_t push_bytes;
    struct {
        uint32_t group;
        uint64_t until_ms;
    } resting[HANDOVERS_RESTING_MAX];
};

struct handovers *handovers_new(struct service *service, uint32_t group)
{
    struct handovers *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->group = group;
    return made;
}

static void push_free(struct push *push)
{
    arena_fini(&push->push_arena);
    free(push);
}

void handovers_free(struct handovers **handovers)
{
    struct handovers *closing = *handovers;

    if (closing == NULL)
        return;
    *handovers = NULL;
    if (closing->look != NULL)
        closing->look->owner = NULL;
    for (struct push *push = closing->pushes; push != NULL; push = push->next)
        push->owner = NULL;
    free(closing);
}

/* ---- bringing one to its group ---- */

static void push_end(struct push *push)
{
    struct handovers *owner = push->owner;
    struct push **at = &owner->pushes;

    while (*at != push)
        at = &(*at)->next;
    *at = push->next;
    owner->push_count--;
    owner->push_bytes -= push->bytes;
    push_free(push);
    handovers_look(owner);
}

static void rest_target(struct handovers *owner, uint32_t group)
{
    uint64_t now_ms = clock_monotonic_ms();
    size_t at = 0;

    for (size_t i = 0; i < HANDOVERS_RESTING_MAX; i++) {
        if (owner->resting[i].group == group && owner->resting[i].until_ms > now_ms)
            return;
        if (owner->resting[i].until_ms < owner->resting[at].until_ms)
            at = i;
    }
    owner->resting[at].group = group;
    owner->resting[at].until_ms = now_ms + HANDOVERS_REST_MS;
}

/* It is found again by a later look. */
static void push_failed(struct push *push, enum err err, const char *what)
{
    log_warn(NULL, "a hand-over waits",
             LOG_FIELDS(LOG_U64("group", push->source), LOG_U64("to", push->handover.group),
                        LOG_U64("handover", push->handover.id), LOG_TEXT("step", what),
                        LOG_TEXT("error", err_name(err))));
    rest_target(push->owner, push->handover.group);
    push_end(push);
}

static void push_settled(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct push *push = context;

    (void)index;
    if (push->owner == NULL) {
        push_free(push);
        return;
    }
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err == ERR_OK || err == ERR_NOTFOUND)
        push_end(push);
    else
        push_failed(push, err, "done");
}

static void push_settle(struct push *push)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__HandoverDone done = PR__HANDOVER_DONE__INIT;

    done.handover_id = push->handover.id;
    command.call_case = PR__COMMAND__CALL_HANDOVER_DONE;
    command.handover_done = &done;
    write_start(push->service, push->source, &command, clock_monotonic_ms() + HANDOVERS_PUSH_MS,
                push_settled, push);
}

static void push_entry(struct push *push);

static void push_followed(void *context, enum err err)
{
    struct push *push = context;

    if (push->owner == NULL)
        push_free(push);
    else if (err == ERR_OK || err == ERR_NOTFOUND)
        push_settle(push);
    else
        push_failed(push, err, "follow");
}

static void push_sent(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct push *push = context;

    (void)index;
    if (push->owner == NULL) {
        push_free(push);
        return;
    }
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    bool is_delivery = push->sent + 1 == push->handover.entry_count;
    /* INVALID: the message was refused there under this id, before its sender found another
     * group to take it. */
    if (err == ERR_MOVED || err == ERR_CANCELLED || (err == ERR_INVALID && is_delivery)) {
        handover_follow(push->service, push->handover.group, push->handover.entries,
                        push->handover.entry_count, push_followed, push);
        return;
    }
    bool gone = err == ERR_NOTFOUND; /* the accounts: nothing is left to hand over */
    if (err != ERR_OK && !gone) {
        push_failed(push, err, "push");
        return;
    }
    push->sent++;
    if (gone || push->sent == push->handover.entry_count)
        push_settle(push);
    else
        push_entry(push);
}

static void push_entry(struct push *push)
{
    write_entry(push->service, push->handover.group, push->handover.entries[push->sent],
                BYTES(""), clock_monotonic_ms() + HANDOVERS_PUSH_MS, push_sent, push);
}

/* ---- finding them ---- */

static bool is_among(const struct look *look, const struct query_handover *handover)
{
    for (size_t i = 0; i < look->under_way_count; i++)
        if (look->under_way[i] == handover->id)
            return true;
    for (size_t i = 0; i < look->resting_count; i++)
        if (look->resting[i] == handover->group)
            return true;
    return false;
}

/* In a pool thread. */
static void look_work(struct read_job *job, struct db_txn *txn)
{
    struct look *look = job->context;

    for (unsigned rows = 0; rows < HANDOVERS_ROWS_MAX && look->room > 0; rows++) {
        struct push *push = calloc(1, sizeof(*push));
        CHECK(push != NULL);
        arena_init(&push->push_arena);
        push->handover.now_ms = clock_wall_ms();
        if (!query_handover_next(txn, job->group, look->after, &push->push_arena,
                                 &push->handover)) {
            look->end = true;
            push_free(push);
            return;
        }
        if (is_among(look, &push->handover) || push->handover.entry_count == 0) {
            look->after = push->handover.id;
            push_free(push);
            continue;
        }
        for (size_t i = 0; i < push->handover.entry_count; i++)
            push->bytes += push->handover.entries[i].len;
        if (push->bytes > look->bytes_room) {
            push_free(push);
            return; /* a later look begins with it */
        }
        look->after = push->handover.id;
        look->bytes_room -= push->bytes;
        look->room--;
        push->next = look->found;
        look->found = push;
    }
}

static void look_drop(struct look *look)
{
    struct push *next;

    for (struct push *push = look->found; push != NULL; push = next) {
        next = push->next;
        push_free(push);
    }
    free(look);
}

static void look_done(struct read_job *job, enum err err, uint64_t index)
{
    struct look *look = job->context;
    struct handovers *owner = look->owner;

    (void)index;
    if (owner == NULL) {
        look_drop(look);
        return;
    }
    owner->look = NULL;
    owner->after = look->end ? 0 : look->after;
    bool more = err == ERR_OK && !look->end && look->found != NULL;
    while (err == ERR_OK && look->found != NULL) {
        struct push *push = look->found;
        look->found = push->next;
        push->owner = owner;
        push->service = owner->service;
        push->source = owner->group;
        push->next = owner->pushes;
        owner->pushes = push;
        owner->push_count++;
        owner->push_bytes += push->bytes;
        push_entry(push);
    }
    look_drop(look);
    if (owner->look_again || more) {
        owner->look_again = false;
        handovers_look(owner);
    }
}

/* Single large ones go alone. */
static size_t bytes_room(const struct handovers *handovers)
{
    if (handovers->push_count == 0)
        return SIZE_MAX;
    return handovers->push_bytes < HANDOVERS_BYTES_MAX
               ? HANDOVERS_BYTES_MAX - handovers->push_bytes
               : 0;
}

void handovers_look(struct handovers *handovers)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (handovers->look != NULL) {
        handovers->look_again = true;
        return;
    }
    if (handovers->push_count >= HANDOVERS_UNDER_WAY_MAX || bytes_room(handovers) == 0 ||
        replicator_leader(handovers->service->replicator, handovers->group) !=
            service_self(handovers->service))
        return;
    struct look *look = calloc(1, sizeof(*look));
    CHECK(look != NULL);
    look->owner = handovers;
    look->after = handovers->after;
    look->room = HANDOVERS_UNDER_WAY_MAX - handovers->push_count;
    look->bytes_room = bytes_room(handovers);
    for (const struct push *push = handovers->pushes; push != NULL; push = push->next)
        look->under_way[look->under_way_count++] = push->handover.id;
    for (size_t i = 0; i < HANDOVERS_RESTING_MAX; i++)
        if (handovers->resting[i].until_ms > now_ms)
            look->resting[look->resting_count++] = handovers->resting[i].group;
    look->job = (struct read_job){
        .service = handovers->service,
        .group = handovers->group,
        .deadline_ms = now_ms + HANDOVERS_PUSH_MS,
        .work = look_work,
        .done = look_done,
        .context = look,
    };
    handovers->look = look;
    read_start(&look->job);
}
