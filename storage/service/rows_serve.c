/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The digests of a group's rows, for another node that compares its own with them. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/machine.h"
#include "storage/schema/entry.h"
#include "storage/service/scrubs.h"
#include "storage/transfer/compare.h"

struct serving {
    struct read_job job;
    struct rpc_request *rpc;
    struct transfer_tables tables;
    uint8_t seed[TRANSFER_SEED_SIZE];
    struct buffer question;
    struct buffer digests;
    uint64_t index;
    enum err err;
};

static void in_pool(struct read_job *job, struct db_txn *txn)
{
    struct serving *serving = job->context;
    struct compare_scope scope = {.txn = txn, .tables = &serving->tables, .group = job->group};

    memcpy(scope.seed, serving->seed, sizeof(scope.seed));
    serving->index = machine_applied(txn, job->group);
    serving->err = compare_answer(&scope, buffer_bytes(&serving->question), &serving->digests);
}

static void end(struct serving *serving, enum err err)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    struct buffer packed = BUFFER_EMPTY;

    reply.err = err;
    if (err == ERR_OK) {
        reply.index = serving->index;
        reply.row_digests = field_of_bytes(buffer_bytes(&serving->digests));
    }
    message_pack(&reply.base, &packed);
    rpc_reply(serving->rpc, buffer_bytes(&packed));
    buffer_fini(&packed);
    buffer_fini(&serving->question);
    buffer_fini(&serving->digests);
    free(serving);
}

static void on_read(struct read_job *job, enum err err, uint64_t index)
{
    struct serving *serving = job->context;

    (void)index;
    end(serving, err != ERR_OK ? err : serving->err);
}

void rows_serve(struct service *service, struct rpc_request *rpc, const Pr__RowDigests *ask)
{
    struct serving *serving = calloc(1, sizeof(*serving));

    CHECK(serving != NULL);
    serving->rpc = rpc;
    if (ask->seed.len != sizeof(serving->seed) ||
        transfer_tables_decode(bytes_of_field(ask->tables), &serving->tables) != ERR_OK) {
        end(serving, ERR_MALFORMED);
        return;
    }
    if (!read_is_local(service, ask->group)) {
        end(serving, ERR_UNAVAILABLE);
        return;
    }
    memcpy(serving->seed, ask->seed.data, sizeof(serving->seed));
    buffer_add(&serving->question, bytes_of_field(ask->question));
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
