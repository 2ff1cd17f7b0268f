/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/search_depth.h"

/* Where one message ends inside the bytes, and which of its fields lead further down. */
enum { DEPTH_LIMIT = 64 };

enum { FIELD_REQUEST_SEARCH = 28, FIELD_SEARCH_KEY = 2, FIELD_KEY_KEYS = 2 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static bool take_varint(struct bytes *rest, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = rest->at[0];
        *rest = bytes_skip(*rest, 1);
        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The next field; *inner is what it holds when it is a message or bytes. False at the end or
 * for no protobuf. */
static bool take_field(struct bytes *rest, uint64_t *field, struct bytes *inner)
{
    uint64_t tag;
    uint64_t number = 0;

    *inner = bytes_from(NULL, 0);
    if (rest->len == 0 || !take_varint(rest, &tag))
        return false;
    *field = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(rest, &number);
    case WIRE_FIXED64:
        number = 8;
        break;
    case WIRE_FIXED32:
        number = 4;
        break;
    case WIRE_BYTES:
        if (!take_varint(rest, &number))
            return false;
        if (number <= rest->len)
            *inner = bytes_from(rest->at, (size_t)number);
        break;
    default:
        return false;
    }
    if (number > rest->len)
        return false;
    *rest = bytes_skip(*rest, (size_t)number);
    return true;
}

/* Level 0 is the request, 1 the search, 2 and deeper are keys. */
bool search_depth_within(struct bytes request, unsigned depth_max)
{
    struct bytes levels[DEPTH_LIMIT + 2] = {request};
    unsigned level = 0;

    if (depth_max > DEPTH_LIMIT)
        depth_max = DEPTH_LIMIT;
    for (;;) {
        uint64_t field;
        struct bytes inner;
        uint64_t down = level == 0   ? FIELD_REQUEST_SEARCH
                        : level == 1 ? FIELD_SEARCH_KEY
                                     : FIELD_KEY_KEYS;
        if (!take_field(&levels[level], &field, &inner)) {
            if (level == 0)
                return true;
            level--;
        } else if (field == down && inner.at != NULL) {
            if (level == depth_max + 1)
                return false;
            levels[++level] = inner;
        }
    }
}
