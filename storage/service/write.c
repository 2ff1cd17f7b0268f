/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/write.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"

/*
 * A write goes to its group's leader again and again until it is answered. That it may arrive
 * twice does no harm: the machine knows its request id, and commands without one may be applied
 * twice. When time runs out and some attempt may still take effect, a Cancel with the same id
 * goes the same way; whichever of the two lies first in the log decides.
 */

#define RETRY_FIRST_MS 10
#define RETRY_MAX_MS 200
#define CLOCK_GOOD_MS 60000 /* two clocks drift apart: what is older is asked anew */
#define ATTEMPT_MS 5000     /* for another node's answer, before it or its successor is asked */

struct write {
    struct write *next;
    struct write **self;
    struct service *service;
    uint32_t group;
    struct buffer entry;
    uint8_t request_id[REQUEST_ID_SIZE];
    bool has_request_id;
    uint64_t deadline_ms; /* of the attempts; settling comes after */
    bool settling;        /* the entry is a Cancel now */
    bool uncertain;       /* some attempt may take effect */

    uint64_t asked; /* node that an attempt is under way at; 0: none */
    uint64_t hint;  /* who leads, as another node said; 0: ask around */
    unsigned asked_around;
    uint64_t ticket;           /* of the call to another node */
    uint64_t connects;         /* of the connection that it went over */
    struct proposal *proposal; /* under way here */
    struct loop_timer *timer;  /* to the next attempt, or, with a proposal, to the deadline */
    uint64_t retry_ms;

    write_done *done;
    void *context;
};

struct writes {
    struct write *first;
    bool ending;
};

/* Given to the replicator, whose answer may come when the write has moved on. */
struct proposal {
    struct write *write; /* NULL: nobody waits any more */
};

static void attempt_start(struct write *write);
static void give_up(struct write *write);

struct writes *writes_new(void)
{
    struct writes *writes = calloc(1, sizeof(*writes));
    CHECK(writes != NULL);
    return writes;
}

static void write_end(struct write *write, enum err err, const Pr__Outcome *outcome,
                      uint64_t index)
{
    loop_timer_stop(&write->timer);
    if (write->proposal != NULL)
        write->proposal->write = NULL;
    *write->self = write->next;
    if (write->next != NULL)
        write->next->self = write->self;
    write->done(write->context, err, outcome, index);
    buffer_fini(&write->entry);
    free(write);
}

void writes_free(struct writes **writes)
{
    if (*writes == NULL)
        return;
    (*writes)->ending = true;
    while ((*writes)->first != NULL)
        give_up((*writes)->first);
    free(*writes);
    *writes = NULL;
}

static void on_timer(void *context)
{
    struct write *write = context;

    write->timer = NULL;
    if (write->proposal != NULL) {
        write->proposal->write = NULL;
        write->proposal = NULL;
        write->uncertain = true;
    }
    attempt_start(write);
}

static void timer_start(struct write *write, uint64_t delay_ms)
{
    CHECK(write->timer == NULL);
    write->timer = loop_timer_start(write->service->loop, delay_ms, 0, on_timer, write);
}

static void retry_later(struct write *write)
{
    write->asked = 0;
    write->ticket = 0;
    write->retry_ms = write->retry_ms == 0 ? RETRY_FIRST_MS : 2 * write->retry_ms;
    if (write->retry_ms > RETRY_MAX_MS)
        write->retry_ms = RETRY_MAX_MS;
    timer_start(write, write->retry_ms);
}

/* Without an answer. Commands without id come again anyway: of them nobody wants to know. */
static void give_up(struct write *write)
{
    bool unknown = write->uncertain || write->proposal != NULL || write->ticket != 0;

    write_end(write, unknown && write->has_request_id ? ERR_UNKNOWN : ERR_UNAVAILABLE, NULL, 0);
}

/* Time is up. */
static void settle(struct write *write)
{
    if (write->settling || !write->uncertain || !write->has_request_id) {
        give_up(write);
        return;
    }
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Cancel cancel = PR__CANCEL__INIT;
    cancel.cancelled_id = (ProtobufCBinaryData){REQUEST_ID_SIZE, write->request_id};
    command.time_ms = clock_wall_ms();
    command.call_case = PR__COMMAND__CALL_CANCEL;
    command.cancel = &cancel;
    buffer_clear(&write->entry);
    entry_encode(&command, &write->entry);
    write->settling = true;
    write->deadline_ms = clock_monotonic_ms() + SETTLE_MS;
    write->retry_ms = 0;
    attempt_start(write);
}

/* The command lies in the log and was applied: the outcome is what is true. */
static void conclude(struct write *write, const Pr__Outcome *outcome, uint64_t index)
{
    if (write->settling && outcome->err == ERR_CANCELLED) {
        log_info(NULL, "write cancelled", LOG_FIELDS(LOG_U64("group", write->group)));
        write_end(write, ERR_UNAVAILABLE, NULL, 0);
        return;
    }
    write_end(write, ERR_OK, outcome, index);
}

static void on_proposed(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct proposal *proposal = context;
    struct write *write = proposal->write;
    struct arena reply_arena;

    free(proposal);
    if (write == NULL)
        return;
    write->proposal = NULL;
    loop_timer_stop(&write->timer);
    arena_init(&reply_arena);
    Pr__Outcome *outcome = NULL;
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&reply_arena);
        outcome = pr__outcome__unpack(&allocator, reply.len, reply.at);
    }
    if (outcome != NULL)
        conclude(write, outcome, index);
    else if (err == ERR_TOOBIG)
        write_end(write, err, NULL, 0);
    else {
        write->uncertain |= err != ERR_NOTLEADER && err != ERR_BUSY && err != ERR_NOTFOUND;
        if (err == ERR_CLOSED || write->service->writes->ending)
            give_up(write);
        else
            retry_later(write);
    }
    arena_fini(&reply_arena);
}

static void note_clock(struct write *write, const Pr__PeerReply *reply)
{
    struct service_node *node = service_node(write->service, write->asked);

    if (node == NULL)
        return;
    node->clock_id = reply->clock_id;
    node->clock_ms = reply->clock_ms;
    node->clock_at_ms = clock_monotonic_ms();
}

/* Whether the other node says that the command was not taken, and never will be by that
 * request. */
static bool is_refusal(uint32_t err)
{
    return err == ERR_NOTLEADER || err == ERR_BUSY || err == ERR_CONFLICT ||
           err == ERR_TIMEOUT || err == ERR_DENIED;
}

/* A request that goes out again over another connection may have been taken the first time:
 * perhaps by a process that is gone, and that the refusal knows nothing of. */
static bool was_sent_once(const struct write *write)
{
    const struct rpc_client *peer = service_peer(write->service, write->asked);

    return peer != NULL && rpc_client_connects(peer) == write->connects;
}

static void on_peer_reply(void *context, enum err err, struct bytes bytes)
{
    struct write *write = context;
    struct arena reply_arena;
    Pr__PeerReply *reply = NULL;

    arena_init(&reply_arena);
    write->ticket = 0;
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&reply_arena);
        reply = pr__peer_reply__unpack(&allocator, bytes.len, bytes.at);
    }
    if (reply != NULL)
        note_clock(write, reply);
    if (reply != NULL && reply->err == ERR_OK && reply->outcome != NULL) {
        conclude(write, reply->outcome, reply->index);
    } else {
        bool refused = reply != NULL && is_refusal(reply->err);
        bool elsewhere = refused && reply->leader != 0 && reply->leader != write->asked;
        write->uncertain |= !refused || !was_sent_once(write);
        write->hint = refused ? reply->leader : 0;
        if ((elsewhere || (refused && reply->err == ERR_CONFLICT)) && write->retry_ms == 0) {
            write->retry_ms = RETRY_FIRST_MS; /* once at once, then with pauses */
            write->asked = 0;
            attempt_start(write);
        } else {
            retry_later(write);
        }
    }
    arena_fini(&reply_arena);
}

/* Without a replica here nobody tells us who leads: the members are asked in turn, and they
 * say. */
static uint64_t ask_around(struct write *write)
{
    struct arena group_arena;
    uint64_t node_id = 0;

    arena_init(&group_arena);
    struct db_txn *txn = service_directory_begin(write->service);
    Pr__GroupRecord *group = directory_group(txn, write->group, &group_arena);
    if (group != NULL && group->n_replicas > 0)
        node_id = group->replicas[write->asked_around++ % group->n_replicas]->node_id;
    db_abort(&txn);
    arena_fini(&group_arena);
    return node_id;
}

static void ask_peer(struct write *write, uint64_t node_id, uint64_t left_ms)
{
    struct service_node *node = service_node(write->service, node_id);
    struct rpc_client *peer = node != NULL ? node->rpc : NULL;
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__Propose propose = PR__PROPOSE__INIT;
    struct buffer packed = BUFFER_EMPTY;

    if (peer == NULL || !rpc_client_connected(peer)) {
        retry_later(write);
        return;
    }
    propose.group = write->group;
    propose.command = field_of_bytes(buffer_bytes(&write->entry));
    bool clock_good = clock_monotonic_ms() - node->clock_at_ms <= CLOCK_GOOD_MS;
    propose.clock_id = clock_good ? node->clock_id : 0;
    /* What the other clock showed when the reply came was at least that: it expires early
     * rather than late. */
    propose.expires_ms = node->clock_ms + (write->deadline_ms - node->clock_at_ms);
    request.call_case = PR__PEER_REQUEST__CALL_PROPOSE;
    request.propose = &propose;
    message_pack(&request.base, &packed);
    write->asked = node_id;
    write->connects = rpc_client_connects(peer);
    write->ticket = rpc_call(peer, buffer_bytes(&packed),
                             left_ms < ATTEMPT_MS ? left_ms : ATTEMPT_MS, on_peer_reply, write);
    buffer_fini(&packed);
}

static void propose(struct write *write, uint64_t left_ms)
{
    struct proposal *proposal = malloc(sizeof(*proposal));

    CHECK(proposal != NULL);
    proposal->write = write;
    write->proposal = proposal;
    write->asked = service_self(write->service);
    timer_start(write, left_ms);
    replicator_propose(write->service->replicator, write->group, buffer_bytes(&write->entry),
                       on_proposed, proposal);
}

static void attempt_start(struct write *write)
{
    struct service *service = write->service;
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms >= write->deadline_ms) {
        settle(write);
        return;
    }
    uint64_t leader = replicator_leader(service->replicator, write->group);
    if (leader == 0)
        leader = write->hint;
    if (leader == 0 && !read_is_local(service, write->group))
        leader = ask_around(write);
    write->hint = 0;
    if (leader == service_self(service)) {
        propose(write, write->deadline_ms - now_ms);
    } else if (leader != 0) {
        ask_peer(write, leader, write->deadline_ms - now_ms);
    } else {
        retry_later(write);
    }
}

void writes_leader_changed(struct service *service, uint32_t group)
{
    uint64_t leader = replicator_leader(service->replicator, group);
    struct write *next;

    if (leader == 0)
        return;
    for (struct write *write = service->writes->first; write != NULL; write = next) {
        next = write->next;
        if (write->group != group || write->ticket == 0 || write->asked == leader)
            continue;
        rpc_cancel(service_peer(service, write->asked), write->ticket);
        write->uncertain = true;
        retry_later(write);
    }
}

void write_entry(struct service *service, uint32_t group, struct bytes entry,
                 struct bytes request_id, uint64_t deadline_ms, write_done *done, void *context)
{
    struct write *write = calloc(1, sizeof(*write));
    uint64_t now_ms = clock_monotonic_ms();

    CHECK(write != NULL);
    CHECK(request_id.len == 0 || request_id.len == REQUEST_ID_SIZE);
    write->service = service;
    write->group = group;
    buffer_add(&write->entry, entry);
    write->has_request_id = request_id.len > 0;
    if (write->has_request_id)
        memcpy(write->request_id, request_id.at, REQUEST_ID_SIZE);
    /* A third of the time, but not more than it takes, is kept for settling. */
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    uint64_t kept_ms = !write->has_request_id    ? 0
                       : left_ms / 3 < SETTLE_MS ? left_ms / 3
                                                 : SETTLE_MS;
    write->deadline_ms = now_ms + left_ms - kept_ms;
    write->done = done;
    write->context = context;
    write->next = service->writes->first;
    write->self = &service->writes->first;
    if (write->next != NULL)
        write->next->self = &write->next;
    service->writes->first = write;
    if (left_ms > RETRY_FIRST_MS)
        attempt_start(write);
    else
        retry_later(write); /* what ends at once ends from the loop, never from in here */
}

void write_start(struct service *service, uint32_t group, Pr__Command *command,
                 uint64_t deadline_ms, write_done *done, void *context)
{
    struct buffer entry = BUFFER_EMPTY;

    command->time_ms = clock_wall_ms();
    entry_encode(command, &entry);
    write_entry(service, group, buffer_bytes(&entry), bytes_of_field(command->request_id),
                deadline_ms, done, context);
    buffer_fini(&entry);
}

static void on_call_written(void *context, enum err err, const Pr__Outcome *outcome,
                            uint64_t index)
{
    (void)index;
    call_outcome(context, err, outcome);
}

void write_call(struct service_call *call, uint32_t group, Pr__Command *command)
{
    command->request_id = call->request->request_id;
    if (command->request_id.len != 0 && command->request_id.len != REQUEST_ID_SIZE) {
        call_fail(call, ERR_INVALID, "a request id has 16 bytes");
        return;
    }
    write_start(call->service, group, command, call->deadline_ms, on_call_written, call);
}
