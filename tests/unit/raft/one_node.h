/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One node with a log, a machine and a transport that do as they are told. Included by the
 * tests of the replicator, once in each. */
#ifndef TESTS_UNIT_RAFT_ONE_NODE_H
#define TESTS_UNIT_RAFT_ONE_NODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/log.h"
#include "raft/machine.h"
#include "raft/membership.h"
#include "raft/replicator.h"
#include "raft/transport.h"
#include "raft/wire.h"

enum { ENTRIES_MAX = 1000, FRAMES_MAX = 100 };

struct fixture {
    struct entry_log log;
    struct machine machine;
    struct transport transport;
    struct replicator_clock clock;
    struct replicator *replicator;
    uint64_t now_ms;
    /* the log: one group */
    struct log_state state;
    uint8_t base_members[LOG_MEMBERS_SIZE_MAX];
    bool exists;
    struct entry entries[ENTRIES_MAX];
    const struct log_write *writes;
    unsigned writes_count;
    unsigned resets;
    uint64_t entry_bytes; /* what it says that one weighs */
    uint64_t retain_bytes;
    uint64_t hold_bytes;
    uint64_t hold_ms;
    uint64_t unreadable; /* an entry; 0: none */
    bool writes_wait;    /* a write stays under way until the test ends it */
    /* the machine */
    uint64_t applied;
    struct machine_batch *batch;
    bool apply_waits;
    enum machine_state kept;
    unsigned fetches;
    unsigned fetch_stops;
    unsigned forgets;
    uint64_t fetch_source;
    uint64_t fetch_index;
    /* the transport */
    struct frame *frames[FRAMES_MAX];
    unsigned frames_count;
    bool link_up;
    bool cross_dc;
    bool sites_unknown;
};

struct answer {
    unsigned count;
    enum err err;
    uint64_t index;
    char reply[32];
};

static uint64_t now(void *context)
{
    return ((struct fixture *)context)->now_ms;
}

static inline void write_end(struct fixture *fixture, enum err err)
{
    for (unsigned i = 0; i < fixture->writes_count && err == ERR_OK; i++) {
        const struct log_write *write = &fixture->writes[i];
        if (write->create && !fixture->exists)
            fixture->state = (struct log_state){.group = write->group, .first_index = 1};
        fixture->exists = true;
        fixture->state.dropped = write->drop;
        if (write->drop) {
            fixture->state.first_index = 1;
            fixture->state.last_index = 0;
            fixture->state.promised_term = write->promised_term;
            fixture->state.promised_index = write->promised_index;
        }
        if (write->reset) {
            fixture->resets++;
            fixture->state.last_index = write->trim_before - 1;
        }
        if (write->trim_before != 0) {
            fixture->state.first_index = write->trim_before;
            fixture->state.base_term = write->base_term;
            fixture->state.base_members_index = write->base_members_index;
            memcpy(fixture->base_members, write->base_members.at, write->base_members.len);
            fixture->state.base_members =
                bytes_from(fixture->base_members, write->base_members.len);
        }
        if (write->set_term) {
            fixture->state.term = write->term;
            fixture->state.vote = write->vote;
        }
        for (unsigned j = 0; write->from != 0 && j < write->count; j++) {
            struct entry *entry = &fixture->entries[write->from + j];
            CHECK(write->from + j < ENTRIES_MAX);
            frame_unref(entry->owner);
            *entry = write->entries[j];
            entry->owner = frame_new(entry->data.len);
            memcpy(frame_memory(entry->owner), entry->data.at, entry->data.len);
            entry->data = frame_bytes(entry->owner);
            fixture->state.last_index = write->from + j;
        }
    }
    fixture->writes_count = 0;
    replicator_log_written(fixture->replicator, err);
}

static struct fixture *of_log(struct entry_log *log)
{
    return (struct fixture *)((uint8_t *)log - offsetof(struct fixture, log));
}

static struct fixture *of_machine(struct machine *machine)
{
    return (struct fixture *)((uint8_t *)machine - offsetof(struct fixture, machine));
}

static struct fixture *of_transport(struct transport *transport)
{
    return (struct fixture *)((uint8_t *)transport - offsetof(struct fixture, transport));
}

static void log_write(struct entry_log *log, const struct log_write *writes, unsigned count)
{
    struct fixture *fixture = of_log(log);
    CHECK(fixture->writes_count == 0);
    fixture->writes = writes;
    fixture->writes_count = count;
    if (!fixture->writes_wait)
        write_end(fixture, ERR_OK);
}

static unsigned log_groups(struct entry_log *log, struct log_state *states, unsigned max)
{
    struct fixture *fixture = of_log(log);
    if (fixture->exists && max > 0)
        states[0] = fixture->state;
    return fixture->exists;
}

static unsigned log_read(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                         size_t bytes_max, struct entry *entries)
{
    struct fixture *fixture = of_log(log);
    unsigned got = 0;
    (void)group;
    (void)bytes_max;
    for (; got < count && first + got <= fixture->state.last_index &&
           (fixture->unreadable == 0 || first + got != fixture->unreadable);
         got++) {
        entries[got] = fixture->entries[first + got];
        frame_ref(entries[got].owner);
    }
    return got;
}

static unsigned log_scan(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                         struct entry *entries)
{
    return log_read(log, group, first, count, SIZE_MAX, entries);
}

static uint64_t log_bytes(struct entry_log *log, uint32_t group)
{
    (void)group;
    const struct fixture *fixture = of_log(log);
    return fixture->entry_bytes * (fixture->state.last_index + 1 - fixture->state.first_index);
}

static const struct entry_log_ops log_ops = {log_write, log_groups, log_read, log_scan,
                                             log_bytes};

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    (void)group;
    return 3;
}

static inline void batch_end(struct fixture *fixture)
{
    struct machine_batch *batch = fixture->batch;
    fixture->batch = NULL;
    for (unsigned i = 0; i < batch->count; i++) {
        assert_int_equal(batch->commands[i].index, fixture->applied + 1);
        fixture->applied++;
        if (batch->commands[i].want_reply)
            batch->commands[i].reply = batch->commands[i].command;
    }
    replicator_batch_applied(fixture->replicator, batch);
}

static void apply(struct machine *machine, struct machine_batch *batch)
{
    struct fixture *fixture = of_machine(machine);
    fixture->batch = batch;
    if (!fixture->apply_waits)
        batch_end(fixture);
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    (void)machine;
    (void)batch;
}

static uint64_t applied(struct machine *machine, uint32_t group)
{
    (void)group;
    return of_machine(machine)->applied;
}

static enum machine_state state_of(struct machine *machine, uint32_t group)
{
    (void)group;
    return of_machine(machine)->kept;
}

static void fetch(struct machine *machine, uint32_t group, uint64_t source, uint64_t index)
{
    struct fixture *fixture = of_machine(machine);
    (void)group;
    fixture->fetch_source = source;
    fixture->fetch_index = index;
    fixture->fetches++;
}

static void fetch_stop(struct machine *machine, uint32_t group)
{
    (void)group;
    of_machine(machine)->fetch_stops++;
}

static void forget(struct machine *machine, uint32_t group)
{
    (void)group;
    of_machine(machine)->forgets++;
}

static const struct machine_ops machine_ops = {.lane_of = lane_of,
                                               .apply = apply,
                                               .release = release,
                                               .applied = applied,
                                               .durable = applied,
                                               .state = state_of,
                                               .fetch = fetch,
                                               .fetch_stop = fetch_stop,
                                               .forget = forget};

static unsigned room(struct transport *transport, uint64_t node_id)
{
    (void)node_id;
    return of_transport(transport)->link_up ? 10 : 0;
}

static void send_frame(struct transport *transport, uint64_t node_id, struct frame *frame)
{
    struct fixture *fixture = of_transport(transport);
    (void)node_id;
    CHECK(fixture->frames_count < FRAMES_MAX);
    fixture->frames[fixture->frames_count++] = frame;
}

static const struct transport_ops transport_ops = {room, send_frame};

static unsigned site_of(void *context, uint64_t node_id)
{
    const struct fixture *fixture = context;
    return fixture->sites_unknown ? 0 : (unsigned)node_id;
}

static inline void start(struct fixture *fixture)
{
    struct replicator_config config = {.node_id = 1,
                                       .seed = 7,
                                       .election_timeout_ms = 1000,
                                       .heartbeat_ms = 100,
                                       .grace_ms = 5000,
                                       .cross_dc = fixture->cross_dc,
                                       .inflight_bytes_max = 4000,
                                       .log_retain_bytes = fixture->retain_bytes,
                                       .log_hold_bytes = fixture->hold_bytes,
                                       .log_hold_ms = fixture->hold_ms,
                                       .clock = &fixture->clock,
                                       .log = &fixture->log,
                                       .transport = &fixture->transport,
                                       .machine = &fixture->machine,
                                       .site_of = site_of,
                                       .context = fixture};
    assert_int_equal(replicator_new(&config, &fixture->replicator), ERR_OK);
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    CHECK(fixture != NULL);
    fixture->log.ops = &log_ops;
    fixture->machine.ops = &machine_ops;
    fixture->transport.ops = &transport_ops;
    fixture->clock = (struct replicator_clock){now, fixture};
    fixture->now_ms = 1000;
    start(fixture);
    *state = fixture;
    return 0;
}

static inline void frames_drop(struct fixture *fixture)
{
    while (fixture->frames_count > 0)
        frame_unref(fixture->frames[--fixture->frames_count]);
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    replicator_free(&fixture->replicator);
    frames_drop(fixture);
    for (unsigned i = 0; i < ENTRIES_MAX; i++)
        frame_unref(fixture->entries[i].owner);
    free(fixture);
    return 0;
}

static inline void turns(struct fixture *fixture)
{
    for (unsigned i = 0; i < 10; i++)
        replicator_turn(fixture->replicator);
}

static inline void on_done(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct answer *answer = context;
    answer->count++;
    answer->err = err;
    answer->index = index;
    if (reply.len < sizeof(answer->reply))
        memcpy(answer->reply, reply.at != NULL ? (const char *)reply.at : "", reply.len);
}

static inline void on_simple(void *context, enum err err)
{
    on_done(context, err, 0, (struct bytes){NULL, 0});
}

static inline void bootstrap(struct fixture *fixture)
{
    struct answer answer = {0};
    replicator_group_bootstrap(fixture->replicator, 0, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.err, ERR_OK);
}

static inline struct answer propose(struct fixture *fixture, struct bytes command)
{
    struct answer answer = {0};
    replicator_propose(fixture->replicator, 0, command, on_done, &answer);
    assert_int_equal(answer.count, 0); /* never inside the call */
    turns(fixture);
    assert_int_equal(answer.count, 1);
    return answer;
}

#endif
