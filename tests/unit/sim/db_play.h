/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SIM_DB_PLAY_H
#define TESTS_UNIT_SIM_DB_PLAY_H

#include "node/base/buffer.h"

/* Plays random operations of storage/db/db.h from a seed and writes down everything that they
 * answer. Built once for each implementation; `folder` is an empty one. */
void db_play(const char *folder, uint64_t seed, unsigned steps, struct buffer *answers);
void memory_play(const char *folder, uint64_t seed, unsigned steps, struct buffer *answers);

#endif
