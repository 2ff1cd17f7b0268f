/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/sending.h"

#include "storage/machine/account.h"
#include "storage/machine/record_row.h"
#include "storage/machine/scope.h"
#include "storage/schema/flags.h"

void sending_encode(const struct sending_record *sending, struct record *record)
{
    record_begin(record);
    put_u64(record, sending->slot);
    for (unsigned i = 0; i < SENDING_HOUR_SLOTS; i++)
        put_u32(record, sending->hour[i]);
    for (unsigned i = 0; i < SENDING_DAY_SLOTS; i++)
        put_u32(record, sending->day[i]);
}

bool sending_decode(struct bytes row, struct sending_record *sending)
{
    struct reader reader = reader_begin(row);

    sending->slot = get_u64(&reader);
    for (unsigned i = 0; i < SENDING_HOUR_SLOTS; i++)
        sending->hour[i] = get_u32(&reader);
    for (unsigned i = 0; i < SENDING_DAY_SLOTS; i++)
        sending->day[i] = get_u32(&reader);
    return reader_done(&reader);
}

/* Makes room in front for `steps` newer slots. */
static void slots_shift(uint32_t *slots, unsigned count, uint64_t steps)
{
    unsigned by = steps < count ? (unsigned)steps : count;

    memmove(slots + by, slots, (count - by) * sizeof(*slots));
    memset(slots, 0, by * sizeof(*slots));
}

static struct bytes tenant_key(struct key *key, uint32_t group, uint64_t tenant_id)
{
    return key_scope(key, group, PR__SCOPE_KIND__SCOPE_SENDING, tenant_id);
}

static void row_load(struct db_txn *txn, struct bytes key, uint64_t now_ms,
                     struct sending_record *sending)
{
    uint64_t slot = now_ms / SENDING_SLOT_MS;
    struct bytes row;

    *sending = (struct sending_record){.slot = slot};
    if (db_get(txn, TABLE_SENDING, key, &row) != ERR_OK)
        return;
    if (!sending_decode(row, sending)) {
        db_fail(txn, ERR_MALFORMED);
        return;
    }
    if (slot > sending->slot) {
        slots_shift(sending->hour, SENDING_HOUR_SLOTS, slot - sending->slot);
        slots_shift(sending->day, SENDING_DAY_SLOTS,
                    slot / SENDING_SLOTS_AN_HOUR - sending->slot / SENDING_SLOTS_AN_HOUR);
    }
    sending->slot = slot;
}

void sending_load(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t now_ms,
                  struct sending_record *sending)
{
    struct key key;

    row_load(txn, key_number(&key, group, account_id), now_ms, sending);
}

void sending_tenant_load(struct db_txn *txn, uint32_t group, uint64_t tenant_id,
                         uint64_t now_ms, struct sending_record *sending)
{
    struct key key;

    row_load(txn, tenant_key(&key, group, tenant_id), now_ms, sending);
}

void sending_tenant_drop(struct db_txn *txn, uint32_t group, uint64_t tenant_id,
                         uint64_t now_ms)
{
    struct sending_record sending;
    struct key key;

    sending_tenant_load(txn, group, tenant_id, now_ms, &sending);
    if (sending_in_hour(&sending) == 0 && sending_in_day(&sending) == 0)
        db_delete(txn, TABLE_SENDING, tenant_key(&key, group, tenant_id));
}

static uint64_t sum(const uint32_t *slots, unsigned count)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < count; i++)
        all += slots[i];
    return all;
}

uint64_t sending_in_hour(const struct sending_record *sending)
{
    return sum(sending->hour, SENDING_HOUR_SLOTS);
}

uint64_t sending_in_day(const struct sending_record *sending)
{
    return sum(sending->day, SENDING_DAY_SLOTS);
}

/* How many slots have to pass before so many have room; 0: none, it goes now. */
static unsigned slots_to_wait(const uint32_t *slots, unsigned count, uint64_t max,
                              uint64_t more)
{
    uint64_t all = sum(slots, count);
    unsigned last = count;

    while (last > 0 && all + more > max)
        all -= slots[--last];
    return last < count ? count - last : 0;
}

/* One of the two limits. */
struct window {
    const char *name;
    uint32_t *slots;
    unsigned count;
    uint64_t slot_ms;
    uint32_t max; /* 0: none */
};

static enum err window_check(struct apply *apply, const Pr__SendingLimits *limits,
                             const struct window *window)
{
    uint64_t now_ms = apply_clock_ms(apply);
    unsigned slots;
    uint64_t wait_ms;

    if (window->max == 0)
        return ERR_OK;
    if (limits->recipients > window->max)
        return apply_refuse(apply, ERR_LIMIT,
                            "%u recipients at once; account %llu may send to %u in %s",
                            limits->recipients, (unsigned long long)limits->account_id,
                            window->max, window->name);
    /* The newest slot, with all others, is out when as many have passed as there are: one less
     * of whole ones, and the rest of the one that is under way. */
    slots = slots_to_wait(window->slots, window->count, window->max, limits->recipients);
    if (slots == 0)
        return ERR_OK;
    wait_ms = slots * window->slot_ms - now_ms % window->slot_ms;
    apply_refuse(apply, ERR_LIMIT,
                 "account %llu has sent to %llu of %u recipients in %s; %u more go in %llu min",
                 (unsigned long long)limits->account_id,
                 (unsigned long long)sum(window->slots, window->count), window->max,
                 window->name, limits->recipients, (unsigned long long)(wait_ms / 60000 + 1));
    apply->outcome->id = now_ms + wait_ms > now_ms ? now_ms + wait_ms : UINT64_MAX;
    return ERR_LIMIT;
}

static void slot_add(uint32_t *slot, uint32_t recipients)
{
    *slot = recipients < UINT32_MAX - *slot ? *slot + recipients : UINT32_MAX;
}

static void count(struct sending_record *sending, uint32_t recipients)
{
    slot_add(&sending->hour[0], recipients);
    slot_add(&sending->day[0], recipients);
}

static enum err account_check(struct apply *apply, const Pr__SendingLimits *limits,
                              struct sending_record *counted)
{
    enum err err;

    sending_load(apply->txn, apply->group, limits->account_id, apply_clock_ms(apply), counted);
    const struct window day = {"a day", counted->day, SENDING_DAY_SLOTS, SENDING_LONG_SLOT_MS,
                               limits->day_max};
    const struct window hour = {"an hour", counted->hour, SENDING_HOUR_SLOTS, SENDING_SLOT_MS,
                                limits->hour_max};
    if ((err = window_check(apply, limits, &day)) != ERR_OK ||
        (err = window_check(apply, limits, &hour)) != ERR_OK)
        return err;
    count(counted, limits->recipients);
    return ERR_OK;
}

/* ---- of a tenant ---- */

/* When there is room below `granted`, if the group is granted no more; 0: not by itself. */
static uint64_t free_ms(const uint32_t *slots, unsigned slot_count, uint64_t slot_ms,
                        uint64_t granted, uint32_t more, uint64_t now_ms)
{
    if (granted == SCOPE_UNLIMITED)
        return now_ms;
    if (more > granted)
        return 0;
    unsigned wait = slots_to_wait(slots, slot_count, granted, more);
    return wait == 0 ? now_ms : now_ms + wait * slot_ms - now_ms % slot_ms;
}

static enum err tenant_check(struct apply *apply, const Pr__SendingLimits *limits,
                             struct sending_record *counted)
{
    const struct scope_name name = {PR__SCOPE_KIND__SCOPE_SENDING, limits->tenant_id};
    uint64_t now_ms = apply_clock_ms(apply);
    uint32_t more = limits->tenant_recipients;
    enum err err = ERR_OK;

    sending_tenant_load(apply->txn, apply->group, limits->tenant_id, now_ms, counted);
    if (limits->tenant_limit != 0)
        err = scope_room_check(apply, name, limits->tenant_limit, more, more);
    if (err == ERR_GRANT) {
        Pr__ScopeShare *share = apply->outcome->share;
        uint64_t hour = free_ms(counted->hour, SENDING_HOUR_SLOTS, SENDING_SLOT_MS,
                                share->granted_messages, more, now_ms);
        uint64_t day = free_ms(counted->day, SENDING_DAY_SLOTS, SENDING_LONG_SLOT_MS,
                               share->granted_bytes, more, now_ms);
        share->free_ms = hour == 0 || day == 0 ? 0 : hour > day ? hour : day;
    }
    if (err == ERR_OK)
        count(counted, more);
    return err;
}

static bool counts_tenant(const Pr__SendingLimits *limits)
{
    return limits->tenant_id != 0 && limits->tenant_recipients > 0;
}

enum err sending_check(struct apply *apply, const Pr__SendingLimits *limits,
                       struct sending_counted *counted)
{
    struct account account;
    enum err err;

    if (limits == NULL)
        return ERR_OK;
    if (limits->account_id == 0 || limits->recipients > DELIVER_RECIPIENTS_MAX ||
        limits->tenant_recipients > DELIVER_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_INVALID, "a submission of no account, or to %u",
                            limits->recipients);
    account_load(apply->txn, apply->group, limits->account_id, &account);
    if ((err = account_writable(apply, &account)) != ERR_OK)
        return err;
    if (limits->recipients > 0 &&
        (err = account_check(apply, limits, &counted->account)) != ERR_OK)
        return err;
    return counts_tenant(limits) ? tenant_check(apply, limits, &counted->tenant) : ERR_OK;
}

void sending_store(struct apply *apply, const Pr__SendingLimits *limits,
                   const struct sending_counted *counted)
{
    struct key key;
    struct record row;

    if (limits != NULL && limits->recipients > 0) {
        sending_encode(&counted->account, &row);
        db_put(apply->txn, TABLE_SENDING, key_number(&key, apply->group, limits->account_id),
               record_bytes(&row));
    }
    if (limits != NULL && counts_tenant(limits)) {
        sending_encode(&counted->tenant, &row);
        db_put(apply->txn, TABLE_SENDING, tenant_key(&key, apply->group, limits->tenant_id),
               record_bytes(&row));
    }
}
