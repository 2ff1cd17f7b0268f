/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One damaged body, from whichever replica has it whole. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "storage/machine/local.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/scrubs_internal.h"

enum { CALL_MS = 20 * 1000 };

static void repair_ask(struct scrubs *scrubs);
static void repair_next(struct scrubs *scrubs);

static uint32_t group_of(const struct scrubs *scrubs)
{
    return scrubs->groups[scrubs->group_at];
}

static void repair_end(struct scrubs *scrubs, bool good)
{
    uint32_t group = group_of(scrubs);
    const struct log_field *fields =
        LOG_FIELDS(LOG_U64("group", group), LOG_U64("body", scrubs->blob));

    scrub_repair_free(&scrubs->repair);
    if (good) {
        scrubs->counts.repaired++;
        metric_add(METRIC_SCRUB_REPAIRED, 1);
        log_warn(NULL, "a damaged body was repaired from another replica", fields);
    } else {
        scrubs->counts.lost++;
        log_error(NULL, "a body is damaged, and no replica that answers has it whole", fields);
    }
    scrubs_go_on(scrubs);
}

/* ---- jobs ---- */

static void write_in_pool(void *context)
{
    struct scrubs *scrubs = context;
    struct db_txn *txn = db_write_begin(service_db(scrubs->service, group_of(scrubs)));

    if (local_partial(txn, group_of(scrubs), NULL))
        db_fail(txn, ERR_UNAVAILABLE);
    scrubs->outcome = scrub_repair_write(scrubs->repair, txn);
    scrubs->err = db_commit(&txn);
}

static void on_written(void *context)
{
    struct scrubs *scrubs = context;

    if (scrubs->err == ERR_IO)
        replication_disk_failed("state", scrubs->err);
    if (scrubs->err != ERR_OK) {
        repair_end(scrubs, false);
        return;
    }
    switch (scrubs->outcome) {
    case SCRUB_REPAIRED:
    case SCRUB_GONE:
        repair_end(scrubs, true);
        break;
    case SCRUB_AGAIN:
        scrubs->turn--; /* the same replica once more */
        repair_next(scrubs);
        break;
    case SCRUB_USELESS:
        repair_next(scrubs);
    }
}

static void take_in_pool(void *context)
{
    struct scrubs *scrubs = context;
    Pr__PeerReply *reply = pr__peer_reply__unpack(NULL, buffer_len(&scrubs->packed),
                                                  buffer_bytes(&scrubs->packed).at);
    struct db_txn *txn;

    scrubs->useless = reply == NULL || reply->err != ERR_OK;
    scrubs->whole = !scrubs->useless && reply->n_body_frames == 0;
    if (!scrubs->useless) {
        txn = db_read_begin(service_db(scrubs->service, group_of(scrubs)));
        for (size_t i = 0; i < reply->n_body_frames && !scrubs->useless; i++)
            scrubs->useless =
                !scrub_repair_block(scrubs->repair, txn, bytes_of_field(reply->body_frames[i]));
        db_abort(&txn);
    }
    if (reply != NULL)
        pr__peer_reply__free_unpacked(reply, NULL);
}

static void on_taken(void *context)
{
    struct scrubs *scrubs = context;

    if (scrubs->useless)
        repair_next(scrubs);
    else if (scrubs->whole)
        pool_jobs_run(scrubs->jobs, write_in_pool, on_written, scrubs);
    else
        repair_ask(scrubs);
}

/* ---- asking ---- */

static void on_blocks(void *context, enum err err, struct bytes reply)
{
    struct scrubs *scrubs = context;

    scrubs->ticket = 0;
    if (err != ERR_OK) {
        repair_next(scrubs);
        return;
    }
    buffer_clear(&scrubs->packed);
    buffer_add(&scrubs->packed, reply);
    pool_jobs_run(scrubs->jobs, take_in_pool, on_taken, scrubs);
}

static void repair_ask(struct scrubs *scrubs)
{
    struct rpc_client *peer = service_peer(scrubs->service, scrubs->node_id);
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__BodyBlocks ask = PR__BODY_BLOCKS__INIT;
    struct buffer packed = BUFFER_EMPTY;

    if (peer == NULL) { /* removed meanwhile */
        repair_next(scrubs);
        return;
    }
    ask.group = group_of(scrubs);
    ask.blob = scrubs->blob;
    ask.first = scrub_repair_next_block(scrubs->repair);
    request.call_case = PR__PEER_REQUEST__CALL_BODY_BLOCKS;
    request.body_blocks = &ask;
    message_pack(&request.base, &packed);
    scrubs->ticket = rpc_call(peer, buffer_bytes(&packed), CALL_MS, on_blocks, scrubs);
    buffer_fini(&packed);
}

/* The replicas of the group by the directory; 0 when all were asked. */
static uint64_t next_node(struct scrubs *scrubs)
{
    uint64_t found = 0;
    struct arena group_arena;

    arena_init(&group_arena);
    struct db_txn *txn = service_directory_begin(scrubs->service);
    Pr__GroupRecord *group = directory_group(txn, group_of(scrubs), &group_arena);
    while (group != NULL && found == 0 && scrubs->turn < group->n_replicas) {
        uint64_t node_id = group->replicas[scrubs->turn]->node_id;
        const struct rpc_client *peer = service_peer(scrubs->service, node_id);
        if (peer != NULL && rpc_client_connected(peer))
            found = node_id;
        scrubs->turn++;
    }
    db_abort(&txn);
    arena_fini(&group_arena);
    return found;
}

static void repair_next(struct scrubs *scrubs)
{
    scrub_repair_free(&scrubs->repair);
    scrubs->node_id = next_node(scrubs);
    if (scrubs->node_id == 0) {
        repair_end(scrubs, false);
        return;
    }
    scrubs->repair = scrub_repair_new(group_of(scrubs), scrubs->blob);
    repair_ask(scrubs);
}

void scrub_repair_start(struct scrubs *scrubs)
{
    scrubs->turn = 0;
    repair_next(scrubs);
}
