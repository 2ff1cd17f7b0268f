/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/entry.h"

#include "node/base/check.h"
#include "storage/schema/flags.h"

static void *allocate(void *context, size_t size)
{
    return arena_alloc(context, size);
}

static void release(void *context, void *memory)
{
    (void)context;
    (void)memory; /* goes with the arena */
}

ProtobufCAllocator arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = arena};
}

void message_pack(const ProtobufCMessage *message, struct buffer *buffer)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *room = buffer_reserve(buffer, size);

    CHECK(protobuf_c_message_pack(message, room) == size);
    buffer_added(buffer, size);
}

void entry_encode(const Pr__Command *command, struct buffer *entry)
{
    buffer_add_byte(entry, COMMAND_FORMAT);
    message_pack(&command->base, entry);
}

Pr__Command *entry_decode(struct bytes entry, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);

    if (entry.len < 1 || entry.at[0] != COMMAND_FORMAT)
        return NULL;
    return pr__command__unpack(&allocator, entry.len - 1, entry.at + 1);
}

ProtobufCBinaryData field_of_bytes(struct bytes bytes)
{
    union {
        const uint8_t *borrowed;
        uint8_t *field;
    } at = {.borrowed = bytes.at};

    return (ProtobufCBinaryData){.len = bytes.len, .data = at.field};
}
