/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/membership.h"

#include <inttypes.h>
#include <stdio.h>

#include "node/base/check.h"
#include "raft/coding.h"
#include "raft/replicator.h"

enum {
    ENCODING_VERSION = 1,
    HEAD_SIZE = 9,
    MEMBER_SIZE_LEAST = 11,
    ROLE_STANDBY = 0,
    ROLE_VOTER = 1,
    ROLE_SPARE = 2
};

_Static_assert(sizeof(((struct membership *)0)->members) / sizeof(struct membership_member) ==
                   REPLICATOR_MEMBERS_MAX,
               "room for every member");
_Static_assert(HEAD_SIZE + REPLICATOR_MEMBERS_MAX * (8 + MEMBERSHIP_ADDRESS_SIZE + 1) + 7 <=
                   MEMBERSHIP_SIZE_MAX,
               "the largest membership fits");

void membership_address(uint64_t id, char text[MEMBERSHIP_ADDRESS_SIZE])
{
    snprintf(text, MEMBERSHIP_ADDRESS_SIZE, "%" PRIu64, id);
}

static size_t pad_8(size_t len)
{
    return (len + 7) / 8 * 8;
}

/* One member off the front of `rest`. */
static enum err take_member(struct bytes *rest, struct membership_member *member)
{
    char address[MEMBERSHIP_ADDRESS_SIZE];
    if (rest->len < 8)
        return ERR_MALFORMED;
    member->id = get_le64(rest->at);
    *rest = bytes_skip(*rest, 8);
    if (member->id == 0)
        return ERR_MALFORMED;
    membership_address(member->id, address);
    size_t len = strlen(address) + 1;
    if (rest->len < len + 1 || memcmp(rest->at, address, len) != 0)
        return ERR_MALFORMED;
    member->role = rest->at[len];
    *rest = bytes_skip(*rest, len + 1);
    return member->role <= ROLE_SPARE ? ERR_OK : ERR_MALFORMED;
}

enum err membership_decode(struct bytes payload, struct membership *membership)
{
    struct bytes rest = payload;
    *membership = (struct membership){0};
    if (payload.len < HEAD_SIZE || payload.len > MEMBERSHIP_SIZE_MAX || payload.len % 8 != 0 ||
        payload.at[0] != ENCODING_VERSION)
        return ERR_MALFORMED;
    uint64_t count = get_le64(payload.at + 1);
    if (count == 0 || count > REPLICATOR_MEMBERS_MAX)
        return ERR_MALFORMED;
    rest = bytes_skip(rest, HEAD_SIZE);
    for (unsigned i = 0; i < count; i++) {
        struct membership_member member;
        if (take_member(&rest, &member) != ERR_OK ||
            membership_find(membership, member.id) != membership->count)
            return ERR_MALFORMED;
        membership->members[membership->count++] = member;
    }
    if (rest.len >= 8 || membership_voters(membership) == 0)
        return ERR_MALFORMED;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] != 0)
            return ERR_MALFORMED;
    return ERR_OK;
}

size_t membership_encode(const struct membership *membership, uint8_t *payload)
{
    size_t len = HEAD_SIZE;
    CHECK(membership->count > 0 && membership->count <= REPLICATOR_MEMBERS_MAX);
    payload[0] = ENCODING_VERSION;
    put_le64(payload + 1, membership->count);
    for (unsigned i = 0; i < membership->count; i++) {
        char address[MEMBERSHIP_ADDRESS_SIZE];
        membership_address(membership->members[i].id, address);
        put_le64(payload + len, membership->members[i].id);
        len += 8;
        memcpy(payload + len, address, strlen(address) + 1);
        len += strlen(address) + 1;
        payload[len++] = membership->members[i].role;
    }
    memset(payload + len, 0, pad_8(len) - len);
    return pad_8(len);
}

bool membership_is_wide(struct bytes payload)
{
    if (payload.len < HEAD_SIZE || payload.at[0] != ENCODING_VERSION)
        return false;
    uint64_t count = get_le64(payload.at + 1);
    return count > MEMBERSHIP_FEW && count <= (payload.len - HEAD_SIZE) / MEMBER_SIZE_LEAST;
}

unsigned membership_find(const struct membership *membership, uint64_t id)
{
    unsigned i = 0;
    while (i < membership->count && membership->members[i].id != id)
        i++;
    return i;
}

unsigned membership_voters(const struct membership *membership)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < membership->count; i++)
        voters += membership->members[i].role == ROLE_VOTER;
    return voters;
}
