/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/route.h"

#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/machine/apply.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"
#include "storage/service/scopes.h"
#include "storage/service/sessions.h"

enum {
    PAUSE_MS = 20,                   /* while the account is frozen */
    CLOCKS_APART_MS = 5 * 60 * 1000, /* two nodes' clocks, at most */
    UPLOAD_MS = 60 * 60 * 1000,      /* how long one may take (duties.h) */
    REFUSE_MS = 1000,                /* to make a refusal certain, at least */
    STEPS_MAX = 2 * FORMER_GROUPS_MAX,
    TIME_SIZE = 6, /* of a request id, in front */
};

struct route {
    struct route *next;
    struct route **self;
    struct route_request request;
    uint8_t id[REQUEST_ID_SIZE];      /* of the attempt under way */
    uint8_t base_id[REQUEST_ID_SIZE]; /* the request's own */
    bool has_id;
    uint32_t group;
    unsigned step;
    bool moved;   /* in the last 24 hours */
    bool lately;  /* so lately that an upload may lie in the group before */
    bool uploads; /* the command is, or needs, an upload */
    uint32_t former[FORMER_GROUPS_MAX + 1]; /* to settle in, the first first */
    unsigned former_count;
    uint32_t fenced[FORMER_GROUPS_MAX + 1]; /* settled in */
    unsigned fenced_count;
    uint32_t refused; /* the group that said MOVED; 0: none */
    enum err refusal; /* what it ends with, when it is certain that it has not taken effect */
    uint64_t free_ms; /* with LIMIT: when there is room again; 0: not known */
    char *refusal_text;
    struct loop_timer *timer;
};

struct routes {
    struct route *first;
    bool ending;
};

struct routes *routes_new(void)
{
    struct routes *routes = calloc(1, sizeof(*routes));

    CHECK(routes != NULL);
    return routes;
}

static void route_end(struct route *route, enum err err, const Pr__Outcome *outcome,
                      uint64_t index, uint32_t group)
{
    loop_timer_stop(&route->timer);
    *route->self = route->next;
    if (route->next != NULL)
        route->next->self = route->self;
    route->request.done(route->request.context, err, outcome, index, group);
    free(route->refusal_text);
    free(route);
}

void routes_free(struct routes **routes)
{
    struct routes *ending = *routes;

    if (ending == NULL)
        return;
    *routes = NULL;
    while (ending->first != NULL)
        route_end(ending->first, ERR_UNAVAILABLE, NULL, 0, 0);
    free(ending);
}

void route_id(struct bytes request_id, uint64_t account_id, unsigned step,
              uint8_t id[REQUEST_ID_SIZE])
{
    const uint64_t salt[2] = {htobe64(account_id), htobe64(step)};
    crypto_generichash_state state;
    uint8_t digest[crypto_generichash_BYTES_MIN];

    CHECK(request_id.len == REQUEST_ID_SIZE);
    memcpy(id, request_id.at, REQUEST_ID_SIZE);
    if (account_id == 0 && step == 0)
        return;
    crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    crypto_generichash_update(&state, id, REQUEST_ID_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)salt, sizeof(salt));
    crypto_generichash_final(&state, digest, sizeof(digest));
    memcpy(id + TIME_SIZE, digest, REQUEST_ID_SIZE - TIME_SIZE);
}

static void step_to(struct route *route, unsigned step)
{
    route->step = step;
    if (route->has_id)
        route_id(bytes_from(route->base_id, sizeof(route->base_id)), 0, step, route->id);
}

/* ---- where it goes ---- */

static bool among(const uint32_t *groups, unsigned count, uint32_t group)
{
    for (unsigned i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

static void former_add(struct route *route, uint32_t group)
{
    if (group != 0 && group != route->group &&
        !among(route->former, route->former_count, group) &&
        !among(route->fenced, route->fenced_count, group) &&
        route->former_count < FORMER_GROUPS_MAX + 1)
        route->former[route->former_count++] = group;
}

static void formers_find(struct route *route, const Pr__AccountRecord *account)
{
    struct request_id id;

    route->former_count = 0;
    route->moved = account->n_former > 0;
    route->lately = route->moved && account->former[account->n_former - 1]->until_ms +
                                            UPLOAD_MS + CLOCKS_APART_MS >
                                        clock_wall_ms();
    if (!route->has_id)
        return;
    former_add(route, route->refused);
    memcpy(id.bytes, route->base_id, sizeof(id.bytes));
    for (size_t i = account->n_former; i > 0; i--) {
        const Pr__FormerGroup *former = account->former[i - 1];
        if (request_id_time_ms(&id) <= former->until_ms + CLOCKS_APART_MS)
            former_add(route, former->group);
    }
}

/* ERR_NOTFOUND: an account is gone. */
static enum err place(struct route *route)
{
    const struct route_request *request = &route->request;
    struct arena arena;
    struct bytes address;
    struct db_txn *txn = service_directory_begin(request->service);
    const Pr__AccountRecord *account;
    enum err err = ERR_NOTFOUND;

    arena_init(&arena);
    if (directory_account_by_id(txn, request->account_id, &arena, &address, &route->group) &&
        (account = directory_account(txn, address, &arena)) != NULL) {
        formers_find(route, account);
        if (request->adapt == NULL || request->adapt(request->context, txn, route->group))
            err = ERR_OK;
    }
    if (db_error(txn) != ERR_OK)
        err = db_error(txn);
    db_abort(&txn);
    arena_fini(&arena);
    return err;
}

static void route_next(struct route *route);

static void on_pause(void *context)
{
    struct route *route = context;

    route->timer = NULL;
    step_to(route, 0);
    route_next(route);
}

static void on_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct route *route = context;
    uint32_t before = route->group;

    (void)index;
    (void)unused;
    if (err == ERR_OK)
        err = place(route);
    else
        err = ERR_UNAVAILABLE;
    if (err != ERR_OK) {
        route_end(route, err, NULL, 0, 0);
        return;
    }
    route_account_moved(route->request.service, route->request.account_id, route->group);
    /* Still there: it is frozen for a moment, or this is about another account. */
    route->timer = loop_timer_start(route->request.service->loop,
                                    route->group == before ? PAUSE_MS : 0, 0, on_pause, route);
}

/* ---- attempts ---- */

static void settle(struct route *route);

static void on_settled(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct route *route = context;
    uint32_t group = route->former[0];

    if (err != ERR_OK) {
        route_end(route, err, NULL, 0, 0);
        return;
    }
    if (outcome->err != ERR_CANCELLED) { /* it took effect before the account left */
        route_end(route, ERR_OK, outcome, index, group);
        return;
    }
    if (outcome->id != 0 &&
        route->step + 1 < STEPS_MAX) { /* cancelled long ago: the next one */
        step_to(route, route->step + 1);
        settle(route);
        return;
    }
    if (route->fenced_count < FORMER_GROUPS_MAX + 1)
        route->fenced[route->fenced_count++] = group;
    route->former_count--;
    memmove(route->former, route->former + 1, route->former_count * sizeof(*route->former));
    step_to(route, 0);
    route_next(route);
}

/* The request has taken effect in that group, or never will. */
static void cancel(struct route *route, uint32_t group, uint64_t deadline_ms, write_done *done)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Cancel call = PR__CANCEL__INIT;

    call.cancelled_id = (ProtobufCBinaryData){REQUEST_ID_SIZE, route->id};
    command.call_case = PR__COMMAND__CALL_CANCEL;
    command.cancel = &call;
    write_start(route->request.service, group, &command, deadline_ms, done, route);
}

static void settle(struct route *route)
{
    cancel(route, route->former[0], route->request.deadline_ms, on_settled);
}

/* ---- a group whose part of a limit is used up (scopes.h) ---- */

static void refuse(struct route *route)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    static char words[] = "there is no room left in a domain's or tenant's limit";

    outcome.err = route->refusal;
    outcome.text = route->refusal_text != NULL ? route->refusal_text : words;
    if (route->refusal == ERR_LIMIT) { /* whose it is */
        share.kind = PR__SCOPE_KIND__SCOPE_SENDING;
        outcome.share = &share;
        outcome.id = route->free_ms;
    }
    if (route->refusal == ERR_QUOTA || route->refusal == ERR_LIMIT)
        route_end(route, ERR_OK, &outcome, 0, route->group);
    else
        route_end(route, route->refusal, NULL, 0, 0);
}

static void on_refused(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct route *route = context;

    if (err != ERR_OK)
        route_end(route, err, NULL, 0, 0);
    else if (outcome->err == ERR_CANCELLED)
        refuse(route);
    else /* an attempt that nobody waited for any more found room */
        route_end(route, ERR_OK, outcome, index, route->group);
}

static void on_room(void *context, enum err err, const char *text)
{
    struct route *route = context;
    uint64_t soon_ms = clock_monotonic_ms() + REFUSE_MS;

    if (err == ERR_OK) {
        route_next(route);
        return;
    }
    if (err == ERR_CONFLICT) { /* of an old directory */
        replicator_read(route->request.service->replicator, DIRECTORY_GROUP,
                        route->request.deadline_ms, on_fresh, route);
        return;
    }
    route->refusal = err;
    if (text != NULL) {
        route->refusal_text = strdup(text);
        CHECK(route->refusal_text != NULL);
    }
    if (route->has_id && !route->request.must_arrive &&
        route->request.service->replicator != NULL) /* NULL: the process ends */
        cancel(route, route->group,
               soon_ms > route->request.deadline_ms ? soon_ms : route->request.deadline_ms,
               on_refused);
    else
        refuse(route);
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct route *route = context;

    if (err != ERR_OK) {
        route_end(route, err, NULL, 0, 0);
    } else if (outcome->err == ERR_CANCELLED && route->moved && route->step + 1 < STEPS_MAX) {
        step_to(route, route->step + 1);
        route_next(route);
    } else if (outcome->err == ERR_MOVED) {
        route->refused = route->group;
        replicator_read(route->request.service->replicator, DIRECTORY_GROUP,
                        route->request.deadline_ms, on_fresh, route);
    } else if (outcome->err == ERR_GRANT && outcome->share != NULL) {
        route->free_ms = outcome->share->free_ms;
        scopes_ask(route->request.service, route->group, outcome->share,
                   route->request.deadline_ms, on_room, route);
    } else {
        /* Blocks that went to the group before are missing: they have to be sent again. */
        if (outcome->err == ERR_INVALID && route->uploads && route->lately)
            route_end(route, ERR_UNAVAILABLE, NULL, 0, 0);
        else
            route_end(route, ERR_OK, outcome, index, route->group);
    }
}

static bool was_uploaded(const Pr__Body *body)
{
    return body != NULL && body->upload_id.len > 0;
}

static bool delivers_upload(const Pr__Deliver *deliver)
{
    for (size_t i = 0; i < deliver->n_parts; i++)
        if (was_uploaded(deliver->parts[i]->body))
            return true;
    return was_uploaded(deliver->body);
}

static bool is_upload(const Pr__Command *command)
{
    switch (command->call_case) {
    case PR__COMMAND__CALL_UPLOAD_BLOCK:
        return true;
    case PR__COMMAND__CALL_DELIVER:
        return delivers_upload(command->deliver);
    case PR__COMMAND__CALL_APPEND:
        return was_uploaded(command->append->body);
    default:
        return false;
    }
}

static void attempt(struct route *route)
{
    const struct route_request *request = &route->request;
    struct buffer entry = BUFFER_EMPTY;

    request->command->time_ms = clock_wall_ms();
    request->command->request_id =
        (ProtobufCBinaryData){route->has_id ? REQUEST_ID_SIZE : 0, route->id};
    entry_encode(request->command, &entry);
    write_entry(request->service, route->group, buffer_bytes(&entry),
                request->must_arrive ? bytes_from(NULL, 0)
                                     : bytes_of_field(request->command->request_id),
                request->deadline_ms, on_written, route);
    buffer_fini(&entry);
}

static void route_next(struct route *route)
{
    const struct route_request *request = &route->request;

    if (request->service->routes == NULL || clock_monotonic_ms() >= request->deadline_ms)
        route_end(route, ERR_UNAVAILABLE, NULL, 0, 0);
    else if (route->former_count > 0)
        settle(route);
    else
        attempt(route);
}

static void on_begin_failed(void *context)
{
    struct route *route = context;

    route->timer = NULL;
    route_end(route, ERR_NOTFOUND, NULL, 0, 0);
}

void route_write(const struct route_request *request)
{
    struct route *route = calloc(1, sizeof(*route));
    struct routes *routes = request->service->routes;

    CHECK(route != NULL);
    route->request = *request;
    route->uploads = is_upload(request->command);
    route->has_id = request->request_id.len > 0;
    if (route->has_id) {
        CHECK(request->request_id.len == REQUEST_ID_SIZE);
        memcpy(route->base_id, request->request_id.at, REQUEST_ID_SIZE);
    }
    route->next = routes->first;
    route->self = &routes->first;
    if (route->next != NULL)
        route->next->self = &route->next;
    routes->first = route;
    step_to(route, 0);
    if (place(route) == ERR_OK)
        route_next(route);
    else /* what ends at once ends from the loop, never from in here */
        route->timer = loop_timer_start(request->service->loop, 0, 0, on_begin_failed, route);
}
