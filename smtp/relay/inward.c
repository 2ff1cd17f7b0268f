/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mail that was held for accounts of this cluster (FUTURERELEASE): at its time it is delivered,
 * never sent. One account after the other, each under an id that follows from the record, so
 * that nobody gets it twice.
 */
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"
#include "storage/client/body_writer.h"
#include "storage/schema/request_id.h"

struct inward {
    struct job *job;
    size_t index; /* of the recipient */
    struct body_writer *writer;
    uint64_t body_at;
};

static void recipient_next(struct inward *inward);

static struct request_id id_make(const struct inward *inward)
{
    const struct job *job = inward->job;
    const uint64_t key[3] = {htobe64(job->group->number), htobe64(job->record->id),
                             htobe64(job->record->recipients[inward->index]->number)};
    uint8_t digest[crypto_generichash_BYTES_MIN];

    crypto_generichash(digest, sizeof(digest), (const uint8_t *)key, sizeof(key), NULL, 0);
    return request_id_make(
        retry_begin_ms(job->record->time_ms, job->record->envelope->hold_until_ms), digest);
}

static void decide(struct inward *inward, enum err err)
{
    struct relay_verdict said = {.result = RELAY_PUT_OFF, .inside = true, .remote = ""};

    body_writer_free(&inward->writer);
    switch (err) {
    case ERR_OK:
        said.result = RELAY_TAKEN;
        said.status = "2.1.5";
        said.text = "delivered";
        break;
    case ERR_NOTFOUND:
        said.result = RELAY_REFUSED;
        said.status = "5.1.1";
        said.text = "the account is not there any more";
        break;
    case ERR_QUOTA:
        said.status = "4.2.2";
        said.text = "the mailbox is full";
        break;
    default:
        said.status = "4.3.0";
        said.text = "the mailbox cannot be written to at present";
        break;
    }
    job_verdict(inward->job, inward->index, &said);
    inward->index++;
    recipient_next(inward);
}

static void on_delivered(void *context, enum err err, const Pr__Reply *reply)
{
    struct inward *inward = context;

    if (err == ERR_OK)
        err = (enum err)(reply->err != ERR_OK     ? reply->err
                         : reply->outcome == NULL ? ERR_UNAVAILABLE
                                                  : reply->outcome->err);
    if (err == ERR_OK)
        body_writer_used(inward->writer);
    decide(inward, err);
}

static void on_body(void *context, enum err err, Pr__Body *body)
{
    struct inward *inward = context;
    struct relay *relay = inward->job->group->relay;
    struct request_id id = id_make(inward);
    uint64_t account_id = inward->job->record->recipients[inward->index]->account_id;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DeliverCall deliver = PR__DELIVER_CALL__INIT;

    if (err != ERR_OK || lease_is_lost(inward->job)) {
        decide(inward, err != ERR_OK ? err : ERR_UNAVAILABLE);
        return;
    }
    deliver.body = body;
    deliver.account_ids = &account_id;
    deliver.n_account_ids = 1;
    request.request_id = (ProtobufCBinaryData){sizeof(id.bytes), id.bytes};
    request.call_case = PR__REQUEST__CALL_DELIVER;
    request.deliver = &deliver;
    store_call(relay->store, &request, RELAY_CALL_MS, on_delivered, inward);
}

static void body_read(struct inward *inward);

static void on_drained(void *context)
{
    body_read(context);
}

static void on_read(void *context, enum err err, const Pr__Reply *reply)
{
    struct inward *inward = context;

    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_BODY ||
        (reply->queue_body->data.len == 0 && inward->body_at < inward->job->record->size)) {
        decide(inward, ERR_UNAVAILABLE);
        return;
    }
    inward->body_at += reply->queue_body->data.len;
    body_writer_add(inward->writer, bytes_of_field(reply->queue_body->data));
    if (inward->body_at >= inward->job->record->size)
        body_writer_finish(inward->writer, on_body, inward);
    else if (!body_writer_full(inward->writer)) /* else on_drained() */
        body_read(inward);
}

static void body_read(struct inward *inward)
{
    const struct job *job = inward->job;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueBody body = PR__QUEUE_BODY__INIT;

    body.group = job->group->number;
    body.id = job->record->id;
    body.offset = inward->body_at;
    request.call_case = PR__REQUEST__CALL_QUEUE_BODY;
    request.queue_body = &body;
    store_call(job->group->relay->store, &request, RELAY_CALL_MS, on_read, inward);
}

static void recipient_next(struct inward *inward)
{
    struct job *job = inward->job;
    struct relay *relay = job->group->relay;

    if (inward->index < job->record->n_recipients && !relay->ending) {
        inward->body_at = 0;
        inward->writer = body_writer_new(
            relay->store, 0, job->record->recipients[inward->index]->account_id, RELAY_CALL_MS);
        body_writer_on_drained(inward->writer, on_drained, inward);
        body_read(inward);
        return;
    }
    struct site *site = job->site;
    free(inward);
    job_done(job);
    site_inward_done(site);
}

void inward_start(struct job *job)
{
    struct inward *inward = calloc(1, sizeof(*inward));

    CHECK(inward != NULL);
    job->state = JOB_SENDING;
    inward->job = job;
    recipient_next(inward);
}
