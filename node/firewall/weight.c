/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/weight.h"

#define REPEAT_UNSEEN (1.0f / 50.0f)

uint32_t weight_account_mark(uint64_t account)
{
    return (uint32_t)(account ^ account >> 32) | 1;
}

bool weight_is_known(const struct table_slot *slot, uint64_t account)
{
    uint32_t mark = weight_account_mark(account);

    for (unsigned i = 0; i < TABLE_KNOWN; i++)
        if (slot->known[i] == mark)
            return true;
    return false;
}

void weight_learn(struct table_slot *slot, uint64_t account)
{
    uint32_t mark = weight_account_mark(account);
    unsigned at = 0;

    while (at < TABLE_KNOWN - 1 && slot->known[at] != mark)
        at++;
    memmove(slot->known + 1, slot->known, at * sizeof(slot->known[0]));
    slot->known[0] = mark;
}

float weight_of_guesses(struct seen *seen, const struct firewall_address *address,
                        uint64_t account, uint32_t secret, uint32_t count, uint32_t tick)
{
    /* An account's digest and 24 bits of the secret's in one word still tell all pairs apart.
     */
    uint64_t pair = account ^ (uint64_t)secret << 40 ^ secret;
    bool is_new = seen_add(seen, address->high, address->low, pair, tick);

    if (secret != 0)
        return is_new ? 1.0f : 0.0f;
    return is_new ? 1.0f + (float)(count - 1) * REPEAT_UNSEEN : (float)count * REPEAT_UNSEEN;
}
