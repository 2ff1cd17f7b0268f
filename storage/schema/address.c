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

static const struct bytes list_ends[LIST_PARTS] = {
    [LIST_OWNER] = BYTES_INIT("-owner"),
    [LIST_BOUNCES] = BYTES_INIT("-bounces"),
};

bool address_list_part(struct bytes local, enum list_part part, struct bytes *list)
{
    struct bytes end = list_ends[part];

    if (local.len <= end.len || !bytes_equal(bytes_skip(local, local.len - end.len), end))
        return false;
    *list = bytes_from(local.at, local.len - end.len);
    return true;
}

struct bytes address_of_list(struct arena *arena, struct bytes list, enum list_part part)
{
    struct bytes local;
    struct bytes domain;

    if (!address_split(list, &local, &domain))
        return list;
    return bytes_of(arena_printf(arena, "%.*s%.*s@%.*s", BYTES_ARG(local),
                                 BYTES_ARG(list_ends[part]), BYTES_ARG(domain)));
}

bool address_is_rewritten(struct bytes local)
{
    return local.len >= 5 && bytes_start_nocase(local, BYTES("srs")) &&
           (local.at[3] == '0' || local.at[3] == '1') &&
           (local.at[4] == '=' || local.at[4] == '+' || local.at[4] == '-');
}

bool address_is_role(struct bytes local)
{
    return bytes_equal(local, BYTES("abuse")) || bytes_equal(local, BYTES("postmaster"));
}

bool address_separators_valid(struct bytes separators)
{
    static const struct bytes marks = BYTES_INIT("+-_=#~!/%&*^$|");

    if (separators.len > ADDRESS_SEPARATORS_MAX)
        return false;
    for (size_t i = 0; i < separators.len; i++)
        if (bytes_find(marks, separators.at[i]) == marks.len ||
            bytes_find(separators, separators.at[i]) != i)
            return false;
    return true;
}
