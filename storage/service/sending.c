/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sending.h"

#include "storage/query/addresses.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"
#include "storage/service/sending_lane.h"
#include "storage/service/sending_tenants.h"
#include "storage/service/sessions.h"

enum { MAY_SEND_MAX = 1000, DAY_MS = 24 * 60 * 60 * 1000 };

static Pr__AccountRecord *account_of(struct db_txn *txn, uint64_t account_id,
                                     struct arena *arena)
{
    struct bytes address;
    uint32_t group;

    return directory_account_by_id(txn, account_id, arena, &address, &group)
               ? directory_account(txn, address, arena)
               : NULL;
}

static bool is_new(const struct settings *settings, const Pr__AccountRecord *account)
{
    uint64_t days = (uint64_t)setting_number(settings, SETTING_SENDING_NEW_DAYS);

    return clock_wall_ms() < account->created_ms + days * DAY_MS;
}

static void fill(const struct settings *settings, const Pr__AccountRecord *account,
                 Pr__SendingLimits *limits)
{
    enum setting_id hour = SETTING_COUNT;
    enum setting_id day = SETTING_SENDING_NORMAL_DAY;

    switch (setting_number(settings, SETTING_SENDING_CLASS)) {
    case SENDING_CLASS_MASS:
        day = SETTING_SENDING_MASS_DAY;
        break;
    case SENDING_CLASS_CUSTOM:
        hour = SETTING_SENDING_HOUR;
        day = SETTING_SENDING_DAY;
        break;
    case SENDING_CLASS_NEW:
        hour = SETTING_SENDING_NEW_HOUR;
        day = SETTING_SENDING_NEW_DAY;
        break;
    default:
        hour = SETTING_SENDING_NORMAL_HOUR;
        if (is_new(settings, account)) {
            hour = SETTING_SENDING_NEW_HOUR;
            day = SETTING_SENDING_NEW_DAY;
        }
        break;
    }
    limits->hour_max = hour != SETTING_COUNT ? (uint32_t)setting_number(settings, hour) : 0;
    limits->day_max = (uint32_t)setting_number(settings, day);
}

/* ---- what counts ---- */

enum { LISTS_MAX = 32 }; /* of one message, remembered; what is beyond counts one by one */

struct counting {
    struct db_txn *txn;
    struct arena *arena;
    uint64_t tenant_id;
    struct bytes senders[LISTS_MAX]; /* other than the envelope's */
    bool is_list[LISTS_MAX];
    unsigned sender_count;
    uint32_t account;
    uint32_t tenant;
};

/* Whether one more of its members changes nothing. */
static bool list_is_counted(struct counting *counting, const char *sender)
{
    struct bytes from = bytes_of(sender);

    if (from.len == 0)
        return false;
    for (unsigned i = 0; i < counting->sender_count; i++)
        if (bytes_equal(counting->senders[i], from))
            return counting->is_list[i];
    if (counting->sender_count < LISTS_MAX) {
        counting->senders[counting->sender_count] = from;
        counting->is_list[counting->sender_count++] =
            sending_is_of_list(counting->txn, from, counting->arena);
    }
    return false;
}

/* Accounts of the cluster itself, as postmaster@localhost, are nobody's; what is gone will be
 * refused. */
static void count_account(struct counting *counting, uint64_t id)
{
    const Pr__AccountRecord *account = account_of(counting->txn, id, counting->arena);
    uint64_t tenant_id =
        account != NULL
            ? settings_place_account(counting->txn, account, counting->arena).tenant_id
            : 0;

    if (tenant_id == 0 || tenant_id == counting->tenant_id)
        return;
    counting->tenant++;
    counting->account++;
}

static void count_accounts(struct counting *counting, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        count_account(counting, ids[i]);
}

/* Who is only told of is counted where the message goes. */
static void count_queue(struct counting *counting, Pr__QueueRecipient *const *queue,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (queue[i]->tell)
            continue;
        if (queue[i]->account_id != 0) { /* held for it */
            count_account(counting, queue[i]->account_id);
            continue;
        }
        counting->tenant++;
        counting->account += !list_is_counted(counting, queue[i]->sender);
    }
}

static void count_all(struct counting *counting, const Pr__DeliverCall *asked)
{
    count_queue(counting, asked->queue, asked->n_queue);
    count_accounts(counting, asked->account_ids, asked->n_account_ids);
    for (size_t i = 0; i < asked->n_parts; i++) {
        const Pr__DeliverCallPart *part = asked->parts[i];
        count_queue(counting, part->queue, part->n_queue);
        count_accounts(counting, part->account_ids, part->n_account_ids);
    }
}

Pr__SendingLimits *sending_limits(struct service *service, uint64_t account_id,
                                  const Pr__DeliverCall *asked, struct arena *arena)
{
    struct db_txn *txn = service_directory_begin(service);
    const Pr__AccountRecord *account = account_of(txn, account_id, arena);
    Pr__SendingLimits *limits = NULL;
    struct settings settings;

    if (account != NULL) {
        struct settings_place place = settings_place_account(txn, account, arena);
        settings_load(txn, place, arena, &settings);
        limits = arena_alloc(arena, sizeof(*limits));
        pr__sending_limits__init(limits);
        limits->account_id = account_id;
        limits->tenant_id = place.tenant_id;
        limits->tenant_limit = sending_tenant_limit(txn, place.tenant_id, arena);
        fill(&settings, account, limits);
        struct counting counting = {.txn = txn, .arena = arena, .tenant_id = place.tenant_id};
        count_all(&counting, asked);
        limits->recipients = counting.account;
        limits->tenant_recipients = counting.tenant;
    }
    db_abort(&txn);
    return limits;
}

void may_send_call(struct service_call *call)
{
    const Pr__MaySend *asked = call->request->may_send;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__MaySendAnswer answer = PR__MAY_SEND_ANSWER__INIT;

    if (asked->n_addresses > MAY_SEND_MAX) {
        call_fail(call, ERR_TOOBIG, NULL);
        return;
    }
    struct db_txn *txn = service_directory_begin(call->service);
    const Pr__AccountRecord *account =
        account_of(txn, call->session->account_id, &call->call_arena);
    answer.n_allowed = asked->n_addresses;
    answer.allowed =
        arena_alloc(&call->call_arena, asked->n_addresses * sizeof(*answer.allowed));
    for (size_t i = 0; i < asked->n_addresses; i++)
        answer.allowed[i] =
            account != NULL && !(account->bars & PR__ACCOUNT_BAR__BAR_SEND) &&
            addresses_may_send(txn, account, bytes_of(asked->addresses[i]), &call->call_arena);
    db_abort(&txn);
    reply.answer_case = PR__REPLY__ANSWER_MAY_SEND;
    reply.may_send = &answer;
    call_reply(call, &reply);
}
