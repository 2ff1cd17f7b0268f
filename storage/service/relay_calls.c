/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/relay_calls.h"

#include "storage/machine/blob.h"
#include "storage/query/body_reader.h"
#include "storage/query/directory.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"

/* ---- in a pool thread ---- */

/* The block that the offset lies in, from there on. */
static enum err block_read(struct db_txn *txn, uint32_t group, uint64_t blob, uint64_t size,
                           uint64_t offset, struct arena *arena, ProtobufCBinaryData *data)
{
    struct body_reader *reader = body_reader_new();
    struct buffer plain = BUFFER_EMPTY;
    uint64_t len = BODY_BLOCK_SIZE - offset % BODY_BLOCK_SIZE;
    uint64_t work = 0;

    if (len > size - offset)
        len = size - offset;
    bool whole =
        body_reader_read(reader, txn, group, blob, offset, (size_t)len, &plain, &work) &&
        buffer_len(&plain) == len;
    if (whole)
        *data = field_of_bytes(arena_copy(arena, buffer_bytes(&plain)));
    buffer_fini(&plain);
    body_reader_free(&reader);
    return whole ? ERR_OK : ERR_MALFORMED;
}

static enum err body_read(struct db_txn *txn, uint32_t group, const Pr__QueueBody *asked,
                          struct arena *arena, Pr__QueueBodyAnswer *answer)
{
    const Pr__QueueRecord *record = query_queue_record(txn, group, asked->id, arena);
    struct blob_record blob;

    if (record == NULL)
        return ERR_NOTFOUND;
    if (!blob_load(txn, group, record->blob, &blob))
        return ERR_MALFORMED;
    answer->size = blob.size;
    if (asked->offset >= blob.size)
        return ERR_OK;
    return block_read(txn, group, record->blob, blob.size, asked->offset, arena, &answer->data);
}

enum err relay_read(struct db_txn *txn, uint32_t group, const Pr__Request *request,
                    struct arena *arena, Pr__Reply *reply)
{
    enum err err;

    switch (request->call_case) {
    case PR__REQUEST__CALL_QUEUE_LANES:
        reply->answer_case = PR__REPLY__ANSWER_QUEUE_LANES;
        reply->queue_lanes = arena_alloc(arena, sizeof(*reply->queue_lanes));
        pr__queue_lanes_answer__init(reply->queue_lanes);
        err = query_queue_lanes(txn, group, request->queue_lanes, arena, reply->queue_lanes);
        reply->queue_lanes->clock_ms = machine_clock_ms(txn, group, clock_wall_ms());
        return err;
    case PR__REQUEST__CALL_QUEUE_READ:
        reply->answer_case = PR__REPLY__ANSWER_QUEUE_READ;
        reply->queue_read = arena_alloc(arena, sizeof(*reply->queue_read));
        pr__queue_read_answer__init(reply->queue_read);
        return query_queue_read(txn, group, request->queue_read, arena, reply->queue_read);
    case PR__REQUEST__CALL_QUEUE_BODY:
        reply->answer_case = PR__REPLY__ANSWER_QUEUE_BODY;
        reply->queue_body = arena_alloc(arena, sizeof(*reply->queue_body));
        pr__queue_body_answer__init(reply->queue_body);
        return body_read(txn, group, request->queue_body, arena, reply->queue_body);
    default:
        return ERR_UNSUPPORTED;
    }
}

/* ---- in the loop ---- */

/* False: there is no such group, and the call has been answered. */
static bool group_known(struct service_call *call, uint32_t group)
{
    struct db_txn *txn = service_directory_begin(call->service);
    bool known =
        group != DIRECTORY_GROUP && directory_group(txn, group, &call->call_arena) != NULL;

    db_abort(&txn);
    if (!known)
        call_fail(call, ERR_NOTFOUND, NULL);
    return known;
}

static uint32_t group_of(const Pr__Request *request)
{
    switch (request->call_case) {
    case PR__REQUEST__CALL_QUEUE_LANES:
        return request->queue_lanes->group;
    case PR__REQUEST__CALL_QUEUE_READ:
        return request->queue_read->group;
    case PR__REQUEST__CALL_QUEUE_BODY:
        return request->queue_body->group;
    default:
        return DIRECTORY_GROUP;
    }
}

static void on_read(void *context, enum err err, struct bytes reply, uint64_t index)
{
    struct service_call *call = context;

    (void)index;
    if (err == ERR_OK)
        call_reply_packed(call, reply);
    else
        call_fail(call, err, NULL);
}

void relay_read_call(struct service_call *call)
{
    uint32_t group = group_of(call->request);
    /* The replica that has shown the message has its body; another one may be behind. */
    bool shown = call->request->call_case == PR__REQUEST__CALL_QUEUE_BODY &&
                 read_is_local(call->service, group);

    if (!group_known(call, group))
        return;
    const struct mail_read read = {
        .account = {.group = group},
        .fresh = !shown,
        .deadline_ms = call->deadline_ms,
        .request = call->request,
    };
    mail_read_start(call->service, &read, on_read, call);
}

void relay_write_call(struct service_call *call)
{
    const Pr__QueueWrite *asked = call->request->queue_write;
    Pr__Command command = PR__COMMAND__INIT;

    if (!group_known(call, asked->group))
        return;
    switch (asked->command_case) {
    case PR__QUEUE_WRITE__COMMAND_LEASE:
        command.call_case = PR__COMMAND__CALL_QUEUE_LEASE;
        command.queue_lease = asked->lease;
        break;
    case PR__QUEUE_WRITE__COMMAND_REPORT:
        command.call_case = PR__COMMAND__CALL_QUEUE_REPORT;
        command.queue_report = asked->report;
        break;
    case PR__QUEUE_WRITE__COMMAND_TOLD:
        command.call_case = PR__COMMAND__CALL_QUEUE_TOLD;
        command.queue_told = asked->told;
        break;
    default:
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    write_call(call, asked->group, &command);
}
