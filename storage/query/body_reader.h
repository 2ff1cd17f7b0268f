/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_BODY_READER_H
#define STORAGE_QUERY_BODY_READER_H

#include "node/base/buffer.h"
#include "storage/db/db.h"

/* Plain bytes of bodies. Keeps the block that was read last, and zstd's memory. */
struct body_reader;

struct body_reader *body_reader_new(void);
void body_reader_free(struct body_reader **reader);

/*
 * Appends the bytes from `at` on, at most `len` and as far as the body goes. Adds the bytes
 * that had to be expanded to `work`. A block that is damaged reads as none: false, and what
 * came before it has been appended.
 */
bool body_reader_read(struct body_reader *reader, struct db_txn *txn, uint32_t group,
                      uint64_t blob, uint64_t at, size_t len, struct buffer *plain,
                      uint64_t *work);

#endif
