/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job on a connection: its recipients in parts of one sender each, its body from the store.
 */
#include "node/base/check.h"
#include "smtp/relay/conversation.h"
#include "smtp/relay/retry.h"

enum { TURN_MESSAGES = 10 /* of a connection, while others have none */ };

static struct retry_by by_of(const Pr__Envelope *envelope)
{
    return (struct retry_by){(enum retry_by_mode)envelope->by_mode, envelope->deliver_by_ms};
}

/* ---- the message ---- */

/* The first recipient that is not decided, and those with the same sender. */
static size_t part_make(struct conversation *talk)
{
    const Pr__QueueRecord *record = talk->job->record;
    struct bytes sender = {0};
    size_t count = 0;

    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        struct bytes own = recipient_sender(record, recipient);
        if (talk->decided[i] || (count > 0 && !bytes_equal(own, sender)))
            continue;
        sender = own;
        talk->part[count] = i;
        talk->recipients[count] = (struct smtp_client_recipient){
            .address = bytes_of(recipient->address),
            .notify = recipient->notify,
            .orcpt = bytes_of(recipient->orcpt),
        };
        count++;
    }
    talk->message.sender = sender;
    return count;
}

static void message_make(struct conversation *talk, size_t count)
{
    const Pr__Envelope *envelope = talk->job->record->envelope;
    const struct smtp_client_offers *offers = smtp_client_offers(talk->client);
    struct retry_by_hop hop =
        retry_by_hop(by_of(envelope), offers->deliver_by, offers->deliver_by_min_s,
                     group_now_ms(talk->job->group));
    struct smtp_client_message *message = &talk->message;

    message->size = talk->job->record->size;
    message->dsn_return = (enum smtp_client_return)envelope->ret;
    message->envid = bytes_of(envelope->envid);
    message->utf8 = envelope->utf8;
    message->body_8bit = envelope->body_8bit;
    message->require_tls = envelope->require_tls;
    message->by_mode = hop.verdict == RETRY_BY_SAY ? (enum smtp_client_by)envelope->by_mode
                                                   : SMTP_CLIENT_BY_NONE;
    message->by_seconds = hop.seconds;
    message->by_traced = envelope->by_trace;
    message->recipients = talk->recipients;
    message->recipient_count = (unsigned)count;
    talk->by_lost = hop.verdict == RETRY_BY_RELAYED;
    talk->by_refused = hop.verdict == RETRY_BY_REFUSED;
}

static void job_over(struct conversation *talk)
{
    struct job *job = talk->job;

    if (talk->body_call != 0)
        store_cancel(talk->relay->store, talk->body_call);
    talk->body_call = 0;
    talk->job = NULL;
    job_done(job);
}

static void decide(struct conversation *talk, size_t index, const struct relay_verdict *said)
{
    talk->decided[index] = true;
    talk->decided_count++;
    job_verdict(talk->job, index, said);
}

static void decide_rest(struct conversation *talk, const struct relay_verdict *said)
{
    for (size_t i = 0; i < talk->job->record->n_recipients; i++)
        if (!talk->decided[i])
            decide(talk, i, said);
}

/* Returns whether it is given to the host. */
static bool part_send(struct conversation *talk)
{
    static const struct relay_verdict late = {
        .result = RELAY_REFUSED,
        .status = "5.4.7",
        .text = "the time is over by which the sender wanted it delivered",
        .remote = "",
    };
    struct relay_verdict unable = {
        .result = RELAY_REFUSED,
        .status = "5.4.7",
        .text = "the next host cannot be told by when it is to be delivered (DELIVERBY)",
        .remote = talk->remote,
    };
    const Pr__Envelope *envelope = talk->job->record->envelope;

    if (retry_by_over(by_of(envelope), group_now_ms(talk->job->group))) {
        decide_rest(talk, &late);
        return false;
    }
    size_t count = part_make(talk);
    message_make(talk, count);
    if (talk->by_refused) {
        decide_rest(talk, &unable);
        return false;
    }
    talk->before_part = talk->decided_count;
    talk->body_at = 0;
    talk->body_wanted = false;
    talk->body_ended = false;
    smtp_client_send(talk->client, &talk->message);
    return true;
}

static bool job_begin(struct conversation *talk, struct job *job)
{
    size_t count = job->record->n_recipients;

    if (!lease_holds(job)) { /* it waited too long: somebody else has it, or will */
        job_free(&job);
        return false;
    }
    job->state = JOB_SENDING;
    talk->job = job;
    talk->part = arena_alloc(&job->job_arena, count * sizeof(*talk->part));
    talk->decided = arena_alloc(&job->job_arena, count * sizeof(*talk->decided));
    talk->recipients = arena_alloc(&job->job_arena, count * sizeof(*talk->recipients));
    talk->decided_count = 0;
    talk->messages++;
    return true;
}

/* It has had its turn; where others wait for a connection, that is sooner. */
static bool is_worn(const struct conversation *talk)
{
    unsigned most = talk->relay->config.messages_max;

    if (most > TURN_MESSAGES && relay_lacks_connections(talk->relay))
        most = TURN_MESSAGES;
    return talk->messages >= most;
}

void conversation_next(struct conversation *talk)
{
    for (;;) {
        if (talk->job != NULL) {
            if (talk->decided_count < talk->job->record->n_recipients && part_send(talk))
                return;
            job_over(talk);
            continue;
        }
        if (talk->stopping || is_worn(talk)) {
            smtp_client_quit(talk->client);
            return;
        }
        struct job *job = site_job_take(talk->site);
        if (job == NULL) {
            conversation_idle(talk);
            return;
        }
        job_begin(talk, job);
    }
}

/* ---- what the host says ---- */

static enum relay_result result_of(enum smtp_client_result result)
{
    switch (result) {
    case SMTP_CLIENT_DELIVERED:
        return RELAY_TAKEN;
    case SMTP_CLIENT_FAILED:
        return RELAY_REFUSED;
    default:
        return RELAY_PUT_OFF;
    }
}

void conversation_recipient(void *context, unsigned index,
                            const struct smtp_client_verdict *verdict)
{
    struct conversation *talk = context;
    const struct smtp_client_offers *offers = smtp_client_offers(talk->client);
    const struct relay_verdict said = {
        .result = result_of(verdict->result),
        .tells = offers->dsn,
        .by_lost = talk->by_lost,
        .unknown = verdict->result == SMTP_CLIENT_UNKNOWN,
        .code = verdict->code,
        .status = verdict->status,
        .text = verdict->text,
        .remote = talk->remote,
        .provider = talk->route->provider,
        .source = talk->source,
        .phase = verdict->phase < SMTP_CLIENT_PHASE_IDLE ? (enum classify_phase)verdict->phase
                                                         : CLASSIFY_AT_CONNECT,
    };

    if (talk->relay->ending && verdict->result == SMTP_CLIENT_DEFERRED && verdict->code == 0)
        return;              /* cut by us: due again at once, for others */
    if (verdict->too_many) { /* in the next transaction, unless this one brings nobody on */
        talk->too_many = *verdict;
        return;
    }
    decide(talk, talk->part[index], &said);
    talk->taken = talk->taken || said.result == RELAY_TAKEN;
}

void conversation_done(void *context)
{
    struct conversation *talk = context;

    if (talk->body_call != 0)
        store_cancel(talk->relay->store, talk->body_call);
    talk->body_call = 0;
    talk->body_wanted = false;
    if (talk->decided_count == talk->before_part)
        conversation_job_closed(talk, &talk->too_many);
    else if (talk->decided_count == talk->job->record->n_recipients)
        job_over(talk);
    if (talk->taken)
        site_sent(talk->site);
    talk->taken = false;
}

void conversation_job_closed(struct conversation *talk,
                             const struct smtp_client_verdict *verdict)
{
    const struct relay_verdict said = {
        .result = RELAY_PUT_OFF,
        .code = verdict->code,
        .status = verdict->status[0] == '4' ? verdict->status : "4.4.2",
        .text = *verdict->text != '\0' ? verdict->text : "the connection ended before",
        .remote = talk->remote,
    };

    if (talk->job == NULL)
        return;
    if (!talk->relay->ending)
        decide_rest(talk, &said);
    job_over(talk);
}

/* ---- the body ---- */

void conversation_finish(struct conversation *talk)
{
    if (talk->job == NULL || !talk->body_ended || !smtp_client_is_held(talk->client))
        return;
    if (lease_holds(talk->job))
        smtp_client_let_finish(talk->client, true);
    else if (lease_is_lost(talk->job))
        smtp_client_body_failed(talk->client); /* somebody else may have begun */
}

/* The line that was put before it for mailboxes here: what leaves has none (RFC 5321 section
 * 4.4), and to whom it is returned may be somebody else now. */
static struct bytes without_return_path(struct bytes data)
{
    size_t end = bytes_find(data, '\n');

    return bytes_start_nocase(data, BYTES("Return-Path: <")) && end < data.len
               ? bytes_skip(data, end + 1)
               : data;
}

static void on_body(void *context, enum err err, const Pr__Reply *reply)
{
    struct conversation *talk = context;

    talk->body_call = 0;
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_BODY ||
        reply->queue_body->size != talk->job->record->size ||
        (reply->queue_body->data.len == 0 && talk->body_at < talk->job->record->size)) {
        smtp_client_body_failed(talk->client);
        return;
    }
    struct bytes data = bytes_of_field(reply->queue_body->data);
    if (talk->body_at == 0)
        data = without_return_path(data);
    talk->body_at += reply->queue_body->data.len;
    smtp_client_body_add(talk->client, data);
    conversation_body_go_on(talk);
}

void conversation_body_go_on(struct conversation *talk)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueBody body = PR__QUEUE_BODY__INIT;

    if (talk->job == NULL || !talk->body_wanted || talk->body_ended || talk->body_call != 0 ||
        talk->client == NULL || conn_full(talk->conn))
        return;
    if (talk->body_at >= talk->job->record->size) {
        talk->body_ended = true;
        smtp_client_body_end(talk->client);
        if (talk->client != NULL)
            conversation_finish(talk);
        return;
    }
    body.group = talk->job->group->number;
    body.id = talk->job->record->id;
    body.offset = talk->body_at;
    request.call_case = PR__REQUEST__CALL_QUEUE_BODY;
    request.queue_body = &body;
    talk->body_call = store_call(talk->relay->store, &request, RELAY_CALL_MS, on_body, talk);
}

void conversation_body_wanted(void *context)
{
    struct conversation *talk = context;

    talk->body_wanted = true;
    conversation_body_go_on(talk);
}
