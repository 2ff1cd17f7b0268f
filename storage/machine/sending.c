/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/sending.h"

#include "storage/machine/account.h"
#include "storage/machine/record_row.h"
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

void sending_load(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t now_ms,
                  struct sending_record *sending)
{
    uint64_t slot = now_ms / SENDING_SLOT_MS;
    struct key key;
    struct bytes row;

    *sending = (struct sending_record){.slot = slot};
    if (db_get(txn, TABLE_SENDING, key_number(&key, group, account_id), &row) != ERR_OK)
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

enum err sending_check(struct apply *apply, const Pr__SendingLimits *limits,
                       struct sending_record *counted)
{
    struct account account;
    enum err err;

    if (limits == NULL)
        return ERR_OK;
    if (limits->account_id == 0 || limits->recipients > DELIVER_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_INVALID, "a submission of no account, or to %u",
                            limits->recipients);
    account_load(apply->txn, apply->group, limits->account_id, &account);
    if ((err = account_writable(apply, &account)) != ERR_OK)
        return err;
    if (limits->recipients == 0)
        return ERR_OK;
    sending_load(apply->txn, apply->group, limits->account_id, apply_clock_ms(apply), counted);
    const struct window day = {"a day", counted->day, SENDING_DAY_SLOTS,
                               (uint64_t)SENDING_SLOTS_AN_HOUR * SENDING_SLOT_MS,
                               limits->day_max};
    const struct window hour = {"an hour", counted->hour, SENDING_HOUR_SLOTS, SENDING_SLOT_MS,
                                limits->hour_max};
    if ((err = window_check(apply, limits, &day)) != ERR_OK ||
        (err = window_check(apply, limits, &hour)) != ERR_OK)
        return err;
    slot_add(&counted->hour[0], limits->recipients);
    slot_add(&counted->day[0], limits->recipients);
    return ERR_OK;
}

void sending_store(struct apply *apply, const Pr__SendingLimits *limits,
                   const struct sending_record *counted)
{
    struct key key;
    struct record row;

    if (limits == NULL || limits->recipients == 0)
        return;
    sending_encode(counted, &row);
    db_put(apply->txn, TABLE_SENDING, key_number(&key, apply->group, limits->account_id),
           record_bytes(&row));
}
