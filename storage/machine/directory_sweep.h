/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_SWEEP_H
#define STORAGE_MACHINE_DIRECTORY_SWEEP_H

#include "storage/machine/directory_rows.h"

/*
 * Rows that expire, in tables of any size: each command that adds some looks at a few more,
 * from where the one before has stopped, and begins anew at the end. So as long as it looks at
 * more rows than are added, those that have expired are never more than a part.
 */
enum { SWEEP_LOOKS_MIN = 64 };

typedef bool sweep_expired(const void *message, uint64_t now_ms);

/* `at` is the place, the key of a row, kept by the caller. Returns how many rows went. */
unsigned directory_sweep(struct apply *apply, enum db_table table,
                         const ProtobufCMessageDescriptor *descriptor, sweep_expired *expired,
                         unsigned looks, ProtobufCBinaryData *at);

#endif
