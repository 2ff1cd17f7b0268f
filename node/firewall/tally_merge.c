/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/tally_internal.h"
#include "node/firewall/weight.h"

#define WEIGHT_ATTACKED 3.0f
#define WEIGHT_SPRAYED 5.0f

/* What is counted once a day, so that different ones are counted. */
enum once {
    ONCE_ADDRESS_ACCOUNT = 1,
    ONCE_SECRET_ACCOUNT,
    ONCE_NETWORK_GUESSING,
    ONCE_NETWORK_LOGGING_IN,
    ONCE_ARRIVAL,
};

static bool is_first(struct firewall_tally *tally, enum once once,
                     const struct firewall_address *address, uint64_t other)
{
    return seen_add(&tally->seen, address->high ^ (uint64_t)once << 60, address->low ^ once,
                    other, tally->tick);
}

static bool key_of(enum firewall_keyed keyed, const struct firewall_record *record,
                   struct firewall_address *key)
{
    switch (keyed) {
    case FIREWALL_BY_ADDRESS:
        *key = record->address;
        return true;
    case FIREWALL_BY_NET:
        *key = firewall_net_of(&record->address).address;
        return true;
    case FIREWALL_BY_NETWORK:
        *key = (struct firewall_address){0, record->network};
        return record->network != 0;
    case FIREWALL_BY_ACCOUNT:
        *key = (struct firewall_address){0, record->account};
        return record->account != 0;
    default:
        *key = (struct firewall_address){0, record->secret};
        return record->secret != 0;
    }
}

/* Touched; NULL where the record has no such key. */
static struct table_slot *slot_of(struct firewall_tally *tally, enum firewall_keyed keyed,
                                  const struct firewall_record *record)
{
    struct firewall_address key;

    if (!key_of(keyed, record, &key))
        return NULL;
    struct table_slot *slot =
        table_put(&tally->tables[keyed], &key, (uint8_t)keyed, tally->tick);
    counters_touch(&tally->counters, keyed, slot, tally->tick);
    slot->network = record->network;
    return slot;
}

bool tally_count(struct firewall_tally *tally, enum firewall_counted counted,
                 enum firewall_keyed keyed, const struct firewall_record *record, float amount)
{
    bool is_v6 = !firewall_address_is_v4(&record->address);
    bool strikes = false;

    for (const uint8_t *id = tally->counters.rules[counted]; *id != 0; id++) {
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id) * id);
        if (rule->keyed != keyed)
            continue;
        struct table_slot *slot = slot_of(tally, keyed, record);
        if (slot == NULL || !counters_add(&tally->counters, *id, slot, amount, is_v6))
            continue;
        strikes = true;
        if (rule->action == FIREWALL_BAN)
            tally_propose(tally, *id, slot, &record->address, record->network,
                          rule->scope != 0 ? rule->scope : record->service);
    }
    return strikes;
}

static void count_places(struct firewall_tally *tally, enum firewall_counted counted,
                         const struct firewall_record *record, float amount)
{
    tally_count(tally, counted, FIREWALL_BY_ADDRESS, record, amount);
    tally_count(tally, counted, FIREWALL_BY_NET, record, amount);
}

static void count_good(struct firewall_tally *tally, enum firewall_counted counted,
                       const struct firewall_record *record, float amount)
{
    for (const uint8_t *id = tally->counters.rules[counted]; *id != 0; id++) {
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id) * id);
        struct table_slot *slot =
            rule->share_percent > 0 ? slot_of(tally, rule->keyed, record) : NULL;
        if (slot != NULL)
            counters_add_good(&tally->counters, *id, slot, amount);
    }
}

static void merge_login(struct firewall_tally *tally, const struct firewall_record *record)
{
    struct table_slot *slot = credits_find(&tally->credits, &record->address, tally->tick);
    bool is_known = slot != NULL && weight_is_known(slot, record->account);

    if (record->network != 0 &&
        is_first(tally, ONCE_NETWORK_LOGGING_IN, &record->address, record->network))
        count_good(tally, FIREWALL_ADDRESSES, record, 1);
    if (record->account == 0)
        return;
    float arrivals =
        !is_known && is_first(tally, ONCE_ARRIVAL, &record->address, record->account) ? 1 : 0;
    bool is_roaming =
        tally_count(tally, FIREWALL_ARRIVALS, FIREWALL_BY_ACCOUNT, record, arrivals);
    if (is_roaming && !is_known)
        return;
    slot = credits_put(&tally->credits, &record->address, record->network, tally->tick);
    slot->credit_at = tally->tick;
    weight_learn(slot, record->account);
}

static bool is_attacked(struct firewall_tally *tally, enum firewall_rule_id rule,
                        const struct firewall_record *record)
{
    struct table_slot *slot = slot_of(tally, firewall_rule(rule)->keyed, record);

    return slot != NULL && counters_are_full(&tally->counters, rule, slot, false);
}

/* How much of a guess it is by what is known of the address, the account and the secret. */
static float gravity(struct firewall_tally *tally, const struct firewall_record *record,
                     const struct table_slot *credit)
{
    float weight = 1;

    if (credit != NULL)
        return weight_is_known(credit, record->account) ? WEIGHT_KNOWN_ACCOUNT : WEIGHT_CREDIT;
    if (is_attacked(tally, FIREWALL_CLUSTER_ACCOUNT_ATTACKED, record))
        weight *= WEIGHT_ATTACKED;
    if (is_attacked(tally, FIREWALL_CLUSTER_SECRET_SPRAYED, record))
        weight *= WEIGHT_SPRAYED;
    return weight;
}

static void merge_failure(struct firewall_tally *tally, const struct firewall_record *record)
{
    const struct table_slot *credit =
        credits_find(&tally->credits, &record->address, tally->tick);
    float guesses = weight_of_guesses(&tally->seen, &record->address, record->account,
                                      record->secret, record->count, tally->tick);

    if (guesses <= 0)
        return;
    bool is_known = credit != NULL && weight_is_known(credit, record->account);
    if (!is_known && is_first(tally, ONCE_ADDRESS_ACCOUNT, &record->address, record->account)) {
        tally_count(tally, FIREWALL_ACCOUNTS, FIREWALL_BY_ADDRESS, record,
                    credit != NULL ? WEIGHT_CREDIT : 1);
        if (credit == NULL)
            tally_count(tally, FIREWALL_ADDRESSES, FIREWALL_BY_ACCOUNT, record, 1);
    }
    if (credit == NULL) {
        struct firewall_address secret = {0, record->secret};
        if (record->secret != 0 &&
            is_first(tally, ONCE_SECRET_ACCOUNT, &secret, record->account))
            tally_count(tally, FIREWALL_ACCOUNTS, FIREWALL_BY_SECRET, record, 1);
        if (record->network != 0 &&
            is_first(tally, ONCE_NETWORK_GUESSING, &record->address, record->network))
            tally_count(tally, FIREWALL_ADDRESSES, FIREWALL_BY_NETWORK, record, 1);
    }
    count_places(tally, FIREWALL_GUESSES, record, guesses * gravity(tally, record, credit));
}

static bool is_allowed(const struct firewall_tally *tally, const struct firewall_record *record)
{
    struct firewall_entry entry;

    return tally->list != NULL &&
           firewall_list_find(tally->list, &record->address, record->network,
                              (enum firewall_service)record->service, tally->tick, &entry) &&
           entry.kind == FIREWALL_ENTRY_ALLOW;
}

static void merge_record(struct firewall_tally *tally, const struct firewall_record *record)
{
    float count = (float)record->count;

    switch (record->event) {
    case FIREWALL_RECIPIENT:
        count_good(tally, FIREWALL_UNKNOWNS, record, count);
        count_good(tally, FIREWALL_NULLS, record, count);
        break;
    case FIREWALL_RECIPIENT_UNKNOWN:
        count_good(tally, FIREWALL_NULLS, record, count);
        count_places(tally, FIREWALL_UNKNOWNS, record, count);
        break;
    case FIREWALL_NULL_SENDER:
        count_places(tally, FIREWALL_NULLS, record, count);
        break;
    case FIREWALL_LOGIN:
        merge_login(tally, record);
        break;
    case FIREWALL_LOGIN_FAILED:
        merge_failure(tally, record);
        break;
    case FIREWALL_PROTOCOL_ERROR:
        count_places(tally, FIREWALL_ERRORS, record, count);
        break;
    case FIREWALL_EARLY_TALK:
        count_places(tally, FIREWALL_EARLY, record, count);
        break;
    case FIREWALL_FLOOD:
        count_places(tally, FIREWALL_FLOODS, record, count);
        break;
    default:
        break;
    }
}

void firewall_tally_merge(struct firewall_tally *tally, const struct firewall_batch *batch,
                          uint64_t now_s)
{
    tally_set_time(tally, now_s);
    for (size_t i = 0; i < batch->count; i++) {
        tally->counts.records++;
        tally->counts.events += batch->records[i].count;
        if (!is_allowed(tally, &batch->records[i]))
            merge_record(tally, &batch->records[i]);
    }
}
