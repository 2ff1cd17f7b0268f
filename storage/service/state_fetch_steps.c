/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One copy of a group's state: ask, write, ask. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/metrics.h"
#include "storage/schema/entry.h"
#include "storage/service/state_fetch_internal.h"

enum {
    CALL_MS = 30 * 1000, /* the source forgets us after twice that */
    AGAIN_MS = 500, /* after a call without an answer, or when the source has too much to do */
    TRIES_MAX = 10, /* of one call */
    BURST_MS = 100, /* what was not used of the rate is lost beyond that */
};

static void fetch_ask(struct state_fetch *fetch);
static void fetch_open(struct state_fetch *fetch);

/* ---- calls ---- */

static void on_again(void *context)
{
    struct state_fetch *fetch = context;

    fetch->timer = NULL;
    if (fetch->session == 0)
        fetch_open(fetch);
    else
        fetch_ask(fetch);
}

/* The same call once more, a little later. */
static void fetch_again(struct state_fetch *fetch, enum err err)
{
    fetch->tries++;
    if (fetch->tries >= TRIES_MAX) {
        if (fetch->busy)
            fetch->failed = err;
        else
            fetch_end(fetch, err);
        return;
    }
    fetch->timer = loop_timer_start(fetch->owner->service->loop, AGAIN_MS, 0, on_again, fetch);
}

static void fetch_call(struct state_fetch *fetch, Pr__PeerRequest *request, rpc_done *done)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&request->base, &packed);
    fetch->ticket = rpc_call(fetch->rpc, buffer_bytes(&packed), CALL_MS, done, fetch);
    buffer_fini(&packed);
}

/* ---- jobs in the pool ---- */

static void progress_see(struct state_fetch *fetch)
{
    struct transfer_sink_progress now;

    transfer_sink_progress(fetch->sink, &now);
    metric_add(METRIC_STATE_COPY_ROWS, now.rows_received - fetch->seen.rows_received);
    metric_add(METRIC_STATE_COPY_BYTES, now.bytes_received - fetch->seen.bytes_received);
    metric_add(METRIC_STATE_COPY_COMPARED_BYTES,
               now.bytes_compared - fetch->seen.bytes_compared);
    metric_raise(METRIC_STATE_COPY_READ_LONGEST, now.read_longest_ms);
    metric_raise(METRIC_STATE_COPY_WRITE_LONGEST, now.write_longest_ms);
    fetch->seen = now;
}

static void question_in_pool(struct state_fetch *fetch)
{
    buffer_clear(&fetch->question);
    fetch->err = transfer_sink_question(fetch->sink, &fetch->question);
    fetch->ask = fetch->err == ERR_OK;
}

/* One transaction's worth of the answer. */
static void write_in_pool(struct state_fetch *fetch)
{
    uint64_t index;

    fetch->err = transfer_sink_write(fetch->sink, &fetch->more);
    if (fetch->err != ERR_OK || fetch->more)
        return;
    buffer_clear(&fetch->answer);
    fetch->done = transfer_sink_done(fetch->sink, &index);
    if (fetch->done)
        fetch->err = db_sync(service_db(fetch->owner->service, fetch->group));
}

static void take_in_pool(struct state_fetch *fetch)
{
    Pr__PeerReply *reply = pr__peer_reply__unpack(NULL, buffer_len(&fetch->packed),
                                                  buffer_bytes(&fetch->packed).at);

    buffer_clear(&fetch->packed);
    fetch->err = fetch->said = ERR_OK;
    if (reply == NULL) {
        fetch->err = ERR_MALFORMED;
        return;
    }
    fetch->said = reply->err < ERR_COUNT ? (enum err)reply->err : ERR_MALFORMED;
    if (fetch->said == ERR_OK) {
        buffer_add(&fetch->answer, bytes_of_field(reply->state_answer));
        fetch->err = transfer_sink_receive(fetch->sink, buffer_bytes(&fetch->answer));
        fetch->more = fetch->err == ERR_OK;
    }
    pr__peer_reply__free_unpacked(reply, NULL);
    if (fetch->more && !transfer_sink_last(fetch->sink))
        question_in_pool(fetch);
}

static void begin_in_pool(struct state_fetch *fetch)
{
    fetch->err = transfer_sink_begin(fetch->sink);
    fetch->marked = fetch->err == ERR_OK;
    if (fetch->marked)
        question_in_pool(fetch);
}

static void in_pool(void *context)
{
    struct state_fetch *fetch = context;

    if (fetch->step == 0)
        begin_in_pool(fetch);
    else if (fetch->more)
        write_in_pool(fetch);
    else
        take_in_pool(fetch);
}

static void on_done(void *context);

static void fetch_work(struct state_fetch *fetch)
{
    fetch->busy = true;
    fetch->answered = fetch->answered && fetch->more; /* what is written comes first */
    pool_jobs_run(fetch->owner->jobs, in_pool, on_done, fetch);
}

static void rate_spend(const struct state_fetch *fetch, uint64_t bytes)
{
    struct state_fetches *fetches = fetch->owner;
    uint64_t rate_mb = fetches->service->config->transfer_rate_mb;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t burst_ns = (uint64_t)BURST_MS * 1000000;

    if (fetches->allowed_ns + burst_ns < now_ns)
        fetches->allowed_ns = now_ns - burst_ns;
    rate_mb *= state_outrun_factor(&fetches->outrun, fetch->group);
    fetches->allowed_ns += bytes * 1000 / rate_mb;
}

/* Asks on, as soon as the rate allows. */
static void fetch_go_on(struct state_fetch *fetch)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t allowed_ns = fetch->owner->allowed_ns;
    uint64_t wait_ms = allowed_ns > now_ns ? (allowed_ns - now_ns) / 1000000 : 0;

    fetch->ask = false;
    fetch->tries = 0;
    fetch->step++;
    if (wait_ms == 0)
        fetch_ask(fetch);
    else
        fetch->timer =
            loop_timer_start(fetch->owner->service->loop, wait_ms, 0, on_again, fetch);
}

/* What there is to be asked goes out, then what came is written, and what came meanwhile is
 * taken behind that. */
static void fetch_on(struct state_fetch *fetch)
{
    if (fetch->ask)
        fetch_go_on(fetch);
    if (fetch->more || fetch->answered)
        fetch_work(fetch);
}

static void on_done(void *context)
{
    struct state_fetch *fetch = context;
    uint64_t bytes = fetch->seen.bytes_received;

    fetch->busy = false;
    progress_see(fetch);
    rate_spend(fetch, fetch->seen.bytes_received - bytes);
    if (fetch->err == ERR_IO)
        replication_disk_failed("state", fetch->err);
    if (fetch->step == 0 && fetch->marked)
        replication_partial(fetch->owner->service, fetch->group);
    if (fetch->err == ERR_OK && !fetch->done)
        fetch->err = fetch->failed;
    if (fetch->err != ERR_OK)
        fetch_end(fetch, fetch->err);
    else if (fetch->done)
        fetch_end(fetch, ERR_OK);
    else if (fetch->stopping)
        fetch_end(fetch, ERR_CANCELLED);
    else if (fetch->said == ERR_BUSY)
        fetch_again(fetch, ERR_BUSY);
    else if (fetch->said != ERR_OK)
        fetch_end(fetch, fetch->said);
    else
        fetch_on(fetch);
}

/* ---- steps ---- */

static void on_answer(void *context, enum err err, struct bytes reply)
{
    struct state_fetch *fetch = context;

    fetch->ticket = 0;
    if (err != ERR_OK) {
        fetch_again(fetch, err);
        return;
    }
    buffer_add(&fetch->packed, reply);
    fetch->answered = true;
    if (!fetch->busy)
        fetch_work(fetch);
}

static void fetch_ask(struct state_fetch *fetch)
{
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__StateRead read = PR__STATE_READ__INIT;

    read.session = fetch->session;
    read.step = fetch->step;
    read.question = field_of_bytes(buffer_bytes(&fetch->question));
    request.call_case = PR__PEER_REQUEST__CALL_STATE_READ;
    request.state_read = &read;
    fetch_call(fetch, &request, on_answer);
}

static void on_opened(void *context, enum err err, struct bytes bytes)
{
    struct state_fetch *fetch = context;
    struct service *service = fetch->owner->service;
    Pr__PeerReply *reply = NULL;

    fetch->ticket = 0;
    if (err == ERR_OK)
        reply = pr__peer_reply__unpack(NULL, bytes.len, bytes.at);
    if (err == ERR_OK && reply == NULL)
        err = ERR_MALFORMED;
    if (reply != NULL) {
        err = reply->err < ERR_COUNT ? (enum err)reply->err : ERR_MALFORMED;
        fetch->session = err == ERR_OK ? reply->state_session : 0;
        pr__peer_reply__free_unpacked(reply, NULL);
    }
    if (err == ERR_BUSY) {
        fetch_again(fetch, err);
        return;
    }
    if (err != ERR_OK) {
        fetch_end(fetch, err);
        return;
    }
    struct transfer_sink_config config = {
        .db = service_db(service, fetch->group),
        .group = fetch->group,
        .source = fetch->source,
        .now_ms = clock_monotonic_ms,
        .wall_ms = fetch->begun_wall_ms,
    };
    memcpy(config.seed, fetch->seed, sizeof(config.seed));
    fetch->sink = transfer_sink_new(&config);
    fetch_work(fetch);
}

static void fetch_open(struct state_fetch *fetch)
{
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__StateOpen open = PR__STATE_OPEN__INIT;
    struct transfer_tables tables;
    struct buffer names = BUFFER_EMPTY;

    transfer_tables_own(&tables);
    transfer_tables_encode(&tables, &names);
    open.group = fetch->group;
    open.index = fetch->index;
    open.seed = field_of_bytes(bytes_from(fetch->seed, sizeof(fetch->seed)));
    open.tables = field_of_bytes(buffer_bytes(&names));
    request.call_case = PR__PEER_REQUEST__CALL_STATE_OPEN;
    request.state_open = &open;
    fetch_call(fetch, &request, on_opened);
    buffer_fini(&names);
}

void fetch_run(struct state_fetch *fetch)
{
    struct service *service = fetch->owner->service;

    fetch->running = true;
    fetch->owner->running++;
    fetch->rpc = service_peer_connect(service, fetch->source);
    if (fetch->rpc == NULL)
        fetch_end(fetch, ERR_UNAVAILABLE);
    else
        fetch_open(fetch);
}
