/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/rows_internal.h"

enum { CALL_MS = 20 * 1000, ROUND_MS = 250 };

static void next_question(struct rows_compare *rows);
static void ask_peers(struct rows_compare *rows);

void rows_compare_free(struct rows_compare **rows)
{
    struct rows_compare *ending = *rows;

    if (ending == NULL)
        return;
    *rows = NULL;
    buffer_fini(&ending->names);
    buffer_fini(&ending->question);
    free(ending->suspects);
    free(ending);
}

static void rows_end(struct rows_compare *rows)
{
    struct scrubs *scrubs = rows->scrubs;

    rows_found(rows);
    rows_compare_free(&scrubs->rows);
    scrubs_rows_done(scrubs);
}

static unsigned peers_left(const struct rows_compare *rows)
{
    unsigned left = 0;

    for (unsigned i = 0; i < rows->peer_count; i++)
        left += rows->peers[i] != 0;
    return left;
}

/* ---- looking at the rows here ---- */

static void question_in_pool(void *context)
{
    struct rows_compare *rows = context;
    struct compare_scope scope = {
        .txn = db_read_begin(service_db(rows->scrubs->service, rows->group)),
        .tables = &rows->tables,
        .group = rows->group,
    };

    memcpy(scope.seed, rows->seed, sizeof(scope.seed));
    buffer_clear(&rows->question);
    rows->partial = local_partial(scope.txn, rows->group, NULL);
    rows->index = machine_applied(scope.txn, rows->group);
    if (rows->rounds == 0) {
        rows->from = rows->next;
        rows->bytes = compare_ask(&scope, &transfer_limits, &rows->next, &rows->question);
    } else {
        const struct rows_suspect *suspect = &rows->suspects[rows->suspect_at];
        rows->from = suspect->from;
        rows->again.to = suspect->to;
        compare_ask_again(&scope, &rows->from, &rows->again, &rows->question);
    }
    rows->err = db_error(scope.txn);
    db_abort(&scope.txn);
}

static void on_question(void *context)
{
    struct rows_compare *rows = context;

    if (rows->err != ERR_OK || rows->partial) {
        rows->suspect_count = 0; /* the state is being replaced */
        rows_end(rows);
        return;
    }
    if (rows->rounds > 0) {
        struct rows_suspect *suspect = &rows->suspects[rows->suspect_at];
        compare_sample_add(&suspect->ours, rows->again.digest, rows->index);
    }
    rows->peer_at = 0;
    ask_peers(rows);
}

/* ---- answers ---- */

static struct rows_suspect *suspect_of(struct rows_compare *rows,
                                       const struct transfer_position *from,
                                       const struct transfer_leaf *leaf)
{
    for (unsigned i = 0; i < rows->suspect_count; i++)
        if (transfer_position_compare(&rows->suspects[i].to, &leaf->to) == 0)
            return &rows->suspects[i];
    if (rows->suspect_count == ROWS_SUSPECTS_MAX)
        return NULL;
    struct rows_suspect *made = &rows->suspects[rows->suspect_count++];
    *made = (struct rows_suspect){.from = *from, .to = leaf->to};
    compare_sample_add(&made->ours, leaf->digest, rows->index);
    return made;
}

/* What the peer at `peer_at` says of each range. Returns false when that is no answer. */
static bool take_answer(struct rows_compare *rows, struct bytes digests, uint64_t index)
{
    struct transfer_question asked;
    struct transfer_leaf leaf;

    CHECK(transfer_question_decode(buffer_bytes(&rows->question), &asked) == ERR_OK);
    struct transfer_position from = asked.from;
    for (; transfer_leaf_next(&asked.leaves, &leaf) == ERR_OK; from = leaf.to) {
        struct rows_suspect *suspect = NULL;
        if (digests.len < TRANSFER_DIGEST_SIZE || index == 0)
            return false;
        if (rows->rounds > 0)
            suspect = &rows->suspects[rows->suspect_at];
        else if (memcmp(digests.at, leaf.digest, TRANSFER_DIGEST_SIZE) != 0)
            suspect = suspect_of(rows, &from, &leaf);
        if (suspect != NULL)
            compare_sample_add(&suspect->theirs[rows->peer_at], digests.at, index);
        rows->scrubs->counts.ranges += rows->rounds == 0;
        digests = bytes_skip(digests, TRANSFER_DIGEST_SIZE);
    }
    return digests.len == 0;
}

static void on_digests(void *context, enum err err, struct bytes bytes)
{
    struct rows_compare *rows = context;
    Pr__PeerReply *reply =
        err == ERR_OK ? pr__peer_reply__unpack(NULL, bytes.len, bytes.at) : NULL;

    rows->ticket = 0;
    /* One of a release that does not know the question, too. */
    if (reply == NULL || reply->err != ERR_OK ||
        !take_answer(rows, bytes_of_field(reply->row_digests), reply->index))
        rows->peers[rows->peer_at] = 0;
    if (reply != NULL)
        pr__peer_reply__free_unpacked(reply, NULL);
    rows->peer_at++;
    ask_peers(rows);
}

/* ---- asking ---- */

static void ask_peer(struct rows_compare *rows, struct rpc_client *peer)
{
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__RowDigests ask = PR__ROW_DIGESTS__INIT;
    struct buffer packed = BUFFER_EMPTY;

    ask.group = rows->group;
    ask.seed = field_of_bytes(bytes_from(rows->seed, sizeof(rows->seed)));
    ask.tables = field_of_bytes(buffer_bytes(&rows->names));
    ask.question = field_of_bytes(buffer_bytes(&rows->question));
    request.call_case = PR__PEER_REQUEST__CALL_ROW_DIGESTS;
    request.row_digests = &ask;
    message_pack(&request.base, &packed);
    rows->ticket = rpc_call(peer, buffer_bytes(&packed), CALL_MS, on_digests, rows);
    buffer_fini(&packed);
}

static bool suspect_is_open(const struct rows_compare *rows, const struct rows_suspect *suspect)
{
    for (unsigned i = 0; i < rows->peer_count; i++)
        if (rows->peers[i] != 0 &&
            compare_verdict(&suspect->ours, &suspect->theirs[i]) == COMPARE_OPEN)
            return true;
    return false;
}

static void on_pause(void *context)
{
    struct scrubs *scrubs = context;

    scrubs->timer = NULL;
    next_question(scrubs->rows);
}

static void pause_for(struct rows_compare *rows, uint64_t ms)
{
    struct scrubs *scrubs = rows->scrubs;

    loop_timer_stop(&scrubs->timer);
    scrubs->timer = loop_timer_start(scrubs->service->loop, ms, 0, on_pause, scrubs);
}

/* All have answered: on to the next ranges, or to the next that is not certain. */
static void go_on(struct rows_compare *rows)
{
    const struct scrubs *scrubs = rows->scrubs;

    if (rows->rounds == 0) {
        bool all = transfer_position_is_end(&rows->next);
        rows->rounds = all;
        rows->suspect_at = 0;
        if (!all || (rows->suspect_count > 0 && peers_left(rows) > 0)) {
            pause_for(rows, scrubs->hurried
                                ? 0
                                : rows->bytes / 1000 / scrubs->service->config->scrub_rate_mb);
            return;
        }
        rows_end(rows);
        return;
    }
    rows->suspect_at++;
    next_question(rows);
}

static void ask_peers(struct rows_compare *rows)
{
    while (rows->peer_at < rows->peer_count) {
        struct rpc_client *peer =
            rows->peers[rows->peer_at] != 0
                ? service_peer(rows->scrubs->service, rows->peers[rows->peer_at])
                : NULL;
        if (peer != NULL && rpc_client_connected(peer)) {
            ask_peer(rows, peer);
            return;
        }
        rows->peers[rows->peer_at++] = 0;
    }
    go_on(rows);
}

static void next_question(struct rows_compare *rows)
{
    if (peers_left(rows) == 0) {
        rows_end(rows);
        return;
    }
    if (rows->rounds > 0) {
        unsigned open = 0;
        for (unsigned i = 0; i < rows->suspect_count; i++)
            open += suspect_is_open(rows, &rows->suspects[i]);
        while (rows->suspect_at < rows->suspect_count &&
               !suspect_is_open(rows, &rows->suspects[rows->suspect_at]))
            rows->suspect_at++;
        if (open == 0 || rows->rounds > ROWS_ROUNDS_MAX) {
            rows_end(rows);
            return;
        }
        if (rows->suspect_at == rows->suspect_count) {
            rows->rounds++;
            rows->suspect_at = 0;
            pause_for(rows, ROUND_MS);
            return;
        }
    }
    pool_jobs_run(rows->scrubs->jobs, question_in_pool, on_question, rows);
}

/* The other replicas with a state, by the directory. */
static void find_peers(struct rows_compare *rows)
{
    struct service *service = rows->scrubs->service;
    struct arena group_arena;

    arena_init(&group_arena);
    struct db_txn *txn = service_directory_begin(service);
    const Pr__GroupRecord *group =
        txn != NULL ? directory_group(txn, rows->group, &group_arena) : NULL;
    for (size_t i = 0; group != NULL && i < group->n_replicas; i++) {
        uint64_t node_id = group->replicas[i]->node_id;
        const struct rpc_client *peer = service_peer(service, node_id);
        if (peer != NULL && rpc_client_connected(peer) && rows->peer_count < ROWS_PEERS_MAX)
            rows->peers[rows->peer_count++] = node_id;
    }
    db_abort(&txn);
    arena_fini(&group_arena);
}

void rows_compare_start(struct scrubs *scrubs, uint32_t group)
{
    struct rows_compare *rows = calloc(1, sizeof(*rows));

    CHECK(rows != NULL);
    rows->scrubs = scrubs;
    rows->group = group;
    rows->suspects = calloc(ROWS_SUSPECTS_MAX, sizeof(*rows->suspects));
    CHECK(rows->suspects != NULL);
    randombytes_buf(rows->seed, sizeof(rows->seed));
    compare_tables(&rows->tables);
    transfer_tables_encode(&rows->tables, &rows->names);
    find_peers(rows);
    rows_forget(scrubs, group);
    scrubs->rows = rows;
    if (service_state(scrubs->service, group) != MACHINE_WHOLE) {
        rows_end(rows);
        return;
    }
    next_question(rows);
}
