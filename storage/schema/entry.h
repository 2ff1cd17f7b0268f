/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_ENTRY_H
#define STORAGE_SCHEMA_ENTRY_H

#include "command.pb-c.h"
#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/bytes.h"

/* A log entry: the format byte, then the Command. Appends to `entry`. */
void entry_encode(const Pr__Command *command, struct buffer *entry);

/*
 * The command of an entry, in `arena` (nothing is to be freed). NULL for an unknown format or
 * for bytes that are no Command: the machine answers such an entry with an error, it never
 * stops.
 */
Pr__Command *entry_decode(struct bytes entry, struct arena *arena);

/* protobuf-c's allocator over an arena: unpack with it, and never call free_unpacked. Borrows
 * `arena`. */
ProtobufCAllocator arena_allocator(struct arena *arena);

/* Packs any message behind what `buffer` holds. */
void message_pack(const ProtobufCMessage *message, struct buffer *buffer);

/* A protobuf bytes field and `struct bytes` are the same thing with other names. */
static inline struct bytes bytes_of_field(ProtobufCBinaryData field)
{
    return (struct bytes){field.data, field.len};
}

/* For packing only: protobuf-c does not write through it. */
ProtobufCBinaryData field_of_bytes(struct bytes bytes);

#endif
