/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows that are not the same on all replicas: who is alone, and what operators are told. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/service/rows_internal.h"
#include "storage/service/space.h"
#include "storage/service/state_fetch.h"

struct repairing {
    struct service *service;
    uint32_t group;
};

void rows_forget(struct scrubs *scrubs, uint32_t group)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < scrubs->difference_count; i++)
        if (scrubs->differences[i].group != group)
            scrubs->differences[kept++] = scrubs->differences[i];
    scrubs->difference_count = kept;
}

/* The node that is alone in this range; 0: there is no majority, or more are alone. */
static uint64_t minority(const struct rows_compare *rows, const struct rows_suspect *suspect)
{
    uint8_t digests[ROWS_PEERS_MAX + 1][TRANSFER_DIGEST_SIZE];
    uint64_t nodes[ROWS_PEERS_MAX + 1];
    unsigned count = 0;
    uint64_t alone = 0;

    memcpy(digests[count], suspect->ours.digest, TRANSFER_DIGEST_SIZE);
    nodes[count++] = service_self(rows->scrubs->service);
    for (unsigned i = 0; i < rows->peer_count; i++) {
        if (rows->peers[i] == 0)
            continue;
        if (compare_verdict(&suspect->ours, &suspect->theirs[i]) == COMPARE_OPEN)
            return 0;
        memcpy(digests[count], suspect->theirs[i].digest, TRANSFER_DIGEST_SIZE);
        nodes[count++] = rows->peers[i];
    }
    const uint8_t *majority =
        compare_majority((const uint8_t(*)[TRANSFER_DIGEST_SIZE])digests, count);
    for (unsigned i = 0; i < count && majority != NULL; i++) {
        if (memcmp(digests[i], majority, TRANSFER_DIGEST_SIZE) == 0)
            continue;
        if (alone != 0)
            return 0;
        alone = nodes[i];
    }
    return alone;
}

static void add(struct rows_compare *rows, const struct rows_suspect *suspect, uint64_t node_id)
{
    struct scrubs *scrubs = rows->scrubs;
    unsigned table =
        suspect->to.table < rows->tables.count ? suspect->to.table : rows->tables.count - 1;
    struct row_difference found = {
        .group = rows->group,
        .table = rows->tables.at[table],
        .node_id = node_id,
        .minority_node_id = minority(rows, suspect),
    };

    log_error(NULL, "rows of a group are not the same on two nodes",
              LOG_FIELDS(LOG_U64("group", found.group),
                         LOG_TEXT("table", db_table_name(found.table)),
                         LOG_U64("node", node_id), LOG_U64("from_index", suspect->ours.low),
                         LOG_U64("to_index", suspect->ours.high),
                         LOG_U64("alone", found.minority_node_id)));
    if (scrubs->difference_count < SCRUBS_DIFFERENCES_MAX)
        scrubs->differences[scrubs->difference_count++] = found;
}

void rows_found(struct rows_compare *rows)
{
    for (unsigned s = 0; s < rows->suspect_count; s++) {
        const struct rows_suspect *suspect = &rows->suspects[s];
        bool open = false;
        for (unsigned i = 0; i < rows->peer_count; i++) {
            if (rows->peers[i] == 0)
                continue;
            enum compare_verdict verdict = compare_verdict(&suspect->ours, &suspect->theirs[i]);
            open = open || verdict == COMPARE_OPEN;
            if (verdict == COMPARE_DIFFERENT)
                add(rows, suspect, rows->peers[i]);
        }
        rows->scrubs->counts.ranges_open += open;
    }
}

/* Leadership has gone to somebody else, or could not. */
static void on_handed_over(void *context, enum err err)
{
    struct repairing *repairing = context;

    if (err == ERR_OK)
        err = replicator_state_again(repairing->service->replicator, repairing->group);
    if (err != ERR_OK)
        log_error(
            NULL, "a group's state cannot be fetched anew",
            LOG_FIELDS(LOG_U64("group", repairing->group), LOG_TEXT("error", err_text(err))));
    free(repairing);
}

static void repair_group(struct service *service, uint32_t group)
{
    struct repairing *repairing = calloc(1, sizeof(*repairing));
    struct replicator_status status;

    CHECK(repairing != NULL);
    *repairing = (struct repairing){service, group};
    if (replicator_status(service->replicator, group, &status) &&
        status.state == REPLICATOR_LEADER)
        replicator_transfer(service->replicator, group, 0, on_handed_over, repairing);
    else
        on_handed_over(repairing, ERR_OK);
}

unsigned rows_repair(struct scrubs *scrubs)
{
    uint64_t self = service_self(scrubs->service);
    unsigned groups = 0;

    for (unsigned i = 0; i < scrubs->difference_count;) {
        struct row_difference found = scrubs->differences[i++];
        if (found.minority_node_id != self)
            continue;
        rows_forget(scrubs, found.group);
        repair_group(scrubs->service, found.group);
        groups++;
        i = 0;
    }
    return groups;
}

const char *scrubs_problem(struct scrubs *scrubs)
{
    if (scrubs == NULL || scrubs->difference_count == 0)
        return NULL;
    const struct row_difference *first = &scrubs->differences[0];
    int len = snprintf(scrubs->problem, sizeof(scrubs->problem),
                       "rows of group %u are not the same here and on node %llu",
                       (unsigned)first->group, (unsigned long long)first->node_id);
    if (first->minority_node_id != 0)
        len += snprintf(scrubs->problem + len, sizeof(scrubs->problem) - (size_t)len,
                        " (node %llu is alone)", (unsigned long long)first->minority_node_id);
    snprintf(scrubs->problem + len, sizeof(scrubs->problem) - (size_t)len,
             ": see `postraft storage check --status` there");
    return scrubs->problem;
}

const char *service_problem(struct service *service)
{
    const char *problem = space_problem(service->space);

    if (problem == NULL)
        problem = scrubs_problem(service->scrubs);
    return problem != NULL ? problem : state_fetches_problem(service);
}
