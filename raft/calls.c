/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests and their callbacks: each call_new() ends in exactly one call_finish(). */
#include <stdlib.h>

#include "raft/internal.h"

static struct call *call_alloc(void *context)
{
    struct call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);
    call->context = context;
    return call;
}

struct call *call_new(replicator_done *done, void *context)
{
    struct call *call = call_alloc(context);
    call->done = done;
    return call;
}

struct call *call_new_simple(void (*simple)(void *context, enum err err), void *context)
{
    struct call *call = call_alloc(context);
    call->simple = simple;
    return call;
}

static size_t weight(const struct call *call)
{
    return call->command != NULL ? frame_bytes(call->command).len : 0;
}

void call_push(struct call_list *list, struct call *call)
{
    call->next = NULL;
    if (list->tail != NULL)
        list->tail->next = call;
    else
        list->head = call;
    list->tail = call;
    list->bytes += weight(call);
}

struct call *call_pop(struct call_list *list)
{
    struct call *call = list->head;
    if (call == NULL)
        return NULL;
    list->head = call->next;
    if (list->head == NULL)
        list->tail = NULL;
    list->bytes -= weight(call);
    call->next = NULL;
    return call;
}

void call_append(struct call_list *list, struct call_list *from)
{
    for (struct call *call = call_pop(from); call != NULL; call = call_pop(from))
        call_push(list, call);
}

void call_finish(struct replicator *replicator, struct call *call, enum err err)
{
    call->err = err;
    call_push(&replicator->finished, call);
}

void call_finish_all(struct replicator *replicator, struct call_list *list, enum err err)
{
    for (struct call *call = call_pop(list); call != NULL; call = call_pop(list))
        call_finish(replicator, call, err);
}

void call_expire(struct replicator *replicator, struct call_list *list, uint64_t now,
                 enum err err)
{
    struct call_list kept = {0};
    for (struct call *call = call_pop(list); call != NULL; call = call_pop(list))
        if (now >= call->deadline_ms)
            call_finish(replicator, call, err);
        else
            call_push(&kept, call);
    *list = kept;
}

void calls_run(struct replicator *replicator)
{
    /* What a callback asks for and is refused at once comes in the next turn. */
    struct call_list due = replicator->finished;
    replicator->finished = (struct call_list){0};
    for (struct call *call = call_pop(&due); call != NULL; call = call_pop(&due)) {
        if (call->done != NULL)
            call->done(call->context, call->err, call->index, call->reply);
        else if (call->simple != NULL)
            call->simple(call->context, call->err);
        frame_unref(call->command);
        free(call->reply_copy);
        free(call);
    }
}
