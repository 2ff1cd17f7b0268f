/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/file_ahead.h"

#include <sys/stat.h>
#include <unistd.h>

#define PIECE_SIZE (64 * 1024)

void file_ahead(int fd, uint64_t used)
{
    static const uint8_t zeros[PIECE_SIZE];
    struct stat status;

    if (fstat(fd, &status) != 0)
        return;
    uint64_t size = (uint64_t)status.st_size;
    if (size >= used + FILE_AHEAD_LEAST)
        return;
    while (size < used + FILE_AHEAD_STEP) {
        ssize_t written = pwrite(fd, zeros, sizeof(zeros), (off_t)size);
        if (written <= 0)
            return;
        size += (uint64_t)written;
    }
}
