/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_COMPACTION_H
#define STORAGE_SERVICE_COMPACTION_H

#include "storage/service/service.h"

/*
 * `storage compact`: the store leaves a mark in its folder and ends as for a stop (what it
 * leads goes to others first); the supervisor starts it again, and before the databases are
 * opened they are written anew without their free pages. The mark goes first: a node that dies
 * over it starts without. Other nodes serve meanwhile.
 */
/* Before the databases are opened. */
void compaction_run(const struct config *config);

#endif
