/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_RECOVER_H
#define STORAGE_SERVICE_RECOVER_H

#include "storage/service/status_round.h"

/*
 * `cluster recover`: going on after the loss of a majority. Nothing here needs one.
 *
 * Each group that cannot go on by itself goes on from the survivor whose log has the most (the
 * highest term of its last entry, then the longest), with the other survivors as members. When
 * that one has no whole state (a witness), its log brings the survivor that has one up to date:
 * raft/closing.c, replicator_group_recover(). Then the lost nodes are taken out of the
 * directory, which makes every survivor turn them away (fence.h), and what was done is written
 * down in the directory and in a file of the data folder.
 */
void recover_look_call(struct service_call *call);
/* recover_run.c */
void recover_run_call(struct service_call *call);

struct recover_view {
    Pr__NodeRecord *const *nodes;
    size_t node_count;
    Pr__GroupRecord *const *records;
    const struct status_answer *answers; /* one a node */
    size_t record_count;
    const uint64_t *lost; /* ids */
    size_t lost_count;
};

/* What a round shows, with `lost` (names, or those that do not answer when there are none).
 * False: the call has been refused. */
bool recover_view_fill(struct status_round *round, char *const *lost, size_t lost_count,
                       struct recover_view *view);
/* One a record of the view. In `arena`. */
Pr__RecoverGroup **recover_groups(const struct recover_view *view, struct arena *arena);

/* Of a peer (PeerRequest.group_recover): this node's log becomes the group's, which goes on
 * with this node and ask->members. ERR_CONFLICT when it does not end where the operator was
 * told, or does not reach down to what a member has. `done` once, from the loop. */
void recover_here(struct service *service, const Pr__GroupRecover *ask,
                  void (*done)(void *context, enum err err), void *context);

/* ---- recover_plan.c: pure ---- */

bool recover_is_lost(const struct recover_view *view, uint64_t node_id);
/* The highest index that is known there to be committed. */
uint64_t recover_committed(const Pr__RecoverReplica *replica);
/* What is left of a group. In `arena`. */
Pr__RecoverGroup *recover_group(const struct recover_view *view, const Pr__GroupRecord *record,
                                struct arena *arena);

/* recover_record.c: writes `recovery-<epoch>.json` into the folder, on disk when it returns
 * ERR_OK; its path in *path. */
MUST_CHECK enum err recover_record(const char *folder, const struct recover_view *view,
                                   uint64_t epoch, uint64_t time_ms, uint64_t by_node_id,
                                   Pr__RecoverGroup *const *groups, size_t group_count,
                                   struct arena *arena, const char **path);

#endif
