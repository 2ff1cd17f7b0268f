/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_FILE_AHEAD_H
#define NODE_BASE_FILE_AHEAD_H

#include <stdint.h>

/*
 * Keeps a growing file's blocks written ahead of where it is used. A flush of blocks that are
 * there already writes them and nothing else; one that makes the file longer, or turns
 * preallocated blocks into written ones, waits for the file system's journal too, which takes
 * two to three times as long.
 *
 * Call from the only thread that writes the file, while no write is under way. `used` is where
 * the used part ends; what lies behind it is nobody's, and zeros are written there. A full disk
 * is no error here: the next real write meets it.
 */
enum {
    FILE_AHEAD_LEAST = 4 * 1024 * 1024, /* when less is left, */
    FILE_AHEAD_STEP = 16 * 1024 * 1024, /* the file is brought to so much */
};

void file_ahead(int fd, uint64_t used);

#endif
