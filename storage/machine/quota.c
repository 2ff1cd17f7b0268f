/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/quota.h"

#include "storage/schema/format.h"

static bool fits(uint64_t limit, uint64_t used, uint64_t more)
{
    return limit == 0 || (used <= limit && more <= limit - used);
}

enum err quota_check(struct apply *apply, const struct account *account,
                     const Pr__AccountQuota *quota, uint64_t messages, uint64_t size)
{
    if (quota == NULL || apply_format(apply) < FORMAT_DEPTH)
        return ERR_OK;
    if (!fits(quota->messages, account->record.messages, messages))
        return apply_refuse(apply, ERR_QUOTA, "account %llu has %llu of %llu messages",
                            (unsigned long long)account->id,
                            (unsigned long long)account->record.messages,
                            (unsigned long long)quota->messages);
    if (!fits(quota->bytes, account->record.size, size))
        return apply_refuse(apply, ERR_QUOTA, "account %llu has %llu of %llu bytes",
                            (unsigned long long)account->id,
                            (unsigned long long)account->record.size,
                            (unsigned long long)quota->bytes);
    return ERR_OK;
}
