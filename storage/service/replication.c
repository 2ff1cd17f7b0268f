/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "raft/transport_nng.h"
#include "storage/machine/applier.h"
#include "storage/service/compaction.h"
#include "storage/service/formats.h"
#include "storage/service/limits.h"
#include "storage/service/node_log.h"
#include "storage/service/relay_duties.h"
#include "storage/service/service.h"
#include "storage/service/space.h"
#include "storage/service/state_fetch.h"
#include "storage/service/write.h"

/*
 * The replicator tied to this process: its clock is the loop's, its log and its state are LMDB
 * environments below the data folder ("log", "state-0", "state-1", ...), its links go over nng.
 * Threads (the log's, the lanes', nng's) only post; everything else happens in the loop.
 */

enum {
    TICK_MS = 10,
    HAND_OVER_MS = 3000,
    SEED_SIZE = 8,
};

/* Posted by the log's and the lanes' threads. Of each there is one at a time: the next write,
 * or batch, is handed out when the news of the one before was taken. */
struct news {
    struct replication *replication;
    enum err err;
    struct machine_batch *batch; /* NULL: of the log */
    const struct machine_events *events;
};

struct replication {
    struct service *service;
    struct news log_news;
    struct news lane_news[SERVICE_LANES_MAX];
    struct node_log log;
    struct transport_nng *transport;
    struct applier *applier;
    struct replicator_clock clock;
    struct loop_hook *hook;
    struct loop_timer *tick;

    struct loop_timer *hand_over;
    uint64_t hand_over_until_ms;
    void (*handed_over)(void *context);
    void *handed_over_context;
};

static uint64_t now_ms(void *context)
{
    (void)context;
    return clock_monotonic_ms();
}

/* A disk that failed once is not asked again (notes on fsync): the supervisor starts us anew,
 * the log tells the rest. */
_Noreturn void replication_disk_failed(const char *what, enum err err)
{
    log_error(NULL, "disk failed, the store ends",
              LOG_FIELDS(LOG_TEXT("what", what), LOG_TEXT("error", err_text(err))));
    _exit(1);
}

static void on_news(void *context)
{
    const struct news *news = context;
    struct replication *replication = news->replication;
    struct service *service = replication->service;

    if (news->batch == NULL) {
        if (news->err != ERR_OK)
            replication_disk_failed("log", news->err);
        replicator_log_written(service->replicator, ERR_OK);
    } else {
        if (news->err != ERR_OK)
            replication_disk_failed("state", news->err);
        service_events(service, news->events);
        if (news->events->queue_due)
            relay_duties_applied(service->relay_duties, news->batch);
        replicator_batch_applied(service->replicator, news->batch);
    }
    loop_wake(service->loop);
}

static void post_news(struct replication *replication, struct news *news, struct news content)
{
    *news = content;
    news->replication = replication;
    loop_post(replication->service->loop, on_news, news);
}

static void on_log_written(void *context, enum err err)
{
    struct replication *replication = context;
    post_news(replication, &replication->log_news, (struct news){.err = err});
}

static void on_applied(void *context, struct machine_batch *batch,
                       const struct machine_events *events, enum err err)
{
    struct replication *replication = context;
    post_news(replication, &replication->lane_news[batch->lane],
              (struct news){.err = err, .batch = batch, .events = events});
}

static void on_lane_failed(void *context, enum err err)
{
    (void)context;
    replication_disk_failed("state", err);
}

static void deliver_frames(void *context)
{
    struct replication *replication = context;

    if (replication->service->replicator != NULL)
        transport_nng_deliver(replication->transport, replication->service->replicator);
    loop_wake(replication->service->loop);
}

static void on_frames(void *context)
{
    struct replication *replication = context;
    loop_post(replication->service->loop, deliver_frames, replication);
}

static void on_turn(void *context)
{
    struct replication *replication = context;

    if (replicator_turn(replication->service->replicator))
        loop_wake(replication->service->loop);
}

static void on_tick(void *context)
{
    (void)context; /* the turn that follows does the work */
}

static unsigned site_of(void *context, uint64_t node_id)
{
    const struct service_node *node = service_node(context, node_id);
    return node != NULL ? node->site : 0;
}

static void on_changed(void *context, uint32_t group)
{
    const struct service *service = context;

    writes_leader_changed(context, group);
    relay_duties_group_changed(service->relay_duties, group);
    formats_look_soon(service->formats);
}

/* ---- states of groups from other nodes ---- */

static void on_fetch(void *context, uint32_t group, uint64_t source, uint64_t index)
{
    const struct replication *replication = context;
    state_fetch_start(replication->service, group, source, index);
}

static void on_fetch_stop(void *context, uint32_t group)
{
    const struct replication *replication = context;
    state_fetch_stop(replication->service, group);
}

static void on_forget(void *context, uint32_t group)
{
    const struct replication *replication = context;
    state_forget_start(replication->service, group);
}

enum machine_state service_state(const struct service *service, uint32_t group)
{
    struct machine *machine = applier_interface(service->replication->applier);
    return machine->ops->state(machine, group);
}

void replication_partial(struct service *service, uint32_t group)
{
    applier_partial(service->replication->applier, group);
    loop_wake(service->loop);
}

void replication_forgotten(struct service *service, uint32_t group)
{
    applier_forgotten(service->replication->applier, group);
    replicator_state_forgotten(service->replicator, group);
    loop_wake(service->loop);
}

void replication_fetched(struct service *service, uint32_t group, enum err err, uint64_t index)
{
    if (err == ERR_OK)
        applier_whole(service->replication->applier, group, index);
    replicator_state_fetched(service->replicator, group, err, index);
    if (err == ERR_OK)
        service_state_replaced(service, group);
    loop_wake(service->loop);
}

/* ---- opening ---- */

static bool folder_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* A group's lane never changes, so the number of lanes is what it was when the folder was made.
 */
static unsigned lanes_wanted(const char *folder)
{
    char path[4096];
    unsigned count = 0;

    for (; count < SERVICE_LANES_MAX; count++) {
        snprintf(path, sizeof(path), "%s/state-%u", folder, count);
        if (!folder_exists(path))
            break;
    }
    if (count > 0)
        return count;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    count = cores > 3 ? (unsigned)cores / 2 : 1;
    return count < SERVICE_LANES_MAX ? count : SERVICE_LANES_MAX;
}

static enum err open_states(struct service *service)
{
    const struct config *config = service->config;
    char path[4096];

    service->lane_count = lanes_wanted(config->folder);
    for (unsigned i = 0; i < service->lane_count; i++) {
        snprintf(path, sizeof(path), "%s/state-%u", config->folder, i);
        enum err err =
            db_open(path, space_map_of(config->folder, config->map_bytes), &service->lanes[i]);
        if (err != ERR_OK) {
            log_error(NULL, "cannot open the state",
                      LOG_FIELDS(LOG_TEXT("folder", path), LOG_TEXT("error", err_text(err))));
            return err;
        }
    }
    return ERR_OK;
}

/* Of a node that has just come into its cluster the identity knows it. */
static unsigned directory_format(struct service *service)
{
    unsigned format = service_format(service, DIRECTORY_GROUP);

    return format > service->identity->format ? format : service->identity->format;
}

static enum err open_log(struct replication *replication)
{
    struct service *service = replication->service;
    struct node_log_config log = {
        .folder = service->config->folder,
        .map_bytes = space_map_of(service->config->folder, service->config->map_bytes),
        .format = directory_format(service),
        .written = on_log_written,
        .context = replication,
    };

    return node_log_open(&log, &replication->log);
}

void replication_log_statistics(struct service *service, struct journal_statistics *statistics)
{
    *statistics = (struct journal_statistics){0};
    if (service->replication->log.journal != NULL)
        journal_statistics(service->replication->log.journal, statistics);
}

static enum err open_transport(struct replication *replication)
{
    struct service *service = replication->service;
    struct transport_nng_config transport = {
        .node_id = service->identity->node_id,
        .cluster_id = service->identity->cluster_id,
        .listen = service->config->cluster_raft,
        .credentials = &service->credentials,
        .wake = on_frames,
        .context = replication,
    };

    return transport_nng_new(&transport, &replication->transport);
}

static enum err open_replicator(struct replication *replication)
{
    struct service *service = replication->service;
    const struct config *config = service->config;
    struct replicator_config settings = {
        .node_id = service->identity->node_id,
        .seed = clock_monotonic_ns() ^ (uint64_t)getpid() << 32,
        .election_timeout_ms = config->election_ms,
        .heartbeat_ms = config->heartbeat_ms,
        .grace_ms = config->durability_grace_s * 1000,
        .cross_dc = config->durability_cross_dc,
        .log_retain_bytes = config->log_retain_bytes,
        .log_hold_bytes = config->log_hold_bytes,
        .log_hold_ms = (uint64_t)config->log_hold_hours * 3600 * 1000,
        .clock = &replication->clock,
        .log = node_log_interface(&replication->log),
        .transport = transport_nng_interface(replication->transport),
        .machine = applier_interface(replication->applier),
        .site_of = site_of,
        .changed = on_changed,
        .context = service,
    };

    return replicator_new(&settings, &service->replicator);
}

enum err replication_open(struct service *service)
{
    struct replication *replication = calloc(1, sizeof(*replication));
    CHECK(replication != NULL);

    service->replication = replication;
    replication->service = service;
    replication->clock = (struct replicator_clock){.now_ms = now_ms};
    compaction_run(service->config);
    enum err err = open_states(service);
    if (err == ERR_OK)
        err = open_log(replication);
    if (err == ERR_OK)
        err = open_transport(replication);
    if (err == ERR_OK) {
        struct applier_config applier = {
            .lanes = service->lanes,
            .lane_count = service->lane_count,
            .applied = on_applied,
            .failed = on_lane_failed,
            .fetch = on_fetch,
            .fetch_stop = on_fetch_stop,
            .forget = on_forget,
            .witness = service->identity->witness,
            .context = replication,
        };
        replication->applier = applier_new(&applier);
        err = replication->applier != NULL ? open_replicator(replication) : ERR_IO;
    }
    if (err != ERR_OK) {
        replication_close(service);
        return err;
    }
    replication->hook = loop_on_turn(service->loop, on_turn, replication);
    replication->tick = loop_timer_start(service->loop, TICK_MS, TICK_MS, on_tick, replication);
    return ERR_OK;
}

void replication_peer(struct service *service, uint64_t node_id, const char *address)
{
    enum err err = transport_nng_peer(service->replication->transport, node_id, address);

    if (err != ERR_OK)
        log_error(NULL, "cannot link to node",
                  LOG_FIELDS(LOG_U64("node", node_id), LOG_TEXT("address", address),
                             LOG_TEXT("error", err_text(err))));
}

void replication_peer_remove(struct service *service, uint64_t node_id)
{
    transport_nng_peer_remove(service->replication->transport, node_id);
}

/* ---- a clean stop ---- */

static bool leads_shared_group(struct service *service, bool ask)
{
    uint32_t groups[REPLICATOR_GROUPS_MAX];
    unsigned count = replicator_groups(service->replicator, groups, REPLICATOR_GROUPS_MAX);
    struct replicator_status status;
    bool leads = false;

    for (unsigned i = 0; i < count; i++) {
        unsigned voters = 0;
        if (!replicator_status(service->replicator, groups[i], &status) ||
            status.state != REPLICATOR_LEADER)
            continue;
        for (unsigned m = 0; m < status.member_count; m++)
            voters += status.members[m].role == REPLICATOR_VOTER;
        if (voters < 2)
            continue;
        leads = true;
        if (ask)
            replicator_transfer(service->replicator, groups[i], 0, NULL, NULL);
    }
    return leads;
}

static void on_hand_over(void *context)
{
    struct replication *replication = context;

    if (leads_shared_group(replication->service, false) &&
        clock_monotonic_ms() < replication->hand_over_until_ms)
        return;
    loop_timer_stop(&replication->hand_over);
    replication->handed_over(replication->handed_over_context);
}

void replication_hand_over(struct service *service, void (*done)(void *context), void *context)
{
    struct replication *replication = service->replication;

    replication->handed_over = done;
    replication->handed_over_context = context;
    replication->hand_over_until_ms = clock_monotonic_ms() + HAND_OVER_MS;
    leads_shared_group(service, true);
    replication->hand_over =
        loop_timer_start(service->loop, 0, TICK_MS, on_hand_over, replication);
}

/*
 * The loop has stopped: what the threads still finish is durable and applied, but nobody is
 * told. The replicator goes last but for the things that it was given, so that none of them
 * calls into what is gone.
 */
void replication_close(struct service *service)
{
    struct replication *replication = service->replication;

    if (replication == NULL)
        return;
    loop_hook_remove(&replication->hook);
    loop_timer_stop(&replication->tick);
    loop_timer_stop(&replication->hand_over);
    node_log_close(&replication->log);
    applier_stop(replication->applier);
    replicator_free(&service->replicator); /* gives its batches back */
    applier_free(&replication->applier);
    transport_nng_free(&replication->transport);
    for (unsigned i = 0; i < service->lane_count; i++)
        db_close(&service->lanes[i]);
    free(replication);
    service->replication = NULL;
}
