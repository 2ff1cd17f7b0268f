/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/rpc_calls.h"

#include <stdlib.h>

#include "node/base/check.h"

/*
 * Invariants:
 * 1. heap[i]->heap_place == i, and no call is earlier than its parent, heap[(i - 1) / 2].
 * 2. table[call->index] == call; a place is NULL exactly when it is in free_places.
 */

static void heap_put(struct rpc_calls *calls, size_t place, struct rpc_pending *call)
{
    calls->heap[place] = call;
    call->heap_place = place;
}

/* Moves `call` up from the empty `place` to where invariant 1 holds. */
static void heap_up(struct rpc_calls *calls, size_t place, struct rpc_pending *call)
{
    while (place > 0 && calls->heap[(place - 1) / 2]->deadline_ms > call->deadline_ms) {
        heap_put(calls, place, calls->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(calls, place, call);
}

static void heap_down(struct rpc_calls *calls, size_t place, struct rpc_pending *call)
{
    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < calls->heap_count &&
            calls->heap[child + 1]->deadline_ms < calls->heap[child]->deadline_ms)
            child++;
        if (child >= calls->heap_count || calls->heap[child]->deadline_ms >= call->deadline_ms)
            break;
        heap_put(calls, place, calls->heap[child]);
        place = child;
    }
    heap_put(calls, place, call);
}

static void heap_remove(struct rpc_calls *calls, struct rpc_pending *call)
{
    size_t place = call->heap_place;

    CHECK(calls->heap[place] == call);
    struct rpc_pending *last = calls->heap[--calls->heap_count];
    if (last == call)
        return;
    if (place > 0 && calls->heap[(place - 1) / 2]->deadline_ms > last->deadline_ms)
        heap_up(calls, place, last);
    else
        heap_down(calls, place, last);
}

static void grow(struct rpc_calls *calls)
{
    uint32_t size = calls->table_size > 0 ? calls->table_size * 2 : 64;

    CHECK(size > calls->table_size);
    calls->table = reallocarray(calls->table, size, sizeof(struct rpc_pending *));
    calls->heap = reallocarray(calls->heap, size, sizeof(struct rpc_pending *));
    calls->free_places = reallocarray(calls->free_places, size, sizeof(uint32_t));
    CHECK(calls->table != NULL && calls->heap != NULL && calls->free_places != NULL);
    for (uint32_t i = size; i > calls->table_size; i--)
        calls->free_places[calls->free_count++] = i - 1;
    for (uint32_t i = calls->table_size; i < size; i++)
        calls->table[i] = NULL;
    calls->table_size = size;
}

struct rpc_pending *rpc_calls_add(struct rpc_calls *calls, uint64_t deadline_ms,
                                  struct bytes body)
{
    struct rpc_pending *call = malloc(sizeof(*call) + body.len);
    uint8_t *copy = (uint8_t *)(call + 1);

    CHECK(call != NULL);
    *call = (struct rpc_pending){.refused = ERR_OK};
    if (calls->free_count == 0)
        grow(calls);
    call->index = calls->free_places[--calls->free_count];
    call->generation = ++calls->generation;
    call->order = ++calls->order;
    call->deadline_ms = deadline_ms;
    if (body.len > 0)
        memcpy(copy, body.at, body.len);
    call->body = bytes_from(copy, body.len);
    calls->table[call->index] = call;
    heap_up(calls, calls->heap_count++, call);
    return call;
}

static void unlink_waiting(struct rpc_calls *calls, struct rpc_pending *call)
{
    if (!call->waiting)
        return;
    *(call->previous != NULL ? &call->previous->next : &calls->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &calls->last) = call->previous;
    call->next = NULL;
    call->previous = NULL;
    call->waiting = false;
}

void rpc_calls_drop(struct rpc_calls *calls, struct rpc_pending *call)
{
    CHECK(calls->table[call->index] == call);
    unlink_waiting(calls, call);
    heap_remove(calls, call);
    calls->table[call->index] = NULL;
    calls->free_places[calls->free_count++] = call->index;
    if (call->secret)
        explicit_bzero(call + 1, call->body.len);
    free(call);
}

uint64_t rpc_calls_ticket(const struct rpc_pending *call)
{
    return (uint64_t)call->generation << 32 | (call->index + 1);
}

struct rpc_pending *rpc_calls_find(const struct rpc_calls *calls, uint64_t ticket)
{
    uint32_t place = (uint32_t)ticket;

    if (place == 0 || place > calls->table_size || calls->table[place - 1] == NULL ||
        calls->table[place - 1]->generation != (uint32_t)(ticket >> 32))
        return NULL;
    return calls->table[place - 1];
}

struct rpc_pending *rpc_calls_earliest(const struct rpc_calls *calls)
{
    return calls->heap_count > 0 ? calls->heap[0] : NULL;
}

void rpc_calls_wait(struct rpc_calls *calls, struct rpc_pending *call)
{
    CHECK(!call->waiting);
    call->waiting = true;
    call->previous = calls->last;
    *(calls->last != NULL ? &calls->last->next : &calls->first) = call;
    calls->last = call;
}

static int by_order(const void *left, const void *right)
{
    const struct rpc_pending *a = *(struct rpc_pending *const *)left;
    const struct rpc_pending *b = *(struct rpc_pending *const *)right;

    return a->order < b->order ? -1 : a->order > b->order;
}

void rpc_calls_unsend(struct rpc_calls *calls)
{
    size_t count = 0;
    struct rpc_pending **again = calloc(calls->heap_count + 1, sizeof(struct rpc_pending *));

    CHECK(again != NULL);
    for (size_t i = 0; i < calls->heap_count; i++)
        if (calls->heap[i]->sent)
            again[count++] = calls->heap[i];
    if (count > 1)
        qsort(again, count, sizeof(struct rpc_pending *), by_order);
    while (count > 0) {
        struct rpc_pending *call = again[--count];
        call->sent = false;
        call->waiting = true;
        call->previous = NULL;
        call->next = calls->first;
        *(calls->first != NULL ? &calls->first->previous : &calls->last) = call;
        calls->first = call;
    }
    free(again);
}

struct rpc_pending *rpc_calls_next_waiting(struct rpc_calls *calls)
{
    struct rpc_pending *call = calls->first;

    if (call != NULL)
        unlink_waiting(calls, call);
    return call;
}

void rpc_calls_fini(struct rpc_calls *calls)
{
    CHECK(calls->heap_count == 0 && calls->first == NULL);
    free(calls->table);
    free(calls->heap);
    free(calls->free_places);
}
