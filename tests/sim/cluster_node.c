/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One node: its loop, its machine, and the load that it puts on what it leads. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cluster.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "raft/frame.h"
#include "raft/log_lmdb.h"
#include "raft/machine.h"
#include "raft/transport_nng.h"

enum { IDS_MAX = 1 << 22, REPLY_MS = 10 };

struct node {
    struct machine machine;
    struct cluster *cluster;
    struct shared_node *shared;
    unsigned number;
    int wake_fd;
    atomic_bool log_written;
    _Atomic int log_err;
    struct replicator *replicator;
    struct log_lmdb *log;
    struct transport_nng *transport;
    unsigned underway[CLUSTER_GROUPS_MAX];
    bool changing[CLUSTER_GROUPS_MAX];
    uint8_t *seen; /* a bit for each id and group: applied */
    uint8_t *command;
};

struct request {
    struct node *node;
    unsigned group;
    uint64_t start_us;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t clock_now(void *context)
{
    (void)context;
    return now_us() / 1000;
}

static void wake(void *context)
{
    struct node *node = context;
    uint64_t one = 1;
    ssize_t len = write(node->wake_fd, &one, sizeof(one));
    CHECK(len == sizeof(one));
}

static void log_written(void *context, enum err err)
{
    struct node *node = context;
    atomic_store(&node->log_err, (int)err);
    atomic_store(&node->log_written, true);
    wake(node);
}

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    (void)group;
    return 0;
}

static void apply(struct machine *machine, struct machine_batch *batch)
{
    struct node *node = (struct node *)machine;
    for (unsigned i = 0; i < batch->count; i++) {
        struct machine_command *command = &batch->commands[i];
        struct shared_group *group = &node->shared->groups[command->group];
        if (command->command.len > 0) {
            uint64_t id;
            memcpy(&id, command->command.at, sizeof(id));
            CHECK(id < IDS_MAX);
            if ((node->seen[id / 8] >> (id % 8)) & 1)
                atomic_fetch_add(&node->shared->doubled, 1);
            node->seen[id / 8] = (uint8_t)(node->seen[id / 8] | 1 << (id % 8));
            group->hash = (group->hash ^ id) * 0x100000001b3U;
            atomic_fetch_add(&group->commands, 1);
        }
        atomic_store(&group->applied, command->index);
    }
    replicator_batch_applied(node->replicator, batch);
    wake(node);
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    (void)machine;
    (void)batch;
}

static uint64_t nothing_applied(struct machine *machine, uint32_t group)
{
    (void)machine;
    (void)group;
    return 0;
}

static const struct machine_ops machine_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = nothing_applied,
    .durable = nothing_applied,
};

static unsigned site_of(void *context, uint64_t node_id)
{
    (void)context;
    return (unsigned)node_id;
}

static void proposed(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct request *request = context;
    struct shared_node *shared = request->node->shared;
    (void)index;
    (void)reply;
    request->node->underway[request->group]--;
    if (err == ERR_OK) {
        uint64_t at = atomic_load(&shared->latencies_count);
        atomic_fetch_add(&shared->acknowledged, 1);
        atomic_fetch_add(&shared->groups[request->group].acknowledged, 1);
        if (at < LATENCIES_MAX) {
            shared->latencies_us[at] = (uint32_t)(now_us() - request->start_us);
            atomic_store(&shared->latencies_count, at + 1);
        }
    } else if (err == ERR_UNKNOWN) {
        atomic_fetch_add(&shared->unknown, 1);
    }
    free(request);
}

static void read_done(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct node *node = context;
    (void)index;
    (void)reply;
    if (err == ERR_OK)
        atomic_fetch_add(&node->shared->reads, 1);
}

static void changed_members(void *context, enum err err)
{
    struct request *request = context;
    (void)err;
    request->node->changing[request->group] = false;
    free(request);
}

static struct request *request_new(struct node *node, unsigned group)
{
    struct request *request = malloc(sizeof(*request));
    CHECK(request != NULL);
    *request = (struct request){node, group, now_us()};
    return request;
}

/* The leader takes the others in, one step at a time. */
static void grow(struct node *node, unsigned group, const struct replicator_status *status)
{
    for (unsigned i = 0; i < CLUSTER_NODES && !node->changing[group]; i++) {
        unsigned at = 0;
        while (at < status->member_count && status->members[at].node_id != i + 1)
            at++;
        if (at < status->member_count && status->members[at].role == REPLICATOR_VOTER)
            continue;
        node->changing[group] = true;
        replicator_change(node->replicator, group, i + 1,
                          at < status->member_count ? REPLICATOR_VOTER : REPLICATOR_STANDBY,
                          false, changed_members, request_new(node, group));
    }
}

static void work(struct node *node, uint64_t now)
{
    const struct cluster_options *options = &node->cluster->options;
    for (unsigned i = 0; i < options->groups; i++) {
        struct replicator_status status;
        if (!replicator_status(node->replicator, i, &status))
            continue;
        unsigned voters = 0;
        for (unsigned j = 0; j < status.member_count; j++)
            voters += status.members[j].role == REPLICATOR_VOTER;
        atomic_store(&node->shared->groups[i].leader, status.leader);
        atomic_store(&node->shared->groups[i].voters, voters);
        if (status.state != REPLICATOR_LEADER)
            continue;
        if (voters < CLUSTER_NODES)
            grow(node, i, &status);
        while (atomic_load(&node->cluster->shared->load) && voters == CLUSTER_NODES &&
               node->underway[i] < options->depth) {
            uint64_t id = atomic_fetch_add(&node->cluster->shared->next_id, 1);
            memcpy(node->command, &id, sizeof(id));
            node->underway[i]++;
            replicator_propose(node->replicator, i, bytes_from(node->command, options->size),
                               proposed, request_new(node, i));
        }
    }
    static uint64_t next_read;
    if (now < next_read)
        return;
    next_read = now + REPLY_MS;
    replicator_read(node->replicator, (uint32_t)(now / REPLY_MS % options->groups), now + 1000,
                    read_done, node);
}

static void bootstrapped(void *context, enum err err)
{
    (void)context;
    CHECK(err == ERR_OK || err == ERR_EXISTS);
}

static void node_open(struct node *node, const struct replicator_clock *clock)
{
    struct cluster *cluster = node->cluster;
    char path[300];
    char listen[40];
    snprintf(path, sizeof(path), "%s/node%u", cluster->options.folder, node->number + 1);
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", cluster->options.port + node->number);
    struct log_lmdb_config log_config = {.folder = path,
                                         .map_bytes = (uint64_t)8 << 30,
                                         .written = log_written,
                                         .context = node};
    struct transport_nng_config transport_config = {.node_id = node->number + 1,
                                                    .cluster_id = "test",
                                                    .listen = listen,
                                                    .credentials =
                                                        &cluster->credentials[node->number],
                                                    .wake = wake,
                                                    .context = node};
    CHECK(log_lmdb_open(&log_config, &node->log) == ERR_OK);
    CHECK(transport_nng_new(&transport_config, &node->transport) == ERR_OK);
    struct replicator_config config = {
        .node_id = node->number + 1,
        .seed = now_us() ^ (uint64_t)getpid() << 32,
        .cross_dc = true,
        .grace_ms = 2000,
        .log_retain_bytes = (uint64_t)1 << 40,
        .clock = clock,
        .log = log_lmdb_interface(node->log),
        .transport = transport_nng_interface(node->transport),
        .machine = &node->machine,
        .site_of = site_of,
        .context = node,
    };
    CHECK(replicator_new(&config, &node->replicator) == ERR_OK);
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        char address[40];
        snprintf(address, sizeof(address), "127.0.0.1:%u", cluster->options.port + i);
        if (i != node->number)
            CHECK(transport_nng_peer(node->transport, i + 1, address) == ERR_OK);
    }
    for (unsigned i = 0; i < cluster->options.groups; i++)
        if (node->number == 0)
            replicator_group_bootstrap(node->replicator, i, bootstrapped, node);
        else
            CHECK(replicator_group_join(node->replicator, i) == ERR_OK);
}

void cluster_node_run(struct cluster *cluster, unsigned number)
{
    static const struct replicator_clock clock = {.now_ms = clock_now};
    struct node *node = calloc(1, sizeof(*node));
    CHECK(node != NULL);
    log_init("raft_cluster", LOG_LEVEL_WARN, false);
    node->machine.ops = &machine_ops;
    node->cluster = cluster;
    node->number = number;
    node->shared = &cluster->shared->nodes[number];
    node->seen = calloc(1, IDS_MAX / 8);
    node->command = calloc(1, cluster->options.size);
    node->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(node->seen != NULL && node->command != NULL && node->wake_fd >= 0);
    node_open(node, &clock);
    for (bool again = false;;) {
        struct pollfd poll_fd = {.fd = node->wake_fd, .events = POLLIN};
        uint64_t count;
        if (poll(&poll_fd, 1, again ? 0 : 5) == 1)
            CHECK(read(node->wake_fd, &count, sizeof(count)) == sizeof(count));
        if (atomic_exchange(&node->log_written, false))
            replicator_log_written(node->replicator, (enum err)atomic_load(&node->log_err));
        transport_nng_deliver(node->transport, node->replicator);
        work(node, clock_now(NULL));
        again = replicator_turn(node->replicator);
    }
}
