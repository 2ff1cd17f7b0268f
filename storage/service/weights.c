/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/weights.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/map.h"
#include "storage/schema/entry.h"
#include "storage/service/pool_jobs.h"
#include "storage/service/weight_estimate.h"

/* Between one look at all groups and the next: a hundred times as long as it took, within this.
 */
#define PAUSE_LEAST_MS 10000
#define PAUSE_MOST_MS 600000
#define FIRST_MS 2000 /* after the start */
#define BREATH_MS 100 /* between some groups and the next ones */
enum { GROUPS_AT_ONCE = 4, PAUSE_SHARE = 100 };

/* While a job is in the pool all but `known` belongs to it. */
struct weights {
    struct service *service;
    struct pool_jobs *jobs;
    struct loop_timer *timer;
    struct map known; /* group -> bytes */
    uint32_t *groups; /* of this look */
    uint64_t *found;  /* what each weighs */
    unsigned count;
    unsigned at;
    uint64_t took_ns; /* in the pool */
    struct weight_pages pages[SERVICE_LANES_MAX];
};

/* Where a mail group's rows lie; the directory's are pages of tables of their own. */
static unsigned lane_of(const struct weights *weights, uint32_t group)
{
    unsigned lane = 0;

    while (weights->service->lanes[lane] != service_db(weights->service, group))
        lane++;
    return lane;
}

static void look(void *context)
{
    struct weights *weights = context;
    uint64_t begun_ns = clock_monotonic_ns();

    for (unsigned n = 0; n < GROUPS_AT_ONCE && weights->at < weights->count; n++) {
        uint32_t group = weights->groups[weights->at];
        struct db_txn *txn = db_read_begin(service_db(weights->service, group));
        /* A group without mail has rows of its own: nothing weighs nothing. */
        weights->found[weights->at++] = weight_estimate(txn, group).bytes + WEIGHT_ROW_BYTES;
        db_abort(&txn);
    }
    for (unsigned lane = 0;
         weights->at == weights->count && lane < weights->service->lane_count; lane++)
        weights->pages[lane] = weight_pages(weights->service->lanes[lane]);
    weights->took_ns += clock_monotonic_ns() - begun_ns;
}

static void known_clear(struct weights *weights)
{
    size_t at = 0;
    uint64_t group = 0;
    void *bytes = NULL;

    while (map_next(&weights->known, &at, &group, &bytes))
        free(bytes);
    map_fini(&weights->known);
    map_init(&weights->known);
}

static void known_fill(struct weights *weights)
{
    uint64_t sums[SERVICE_LANES_MAX] = {0};

    known_clear(weights);
    for (unsigned i = 0; i < weights->count; i++)
        sums[lane_of(weights, weights->groups[i])] += weights->found[i];
    for (unsigned i = 0; i < weights->count; i++) {
        unsigned lane = lane_of(weights, weights->groups[i]);
        const struct weight_pages *pages = &weights->pages[lane];
        uint64_t *bytes = malloc(sizeof(*bytes));
        CHECK(bytes != NULL);
        *bytes = weights->groups[i] == DIRECTORY_GROUP
                     ? pages->directory
                     : weight_share(pages->mail, weights->found[i], sums[lane]);
        map_put(&weights->known, weights->groups[i], bytes);
    }
}

static void go_on(void *context);

static uint64_t pause_ms(const struct weights *weights)
{
    uint64_t ms = weights->took_ns * PAUSE_SHARE / 1000000;

    if (ms < PAUSE_LEAST_MS)
        return PAUSE_LEAST_MS;
    return ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS;
}

static void looked(void *context)
{
    struct weights *weights = context;
    bool more = weights->at < weights->count;

    if (!more)
        known_fill(weights);
    weights->timer = loop_timer_start(weights->service->loop,
                                      more ? BREATH_MS : pause_ms(weights), 0, go_on, weights);
}

/* The replicas that have rows here. */
static void begin(struct weights *weights)
{
    struct replicator *replicator = weights->service->replicator;
    unsigned room = replicator_groups(replicator, NULL, 0);
    uint32_t *groups = calloc((size_t)room + 1, sizeof(*groups));

    free(weights->groups);
    free(weights->found);
    weights->groups = groups;
    weights->found = calloc((size_t)room + 1, sizeof(*weights->found));
    CHECK(groups != NULL && weights->found != NULL);
    weights->at = weights->count = 0;
    weights->took_ns = 0;
    replicator_groups(replicator, groups, room);
    for (unsigned i = 0; i < room; i++)
        if (service_state(weights->service, groups[i]) != MACHINE_NONE)
            groups[weights->count++] = groups[i];
}

static void go_on(void *context)
{
    struct weights *weights = context;

    weights->timer = NULL;
    if (weights->at == weights->count)
        begin(weights);
    pool_jobs_run(weights->jobs, look, looked, weights);
}

struct weights *weights_new(struct service *service)
{
    struct weights *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->jobs = pool_jobs_new(service->loop);
    map_init(&made->known);
    made->timer = loop_timer_start(service->loop, FIRST_MS, 0, go_on, made);
    return made;
}

void weights_free(struct weights **weights)
{
    struct weights *ending = *weights;

    if (ending == NULL)
        return;
    *weights = NULL;
    loop_timer_stop(&ending->timer);
    pool_jobs_end(&ending->jobs);
    known_clear(ending);
    map_fini(&ending->known);
    free(ending->groups);
    free(ending->found);
    free(ending);
}

uint64_t weights_bytes(const struct weights *weights, uint32_t group)
{
    const uint64_t *bytes = weights != NULL ? map_get(&weights->known, group) : NULL;

    return bytes != NULL ? *bytes : 0;
}
