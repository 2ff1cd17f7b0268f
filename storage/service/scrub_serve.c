/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The blocks of a body, for another node's repair. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"
#include "storage/service/scrubs.h"

enum { FRAMES_BYTES = 2 * 1024 * 1024, FRAMES_MAX = 1024 };

struct serving {
    struct read_job job;
    struct rpc_request *rpc;
    uint64_t blob;
    uint32_t first;
    enum err err;
    struct buffer packed;
};

static void pack(struct serving *serving, struct buffer *frames, size_t count)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    ProtobufCBinaryData fields[FRAMES_MAX];

    for (size_t i = 0; i < count; i++)
        fields[i] = field_of_bytes(buffer_bytes(&frames[i]));
    reply.err = serving->err;
    reply.n_body_frames = count;
    reply.body_frames = fields;
    message_pack(&reply.base, &serving->packed);
}

static void in_pool(struct read_job *job, struct db_txn *txn)
{
    struct serving *serving = job->context;
    struct buffer *frames = calloc(FRAMES_MAX, sizeof(*frames));
    struct blob_record record;
    size_t count = 0;
    size_t bytes = 0;

    CHECK(frames != NULL);
    if (!blob_load(txn, job->group, serving->blob, &record)) {
        serving->err = ERR_NOTFOUND;
        record.blocks = 0;
    }
    for (uint32_t block = serving->first;
         block < record.blocks && count < FRAMES_MAX && bytes < FRAMES_BYTES; block++) {
        if (!query_block(txn, job->group, serving->blob, block, &frames[count]))
            break;
        bytes += buffer_len(&frames[count++]);
    }
    pack(serving, frames, count);
    for (size_t i = 0; i < count; i++)
        buffer_fini(&frames[i]);
    free(frames);
}

static void end(struct serving *serving)
{
    rpc_reply(serving->rpc, buffer_bytes(&serving->packed));
    buffer_fini(&serving->packed);
    free(serving);
}

static void on_read(struct read_job *job, enum err err, uint64_t index)
{
    struct serving *serving = job->context;

    (void)index;
    if (err != ERR_OK) {
        serving->err = err;
        buffer_clear(&serving->packed);
        pack(serving, NULL, 0);
    }
    end(serving);
}

void scrub_serve(struct service *service, struct rpc_request *rpc, const Pr__BodyBlocks *ask)
{
    struct serving *serving = calloc(1, sizeof(*serving));

    CHECK(serving != NULL);
    serving->rpc = rpc;
    serving->blob = ask->blob;
    serving->first = ask->first;
    if (!read_is_local(service, ask->group)) {
        serving->err = ERR_NOTFOUND;
        pack(serving, NULL, 0);
        end(serving);
        return;
    }
    serving->job = (struct read_job){
        .service = service,
        .group = ask->group,
        .deadline_ms = clock_monotonic_ms() + DEADLINE_DEFAULT_MS,
        .work = in_pool,
        .done = on_read,
        .context = serving,
    };
    read_start(&serving->job);
}
