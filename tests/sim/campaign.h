/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_CAMPAIGN_H
#define TESTS_SIM_CAMPAIGN_H

#include "tests/sim/sim.h"

/*
 * Many seeds in two worker processes side by side. A worker that dies fails its seed alone, and
 * another one takes over. With `twice` both run every seed: they are executed anew, so their
 * code, stacks and heaps lie at different addresses, and what is freed or not yet written has
 * other contents; whatever happens differently then is an error.
 */
struct campaign {
    const uint64_t *seeds;
    uint64_t count;
    bool twice;
    bool until_failed; /* stop at the first */
    uint64_t seconds;  /* nothing is begun after that; 0: no limit */
    char **arguments;  /* of this program, for the workers */
};

struct campaign_result {
    uint64_t ran;
    uint64_t failed;
    struct stats stats;
};

void campaign_run(const struct campaign *campaign, struct campaign_result *result);

/* What a worker does: seeds come in, results go out, until the end of the input. */
enum { CAMPAIGN_SEEDS_FD = 0, CAMPAIGN_RESULTS_FD = 3 };
void campaign_work(enum bug bug, bool gate);

#endif
