/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sending_lane.h"

#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/address.h"

bool sending_is_of_list(struct db_txn *directory, struct bytes sender, struct arena *arena)
{
    const struct bytes mark = BYTES("-bounces");
    struct bytes local;
    struct bytes domain;
    const Pr__AliasRecord *alias;
    char *address;

    if (!address_split(sender, &local, &domain) || local.len <= mark.len ||
        !bytes_equal(bytes_skip(local, local.len - mark.len), mark))
        return false;
    address = arena_printf(arena, "%.*s@%.*s", (int)(local.len - mark.len),
                           (const char *)local.at, (int)domain.len, (const char *)domain.at);
    alias = directory_alias(directory, bytes_of(address), arena);
    return alias != NULL && alias->list != NULL;
}

static bool is_to_members(struct db_txn *directory, Pr__QueueRecipient *const *queue,
                          size_t count, struct arena *arena)
{
    struct bytes before = bytes_from(NULL, 0);

    for (size_t i = 0; i < count; i++) {
        struct bytes sender = bytes_of(queue[i]->sender);
        if (sender.len == 0 || bytes_equal(sender, before))
            continue;
        if (sending_is_of_list(directory, sender, arena))
            return true;
        before = sender;
    }
    return false;
}

/* Of the first recipient's sender, when its domain is one of ours. */
static struct settings_place place_of_sender(struct db_txn *directory,
                                             Pr__QueueRecipient *const *queue, size_t count,
                                             struct arena *arena)
{
    const Pr__DomainRecord *record;
    struct bytes local;
    struct bytes domain;

    if (count == 0 || !address_split(bytes_of(queue[0]->sender), &local, &domain) ||
        (record = directory_domain(directory, domain, arena)) == NULL)
        return (struct settings_place){0};
    return settings_place_domain(directory, record, arena);
}

struct sending_lane sending_lane_of(struct db_txn *directory, uint64_t account_id,
                                    bool submitted, Pr__QueueRecipient *const *queue,
                                    size_t count, struct arena *arena)
{
    struct settings_place place = {0};
    struct bytes address;
    uint32_t group;
    const Pr__AccountRecord *account =
        directory_account_by_id(directory, account_id, arena, &address, &group)
            ? directory_account(directory, address, arena)
            : NULL;

    if (account != NULL)
        place = settings_place_account(directory, account, arena);
    else if (account_id == 0)
        place = place_of_sender(directory, queue, count, arena);
    bool bulk =
        (submitted && account != NULL &&
         settings_number(directory, place, SETTING_SENDING_CLASS) == SENDING_CLASS_MASS) ||
        is_to_members(directory, queue, count, arena);
    return (struct sending_lane){
        .tenant_id = place.tenant_id,
        .class = bulk ? PR__QUEUE_CLASS__QUEUE_BULK : PR__QUEUE_CLASS__QUEUE_PERSONAL,
    };
}
