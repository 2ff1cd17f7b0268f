/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/state_fetch.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "storage/schema/entry.h"
#include "storage/service/state_fetch_internal.h"

enum { CLOSE_MS = 2000 };

static void pump(void *context);

/* ---- the end ---- */

static void on_closed(void *context, enum err err, struct bytes reply)
{
    (void)context;
    (void)err;
    (void)reply;
}

/* Tells the source, which else keeps the session for a while. Not over our own connection: that
 * ends now. */
static void session_close(struct state_fetch *fetch)
{
    struct rpc_client *peer = service_peer(fetch->owner->service, fetch->source);
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__StateClose close = PR__STATE_CLOSE__INIT;
    struct buffer packed = BUFFER_EMPTY;

    if (fetch->session == 0 || peer == NULL || !rpc_client_connected(peer))
        return;
    close.session = fetch->session;
    request.call_case = PR__PEER_REQUEST__CALL_STATE_CLOSE;
    request.state_close = &close;
    message_pack(&request.base, &packed);
    rpc_call(peer, buffer_bytes(&packed), CLOSE_MS, on_closed, NULL);
    buffer_fini(&packed);
}

static void fetch_free(struct state_fetch *fetch)
{
    for (struct state_fetch **link = &fetch->owner->first; *link != NULL;
         link = &(*link)->next) {
        if (*link == fetch) {
            *link = fetch->next;
            break;
        }
    }
    fetch->owner->running -= fetch->running;
    loop_timer_stop(&fetch->timer);
    rpc_client_free(&fetch->rpc);
    transfer_sink_free(&fetch->sink);
    buffer_fini(&fetch->packed);
    buffer_fini(&fetch->answer);
    buffer_fini(&fetch->question);
    free(fetch);
}

static void fetch_log(const struct state_fetch *fetch, enum err err)
{
    const struct transfer_sink_progress *seen = &fetch->seen;
    uint64_t took_ms = clock_monotonic_ms() - fetch->begun_ms;

    if (err == ERR_OK)
        log_info(NULL, "the state of a group was copied",
                 LOG_FIELDS(LOG_U64("group", fetch->group), LOG_U64("from", fetch->source),
                            LOG_U64("bytes", seen->bytes_received),
                            LOG_U64("rows", seen->rows_received),
                            LOG_U64("compared_bytes", seen->bytes_compared),
                            LOG_U64("deleted_rows", seen->rows_deleted),
                            LOG_U64("took_ms", took_ms),
                            LOG_U64("read_longest_ms", seen->read_longest_ms),
                            LOG_U64("write_longest_ms", seen->write_longest_ms)));
    else
        log_warn(NULL, "a copy of a group's state ended before the end",
                 LOG_FIELDS(LOG_U64("group", fetch->group), LOG_U64("from", fetch->source),
                            LOG_U64("bytes", seen->bytes_received),
                            LOG_U64("compared_bytes", seen->bytes_compared),
                            LOG_U64("took_ms", took_ms), LOG_TEXT("error", err_text(err))));
}

void fetch_end(struct state_fetch *fetch, enum err err)
{
    struct state_fetches *fetches = fetch->owner;
    uint32_t group = fetch->group;
    uint64_t index = 0;

    CHECK(!fetch->busy);
    fetch_log(fetch, err);
    metric_add(err == ERR_OK ? METRIC_STATE_COPIES : METRIC_STATE_COPY_FAILURES, 1);
    if (err == ERR_OK)
        CHECK(transfer_sink_done(fetch->sink, &index));
    if (err == ERR_OK || err == ERR_TOOBIG)
        state_outrun_ended(&fetches->outrun, group, err == ERR_OK);
    if (fetch->ticket != 0)
        rpc_cancel(fetch->rpc, fetch->ticket);
    session_close(fetch);
    fetch_free(fetch);
    replication_fetched(fetches->service, group, err, index);
    loop_post(fetches->service->loop, pump, fetches);
}

/* Ends what is to stop, and begins what there is room for. Each end posts this again. */
static void pump(void *context)
{
    struct state_fetches *fetches = context;
    struct state_fetch *next;

    for (struct state_fetch *fetch = fetches->first; fetch != NULL; fetch = next) {
        next = fetch->next;
        if (fetch->stopping && !fetch->busy)
            fetch_end(fetch, ERR_CANCELLED);
        else if (!fetch->running && fetches->running < STATE_FETCHES_MAX)
            fetch_run(fetch);
    }
}

/* ---- from outside ---- */

static struct state_fetch *fetch_of(const struct state_fetches *fetches, uint32_t group)
{
    for (struct state_fetch *fetch = fetches->first; fetch != NULL; fetch = fetch->next)
        if (fetch->group == group)
            return fetch;
    return NULL;
}

void state_fetch_start(struct service *service, uint32_t group, uint64_t source, uint64_t index)
{
    struct state_fetches *fetches = service->state_fetches;
    struct state_fetch *fetch = calloc(1, sizeof(*fetch));
    struct state_fetch **last = &fetches->first;

    CHECK(fetch != NULL && fetch_of(fetches, group) == NULL);
    fetch->owner = fetches;
    fetch->group = group;
    fetch->source = source;
    fetch->index = index;
    fetch->begun_ms = clock_monotonic_ms();
    fetch->begun_wall_ms = clock_wall_ms();
    randombytes_buf(fetch->seed, sizeof(fetch->seed));
    while (*last != NULL)
        last = &(*last)->next;
    *last = fetch;
    loop_post(service->loop, pump, fetches);
}

void state_fetch_stop(struct service *service, uint32_t group)
{
    struct state_fetch *fetch = fetch_of(service->state_fetches, group);

    if (fetch == NULL)
        return;
    fetch->stopping = true;
    loop_post(service->loop, pump, service->state_fetches);
}

bool state_fetch_progress(const struct service *service, uint32_t group,
                          struct state_fetch_progress *progress)
{
    const struct state_fetch *fetch =
        service->state_fetches != NULL ? fetch_of(service->state_fetches, group) : NULL;

    if (fetch == NULL)
        return false;
    *progress = (struct state_fetch_progress){
        .source = fetch->source,
        .begun_ms = fetch->begun_wall_ms,
        .bytes = fetch->seen.bytes_received,
        .rows = fetch->seen.rows_received,
        .compared_bytes = fetch->seen.bytes_compared,
    };
    return true;
}

const char *state_fetches_problem(struct service *service)
{
    struct state_fetches *fetches = service->state_fetches;
    uint32_t group;
    unsigned times;

    if (fetches == NULL || !state_outrun_worst(&fetches->outrun, &group, &times))
        return NULL;
    snprintf(
        fetches->problem, sizeof(fetches->problem),
        "the state of group %u changes faster than it may be fetched: begun anew %u times, "
        "now at %u MB/s; raise transfer_rate_mb",
        (unsigned)group, times,
        (unsigned)(service->config->transfer_rate_mb *
                   state_outrun_factor(&fetches->outrun, group)));
    return fetches->problem;
}

struct state_fetches *state_fetches_new(struct service *service)
{
    struct state_fetches *fetches = calloc(1, sizeof(*fetches));

    CHECK(fetches != NULL);
    fetches->service = service;
    fetches->jobs = pool_jobs_new(service->loop);
    return fetches;
}

void state_fetches_free(struct state_fetches **fetches)
{
    struct state_fetches *ending = *fetches;

    if (ending == NULL)
        return;
    *fetches = NULL;
    pool_jobs_end(&ending->jobs);
    while (ending->first != NULL) {
        if (ending->first->ticket != 0)
            rpc_cancel(ending->first->rpc, ending->first->ticket);
        fetch_free(ending->first);
    }
    while (ending->forgets != NULL) {
        struct state_forget *forget = ending->forgets;
        ending->forgets = forget->next;
        free(forget);
    }
    free(ending);
}
