/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_MEMBERS_H
#define STORAGE_SERVICE_MEMBERS_H

#include "storage/service/status_round.h"

/* What operators ask about nodes, groups and where replicas stand. */
void node_alter_call(struct service_call *call);         /* members.c */
void group_add_call(struct service_call *call);          /* groups.c */
void group_lead_call(struct service_call *call);         /* groups.c */
void replication_read_call(struct service_call *call);   /* replication_policy.c */
void replication_change_call(struct service_call *call); /* replication_policy.c */
/* Takes over what the directory says of durability: at start, and when the directory changes.
 */
void replication_policy_apply(struct service *service);
void rebalance_call(struct service_call *call); /* rebalance.c */

/* ---- members_risk.c: pure ---- */

struct members_texts {
    char **at;
    size_t count;
    size_t room;
};
__attribute__((format(printf, 3, 4))) void
members_text_add(struct members_texts *texts, struct arena *arena, const char *format, ...);

/* What gets worse when the node keeps nothing any more. `goes`: it leaves the cluster; `by`:
 * who takes over, or NULL; `reachable`: it answers. */
void members_risks(const struct placement_view *view, Pr__NodeRecord *const *nodes,
                   Pr__GroupStatus *const *groups, uint64_t node_id, uint64_t by,
                   bool reachable, struct arena *arena, struct members_texts *risks);

/* Where the policy is not kept, or cannot be, as things stand. */
void members_policy_warnings(const struct placement_view *view, struct arena *arena,
                             struct members_texts *warnings);

/* How many mail groups name the node, or may not have let go of it. */
size_t members_replicas(const struct placement_view *view, uint64_t node_id);

#endif
