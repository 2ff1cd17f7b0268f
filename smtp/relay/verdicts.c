/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what a host says of a recipient to what the log says of it, and what its sender is owed.
 */
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "smtp/relay/internal.h"
#include "smtp/relay/notice.h"
#include "storage/schema/request_id.h"

/* What nobody knows the end of is not sent again at once: its host may still be at it. */
enum { UNKNOWN_LEAST_MS = 300000 };

uint64_t group_now_ms(const struct relay_group *group)
{
    uint64_t wall_ms = clock_wall_ms();
    uint64_t group_ms = group->clock_ms + (clock_monotonic_ms() - group->clock_read_ms);

    return group->clock_ms != 0 && group_ms < wall_ms ? group_ms : wall_ms;
}

struct bytes recipient_sender(const Pr__QueueRecord *record,
                              const Pr__QueueRecipient *recipient)
{
    if (recipient->null_sender)
        return bytes_from("", 0);
    return bytes_of(*recipient->sender != '\0' ? recipient->sender : record->envelope->sender);
}

static Pr__QueueVerdict *verdict_new(struct job *job, const Pr__QueueRecipient *recipient)
{
    Pr__QueueAttempt *attempt = &job->attempt;
    Pr__QueueVerdict *verdict = arena_alloc(&job->job_arena, sizeof(*verdict));

    if (attempt->verdicts == NULL)
        attempt->verdicts = arena_alloc(&job->job_arena,
                                        job->record->n_recipients * sizeof(*attempt->verdicts));
    CHECK(attempt->n_verdicts < job->record->n_recipients);
    attempt->verdicts[attempt->n_verdicts++] = verdict;
    pr__queue_verdict__init(verdict);
    verdict->recipient = recipient->number;
    return verdict;
}

static char *text_of(struct job *job, const char *text, size_t size_max)
{
    struct bytes bytes = bytes_of(text);

    if (bytes.len > size_max) {
        bytes.len = size_max;
        while (bytes.len > 0 && (bytes.at[bytes.len] & 0xc0) == 0x80)
            bytes.len--; /* never in the middle of a character */
    }
    return arena_string(&job->job_arena, bytes);
}

static bool owed(const Pr__QueueRecipient *recipient, enum notice_event event, bool null_sender)
{
    enum notice_action action;

    return notice_owed(recipient->notify, event, null_sender, &action);
}

/* ---- taken ---- */

static void taken(struct job *job, const Pr__QueueRecipient *recipient,
                  const struct relay_verdict *said, Pr__QueueVerdict *verdict)
{
    const Pr__Envelope *envelope = job->record->envelope;
    bool null_sender = notice_sender_deaf(recipient_sender(job->record, recipient));

    verdict->state = PR__QUEUE_RECIPIENT__STATE__DELIVERED;
    if (said->inside) {
        verdict->tell = owed(recipient, NOTICE_EVENT_DELIVERED, null_sender);
        return;
    }
    if ((!said->tells && owed(recipient, NOTICE_EVENT_RELAYED, null_sender)) ||
        (said->by_lost && owed(recipient, NOTICE_EVENT_BY_LOST, null_sender)) ||
        (envelope->by_trace && owed(recipient, NOTICE_EVENT_BY_TRACED, null_sender))) {
        verdict->state = PR__QUEUE_RECIPIENT__STATE__RELAYED;
        verdict->tell = true;
    }
}

/* ---- not taken ---- */

static void given_up(struct job *job, const Pr__QueueRecipient *recipient,
                     Pr__QueueVerdict *verdict)
{
    verdict->state = PR__QUEUE_RECIPIENT__STATE__FAILED;
    verdict->tell = owed(recipient, NOTICE_EVENT_FAILED,
                         notice_sender_deaf(recipient_sender(job->record, recipient)));
}

static void put_off(struct job *job, const Pr__QueueRecipient *recipient,
                    const struct relay_verdict *said, Pr__QueueVerdict *verdict)
{
    struct relay *relay = job->group->relay;
    const Pr__Envelope *envelope = job->record->envelope;
    uint64_t random;
    uint64_t after_ms;
    const struct retry_facts facts = {
        .begin_ms = retry_begin_ms(job->record->time_ms, envelope->hold_until_ms),
        .null_sender = notice_sender_deaf(recipient_sender(job->record, recipient)),
        .attempts = job->destination->attempts + 1,
        .delays_told = recipient->delays_told,
        .by = {(enum retry_by_mode)envelope->by_mode, envelope->deliver_by_ms},
        .code = said->code,
        .reply = bytes_of(said->text),
    };

    store_random(&random, sizeof(random));
    struct retry_plan plan =
        retry_plan(relay->config.retry, &facts, group_now_ms(job->group), random);
    if (plan.verdict != RETRY_AGAIN) {
        given_up(job, recipient, verdict);
        if (plan.verdict == RETRY_BY_FAILED)
            verdict->status = text_of(job, "5.4.7", SIZE_MAX);
        else if (*said->status == '\0')
            verdict->status = text_of(job, "4.4.7", SIZE_MAX);
        return;
    }
    verdict->state = PR__QUEUE_RECIPIENT__STATE__WAITING;
    verdict->tell = plan.delay_due && owed(recipient, NOTICE_EVENT_DELAYED, facts.null_sender);
    after_ms = plan.after_ms;
    if (said->unknown && after_ms < UNKNOWN_LEAST_MS)
        after_ms = UNKNOWN_LEAST_MS;
    if (job->attempt.retry_ms == 0 || after_ms < job->attempt.retry_ms)
        job->attempt.retry_ms = after_ms;
}

/* ---- all of them ---- */

static const char *state_name(const Pr__QueueVerdict *verdict)
{
    switch (verdict->state) {
    case PR__QUEUE_RECIPIENT__STATE__WAITING:
        return "mail is put off";
    case PR__QUEUE_RECIPIENT__STATE__FAILED:
        return "mail cannot be delivered";
    default:
        return "mail was sent";
    }
}

/* What a refusal is about, for whoever reads the log. */
static void classify_said(const struct job *job, const struct relay_verdict *said,
                          struct classify_verdict *about)
{
    const struct classify_reply reply = {
        .provider = bytes_of(said->provider),
        .phase = said->phase,
        .code = said->code,
        .text = bytes_of(said->text),
        .source = bytes_of(said->source),
    };

    classify(job->group->relay->config.rules, &reply, about);
}

static void verdict_log(const struct job *job, const Pr__QueueRecipient *recipient,
                        const Pr__QueueVerdict *verdict, const struct relay_verdict *said)
{
    struct classify_verdict about;
    bool classified = said->result != RELAY_TAKEN && said->code != 0 && said->provider != NULL;
    char trace[REQUEST_ID_TEXT_SIZE] = "";
    struct request_id id;

    if (job->record->delivery_id.len == sizeof(id.bytes)) {
        memcpy(id.bytes, job->record->delivery_id.data, sizeof(id.bytes));
        request_id_format(&id, trace);
    }
    metric_add(verdict->state == PR__QUEUE_RECIPIENT__STATE__WAITING  ? METRIC_RELAY_PUT_OFF
               : verdict->state == PR__QUEUE_RECIPIENT__STATE__FAILED ? METRIC_RELAY_FAILED
                                                                      : METRIC_RELAY_SENT,
               1);
    metric_add(METRIC_RELAY_UNKNOWN, said->unknown);
    if (classified)
        classify_said(job, said, &about);
    log_info(
        NULL, state_name(verdict),
        LOG_FIELDS(LOG_TEXT("trace", trace), LOG_TEXT("to", recipient->address),
                   LOG_TEXT("remote", verdict->remote), LOG_TEXT("status", verdict->status),
                   LOG_TEXT("reply", verdict->reply),
                   LOG_TEXT("class", classified ? classify_class_name(about.class) : ""),
                   LOG_TEXT("scope", classified ? classify_scope_name(about.scope) : ""),
                   LOG_TEXT("rule", classified && about.rule != NULL ? about.rule->name : ""),
                   LOG_U64("group", job->group->number), LOG_U64("id", job->record->id),
                   LOG_U64("attempt", job->destination->attempts + 1),
                   LOG_U64("age_ms", group_now_ms(job->group) > job->record->time_ms
                                         ? group_now_ms(job->group) - job->record->time_ms
                                         : 0)));
}

void job_verdict(struct job *job, size_t index, const struct relay_verdict *said)
{
    const Pr__QueueRecipient *recipient = job->record->recipients[index];
    Pr__QueueVerdict *verdict = verdict_new(job, recipient);

    verdict->status = text_of(job, said->status, RELAY_STATUS_SIZE_MAX);
    verdict->reply = text_of(job, said->text, RELAY_REPLY_SIZE_MAX);
    verdict->remote = text_of(job, said->remote, RELAY_REMOTE_SIZE_MAX);
    switch (said->result) {
    case RELAY_TAKEN:
        taken(job, recipient, said, verdict);
        break;
    case RELAY_REFUSED:
        given_up(job, recipient, verdict);
        break;
    case RELAY_PUT_OFF:
        put_off(job, recipient, said, verdict);
        break;
    }
    verdict_log(job, recipient, verdict, said);
}

void job_done(struct job *job)
{
    job->attempt.counts = true;
    if (job->attempt.retry_ms == 0)
        job->attempt.retry_ms = 1;
    if (job->attempt.retry_ms > RELAY_RETRY_MS_MAX)
        job->attempt.retry_ms = RELAY_RETRY_MS_MAX;
    report(job);
}

void job_end(struct job *job, bool permanent, const char *status, const char *reason,
             const char *remote)
{
    const struct relay_verdict said = {
        .result = permanent ? RELAY_REFUSED : RELAY_PUT_OFF,
        .status = status,
        .text = reason,
        .remote = remote,
    };

    for (size_t i = 0; i < job->record->n_recipients; i++)
        job_verdict(job, i, &said);
    job_done(job);
}

void job_give_back(struct job *job)
{
    report(job);
}
