/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What senders are owed: of each message that waits in the lane of notices, one notice to each
 * return address that has recipients to hear of. Its delivery id follows from the record, so
 * that whoever makes it again, after a crash, makes nothing new.
 */
#include "smtp/relay/notices.h"

#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"

enum {
    PAUSE_MS = 5000,       /* after one that could not be made, doubled each time */
    PAUSE_MAX_MS = 640000, /* a message's */
    FAILED_MAX = 1000,     /* that are remembered */
};

/* Notices lie in a lane of each class and tenant. */
struct notice_lane {
    struct list node;
    Pr__QueueClass class;
    uint64_t tenant_id;
    uint64_t after_due_ms; /* what has been read */
    uint64_t after_id;
    bool again; /* from the start, when it has been read */
};

/* A message whose notice could not be made: it stays in front of its lane, and others have
 * their turn meanwhile. */
struct failed {
    unsigned times;
    uint64_t not_before_ms;
};

struct notices {
    struct relay_group *group;
    struct list running;
    unsigned count;
    struct list lanes; /* that are to be read, in turns */
    unsigned lane_count;
    struct notice_lane *reading; /* NULL: none */
    struct map failed;           /* by message */
    uint64_t not_before_ms;
    uint64_t read_call;
};

static void step(struct notices *notices);

static struct notices *notices_of(struct relay_group *group)
{
    if (group->notices == NULL) {
        group->notices = calloc(1, sizeof(*group->notices));
        CHECK(group->notices != NULL);
        group->notices->group = group;
        list_init(&group->notices->running);
        list_init(&group->notices->lanes);
        map_init(&group->notices->failed);
    }
    return group->notices;
}

/* ---- what cannot be made ---- */

/* Of those that were due again before that. */
static void failed_forget(struct notices *notices, uint64_t before_ms)
{
    size_t at = 0;
    uint64_t id;
    void *failed;

    while (map_next(&notices->failed, &at, &id, &failed)) {
        if (((struct failed *)failed)->not_before_ms >= before_ms)
            continue;
        free(failed);
        map_remove(&notices->failed, id);
    }
}

static void job_failed(struct notices *notices, uint64_t id)
{
    struct failed *failed = map_get(&notices->failed, id);
    uint64_t now_ms = clock_monotonic_ms();

    if (failed == NULL && notices->failed.count >= FAILED_MAX) {
        notices->not_before_ms = now_ms + PAUSE_MS;
        return;
    }
    if (failed == NULL) {
        failed = calloc(1, sizeof(*failed));
        CHECK(failed != NULL);
        map_put(&notices->failed, id, failed);
    }
    uint64_t pause_ms = (uint64_t)PAUSE_MS << failed->times;
    failed->times += pause_ms < PAUSE_MAX_MS;
    failed->not_before_ms = now_ms + pause_ms;
}

static bool is_paused(const struct notices *notices, uint64_t id)
{
    const struct failed *failed = map_get(&notices->failed, id);

    return failed != NULL && clock_monotonic_ms() < failed->not_before_ms;
}

/* ---- life ---- */

void notices_free(struct notices **notices)
{
    if (*notices == NULL)
        return;
    CHECK((*notices)->count == 0 && (*notices)->read_call == 0);
    for (struct list *node; (node = list_take(&(*notices)->lanes)) != NULL;)
        free(LIST_ENTRY(node, struct notice_lane, node));
    failed_forget(*notices, UINT64_MAX);
    map_fini(&(*notices)->failed);
    free(*notices);
    *notices = NULL;
}

static struct notice_lane *lane_find(struct notices *notices, Pr__QueueClass class,
                                     uint64_t tenant_id)
{
    struct notice_lane *lane = notices->reading;

    if (lane != NULL && lane->class == class && lane->tenant_id == tenant_id)
        return lane;
    for (struct list *at = notices->lanes.next; at != &notices->lanes; at = at->next) {
        lane = LIST_ENTRY(at, struct notice_lane, node);
        if (lane->class == class && lane->tenant_id == tenant_id)
            return lane;
    }
    return NULL;
}

static void lane_append(struct notices *notices, struct notice_lane *lane)
{
    list_append(&notices->lanes, &lane->node);
    notices->lane_count++;
}

/* From its start, though it may be under way. */
static void lane_want(struct notices *notices, Pr__QueueClass class, uint64_t tenant_id)
{
    struct notice_lane *lane = lane_find(notices, class, tenant_id);

    if (lane != NULL) {
        lane->again = lane == notices->reading || lane->after_id != 0;
        return;
    }
    if (notices->lane_count >= RELAY_NOTICE_LANES_MAX) {
        look_left(notices->group);
        return;
    }
    lane = calloc(1, sizeof(*lane));
    CHECK(lane != NULL);
    lane->class = class;
    lane->tenant_id = tenant_id;
    list_init(&lane->node);
    lane_append(notices, lane);
}

/* Of one message there may be another one to make, to another return address. */
void notice_job_end(struct notice_job *job, bool good)
{
    struct relay_group *group = job->group;
    struct notices *notices = group->notices;

    if (good) {
        free(map_remove(&notices->failed, job->record->id));
        lane_want(notices, job->record->class_, job->record->tenant_id);
    } else { /* a look finds it again */
        job_failed(notices, job->record->id);
    }
    body_writer_free(&job->writer);
    list_remove(&job->node);
    notices->count--;
    group->relay->notice_count--;
    arena_fini(&job->notice_arena);
    buffer_fini(&job->text);
    free(job);
    step(notices);
    group_release(&group);
}

/* ---- which ones ---- */

static bool is_running(const struct notices *notices, uint64_t id)
{
    for (struct list *at = notices->running.next; at != &notices->running; at = at->next)
        if (LIST_ENTRY(at, struct notice_job, node)->record->id == id)
            return true;
    return false;
}

/* Recipients with the return address of the first; false when nothing is owed. */
static bool part_make(struct notice_job *job)
{
    const Pr__QueueRecord *record = job->record;

    job->part = arena_alloc(&job->notice_arena, record->n_recipients * sizeof(*job->part));
    for (size_t i = 0; i < record->n_recipients; i++) {
        Pr__QueueRecipient *recipient = record->recipients[i];
        struct bytes sender = recipient_sender(record, recipient);
        if (!recipient->tell || (job->part_count > 0 && !bytes_equal(sender, job->sender)))
            continue;
        job->sender = sender;
        job->part[job->part_count++] = recipient;
    }
    return job->part_count > 0;
}

static struct request_id id_make(const struct notice_job *job)
{
    const uint64_t key[3] = {htobe64(job->group->number), htobe64(job->record->id),
                             htobe64(job->record->notices)};
    uint8_t digest[crypto_generichash_BYTES_MIN];
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    crypto_generichash_update(&state, (const uint8_t *)key, sizeof(key));
    crypto_generichash_update(&state, job->sender.at, job->sender.len);
    crypto_generichash_final(&state, digest, sizeof(digest));
    return request_id_make(job->record->notice_ms, digest);
}

static void start(struct notices *notices, const Pr__QueueRecord *record)
{
    struct notice_job *job = calloc(1, sizeof(*job));
    struct buffer packed = BUFFER_EMPTY;

    CHECK(job != NULL);
    arena_init(&job->notice_arena);
    buffer_init(&job->text);
    list_init(&job->node);
    job->group = notices->group;
    group_use(job->group);
    ProtobufCAllocator allocator = arena_allocator(&job->notice_arena);
    message_pack(&record->base, &packed);
    job->record = pr__queue_record__unpack(&allocator, buffer_bytes(&packed).len,
                                           buffer_bytes(&packed).at);
    buffer_fini(&packed);
    CHECK(job->record != NULL);
    list_append(&notices->running, &job->node);
    notices->count++;
    notices->group->relay->notice_count++;
    if (!part_make(job)) {
        notice_job_end(job, false);
        return;
    }
    job->id = id_make(job);
    notice_job_run(job);
}

/* Returns whether all of them have had their turn. */
static bool records_take(struct notices *notices, const Pr__QueueReadAnswer *answer)
{
    struct notice_lane *lane = notices->reading;

    for (size_t i = 0; i < answer->n_messages; i++) {
        const Pr__QueueRecord *record = answer->messages[i];
        if (notices->group->relay->stopping || notices->count >= RELAY_NOTICES_MAX)
            return false;
        lane->after_due_ms = record->notice_ms;
        lane->after_id = record->id;
        if (record->envelope != NULL && !is_running(notices, record->id) &&
            !is_paused(notices, record->id))
            start(notices, record);
    }
    return !answer->more;
}

static void on_read(void *context, enum err err, const Pr__Reply *reply)
{
    struct notices *notices = context;
    struct relay_group *group = notices->group;
    struct notice_lane *lane = notices->reading;
    bool good = err == ERR_OK && reply->err == ERR_OK &&
                reply->answer_case == PR__REPLY__ANSWER_QUEUE_READ;

    notices->read_call = 0;
    bool all = good && records_take(notices, reply->queue_read);
    notices->reading = NULL;
    if (all && lane->again) {
        lane->again = false;
        lane->after_id = lane->after_due_ms = 0;
        all = false;
    }
    if (good && !all) {
        lane_append(notices, lane);
    } else { /* a look finds it again */
        free(lane);
    }
    step(notices);
    group_release(&group);
}

static void read_next(struct notices *notices)
{
    struct relay_group *group = notices->group;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    Pr__QueueItem after = PR__QUEUE_ITEM__INIT;

    notices->reading = LIST_ENTRY(list_take(&notices->lanes), struct notice_lane, node);
    notices->lane_count--;
    lane.class_ = notices->reading->class;
    lane.tenant_id = notices->reading->tenant_id;
    read.group = group->number;
    read.lane = &lane;
    after.id = notices->reading->after_id;
    read.after_due_ms = notices->reading->after_due_ms;
    read.after = after.id != 0 ? &after : NULL;
    read.until_ms = clock_wall_ms();
    read.limit = 2 * RELAY_NOTICES_MAX;
    request.call_case = PR__REQUEST__CALL_QUEUE_READ;
    request.queue_read = &read;
    group_use(group);
    notices->read_call =
        store_call(group->relay->store, &request, RELAY_CALL_MS, on_read, notices);
}

static void step(struct notices *notices)
{
    const struct relay_group *group = notices->group;

    if (group->led && !group->relay->stopping && notices->reading == NULL &&
        notices->count < RELAY_NOTICES_MAX && !list_is_empty(&notices->lanes) &&
        clock_monotonic_ms() >= notices->not_before_ms)
        read_next(notices);
}

void notices_due(struct relay_group *group, const Pr__QueueLane *lane)
{
    lane_want(notices_of(group), lane->class_, lane->tenant_id);
    step(group->notices);
}

void notices_tick(struct relay_group *group)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (group->notices == NULL)
        return;
    if (now_ms > 2 * PAUSE_MAX_MS)
        failed_forget(group->notices, now_ms - 2 * PAUSE_MAX_MS);
    step(group->notices);
}
