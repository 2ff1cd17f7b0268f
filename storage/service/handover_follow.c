/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/handover_follow.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/handovers.h"
#include "storage/service/route.h"

struct follow {
    struct service *service;
    uint32_t group; /* that did not take it */
    const struct bytes *entries;
    size_t entry_count;
    struct arena arena;
    Pr__Command *command; /* the Deliver, for one recipient at a time */
    Pr__Recipient **recipients;
    size_t count;
    size_t at;
    size_t sent; /* blocks, to the group of this recipient */
    uint32_t to;
    bool elsewhere; /* it has moved since: they have to be sent there first */
    ProtobufCBinaryData delivery_id;
    uint8_t id[REQUEST_ID_SIZE];
    handover_follow_done *done;
    void *context;
};

static void follow_end(struct follow *follow, enum err err)
{
    follow->done(follow->context, err);
    arena_fini(&follow->arena);
    free(follow);
}

static uint64_t deadline(void)
{
    return clock_monotonic_ms() + HANDOVERS_PUSH_MS;
}

static void next_recipient(struct follow *follow);

static void on_delivered(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index, uint32_t group)
{
    struct follow *follow = context;

    (void)index;
    (void)group;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK && err != ERR_NOTFOUND) {
        follow_end(follow, err);
        return;
    }
    if (!follow->elsewhere)
        follow->at++;
    next_recipient(follow);
}

/*
 * Only to the group that has the blocks: another one would refuse the delivery, and remember
 * that under its id, so that it could not be delivered there any more for as long as ids are
 * known.
 */
static bool has_blocks(void *context, struct db_txn *directory, uint32_t group)
{
    struct follow *follow = context;

    (void)directory;
    follow->elsewhere = follow->entry_count > 1 && group != follow->to;
    return !follow->elsewhere;
}

static void deliver(struct follow *follow)
{
    Pr__Deliver *call = follow->command->deliver;

    call->recipients = &follow->recipients[follow->at];
    call->n_recipients = 1;
    if (follow->entry_count > 1)
        call->body->upload_id = field_of_bytes(bytes_from(follow->id, sizeof(follow->id)));
    const struct route_request request = {
        .service = follow->service,
        .account_id = follow->recipients[follow->at]->account_id,
        .request_id = bytes_from(follow->id, sizeof(follow->id)),
        .deadline_ms = deadline(),
        .command = follow->command,
        .adapt = has_blocks,
        .must_arrive = true,
        .done = on_delivered,
        .context = follow,
    };
    route_write(&request);
}

static void next_block(struct follow *follow);

static void on_block(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct follow *follow = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK)
        follow_end(follow, err);
    else
        next_block(follow);
}

/*
 * The blocks go under an id of this recipient's: under the delivery's own there may be those of
 * another hand-over of the same message, and whoever is taken first uses them up.
 */
static void next_block(struct follow *follow)
{
    struct buffer entry = BUFFER_EMPTY;
    struct arena arena;

    if (follow->sent + 1 == follow->entry_count) {
        deliver(follow);
        return;
    }
    arena_init(&arena);
    Pr__Command *command = entry_decode(follow->entries[follow->sent++], &arena);
    CHECK(command != NULL && command->call_case == PR__COMMAND__CALL_UPLOAD_BLOCK);
    command->upload_block->upload_id =
        field_of_bytes(bytes_from(follow->id, sizeof(follow->id)));
    entry_encode(command, &entry);
    write_entry(follow->service, follow->to, buffer_bytes(&entry), bytes_from(NULL, 0),
                deadline(), on_block, follow);
    buffer_fini(&entry);
    arena_fini(&arena);
}

static void next_recipient(struct follow *follow)
{
    struct bytes address;
    bool found = false;

    while (follow->at < follow->count && !found) {
        struct db_txn *txn = service_directory_begin(follow->service);
        found = directory_account_by_id(txn, follow->recipients[follow->at]->account_id,
                                        &follow->arena, &address, &follow->to);
        db_abort(&txn);
        if (!found)
            follow->at++; /* removed since */
    }
    if (follow->at == follow->count) {
        follow_end(follow, ERR_OK);
        return;
    }
    follow->sent = 0;
    route_id(bytes_of_field(follow->delivery_id), follow->recipients[follow->at]->account_id, 0,
             follow->id);
    next_block(follow);
}

static void on_directory_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct follow *follow = context;

    (void)index;
    (void)unused;
    if (err != ERR_OK)
        follow_end(follow, ERR_UNAVAILABLE);
    else
        next_recipient(follow);
}

static void on_fenced(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct follow *follow = context;

    (void)index;
    if (err == ERR_OK && (outcome->err == ERR_CANCELLED || outcome->err == ERR_INVALID))
        replicator_read(follow->service->replicator, DIRECTORY_GROUP, deadline(),
                        on_directory_fresh, follow);
    else /* it has taken it after all; other refusals are found again */
        follow_end(follow, err == ERR_OK ? (enum err)outcome->err : err);
}

void handover_follow(struct service *service, uint32_t group, const struct bytes *entries,
                     size_t entry_count, handover_follow_done *done, void *context)
{
    struct follow *follow = calloc(1, sizeof(*follow));
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Cancel cancel = PR__CANCEL__INIT;

    CHECK(follow != NULL);
    arena_init(&follow->arena);
    follow->service = service;
    follow->group = group;
    follow->entries = entries;
    follow->entry_count = entry_count;
    follow->done = done;
    follow->context = context;
    follow->command = entry_decode(entries[entry_count - 1], &follow->arena);
    CHECK(follow->command != NULL &&
          follow->command->call_case == PR__COMMAND__CALL_DELIVER); /* our own work */
    follow->recipients = follow->command->deliver->recipients;
    follow->count = follow->command->deliver->n_recipients;
    follow->delivery_id = follow->command->request_id;
    cancel.cancelled_id = follow->delivery_id;
    command.call_case = PR__COMMAND__CALL_CANCEL;
    command.cancel = &cancel;
    write_start(service, group, &command, deadline(), on_fenced, follow);
}
