/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATE_OUTRUN_H
#define STORAGE_SERVICE_STATE_OUTRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copies of states that ended because their source changes faster than the receiver may fetch
 * (transfer_rate_mb): each would begin anew for ever. A group's next copy may have twice the
 * rate of the one before, up to STATE_OUTRUN_FACTOR_MAX times the configured one, and from the
 * second time on the operator is told. A copy that ends well forgets it. Pure.
 */
enum {
    STATE_OUTRUN_GROUPS_MAX = 16, /* more at once: the configured rate, and no word of them */
    STATE_OUTRUN_FACTOR_MAX = 8,
    STATE_OUTRUN_TOLD = 2, /* a busy minute is no problem yet */
};

struct state_outrun {
    unsigned count;
    struct {
        uint32_t group;
        unsigned times;
    } groups[STATE_OUTRUN_GROUPS_MAX];
};

/* A copy has ended: whole, or because it was outrun. Other ends change nothing. */
void state_outrun_ended(struct state_outrun *outrun, uint32_t group, bool whole);
/* By what the configured rate is multiplied for that group's copy. */
unsigned state_outrun_factor(const struct state_outrun *outrun, uint32_t group);
/* The first group that an operator must know of. */
bool state_outrun_worst(const struct state_outrun *outrun, uint32_t *group, unsigned *times);

#endif
