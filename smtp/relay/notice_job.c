/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/idn.h"
#include "node/runtime/metrics.h"
#include "smtp/relay/notice.h"
#include "smtp/relay/notices.h"

/* ---- told ---- */

static void on_told(void *context, enum err err, const Pr__Reply *reply)
{
    struct notice_job *job = context;
    bool told = err == ERR_OK && reply->err == ERR_OK && reply->outcome != NULL &&
                (reply->outcome->err == ERR_OK || reply->outcome->err == ERR_CONFLICT ||
                 reply->outcome->err == ERR_NOTFOUND);

    notice_job_end(job, told);
}

static void tell(struct notice_job *job)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueWrite write = PR__QUEUE_WRITE__INIT;
    Pr__QueueTold told = PR__QUEUE_TOLD__INIT;

    told.id = job->record->id;
    told.notice = job->record->notices;
    told.recipients =
        arena_alloc(&job->notice_arena, job->part_count * sizeof(*told.recipients));
    for (size_t i = 0; i < job->part_count; i++)
        told.recipients[told.n_recipients++] = job->part[i]->number;
    write.group = job->group->number;
    write.command_case = PR__QUEUE_WRITE__COMMAND_TOLD;
    write.told = &told;
    request.call_case = PR__REQUEST__CALL_QUEUE_WRITE;
    request.queue_write = &write;
    store_call(job->group->relay->store, &request, RELAY_CALL_MS, on_told, job);
}

static void nobody(struct notice_job *job, const char *reason)
{
    log_warn(NULL, "a notice has nobody to go to",
             LOG_FIELDS(LOG_BYTES("to", job->sender), LOG_TEXT("reason", reason),
                        LOG_U64("group", job->group->number), LOG_U64("id", job->record->id)));
    tell(job);
}

/* ---- delivery ---- */

static void on_delivered(void *context, enum err err, const Pr__Reply *reply)
{
    struct notice_job *job = context;
    enum err result = err;

    if (err == ERR_OK)
        result = (enum err)(reply->err != ERR_OK     ? reply->err
                            : reply->outcome == NULL ? ERR_UNAVAILABLE
                                                     : reply->outcome->err);
    if (result == ERR_OK) {
        body_writer_used(job->writer);
        metric_add(METRIC_RELAY_NOTICES, 1);
        log_info(
            NULL, "a notice was made",
            LOG_FIELDS(LOG_BYTES("to", job->sender), LOG_U64("recipients", job->part_count),
                       LOG_U64("group", job->group->number), LOG_U64("id", job->record->id)));
        tell(job);
    } else { /* also when one of several accounts is gone: who is there is looked up again */
        log_warn(NULL, "a notice cannot be delivered now",
                 LOG_FIELDS(LOG_BYTES("to", job->sender), LOG_TEXT("error", err_name(result))));
        notice_job_end(job, false);
    }
}

static void on_body(void *context, enum err err, Pr__Body *body)
{
    struct notice_job *job = context;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DeliverCall deliver = PR__DELIVER_CALL__INIT;
    Pr__Envelope envelope = PR__ENVELOPE__INIT;

    if (err != ERR_OK) {
        notice_job_end(job, false);
        return;
    }
    envelope.body_8bit = (job->needs & NOTICE_NEEDS_8BIT) != 0;
    envelope.utf8 = (job->needs & NOTICE_NEEDS_UTF8) != 0;
    deliver.body = body;
    deliver.account_ids = job->account_ids;
    deliver.n_account_ids = job->account_count;
    deliver.promised_ids = job->account_ids; /* a full mailbox is no reason not to be told */
    deliver.n_promised_ids = job->account_count;
    deliver.envelope = &envelope;
    deliver.queue = job->remotes;
    deliver.n_queue = job->remote_count;
    deliver.group = job->account_count == 0 ? job->group->number : 0;
    request.request_id = (ProtobufCBinaryData){sizeof(job->id.bytes), job->id.bytes};
    request.call_case = PR__REQUEST__CALL_DELIVER;
    request.deliver = &deliver;
    store_call(job->group->relay->store, &request, RELAY_CALL_MS, on_delivered, job);
}

/* ---- the notice ---- */

static enum notice_action action_of(const Pr__QueueRecipient *recipient)
{
    switch (recipient->state) {
    case PR__QUEUE_RECIPIENT__STATE__FAILED:
        return NOTICE_FAILED;
    case PR__QUEUE_RECIPIENT__STATE__WAITING:
        return NOTICE_DELAYED;
    case PR__QUEUE_RECIPIENT__STATE__DELIVERED:
        return NOTICE_DELIVERED;
    case PR__QUEUE_RECIPIENT__STATE__EXPANDED:
        return NOTICE_EXPANDED;
    default:
        return NOTICE_RELAYED;
    }
}

static struct notice_recipient *recipients_make(struct notice_job *job)
{
    const Pr__Envelope *envelope = job->record->envelope;
    struct notice_recipient *list =
        arena_alloc(&job->notice_arena, job->part_count * sizeof(*list));
    uint64_t until_ms = retry_expires_ms(
        job->group->relay->config.retry,
        retry_begin_ms(job->record->time_ms, envelope->hold_until_ms), job->sender.len == 0);

    for (size_t i = 0; i < job->part_count; i++) {
        const Pr__QueueRecipient *recipient = job->part[i];
        list[i] = (struct notice_recipient){
            .address = bytes_of(recipient->address),
            .orcpt = bytes_of(recipient->orcpt),
            .action = action_of(recipient),
            .status = bytes_of(recipient->status),
            .remote = bytes_of(recipient->remote),
            .diagnostic = bytes_of(recipient->last_reply),
            .tried_s = (int64_t)(recipient->tried_ms / 1000),
            .retry_until_s = (int64_t)(until_ms / 1000),
        };
    }
    return list;
}

static size_t header_size(struct bytes text)
{
    for (size_t i = 0; i + 3 < text.len; i++)
        if (memcmp(text.at + i, "\r\n\r\n", 4) == 0)
            return i + 2;
    return text.len;
}

static void make(struct notice_job *job)
{
    static const enum smtp_return returns[] = {
        [PR__ENVELOPE__RET__RET_NONE] = SMTP_RETURN_UNSAID,
        [PR__ENVELOPE__RET__RET_FULL] = SMTP_RETURN_FULL,
        [PR__ENVELOPE__RET__RET_HDRS] = SMTP_RETURN_HEADERS,
    };
    struct relay *relay = job->group->relay;
    const Pr__QueueRecord *record = job->record;
    const Pr__Envelope *envelope = record->envelope;
    struct bytes text = buffer_bytes(&job->text);
    size_t header = header_size(text);
    bool whole = header < text.len || text.len == record->size;
    size_t body = header + 2 < text.len ? header + 2 : text.len;
    char id[REQUEST_ID_TEXT_SIZE];
    char trace[REQUEST_ID_TEXT_SIZE] = "";
    struct request_id delivery;
    struct buffer message = BUFFER_EMPTY;

    request_id_format(&job->id, id);
    if (record->delivery_id.len == sizeof(delivery.bytes)) {
        memcpy(delivery.bytes, record->delivery_id.data, sizeof(delivery.bytes));
        request_id_format(&delivery, trace);
    }
    const struct notice notice = {
        .id = bytes_of(id),
        .hostname = bytes_of(relay->config.hostname),
        .trace_id = bytes_of(trace),
        .now_s = (int64_t)(clock_wall_ms() / 1000),
        .arrival_s = (int64_t)(record->time_ms / 1000),
        .deliver_by_s = (int64_t)(envelope->deliver_by_ms / 1000),
        .sender = job->sender,
        .envid = bytes_of(envelope->envid),
        .ret = returns[envelope->ret],
        .utf8 = envelope->utf8,
        .recipients = recipients_make(job),
        .recipient_count = job->part_count,
        .header = bytes_from(text.at, header),
        .header_whole = whole,
        .body = whole ? bytes_from(text.at + body, text.len - body) : bytes_from(NULL, 0),
        .body_whole = whole && text.len == record->size,
    };
    if (job->remote_count == 0)
        buffer_add_string(&message, "Return-Path: <>\r\n");
    job->needs = notice_make(&notice, &message);
    job->writer = body_writer_new(
        relay->store, 0, job->account_count > 0 ? job->account_ids[0] : 0, RELAY_CALL_MS);
    if (job->account_count == 0)
        body_writer_to_group(job->writer, job->group->number);
    body_writer_add(job->writer, buffer_bytes(&message));
    buffer_fini(&message);
    body_writer_finish(job->writer, on_body, job);
}

/* ---- to whom ---- */

static void remote_add(struct notice_job *job, const char *address)
{
    Pr__QueueRecipient *recipient = arena_alloc(&job->notice_arena, sizeof(*recipient));

    pr__queue_recipient__init(recipient);
    recipient->address = arena_string(&job->notice_arena, bytes_of(address));
    recipient->null_sender = true;
    recipient->notify = SMTP_NOTIFY_NEVER;
    job->remotes[job->remote_count++] = recipient;
}

static void targets_take(struct notice_job *job, const Pr__ResolveAnswer *answer)
{
    job->account_ids =
        arena_alloc(&job->notice_arena, (answer->n_targets + 1) * sizeof(*job->account_ids));
    job->remotes =
        arena_alloc(&job->notice_arena, (answer->n_targets + 1) * sizeof(*job->remotes));
    for (size_t i = 0; i < answer->n_targets; i++) {
        if (answer->targets[i]->account_id != 0)
            job->account_ids[job->account_count++] = answer->targets[i]->account_id;
        else
            remote_add(job, answer->targets[i]->remote);
    }
    if (answer->n_targets == 0 && answer->account_id != 0)
        job->account_ids[job->account_count++] = answer->account_id;
}

static void on_resolved(void *context, enum err err, const Pr__Reply *reply)
{
    struct notice_job *job = context;
    const Pr__ResolveAnswer *answer =
        err == ERR_OK && reply->answer_case == PR__REPLY__ANSWER_RESOLVE ? reply->resolve
                                                                         : NULL;

    if (answer == NULL) {
        notice_job_end(job, false);
        return;
    }
    targets_take(job, answer);
    if (reply->err == ERR_NOTFOUND && !answer->domain_local)
        remote_add(job, (const char *)job->sender.at);
    if (job->account_count + job->remote_count > 0)
        make(job);
    else if (reply->err == ERR_OK) /* a list of nobody */
        nobody(job, "the return address leads to nobody");
    else if (reply->err == ERR_NOTFOUND || reply->err == ERR_DENIED)
        nobody(job, "the return address is not there");
    else
        notice_job_end(job, false);
}

static void resolve(struct notice_job *job)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Resolve call = PR__RESOLVE__INIT;
    struct mail_path path;

    job->sender = arena_copy(&job->notice_arena, job->sender);
    if (mail_address_read(job->sender, &job->notice_arena, &path) != ERR_OK) {
        nobody(job, "the return address is none");
        return;
    }
    call.address =
        arena_string(&job->notice_arena, mail_path_format(&job->notice_arena, &path));
    call.expand = true;
    request.call_case = PR__REQUEST__CALL_RESOLVE;
    request.resolve = &call;
    store_call(job->group->relay->store, &request, RELAY_CALL_MS, on_resolved, job);
}

/* ---- the original ---- */

static void read_on(struct notice_job *job);

static void on_read(void *context, enum err err, const Pr__Reply *reply)
{
    struct notice_job *job = context;

    if (err == ERR_OK && reply->err == ERR_MALFORMED) { /* told without its text */
        resolve(job);
        return;
    }
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_BODY) {
        notice_job_end(job, false);
        return;
    }
    struct bytes data = bytes_of_field(reply->queue_body->data);
    size_t room = NOTICE_HEADER_SIZE_MAX - buffer_len(&job->text);
    buffer_add(&job->text, bytes_from(data.at, data.len < room ? data.len : room));
    if (data.len == 0 || buffer_len(&job->text) >= job->record->size ||
        buffer_len(&job->text) >= NOTICE_HEADER_SIZE_MAX)
        resolve(job);
    else
        read_on(job);
}

static void read_on(struct notice_job *job)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueBody body = PR__QUEUE_BODY__INIT;

    body.group = job->group->number;
    body.id = job->record->id;
    body.offset = buffer_len(&job->text);
    request.call_case = PR__REQUEST__CALL_QUEUE_BODY;
    request.queue_body = &body;
    store_call(job->group->relay->store, &request, RELAY_CALL_MS, on_read, job);
}

void notice_job_run(struct notice_job *job)
{
    if (job->sender.len == 0) /* owed to nobody: a rule has changed since */
        tell(job);
    else
        read_on(job);
}
