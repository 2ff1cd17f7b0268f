/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/firewall/firewall_internal.h"
#include "node/firewall/weight.h"

struct firewall_address firewall_key_of(enum firewall_keyed keyed,
                                        const struct firewall_address *address,
                                        uint32_t network, uint64_t account)
{
    switch (keyed) {
    case FIREWALL_BY_ADDRESS:
        return *address;
    case FIREWALL_BY_NET:
        return firewall_net_of(address).address;
    case FIREWALL_BY_NETWORK:
        return (struct firewall_address){0, network};
    default:
        return (struct firewall_address){0, account};
    }
}

static bool is_v6(const struct firewall_conn *conn)
{
    return !firewall_address_is_v4(&conn->address);
}

static bool is_missing(enum firewall_keyed keyed, uint32_t network, uint64_t account)
{
    return (keyed == FIREWALL_BY_NETWORK && network == 0) ||
           (keyed == FIREWALL_BY_ACCOUNT && account == 0);
}

static struct table_slot *find_or_make(struct firewall *firewall, enum firewall_keyed keyed,
                                       const struct firewall_conn *conn, uint64_t account)
{
    if (is_missing(keyed, conn->network, account))
        return NULL;
    struct firewall_address key =
        firewall_key_of(keyed, &conn->address, conn->network, account);
    struct table_slot *slot =
        table_put(&firewall->tables[keyed], &key, (uint8_t)keyed, firewall->tick);
    slot->network = conn->network; /* firewall_forgive() goes by it */
    counters_touch(&firewall->counters, keyed, slot, firewall->tick);
    return slot;
}

struct table_slot *firewall_slot(struct firewall *firewall, struct firewall_conn *conn,
                                 enum firewall_keyed keyed)
{
    struct table *table = &firewall->tables[keyed];

    if (conn->generation[keyed] != 0) {
        struct table_slot *slot = table_at(table, conn->slot[keyed]);
        if (slot->generation == conn->generation[keyed]) {
            counters_touch(&firewall->counters, keyed, slot, firewall->tick);
            return slot;
        }
    }
    struct table_slot *slot = find_or_make(firewall, keyed, conn, conn->account);
    if (slot != NULL) {
        conn->slot[keyed] = table_index(table, slot);
        conn->generation[keyed] = slot->generation;
        slot->open += conn->is_counted;
    }
    return slot;
}

static bool has_fresh_credit(const struct firewall *firewall, const struct table_slot *slot)
{
    return slot->credit_at != 0 &&
           firewall->tick - slot->credit_at < FIREWALL_CREDIT_S * FIREWALL_TICKS_PER_S;
}

bool firewall_conn_has_credit(struct firewall *firewall, struct firewall_conn *conn)
{
    return conn->kind == FIREWALL_ENTRY_EXEMPT ||
           has_fresh_credit(firewall, firewall_slot(firewall, conn, FIREWALL_BY_ADDRESS));
}

void firewall_harden(struct firewall_verdict *verdict, unsigned id)
{
    const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)id);
    enum firewall_action action = rule->action == FIREWALL_BAN ? FIREWALL_REFUSE : rule->action;

    if (action < verdict->action ||
        (action == verdict->action && rule->delay_ms <= verdict->delay_ms))
        return;
    *verdict = (struct firewall_verdict){
        .action = action,
        .delay_ms = action == FIREWALL_DELAY ? rule->delay_ms : 0,
        .rule = (enum firewall_rule_id)id,
        .status = "",
        .reply = "",
    };
}

static void tell_flood(struct firewall *firewall, const struct firewall_conn *conn)
{
    struct firewall_record record = {
        .address = conn->address,
        .network = conn->network,
        .count = 1,
        .event = FIREWALL_FLOOD,
        .service = conn->service,
    };

    firewall->counts.dropped += !outbox_add(&firewall->outbox, &record);
}

static void ban(struct firewall *firewall, const struct firewall_change *change, unsigned id,
                struct table_slot *slot)
{
    const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)id);
    uint32_t until = firewall->tick + rule->ban_s * FIREWALL_TICKS_PER_S;

    counters_halve(&firewall->counters, id, slot, is_v6(change->conn));
    if (until > slot->ban_until) {
        slot->ban_until = until;
        slot->rule = (uint8_t)id;
    }
    if (rule->counted == FIREWALL_CONNECTIONS)
        tell_flood(firewall, change->conn);
}

/* Rules that would hit an address for what others did. */
static bool is_of_others(const struct firewall_rule *rule)
{
    return rule->keyed == FIREWALL_BY_NET || rule->keyed == FIREWALL_BY_NETWORK ||
           (rule->keyed == FIREWALL_BY_ACCOUNT && rule->counted == FIREWALL_GUESSES);
}

void firewall_count(struct firewall *firewall, const struct firewall_change *change,
                    struct firewall_verdict *verdict)
{
    const struct counters *counters = &firewall->counters;

    for (const uint8_t *id = counters->rules[change->counted]; *id != 0; id++) {
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id) * id);
        struct table_slot *slot =
            rule->keyed == FIREWALL_BY_ACCOUNT
                ? find_or_make(firewall, rule->keyed, change->conn, change->account)
                : firewall_slot(firewall, change->conn, rule->keyed);
        if (slot == NULL)
            continue;
        if (!counters_add(counters, *id, slot, change->amount, is_v6(change->conn)))
            continue;
        if (rule->action == FIREWALL_BAN)
            ban(firewall, change, *id, slot);
        if (!change->has_credit || !is_of_others(rule))
            firewall_harden(verdict, *id);
    }
}

void firewall_count_failure(struct firewall *firewall, struct firewall_conn *conn,
                            uint64_t account, uint32_t secret, uint32_t count,
                            struct firewall_verdict *verdict)
{
    struct table_slot *slot = firewall_slot(firewall, conn, FIREWALL_BY_ADDRESS);
    bool has_credit = firewall_conn_has_credit(firewall, conn);
    float weight = weight_of_guesses(&firewall->seen, &conn->address, account, secret, count,
                                     firewall->tick);

    if (has_fresh_credit(firewall, slot) && weight_is_known(slot, account))
        weight *= WEIGHT_KNOWN_ACCOUNT;
    else if (has_credit)
        weight *= WEIGHT_CREDIT;
    struct firewall_change change = {
        .conn = conn,
        .counted = FIREWALL_FAILURES,
        .account = account,
        .amount = (float)count,
        .has_credit = has_credit,
    };
    firewall_count(firewall, &change, verdict);
    change.counted = FIREWALL_GUESSES;
    change.amount = weight;
    firewall_count(firewall, &change, verdict);
}

void firewall_count_login(struct firewall *firewall, struct firewall_conn *conn,
                          uint64_t account, struct firewall_verdict *verdict)
{
    struct table_slot *slot = firewall_slot(firewall, conn, FIREWALL_BY_ADDRESS);

    slot->credit_at = firewall->tick;
    weight_learn(slot, account);
    if (conn->account != 0 || account == 0)
        return;
    struct table_slot *of_account = find_or_make(firewall, FIREWALL_BY_ACCOUNT, conn, account);
    uint32_t limit = counters_limit(&firewall->counters, FIREWALL_ACCOUNT_OPEN, false);
    if (limit > 0 && of_account->open >= limit) {
        firewall_harden(verdict, FIREWALL_ACCOUNT_OPEN);
        return;
    }
    conn->account = account;
    firewall_slot(firewall, conn, FIREWALL_BY_ACCOUNT);
}
