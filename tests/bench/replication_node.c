/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/replication_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "raft/machine.h"
#include "raft/transport_nng.h"
#include "tests/bench/replication_delay.h"

#define CLUSTER "00000000000000000000000000000000"

enum {
    ELECTION_MS = 2000,
    HEARTBEAT_MS = 250,
    GRACE_MS = 10000,
    TICK_MS = 5,
    GROUPS_MAX = 4096,
    FILE_MAX = 16 * 1024,
    PATH_MAX_SIZE = 1024,
};

/* Applies by counting. */
struct counter {
    struct machine machine; /* first */
    struct node *node;
    struct machine_batch *done;
    uint64_t applied[GROUPS_MAX];
};

struct node {
    struct node_options options;
    struct loop *loop;
    struct arena arena;
    struct journal *log;
    struct transport_nng *transport;
    struct delay *delay;
    struct counter counter;
    struct replicator *replicator;
    struct replicator_clock clock;
    struct loop_hook *hook;
    struct loop_timer *tick;
    enum err log_err;
};

static uint64_t now_ms(void *context)
{
    (void)context;
    return clock_monotonic_ms();
}

/* ---- the machine ---- */

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    (void)group;
    return 0;
}

static void applied_soon(void *context)
{
    struct counter *counter = context;
    struct machine_batch *batch = counter->done;

    counter->done = NULL;
    replicator_batch_applied(counter->node->replicator, batch);
    loop_wake(counter->node->loop);
}

static void apply(struct machine *machine, struct machine_batch *batch)
{
    struct counter *counter = (struct counter *)machine;

    for (unsigned i = 0; i < batch->count; i++) {
        CHECK(batch->commands[i].group < GROUPS_MAX);
        counter->applied[batch->commands[i].group] = batch->commands[i].index;
        batch->commands[i].reply = BYTES("ok");
    }
    counter->done = batch;
    loop_post(counter->node->loop, applied_soon, counter);
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    (void)machine;
    (void)batch;
}

static uint64_t applied(struct machine *machine, uint32_t group)
{
    CHECK(group < GROUPS_MAX);
    return ((struct counter *)machine)->applied[group];
}

static const struct machine_ops counter_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = applied,
    .durable = applied, /* there is nothing to lose */
};

/* ---- credentials ---- */

static void file_write(const char *folder, const char *name, uint64_t node, struct bytes text)
{
    char path[PATH_MAX_SIZE];

    snprintf(path, sizeof(path), "%s/%s-%u.pem", folder, name, (unsigned)node);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(text.at, 1, text.len, file) == text.len && fclose(file) == 0);
}

static struct bytes file_read(struct arena *arena, const char *folder, const char *name,
                              uint64_t node)
{
    char path[PATH_MAX_SIZE];
    uint8_t *text = arena_alloc(arena, FILE_MAX);

    snprintf(path, sizeof(path), "%s/%s-%u.pem", folder, name, (unsigned)node);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    size_t len = fread(text, 1, FILE_MAX, file);
    fclose(file);
    return bytes_from(text, len);
}

void credentials_make(const char *folder, unsigned nodes)
{
    struct arena arena;
    struct bytes authority;
    struct bytes authority_key;

    arena_init(&arena);
    tls_authority_new(CLUSTER, &arena, &authority, &authority_key);
    for (unsigned node = 1; node <= nodes; node++) {
        struct bytes key;
        struct bytes request;
        struct bytes certificate;
        tls_request_new(&arena, &key, &request);
        CHECK(tls_request_sign(authority, authority_key, request, CLUSTER, node, &arena,
                               &certificate) == ERR_OK);
        file_write(folder, "authority", node, authority);
        file_write(folder, "key", node, key);
        file_write(folder, "certificate", node, certificate);
    }
    arena_fini(&arena);
}

/* ---- the node ---- */

static void log_written(void *context)
{
    struct node *node = context;

    CHECK(node->log_err == ERR_OK);
    replicator_log_written(node->replicator, ERR_OK);
    loop_wake(node->loop);
}

static void on_log_written(void *context, enum err err)
{
    struct node *node = context;

    node->log_err = err;
    loop_post(node->loop, log_written, node);
}

static void deliver(void *context)
{
    struct node *node = context;

    if (node->replicator != NULL)
        transport_nng_deliver(node->transport, node->replicator);
    loop_wake(node->loop);
}

static void on_frames(void *context)
{
    loop_post(((struct node *)context)->loop, deliver, context);
}

static void on_turn(void *context)
{
    struct node *node = context;

    if (replicator_turn(node->replicator))
        loop_wake(node->loop);
}

static void on_tick(void *context)
{
    (void)context; /* the turn that follows does the work */
}

static unsigned site_of(void *context, uint64_t node_id)
{
    (void)context;
    return (unsigned)node_id; /* each in a data center of its own */
}

static void open_links(struct node *node)
{
    const struct node_options *options = &node->options;
    struct tls_credentials credentials = {
        .authority = file_read(&node->arena, options->folder, "authority", options->node_id),
        .certificate =
            file_read(&node->arena, options->folder, "certificate", options->node_id),
        .key = file_read(&node->arena, options->folder, "key", options->node_id),
    };
    char address[64];
    struct transport_nng_config config = {
        .node_id = options->node_id,
        .cluster_id = CLUSTER,
        .listen = address,
        .credentials = &credentials,
        .wake = on_frames,
        .context = node,
    };

    snprintf(address, sizeof(address), "127.0.0.1:%u",
             options->port + (unsigned)options->node_id);
    CHECK(transport_nng_new(&config, &node->transport) == ERR_OK);
    for (unsigned peer = 1; peer <= options->nodes; peer++) {
        if (peer == options->node_id)
            continue;
        snprintf(address, sizeof(address), "127.0.0.1:%u", options->port + peer);
        CHECK(transport_nng_peer(node->transport, peer, address) == ERR_OK);
    }
    if (options->delay_ms > 0)
        node->delay =
            delay_new(node->loop, transport_nng_interface(node->transport), options->delay_ms);
}

static void open_log(struct node *node)
{
    char folder[PATH_MAX_SIZE];
    struct journal_config config = {
        .folder = folder,
        .written = on_log_written,
        .context = node,
    };

    snprintf(folder, sizeof(folder), "%s/%u", node->options.folder,
             (unsigned)node->options.node_id);
    CHECK(journal_open(&config, &node->log) == ERR_OK);
}

struct node *node_open(const struct node_options *options)
{
    struct node *node = calloc(1, sizeof(*node));

    CHECK(node != NULL && options->groups <= GROUPS_MAX && options->nodes <= NODES_MAX);
    node->options = *options;
    node->loop = loop_new();
    arena_init(&node->arena);
    node->counter.machine.ops = &counter_ops;
    node->counter.node = node;
    node->clock = (struct replicator_clock){.now_ms = now_ms};
    open_log(node);
    open_links(node);
    struct replicator_config config = {
        .node_id = options->node_id,
        .seed = clock_monotonic_ns() + options->node_id,
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .grace_ms = GRACE_MS,
        .cross_dc = true,
        .log_retain_bytes = options->retain_bytes,
        .clock = &node->clock,
        .log = journal_interface(node->log),
        .transport = node->delay != NULL ? delay_interface(node->delay)
                                         : transport_nng_interface(node->transport),
        .machine = &node->counter.machine,
        .site_of = site_of,
    };
    CHECK(replicator_new(&config, &node->replicator) == ERR_OK);
    node->hook = loop_on_turn(node->loop, on_turn, node);
    node->tick = loop_timer_start(node->loop, TICK_MS, TICK_MS, on_tick, node);
    return node;
}

void node_close(struct node **node)
{
    struct node *ending = *node;

    loop_hook_remove(&ending->hook);
    loop_timer_stop(&ending->tick);
    journal_close(&ending->log);
    replicator_free(&ending->replicator);
    delay_free(&ending->delay);
    transport_nng_free(&ending->transport);
    loop_free(&ending->loop);
    arena_fini(&ending->arena);
    free(ending);
    *node = NULL;
}

struct loop *node_loop(struct node *node)
{
    return node->loop;
}

struct replicator *node_replicator(struct node *node)
{
    return node->replicator;
}
