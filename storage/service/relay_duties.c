/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/relay_duties.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"

/* A mail group that this node leads. */
struct duty {
    uint64_t term;
    uint64_t changes;
};

struct wait {
    struct wait *next;
    struct service_call *call;
    struct loop_timer *deadline;
};

struct relay_duties {
    struct service *service;
    struct map groups; /* struct duty by group */
    uint64_t version;  /* of that; never 0 */
    struct wait *first;
};

struct relay_duties *relay_duties_new(struct service *service)
{
    struct relay_duties *duties = calloc(1, sizeof(*duties));

    CHECK(duties != NULL);
    duties->service = service;
    map_init(&duties->groups);
    randombytes_buf(&duties->version, sizeof(duties->version));
    duties->version += duties->version == 0;
    return duties;
}

/* Takes the call at `*at` out of those that wait. */
static struct service_call *wait_end(struct wait **at)
{
    struct wait *wait = *at;
    struct service_call *call = wait->call;

    *at = wait->next;
    loop_timer_stop(&wait->deadline);
    free(wait);
    return call;
}

void relay_duties_free(struct relay_duties **duties)
{
    struct relay_duties *closing = *duties;
    size_t at = 0;
    uint64_t group;
    void *duty;

    if (closing == NULL)
        return;
    *duties = NULL;
    while (closing->first != NULL)
        call_fail(wait_end(&closing->first), ERR_CLOSED, NULL);
    while (map_next(&closing->groups, &at, &group, &duty))
        free(duty);
    map_fini(&closing->groups);
    free(closing);
}

/* ---- answers ---- */

static void answer(struct relay_duties *duties, struct service_call *call)
{
    struct arena *arena = &call->call_arena;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__RelayDutiesAnswer told = PR__RELAY_DUTIES_ANSWER__INIT;
    size_t at = 0;
    uint64_t group;
    void *value;

    told.version = duties->version;
    told.node_id = service_self(duties->service);
    told.groups = arena_alloc(arena, duties->groups.count * sizeof(*told.groups));
    while (map_next(&duties->groups, &at, &group, &value)) {
        const struct duty *duty = value;
        Pr__RelayDuty *one = arena_alloc(arena, sizeof(*one));
        pr__relay_duty__init(one);
        one->group = (uint32_t)group;
        one->term = duty->term;
        one->changes = duty->changes;
        told.groups[told.n_groups++] = one;
    }
    reply.answer_case = PR__REPLY__ANSWER_RELAY_DUTIES;
    reply.relay_duties = &told;
    call_reply(call, &reply);
}

static void tell(struct relay_duties *duties)
{
    duties->version++;
    duties->version += duties->version == 0;
    while (duties->first != NULL)
        answer(duties, wait_end(&duties->first));
}

/* ---- what changes ---- */

/* The term that this node leads the group in; 0: it does not. */
static uint64_t term_of(const struct service *service, uint32_t group)
{
    struct replicator_status status;
    uint64_t leader = replicator_leader(service->replicator, group);

    if (group == DIRECTORY_GROUP || leader == 0 || leader != service_self(service) ||
        !replicator_status(service->replicator, group, &status))
        return 0;
    return status.term;
}

/* True: it is not as it was. */
static bool look(struct relay_duties *duties, uint32_t group)
{
    struct duty *duty = map_get(&duties->groups, group);
    uint64_t term = term_of(duties->service, group);

    if (term == (duty != NULL ? duty->term : 0))
        return false;
    if (term == 0) {
        free(map_remove(&duties->groups, group));
        return true;
    }
    if (duty == NULL) {
        duty = calloc(1, sizeof(*duty));
        CHECK(duty != NULL);
        map_put(&duties->groups, group, duty);
    }
    *duty = (struct duty){.term = term};
    return true;
}

static bool look_at_all(struct relay_duties *duties)
{
    uint32_t *groups = malloc(REPLICATOR_GROUPS_MAX * sizeof(*groups));
    bool news = false;

    CHECK(groups != NULL);
    unsigned count =
        replicator_groups(duties->service->replicator, groups, REPLICATOR_GROUPS_MAX);
    for (unsigned i = 0; i < count; i++)
        news = look(duties, groups[i]) || news;
    free(groups);
    return news;
}

void relay_duties_group_changed(struct relay_duties *duties, uint32_t group)
{
    if (duties != NULL && look(duties, group))
        tell(duties);
}

static bool note_due(struct relay_duties *duties, uint32_t group)
{
    struct duty *duty = map_get(&duties->groups, group);

    if (duty != NULL)
        duty->changes++;
    return duty != NULL;
}

void relay_duties_due(struct relay_duties *duties, uint32_t group)
{
    if (duties != NULL && note_due(duties, group))
        tell(duties);
}

void relay_duties_applied(struct relay_duties *duties, const struct machine_batch *batch)
{
    bool news = false;

    /* A batch rarely has many groups, and one that is noted twice does no harm. */
    for (unsigned i = 0; i < batch->count && duties != NULL; i++)
        if (i == 0 || batch->commands[i].group != batch->commands[i - 1].group)
            news = note_due(duties, batch->commands[i].group) || news;
    if (news)
        tell(duties);
}

/* ---- who asks ---- */

static struct wait **wait_of(struct relay_duties *duties, uint32_t connection)
{
    struct wait **at = &duties->first;

    while (*at != NULL && (*at)->call->connection != connection)
        at = &(*at)->next;
    return at;
}

static void on_deadline(void *context)
{
    struct service_call *call = context;
    struct relay_duties *duties = call->service->relay_duties;
    struct wait **at = wait_of(duties, call->connection);

    CHECK(*at != NULL && (*at)->call == call);
    (*at)->deadline = NULL; /* it fires once */
    answer(duties, wait_end(at));
}

void relay_duties_call(struct service_call *call)
{
    struct relay_duties *duties = call->service->relay_duties;
    struct wait **before = wait_of(duties, call->connection);
    uint64_t now_ms = clock_monotonic_ms();

    if (*before != NULL)
        answer(duties, wait_end(before));
    if (look_at_all(duties))
        tell(duties);
    if (call->request->relay_duties->version != duties->version) {
        answer(duties, call);
        return;
    }
    struct wait *wait = calloc(1, sizeof(*wait));
    CHECK(wait != NULL);
    *wait = (struct wait){.next = duties->first, .call = call};
    duties->first = wait;
    uint64_t wait_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0;
    wait->deadline = loop_timer_start(call->service->loop, wait_ms, 0, on_deadline, call);
}

void relay_duties_connection_closed(struct relay_duties *duties, uint32_t connection)
{
    struct wait **at = duties != NULL ? wait_of(duties, connection) : NULL;

    if (at != NULL && *at != NULL)
        call_fail(wait_end(at), ERR_CLOSED, NULL); /* frees it; nobody hears */
}
