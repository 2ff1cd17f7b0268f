/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_DB_COMPACT_H
#define STORAGE_DB_COMPACT_H

#include <stdint.h>

#include "node/base/err.h"

/*
 * Writes an LMDB environment anew without its free pages, beside the old file, and puts it in
 * its place when it is on disk: at any moment one of the two is whole there. The environment
 * must not be open, in any process. Takes as much room as what is in use, for as long as it
 * runs. ERR_NOTFOUND: there is none; ERR_FULL, ERR_IO: it stays as it was; ERR_UNKNOWN: after a
 * power loss it may be there as it was, so nothing may be promised on what is written to it.
 */
MUST_CHECK enum err db_compact(const char *folder, uint64_t *before_bytes,
                               uint64_t *after_bytes);

#endif
