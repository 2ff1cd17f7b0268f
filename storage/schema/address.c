/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/address.h"

struct bytes address_fold(struct arena *arena, struct bytes local, struct bytes domain)
{
    size_t len = local.len + 1 + domain.len;
    uint8_t *text = arena_alloc(arena, len + 1);

    for (size_t i = 0; i < local.len; i++)
        text[i] = byte_lower(local.at[i]);
    text[local.len] = '@';
    for (size_t i = 0; i < domain.len; i++)
        text[local.len + 1 + i] = byte_lower(domain.at[i]);
    return bytes_from(text, len);
}

bool address_split(struct bytes address, struct bytes *local, struct bytes *domain)
{
    size_t at = address.len;

    while (at > 0 && address.at[at - 1] != '@')
        at--;
    if (at <= 1 || at == address.len)
        return false;
    *local = bytes_from(address.at, at - 1);
    *domain = bytes_skip(address, at);
    return true;
}
