/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"

static uint64_t job_hash(const struct relay_group *group, const Pr__QueueRecord *record)
{
    const uint64_t key[3] = {htobe64(group->number), htobe64(record->id),
                             htobe64(record->destinations[0]->number)};

    return relay_hash(group->relay, bytes_from(key, sizeof(key)));
}

struct job *job_new(struct relay_group *group, struct site *site, const Pr__QueueRecord *record)
{
    struct relay *relay = group->relay;
    uint64_t hash = job_hash(group, record);
    struct buffer packed = BUFFER_EMPTY;
    struct job *job;

    if (map_get(&relay->jobs, hash) != NULL)
        return NULL;
    job = calloc(1, sizeof(*job));
    CHECK(job != NULL);
    job->hash = hash;
    job->group = group;
    job->site = site;
    list_init(&job->node);
    list_init(&job->lease_node);
    list_init(&job->lane_node);
    arena_init(&job->job_arena);
    ProtobufCAllocator allocator = arena_allocator(&job->job_arena);
    message_pack(&record->base, &packed);
    job->record = pr__queue_record__unpack(&allocator, buffer_bytes(&packed).len,
                                           buffer_bytes(&packed).at);
    buffer_fini(&packed);
    CHECK(job->record != NULL);
    job->destination = job->record->destinations[0];
    pr__queue_attempt__init(&job->attempt);
    group_use(group);
    map_put(&relay->jobs, hash, job);
    relay->job_count++;
    return job;
}

void job_free(struct job **job)
{
    struct job *ending = *job;

    *job = NULL;
    list_remove(&ending->node);
    lane_job_gone(ending);
    lease_leave(ending);
    map_remove(&ending->group->relay->jobs, ending->hash);
    ending->group->relay->job_count--;
    group_release(&ending->group);
    arena_fini(&ending->job_arena);
    free(ending);
}

void jobs_free(struct relay *relay)
{
    size_t at = 0;
    uint64_t hash;
    void *context;

    while (map_next(&relay->jobs, &at, &hash, &context)) {
        struct job *job = context;
        job_free(&job);
    }
}
