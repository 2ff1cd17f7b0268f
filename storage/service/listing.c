/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/listing.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/service/operator.h"

struct listing {
    struct service_call *call;
    listing_fill *fill;
    void (*then)(struct service_call *call, Pr__Reply *reply); /* NULL: it is the answer */
    struct read_job job;
    struct buffer packed;
    bool stale;
};

unsigned listing_limit(uint32_t asked)
{
    if (asked == 0)
        return OPERATOR_LIST_DEFAULT;
    return asked < OPERATOR_LIST_MAX ? asked : OPERATOR_LIST_MAX;
}

static void listing_work(struct read_job *job, struct db_txn *txn)
{
    struct listing *listing = job->context;
    struct arena fill_arena;
    Pr__Reply reply = PR__REPLY__INIT;

    arena_init(&fill_arena);
    if (listing->stale)
        reply.text = arena_string(
            &fill_arena, BYTES("no majority answers: this is what this node last knew"));
    listing->fill(listing->call->request, txn, &fill_arena, &reply);
    message_pack(&reply.base, &listing->packed);
    arena_fini(&fill_arena);
}

static void listing_then(struct listing *listing)
{
    ProtobufCAllocator allocator = arena_allocator(&listing->call->call_arena);
    Pr__Reply *reply = pr__reply__unpack(&allocator, buffer_len(&listing->packed),
                                         buffer_bytes(&listing->packed).at);

    CHECK(reply != NULL); /* our own */
    listing->then(listing->call, reply);
}

static void listing_done(struct read_job *job, enum err err, uint64_t index)
{
    struct listing *listing = job->context;

    (void)index;
    if (err != ERR_OK && !listing->stale) {
        listing->stale = true;
        listing->job.fresh = false;
        listing->job.deadline_ms = clock_monotonic_ms() + LISTING_FRESH_MS;
        read_start(&listing->job);
        return;
    }
    if (err != ERR_OK)
        call_fail(listing->call, err, "this node has no directory yet");
    else if (listing->then == NULL)
        call_reply_packed(listing->call, buffer_bytes(&listing->packed));
    else
        listing_then(listing);
    buffer_fini(&listing->packed);
    free(listing);
}

void listing_call(struct service_call *call, listing_fill *fill)
{
    listing_call_then(call, fill, NULL);
}

void listing_call_then(struct service_call *call, listing_fill *fill,
                       void (*then)(struct service_call *call, Pr__Reply *reply))
{
    struct listing *listing = calloc(1, sizeof(*listing));
    uint64_t soon_ms = clock_monotonic_ms() + LISTING_FRESH_MS;

    CHECK(listing != NULL);
    listing->call = call;
    listing->fill = fill;
    listing->then = then;
    buffer_init(&listing->packed);
    listing->job = (struct read_job){
        .service = call->service,
        .group = DIRECTORY_GROUP,
        .fresh = true,
        .deadline_ms = soon_ms < call->deadline_ms ? soon_ms : call->deadline_ms,
        .work = listing_work,
        .done = listing_done,
        .context = listing,
    };
    read_start(&listing->job);
}
