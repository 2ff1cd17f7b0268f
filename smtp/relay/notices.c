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

enum { PAUSE_MS = 5000 /* after one that could not be made */ };

struct notices {
    struct relay_group *group;
    struct list running;
    unsigned count;
    bool again;
    uint64_t not_before_ms;
    uint64_t read_call;
};

static struct notices *notices_of(struct relay_group *group)
{
    if (group->notices == NULL) {
        group->notices = calloc(1, sizeof(*group->notices));
        CHECK(group->notices != NULL);
        group->notices->group = group;
        list_init(&group->notices->running);
    }
    return group->notices;
}

void notices_free(struct notices **notices)
{
    if (*notices == NULL)
        return;
    CHECK((*notices)->count == 0 && (*notices)->read_call == 0);
    free(*notices);
    *notices = NULL;
}

void notice_job_end(struct notice_job *job, bool good)
{
    struct relay_group *group = job->group;
    struct notices *notices = group->notices;

    body_writer_free(&job->writer);
    list_remove(&job->node);
    notices->count--;
    group->relay->notice_count--;
    arena_fini(&job->notice_arena);
    buffer_fini(&job->text);
    free(job);
    if (!good)
        notices->not_before_ms = clock_monotonic_ms() + PAUSE_MS;
    if (notices->again || good)
        notices_due(group);
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

static void on_read(void *context, enum err err, const Pr__Reply *reply)
{
    struct notices *notices = context;
    struct relay_group *group = notices->group;

    notices->read_call = 0;
    notices->again = false;
    if (err == ERR_OK && reply->err == ERR_OK &&
        reply->answer_case == PR__REPLY__ANSWER_QUEUE_READ) {
        const Pr__QueueReadAnswer *answer = reply->queue_read;
        notices->again = answer->more;
        for (size_t i = 0; i < answer->n_messages && !group->relay->stopping; i++) {
            const Pr__QueueRecord *record = answer->messages[i];
            if (notices->count >= RELAY_NOTICES_MAX)
                notices->again = true;
            else if (record->envelope != NULL && !is_running(notices, record->id))
                start(notices, record);
        }
    }
    group_release(&group);
}

bool notices_due(struct relay_group *group)
{
    struct notices *notices = notices_of(group);
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;

    if (!group->led || group->relay->stopping || clock_monotonic_ms() < notices->not_before_ms)
        return true;
    if (notices->read_call != 0 || notices->count >= RELAY_NOTICES_MAX) {
        notices->again = true;
        return true;
    }
    read.group = group->number;
    read.lane = &lane;
    read.until_ms = clock_wall_ms();
    read.limit = 2 * RELAY_NOTICES_MAX;
    request.call_case = PR__REQUEST__CALL_QUEUE_READ;
    request.queue_read = &read;
    group_use(group);
    notices->read_call =
        store_call(group->relay->store, &request, RELAY_CALL_MS, on_read, notices);
    return true;
}
