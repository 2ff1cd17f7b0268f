/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/mailbox_name.h"

#include "storage/machine/utf8.h"
#include "storage/schema/flags.h"

struct bytes mailbox_name_normal(struct arena *arena, struct bytes name)
{
    struct bytes inbox = BYTES("INBOX");
    struct bytes copy = arena_copy(arena, name);
    uint8_t *normal;

    if (bytes_find(name, '/') != inbox.len || !bytes_start_nocase(name, inbox))
        return copy;
    normal = arena_alloc(arena, name.len);
    memcpy(normal, name.at, name.len);
    memcpy(normal, inbox.at, inbox.len);
    return bytes_from(normal, name.len);
}

const char *mailbox_name_wrong(struct bytes name)
{
    unsigned depth = 1;
    bool empty_level = true;
    uint32_t character;

    if (name.len == 0)
        return "a mailbox needs a name";
    if (name.len > MAILBOX_NAME_SIZE_MAX)
        return "the mailbox name is too long";
    while (name.len > 0) {
        if (!utf8_next(&name, &character))
            return "the mailbox name is not UTF-8";
        if (character < 0x20 || (character >= 0x7f && character < 0xa0) ||
            character == 0x2028 || character == 0x2029)
            return "the mailbox name has control characters";
        if (character != '/') {
            empty_level = false;
            continue;
        }
        if (empty_level)
            return "the mailbox name has an empty level";
        empty_level = true;
        depth++;
    }
    if (empty_level)
        return "the mailbox name has an empty level";
    return depth > MAILBOX_DEPTH_MAX ? "the mailbox name has too many levels" : NULL;
}

bool mailbox_name_below(struct bytes name, struct bytes parent)
{
    return name.len > parent.len + 1 && memcmp(name.at, parent.at, parent.len) == 0 &&
           name.at[parent.len] == '/';
}

struct bytes mailbox_name_parent(struct bytes name)
{
    while (name.len > 0 && name.at[name.len - 1] != '/')
        name.len--;
    if (name.len > 0)
        name.len--;
    return name;
}
