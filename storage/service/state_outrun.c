/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/state_outrun.h"

static unsigned find(const struct state_outrun *outrun, uint32_t group)
{
    unsigned at = 0;

    while (at < outrun->count && outrun->groups[at].group != group)
        at++;
    return at;
}

void state_outrun_ended(struct state_outrun *outrun, uint32_t group, bool whole)
{
    unsigned at = find(outrun, group);

    if (whole) {
        if (at < outrun->count)
            outrun->groups[at] = outrun->groups[--outrun->count];
        return;
    }
    if (at == STATE_OUTRUN_GROUPS_MAX)
        return;
    if (at == outrun->count) {
        outrun->groups[at].group = group;
        outrun->groups[at].times = 0;
        outrun->count++;
    }
    outrun->groups[at].times++;
}

unsigned state_outrun_factor(const struct state_outrun *outrun, uint32_t group)
{
    unsigned at = find(outrun, group);
    unsigned factor = 1;

    for (unsigned i = 0;
         at < outrun->count && i < outrun->groups[at].times && factor < STATE_OUTRUN_FACTOR_MAX;
         i++)
        factor *= 2;
    return factor;
}

bool state_outrun_worst(const struct state_outrun *outrun, uint32_t *group, unsigned *times)
{
    *times = 0;
    for (unsigned i = 0; i < outrun->count; i++) {
        if (outrun->groups[i].times <= *times)
            continue;
        *group = outrun->groups[i].group;
        *times = outrun->groups[i].times;
    }
    return *times >= STATE_OUTRUN_TOLD;
}
