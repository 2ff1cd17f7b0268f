/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time limits of many connections with one timer. A connection lies in the slot of a tick not
 * later than its deadline. Putting a deadline off is one assignment: when the slot's tick comes
 * and the deadline has moved, the connection moves on. So a byte that arrives costs nothing
 * here.
 */
#include "node/base/check.h"
#include "node/runtime/conn_internal.h"

static struct conn *conn_of(struct conn_entry *entry)
{
    return (struct conn *)((char *)entry - offsetof(struct conn, entry));
}

uint64_t conn_now_ms(const struct conn *conn)
{
    return uv_now(conn->tcp.loop);
}

void conn_wheel_init(struct conn_shared *shared)
{
    for (unsigned i = 0; i < CONN_WHEEL_SLOTS; i++)
        shared->wheel[i].next = shared->wheel[i].previous = &shared->wheel[i];
}

void conn_wheel_remove(struct conn *conn)
{
    if (conn->entry_tick == 0)
        return;
    conn->entry.next->previous = conn->entry.previous;
    conn->entry.previous->next = conn->entry.next;
    conn->entry_tick = 0;
}

static void place(struct conn *conn)
{
    struct conn_shared *shared = conn->shared;
    uint64_t tick = conn->deadline_ms / CONN_TICK_MS + 1; /* not before the deadline */

    if (tick <= shared->tick)
        tick = shared->tick + 1;
    if (tick >= shared->tick + CONN_WHEEL_SLOTS)
        tick = shared->tick + CONN_WHEEL_SLOTS - 1;
    struct conn_entry *slot = &shared->wheel[tick % CONN_WHEEL_SLOTS];
    conn->entry_tick = tick;
    conn->entry.next = slot;
    conn->entry.previous = slot->previous;
    slot->previous->next = &conn->entry;
    slot->previous = &conn->entry;
}

static void expire(struct conn *conn)
{
    if (conn->closing || conn->handshaking || conn->session == NULL) {
        if (conn->handshaking && !conn->closing)
            conn_client_failed(conn, TLS_FAILURE_TIMEOUT, "");
        conn_end(conn);
        return;
    }
    conn_wheel_set(conn, conn_now_ms(conn) + conn->idle_ms);
    conn->protocol->idle(conn->session);
}

static void on_tick(void *context)
{
    struct conn_shared *shared = context;
    uint64_t now_ms = uv_now(loop_uv(shared->loop));
    uint64_t last = now_ms / CONN_TICK_MS;

    /* After a long sleep one time round is enough. */
    if (last > shared->tick + CONN_WHEEL_SLOTS)
        shared->tick = last - CONN_WHEEL_SLOTS;
    while (shared->tick < last) {
        struct conn_entry *slot = &shared->wheel[++shared->tick % CONN_WHEEL_SLOTS];
        struct conn_entry due = *slot;
        if (due.next == slot)
            continue;
        /* The whole slot at once: who expires may change any slot. */
        due.next->previous = &due;
        due.previous->next = &due;
        slot->next = slot->previous = slot;
        while (due.next != &due) {
            struct conn *conn = conn_of(due.next);
            conn_wheel_remove(conn);
            if (conn->deadline_ms <= now_ms)
                expire(conn);
            else
                place(conn);
        }
    }
    if (shared->first == NULL)
        loop_timer_stop(&shared->ticker);
}

void conn_wheel_set(struct conn *conn, uint64_t deadline_ms)
{
    struct conn_shared *shared = conn->shared;

    CHECK(!conn->ended);
    if (shared->ticker == NULL) {
        shared->tick = conn_now_ms(conn) / CONN_TICK_MS;
        shared->ticker =
            loop_timer_start(shared->loop, CONN_TICK_MS, CONN_TICK_MS, on_tick, shared);
    }
    bool earlier = conn->entry_tick == 0 || deadline_ms < conn->deadline_ms;
    conn->deadline_ms = deadline_ms;
    if (!earlier)
        return;
    conn_wheel_remove(conn);
    place(conn);
}
