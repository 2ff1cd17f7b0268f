/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ADMIN_CLI_QUEUE_H
#define ADMIN_CLI_QUEUE_H

#include "admin/cli/cli.h"

/* What showing the queue and changing it have in common. */

/* A page behind ask->after_group and after_id; NULL after a message. */
const Pr__QueueListAnswer *queue_fetch_page(struct cli *cli, Pr__QueueList *ask);
/* --from, --to and --id; false after a message. */
bool queue_read_filter(struct cli *cli, Pr__QueueList *ask);
/* "2/17"; false after a message. */
bool queue_read_id(const char *typed, uint32_t *group, uint64_t *id);

#endif
