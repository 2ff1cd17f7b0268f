/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of jobs goes into the log, many at a time, and again until the log has it: until
 * then the job is not forgotten, so that nothing of it is begun again here.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/relay/internal.h"

enum { ASKED_MAX = 8 /* commands of a group under way */ };

struct batch {
    struct relay_group *group;
    struct list jobs;
    bool bare; /* of what was refused only the verdicts are left */
    struct loop_timer *timer;
};

static void batch_send(struct batch *batch);

static void batch_end(struct batch *batch)
{
    struct relay_group *group = batch->group;

    group->reports_asked--;
    for (struct list *node; (node = list_take(&batch->jobs)) != NULL;) {
        struct job *job = LIST_ENTRY(node, struct job, node);
        job_free(&job);
    }
    free(batch);
    group_release(&group);
}

static void on_again(void *context)
{
    struct batch *batch = context;

    batch->timer = NULL;
    batch_send(batch);
}

static enum err refusal_of(const Pr__Reply *reply)
{
    return (enum err)(reply->err != ERR_OK     ? reply->err
                      : reply->outcome != NULL ? reply->outcome->err
                                               : ERR_OK);
}

/* The log does not take it as it is. */
static bool is_invalid(enum err err)
{
    return err == ERR_INVALID || err == ERR_TOOBIG || err == ERR_UNSUPPORTED;
}

static struct batch *batch_new(struct relay_group *group)
{
    struct batch *batch = calloc(1, sizeof(*batch));

    CHECK(batch != NULL);
    batch->group = group;
    list_init(&batch->jobs);
    group_use(group);
    group->reports_asked++;
    return batch;
}

/* Whether the message went out counts; the words about it do not. */
static void attempt_strip(Pr__QueueAttempt *attempt)
{
    for (size_t i = 0; i < attempt->n_verdicts; i++)
        attempt->verdicts[i]->status = attempt->verdicts[i]->reply =
            attempt->verdicts[i]->remote = (char *)(uintptr_t)protobuf_c_empty_string;
}

/*
 * One that cannot be written down is not to take others with it: what went out and is not known
 * to have would go out again, every time. So each is told alone, and then without words.
 */
static void batch_refused(struct batch *batch, const Pr__Reply *reply)
{
    struct list *first = list_first(&batch->jobs);

    log_error(NULL, "what became of mail cannot be written down",
              LOG_FIELDS(LOG_U64("group", batch->group->number),
                         LOG_TEXT("error", err_name(refusal_of(reply))),
                         LOG_TEXT("reason", reply->outcome != NULL ? reply->outcome->text
                                                                   : reply->text)));
    if (!is_invalid(refusal_of(reply)) || batch->bare) {
        batch_end(batch);
    } else if (first->next == &batch->jobs) {
        batch->bare = true;
        attempt_strip(&LIST_ENTRY(first, struct job, node)->attempt);
        batch_send(batch);
    } else {
        for (struct list *node; (node = list_take(&batch->jobs)) != NULL;) {
            struct batch *alone = batch_new(batch->group);
            list_append(&alone->jobs, node);
            batch_send(alone);
        }
        batch_end(batch);
    }
}

static void on_reported(void *context, enum err err, const Pr__Reply *reply)
{
    struct batch *batch = context;
    struct relay *relay = batch->group->relay;
    bool known = err == ERR_OK && reply->err == ERR_OK && reply->outcome != NULL &&
                 reply->outcome->err == ERR_OK;

    if (!known && !relay->ending && err == ERR_OK &&
        (is_invalid(refusal_of(reply)) || refusal_of(reply) == ERR_NOTFOUND)) {
        batch_refused(batch, reply);
        return;
    }
    if (known || relay->ending)
        batch_end(batch);
    else
        batch->timer = loop_timer_start(relay->loop, RELAY_AGAIN_MS, 0, on_again, batch);
}

static void batch_send(struct batch *batch)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueWrite write = PR__QUEUE_WRITE__INIT;
    Pr__QueueReport call = PR__QUEUE_REPORT__INIT;
    Pr__QueueAttempt *attempts[RELAY_REPORT_ITEMS_MAX];

    for (struct list *at = batch->jobs.next; at != &batch->jobs; at = at->next)
        attempts[call.n_attempts++] = &LIST_ENTRY(at, struct job, node)->attempt;
    call.attempts = attempts;
    write.group = batch->group->number;
    write.command_case = PR__QUEUE_WRITE__COMMAND_REPORT;
    write.report = &call;
    request.call_case = PR__REQUEST__CALL_QUEUE_WRITE;
    request.queue_write = &write;
    store_call(batch->group->relay->store, &request, RELAY_CALL_MS, on_reported, batch);
}

void report(struct job *job)
{
    Pr__QueueItem *item = arena_alloc(&job->job_arena, sizeof(*item));

    pr__queue_item__init(item);
    item->id = job->record->id;
    item->destination = job->destination->number;
    job->attempt.item = item;
    job->state = JOB_REPORTING;
    lease_leave(job);
    list_remove(&job->node);
    list_append(&job->group->reports_wanted, &job->node);
    loop_wake(job->group->relay->loop);
}

void reports_flush(struct relay_group *group)
{
    while (!list_is_empty(&group->reports_wanted) && group->reports_asked < ASKED_MAX) {
        struct batch *batch = batch_new(group);
        struct list *node;
        for (unsigned i = 0;
             i < RELAY_REPORT_ITEMS_MAX && (node = list_take(&group->reports_wanted)) != NULL;
             i++)
            list_append(&batch->jobs, node);
        batch_send(batch);
    }
}
