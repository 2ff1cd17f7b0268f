/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QueueReport and QueueTold. Each recipient that waits gets one last verdict: the first. */
#include "storage/machine/queue_row.h"

static enum err verdict_check(struct apply *apply, const Pr__QueueVerdict *verdict)
{
    if ((unsigned)verdict->state > PR__QUEUE_RECIPIENT__STATE__RELAYED)
        return apply_refuse(apply, ERR_INVALID, "a verdict that is not known");
    if (!queue_text_valid(verdict->status, QUEUE_STATUS_SIZE_MAX) ||
        !queue_text_valid(verdict->reply, QUEUE_REPLY_SIZE_MAX) ||
        !queue_text_valid(verdict->remote, QUEUE_REMOTE_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a verdict of texts that cannot be");
    return ERR_OK;
}

static enum err attempt_check(struct apply *apply, const Pr__QueueAttempt *attempt)
{
    enum err err;

    if (attempt->item == NULL)
        return apply_refuse(apply, ERR_INVALID, "an attempt at nothing");
    if (attempt->retry_ms > QUEUE_RETRY_MS_MAX)
        return apply_refuse(apply, ERR_INVALID, "the next attempt in %llu ms",
                            (unsigned long long)attempt->retry_ms);
    if (attempt->n_verdicts > QUEUE_RECORD_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu verdicts; %d are the most",
                            attempt->n_verdicts, QUEUE_RECORD_RECIPIENTS_MAX);
    for (size_t i = 0; i < attempt->n_verdicts; i++)
        if ((err = verdict_check(apply, attempt->verdicts[i])) != ERR_OK)
            return err;
    return ERR_OK;
}

static enum err report_check(struct apply *apply, const Pr__QueueReport *call)
{
    enum err err;

    if (call->n_attempts == 0)
        return apply_refuse(apply, ERR_INVALID, "a report of nothing");
    if (call->n_attempts > QUEUE_ITEMS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu attempts; %d are the most",
                            call->n_attempts, QUEUE_ITEMS_MAX);
    for (size_t i = 0; i < call->n_attempts; i++)
        if ((err = attempt_check(apply, call->attempts[i])) != ERR_OK)
            return err;
    return ERR_OK;
}

/* A message that has gone out has gone out, whoever had the lease; that one has not is only
 * the business of who has it. */
static bool verdict_counts(const Pr__QueueVerdict *verdict, const Pr__QueueRecipient *recipient,
                           const Pr__QueueAttempt *attempt, bool leased)
{
    return recipient != NULL && recipient->destination == attempt->item->destination &&
           recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING &&
           (leased || verdict->state == PR__QUEUE_RECIPIENT__STATE__DELIVERED ||
            verdict->state == PR__QUEUE_RECIPIENT__STATE__RELAYED);
}

static void verdict_note(const struct apply *apply, const Pr__QueueRecord *record,
                         const Pr__QueueVerdict *verdict, const Pr__QueueAttempt *attempt,
                         Pr__QueueRecipient *recipient)
{
    /* That it is late is owed as long as it is. */
    bool owed = recipient->tell && verdict->state == PR__QUEUE_RECIPIENT__STATE__WAITING;

    if (verdict->tell && !owed)
        recipient->notice = queue_notice_number(apply, record);
    recipient->tell = verdict->tell || owed;
    recipient->state = verdict->state;
    recipient->status = verdict->status;
    recipient->last_reply = verdict->reply;
    recipient->remote = verdict->remote;
    if (!attempt->counts)
        return;
    recipient->attempts++;
    recipient->tried_ms = queue_now_ms(apply);
}

static void attempt_apply(struct apply *apply, struct queue_row *row,
                          const Pr__QueueAttempt *attempt)
{
    Pr__QueueRecord *record = queue_row_open(row, attempt->item->id);
    Pr__QueueDestination *destination =
        record != NULL ? queue_destination(record, attempt->item->destination) : NULL;
    bool leased;

    if (destination == NULL)
        return;
    leased = attempt->lease != 0 && destination->lease == attempt->lease;
    for (size_t i = 0; i < attempt->n_verdicts; i++) {
        const Pr__QueueVerdict *verdict = attempt->verdicts[i];
        Pr__QueueRecipient *recipient = queue_recipient(record, verdict->recipient);
        if (!verdict_counts(verdict, recipient, attempt, leased))
            continue;
        verdict_note(apply, record, verdict, attempt, recipient);
        row->changed = true;
        /* Who has read the record before does not know of this one. */
        destination->renewals += leased ? 0 : 1;
    }
    if (!leased && (attempt->lease != 0 || destination->lease != 0 || attempt->counts))
        return;
    destination->lease = destination->node_id = 0;
    destination->attempts += attempt->counts ? 1 : 0;
    destination->due_ms = queue_later_ms(apply, attempt->retry_ms);
    row->changed = true;
}

enum err apply_queue_report(struct apply *apply)
{
    const Pr__QueueReport *call = apply->command->queue_report;
    struct queue_row row;
    enum err err;

    if ((err = report_check(apply, call)) != ERR_OK)
        return err;
    queue_row_init(&row, apply);
    for (size_t i = 0; i < call->n_attempts; i++)
        attempt_apply(apply, &row, call->attempts[i]);
    queue_row_close(&row);
    return ERR_OK;
}

/* ---- QueueTold ---- */

/* One about whom another notice has come to be owed since is not told. */
static void recipient_told(Pr__QueueRecipient *recipient, uint32_t notice)
{
    if (recipient == NULL || !recipient->tell || recipient->notice > notice)
        return;
    recipient->tell = false;
    recipient->delays_told += recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING ? 1 : 0;
}

/* A notice that was made tells one return address; others may still be owed theirs. */
static void notice_next(Pr__QueueRecord *record)
{
    bool others = false;

    for (size_t i = 0; i < record->n_recipients; i++)
        others = others || (record->recipients[i]->tell &&
                            record->recipients[i]->notice <= record->notices);
    record->notices++;
    if (!others)
        record->notice_ms = 0;
}

static enum err told_check(struct apply *apply, const Pr__QueueTold *call,
                           const Pr__QueueRecord *record)
{
    if (record == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "message %llu is not in the queue any more",
                            (unsigned long long)call->id);
    if (record->notices != call->notice)
        return apply_refuse(apply, ERR_CONFLICT, "notice %u has been made; the next is %u",
                            call->notice, record->notices);
    return ERR_OK;
}

enum err apply_queue_told(struct apply *apply)
{
    const Pr__QueueTold *call = apply->command->queue_told;
    struct queue_row row;
    Pr__QueueRecord *record;
    enum err err;

    if (call->n_recipients == 0 || call->n_recipients > QUEUE_RECORD_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_INVALID, "a notice about %zu recipients",
                            call->n_recipients);
    queue_row_init(&row, apply);
    record = queue_row_open(&row, call->id);
    if ((err = told_check(apply, call, record)) == ERR_OK) {
        for (size_t i = 0; i < call->n_recipients; i++)
            recipient_told(queue_recipient(record, call->recipients[i]), call->notice);
        notice_next(record);
        row.changed = true;
    }
    queue_row_close(&row);
    return err;
}
