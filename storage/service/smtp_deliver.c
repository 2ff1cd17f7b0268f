/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole message: into mailboxes, over to other groups, and into the queue. */
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/route.h"
#include "storage/service/scopes.h"
#include "storage/service/sending.h"
#include "storage/service/sending_lane.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_calls.h"
#include "storage/service/smtp_rights.h"

/* Recipients of one part of a delivery, by group. */
struct placed {
    Pr__Recipient **recipients; /* in the group that takes the message */
    size_t count;
    Pr__Handover **handovers; /* in others */
    size_t handover_count;
    size_t room;
};

/* Adds a recipient to its group's hand-over, which is made when it is the group's first. */
static void add_handover(struct arena *arena, struct placed *placed, uint32_t group,
                         Pr__Recipient *recipient)
{
    Pr__Handover *handover = NULL;

    for (size_t i = 0; i < placed->handover_count; i++)
        if (placed->handovers[i]->group == group)
            handover = placed->handovers[i];
    if (handover == NULL) {
        handover = arena_alloc(arena, sizeof(*handover));
        pr__handover__init(handover);
        handover->group = group;
        handover->recipients = arena_alloc(arena, placed->room * sizeof(*handover->recipients));
        placed->handovers[placed->handover_count++] = handover;
    }
    handover->recipients[handover->n_recipients++] = recipient;
}

static bool is_promised(struct service_call *call, uint64_t account_id)
{
    const Pr__DeliverCall *asked = call->request->deliver;

    for (size_t i = 0; i < asked->n_promised_ids; i++)
        if (asked->promised_ids[i] == account_id) /* by a relay: a notice, which is made once */
            return call->role == ROLE_RELAY || smtp_rights_has_room(call, account_id);
    return false;
}

/* Every recipient with its group; false when an account is gone. */
static bool place(struct service_call *call, struct db_txn *txn, uint32_t home,
                  const uint64_t *account_ids, size_t count, struct placed *placed)
{
    struct arena *arena = &call->call_arena;
    struct bytes address;
    uint32_t group = 0;

    *placed = (struct placed){
        .recipients = arena_alloc(arena, count * sizeof(*placed->recipients)),
        .handovers = arena_alloc(arena, count * sizeof(*placed->handovers)),
        .room = count,
    };
    for (size_t i = 0; i < count; i++) {
        Pr__Recipient *recipient = arena_alloc(arena, sizeof(*recipient));
        pr__recipient__init(recipient);
        recipient->account_id = account_ids[i];
        if (!directory_account_by_id(txn, account_ids[i], arena, &address, &group))
            return false;
        if (group == home) {
            if (!is_promised(call, account_ids[i])) {
                recipient->quota = limits_quota_by_id(txn, account_ids[i], arena);
                recipient->scopes =
                    scopes_of_command(call->service, txn, home, account_ids[i], arena);
            }
            placed->recipients[placed->count++] = recipient;
        } else {
            add_handover(arena, placed, group, recipient); /* accepted above limits, too */
        }
    }
    return true;
}

/* The group that takes the message hands it over to the others. */
static bool place_all(void *context, struct db_txn *txn, uint32_t home)
{
    struct service_call *call = context;
    const Pr__DeliverCall *asked = call->request->deliver;
    Pr__Deliver *deliver = call->request_deliver;
    struct placed placed;

    if (!place(call, txn, home, asked->account_ids, asked->n_account_ids, &placed))
        return false;
    deliver->recipients = placed.recipients;
    deliver->n_recipients = placed.count;
    deliver->handovers = placed.handovers;
    deliver->n_handovers = placed.handover_count;
    for (size_t i = 0; i < asked->n_parts; i++) {
        const Pr__DeliverCallPart *part = asked->parts[i];
        if (!place(call, txn, home, part->account_ids, part->n_account_ids, &placed))
            return false;
        deliver->parts[i]->recipients = placed.recipients;
        deliver->parts[i]->n_recipients = placed.count;
        deliver->parts[i]->handovers = placed.handovers;
        deliver->parts[i]->n_handovers = placed.handover_count;
    }
    return true;
}

static void on_delivered(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index, uint32_t group)
{
    struct service_call *call = context;

    (void)index;
    (void)group;
    if (err == ERR_NOTFOUND)
        call_fail(call, ERR_NOTFOUND, "an account was removed in the meantime");
    else
        call_outcome(call, err, outcome);
}

/* Of whom the sender is told, who get the message by something else in the call. */
static size_t count_told(Pr__QueueRecipient *const *queue, size_t count)
{
    size_t told = 0;

    for (size_t i = 0; i < count; i++)
        told += queue[i]->tell != 0;
    return told;
}

/* How many recipients the parts have; 0 for a call that cannot be right. */
static size_t count_recipients(const Pr__DeliverCall *asked, uint64_t *first_account)
{
    size_t told = count_told(asked->queue, asked->n_queue);
    size_t count = asked->n_account_ids + asked->n_queue - told;
    bool queued = asked->n_queue > 0;

    if (asked->body == NULL || count > DELIVER_RECIPIENTS_MAX ||
        asked->n_promised_ids > DELIVER_RECIPIENTS_MAX)
        return 0;
    *first_account = asked->n_account_ids > 0 ? asked->account_ids[0] : 0;
    for (size_t i = 0; i < asked->n_parts; i++) {
        const Pr__DeliverCallPart *part = asked->parts[i];
        size_t more = part->n_account_ids + part->n_queue;
        if (part->body == NULL || more == 0)
            return 0;
        size_t more_told = count_told(part->queue, part->n_queue);
        told += more_told;
        count += more - more_told;
        queued = queued || part->n_queue > 0;
        if (count > DELIVER_RECIPIENTS_MAX)
            return 0;
        if (*first_account == 0 && part->n_account_ids > 0)
            *first_account = part->account_ids[0];
    }
    return (queued && asked->envelope == NULL) || told > DELIVER_RECIPIENTS_MAX ? 0 : count;
}

/* A forward's account as it is said, and known to be (smtp_rights.h), else who submits. */
static uint64_t queue_account(const struct service_call *call, uint64_t forward_account_id)
{
    if (forward_account_id != 0 || call->session == NULL)
        return forward_account_id;
    return call->session->account_id;
}

static struct sending_lane lane_of(struct service_call *call, struct db_txn *txn,
                                   uint64_t account_id, Pr__QueueRecipient *const *queue,
                                   size_t count)
{
    bool submitted = call->session != NULL && call->session->account_id == account_id;

    return sending_lane_of(txn, account_id, submitted, queue, count, &call->call_arena);
}

/* Where in the queue it waits, what goes to other hosts. */
static void choose_lanes(struct service_call *call, Pr__Deliver *deliver)
{
    struct db_txn *txn = service_directory_begin(call->service);
    struct sending_lane lane;

    if (deliver->n_queue > 0) {
        lane = lane_of(call, txn, deliver->queue_account_id, deliver->queue, deliver->n_queue);
        deliver->queue_tenant_id = lane.tenant_id;
        deliver->queue_class = lane.class;
    }
    for (size_t i = 0; i < deliver->n_parts; i++) {
        Pr__DeliverPart *part = deliver->parts[i];
        if (part->n_queue == 0)
            continue;
        lane = lane_of(call, txn, part->queue_account_id, part->queue, part->n_queue);
        part->queue_tenant_id = lane.tenant_id;
        part->queue_class = lane.class;
    }
    db_abort(&txn);
}

static void make_parts(struct service_call *call, const Pr__DeliverCall *asked,
                       Pr__Deliver *deliver)
{
    deliver->n_parts = asked->n_parts;
    deliver->parts = arena_alloc(&call->call_arena, asked->n_parts * sizeof(*deliver->parts));
    for (size_t i = 0; i < asked->n_parts; i++) {
        Pr__DeliverPart *part = arena_alloc(&call->call_arena, sizeof(*part));
        pr__deliver_part__init(part);
        part->body = asked->parts[i]->body;
        part->queue = asked->parts[i]->queue;
        part->n_queue = asked->parts[i]->n_queue;
        part->queue_account_id = queue_account(call, asked->parts[i]->queue_account_id);
        deliver->parts[i] = part;
    }
}

/* Before it nobody is told that mail has arrived, but it does arrive. */
static bool needs_format(const Pr__DeliverCall *asked)
{
    return asked->n_parts > 0 || asked->n_queue > count_told(asked->queue, asked->n_queue) ||
           asked->n_account_ids == 0;
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    on_delivered(context, err, outcome, index, 0);
}

/* Where no account says which group takes the message, the call does. */
static void deliver_to_group(struct service_call *call, uint32_t group, Pr__Command *command)
{
    struct db_txn *txn = service_directory_begin(call->service);
    bool good = group != DIRECTORY_GROUP &&
                directory_group(txn, group, &call->call_arena) != NULL &&
                place_all(call, txn, group);

    db_abort(&txn);
    if (!good) {
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    command->request_id = call->request->request_id;
    write_start(call->service, group, command, call->deadline_ms, on_written, call);
}

void smtp_deliver(struct service_call *call)
{
    const Pr__DeliverCall *asked = call->request->deliver;
    Pr__Command *command = arena_alloc(&call->call_arena, sizeof(*command));
    Pr__Deliver *deliver = arena_alloc(&call->call_arena, sizeof(*deliver));
    uint64_t account_id = 0;

    if (count_recipients(asked, &account_id) == 0 ||
        call->request->request_id.len != REQUEST_ID_SIZE) {
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    bool addresses = service_format(call->service, DIRECTORY_GROUP) >= FORMAT_ADDRESSES;
    if (needs_format(asked) && !addresses) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return;
    }
    enum err err = smtp_rights_check(call);
    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    pr__command__init(command);
    pr__deliver__init(deliver);
    deliver->body = asked->body;
    if (addresses) { /* else the log has what it had before */
        deliver->queue = asked->queue;
        deliver->n_queue = asked->n_queue;
        deliver->envelope = asked->envelope;
        deliver->queue_account_id = queue_account(call, asked->queue_account_id);
    }
    make_parts(call, asked, deliver);
    if (addresses)
        choose_lanes(call, deliver);
    if (call->session != NULL)
        account_id = call->session->account_id;
    if (call->session != NULL && addresses)
        deliver->limits = sending_limits(call->service, account_id, asked, &call->call_arena);
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = deliver;
    call->request_deliver = deliver;
    if (account_id == 0) {
        deliver_to_group(call, asked->group, command);
        return;
    }
    const struct route_request route = {
        .service = call->service,
        .account_id = account_id,
        .request_id = bytes_of_field(call->request->request_id),
        .deadline_ms = call->deadline_ms,
        .command = command,
        .adapt = place_all,
        .done = on_delivered,
        .context = call,
    };
    route_write(&route);
}
