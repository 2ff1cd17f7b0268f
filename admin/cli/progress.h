/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ADMIN_CLI_PROGRESS_H
#define ADMIN_CLI_PROGRESS_H

#include "admin/cli/output.h"

/*
 * Work that the cluster does, watched from here: a bar on a terminal, a line for each step
 * elsewhere, a JSON object a line with --json. The watching can be interrupted; the work goes
 * on, and that is said.
 */
struct progress {
    const struct cli *cli;
    const char *title;
    const char *look; /* the command that shows later how far it is */
    uint64_t total;   /* the most that was left at any time */
    uint64_t left_before;
    char detail_before[128];
    bool begun;
    bool drawn;
};

enum { PROGRESS_LOOK_MS = 500 };

void progress_begin(struct progress *progress, const struct cli *cli, const char *title,
                    const char *look);
/* `detail` may be "". */
void progress_show(struct progress *progress, uint64_t left, const char *detail);
void progress_end(struct progress *progress);
/* Until the next look. */
void progress_wait(struct cli *cli);

/* All nodes, or groups; NULL after a message. */
const Pr__NodeListAnswer *progress_nodes(struct cli *cli);
const Pr__GroupListAnswer *progress_groups(struct cli *cli);
const Pr__NodeStatus *progress_node(const Pr__NodeListAnswer *nodes, const char *named);

#endif
