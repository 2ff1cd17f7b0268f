/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/space.h"

uint64_t space_reserve(uint64_t size_bytes, uint64_t configured)
{
    uint64_t reserve = size_bytes / SPACE_RESERVE_PARTS;

    if (configured != 0)
        return configured;
    if (reserve < SPACE_RESERVE_MIN)
        return SPACE_RESERVE_MIN;
    return reserve < SPACE_RESERVE_MAX ? reserve : SPACE_RESERVE_MAX;
}

uint64_t space_map(uint64_t size_bytes, uint64_t configured)
{
    if (configured != 0)
        return configured;
    if (size_bytes < SPACE_MAP_MIN / SPACE_MAP_TIMES)
        return SPACE_MAP_MIN;
    if (size_bytes > SPACE_MAP_MAX / SPACE_MAP_TIMES)
        return SPACE_MAP_MAX;
    /* A whole number of pages of any size. */
    return size_bytes * SPACE_MAP_TIMES & ~(((uint64_t)1 << 20) - 1);
}

bool space_short(uint64_t free_bytes, uint64_t reserve_bytes, bool now)
{
    return free_bytes < (now ? reserve_bytes + reserve_bytes / 4 : reserve_bytes);
}
