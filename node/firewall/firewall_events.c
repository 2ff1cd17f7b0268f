/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/firewall/firewall_internal.h"

#define LISTED "access from your network is refused"
#define BUSY "busy, try again later"

static const struct firewall_verdict pass = {
    .action = FIREWALL_PASS, .status = "", .reply = ""};

/* What each event counts as; LOGIN and LOGIN_FAILED have functions of their own. */
static const struct event_row {
    bool is_counted;
    bool is_sent; /* to the cluster */
    enum firewall_counted counted;
    enum firewall_counted good_for[2]; /* rules with a share; FIREWALL_OPEN: none */
} event_rows[FIREWALL_EVENT_COUNT] = {
    [FIREWALL_COMMAND] = {true, false, FIREWALL_COMMANDS, {0}},
    [FIREWALL_MESSAGE] = {true, false, FIREWALL_MESSAGES, {0}},
    [FIREWALL_RECIPIENT] = {true,
                            true,
                            FIREWALL_RECIPIENTS,
                            {FIREWALL_UNKNOWNS, FIREWALL_NULLS}},
    [FIREWALL_RECIPIENT_UNKNOWN] = {true, true, FIREWALL_UNKNOWNS, {FIREWALL_NULLS}},
    [FIREWALL_NULL_SENDER] = {true, true, FIREWALL_NULLS, {0}},
    [FIREWALL_LOGIN] = {false, true, 0, {0}},
    [FIREWALL_LOGIN_FAILED] = {false, true, 0, {0}},
    [FIREWALL_PROTOCOL_ERROR] = {true, true, FIREWALL_ERRORS, {0}},
    [FIREWALL_EARLY_TALK] = {true, true, FIREWALL_EARLY, {0}},
};

/* Only one recipient is refused, not the connection. */
static bool is_of_recipient(unsigned rule)
{
    return rule == FIREWALL_ACCOUNT_NULLS;
}

static void word(struct firewall_verdict *verdict)
{
    const char *reply =
        verdict->rule != FIREWALL_NO_RULE ? firewall_rule(verdict->rule)->reply : NULL;

    verdict->close = !is_of_recipient(verdict->rule);
    if (verdict->action == FIREWALL_REFUSE) {
        verdict->code = 554;
        verdict->status = "5.7.1";
        verdict->reply = reply != NULL ? reply : LISTED;
    } else {
        verdict->reply = reply != NULL ? reply : BUSY;
        verdict->code = verdict->close ? 421 : 450;
        verdict->status = "4.7.0";
    }
}

struct firewall_verdict firewall_pronounce(struct firewall *firewall,
                                           struct firewall_conn *conn,
                                           struct firewall_verdict verdict)
{
    if (verdict.action == FIREWALL_DELAY && !conn->is_delayed) {
        if (firewall->delayed < firewall->config.delayed_max) {
            conn->is_delayed = true;
            firewall->delayed++;
        } else {
            verdict.action = FIREWALL_DEFER;
            verdict.delay_ms = 0;
            firewall->counts.undelayed++;
        }
    }
    if (verdict.action == FIREWALL_PASS)
        firewall->counts.passed++;
    else if (verdict.rule == FIREWALL_NO_RULE || firewall_rule_is_cluster(verdict.rule))
        firewall->counts.listed++;
    else
        firewall->counts.struck[verdict.rule]++;
    if (verdict.action >= FIREWALL_DEFER)
        word(&verdict);
    if (verdict.action >= FIREWALL_DEFER && verdict.close) {
        conn->action = (uint8_t)verdict.action;
        conn->rule = (uint8_t)verdict.rule;
    }
    return verdict;
}

/* Asks the list when there is a new one. */
static void look_up(struct firewall *firewall, struct firewall_conn *conn, uint64_t now_s)
{
    struct firewall_entry entry;

    conn->list_round = firewall->list_round;
    conn->kind = 0;
    conn->rule = FIREWALL_NO_RULE;
    if (!firewall_list_find(firewall->list, &conn->address, conn->network,
                            (enum firewall_service)conn->service, now_s, &entry))
        return;
    conn->kind = (uint8_t)entry.kind;
    if (firewall_rule_exists(entry.rule))
        conn->rule = (uint8_t)entry.rule;
}

/* A ban by this process, of the address or of its net. */
static unsigned local_ban(struct firewall *firewall, struct firewall_conn *conn)
{
    for (unsigned keyed = FIREWALL_BY_ADDRESS; keyed <= FIREWALL_BY_NET; keyed++) {
        const struct table_slot *slot =
            firewall_slot(firewall, conn, (enum firewall_keyed)keyed);
        if (slot->ban_until <= firewall->tick ||
            (firewall_rule((enum firewall_rule_id)slot->rule)->scope & conn->service) == 0)
            continue;
        if (keyed == FIREWALL_BY_ADDRESS || !firewall_conn_has_credit(firewall, conn))
            return slot->rule;
    }
    return FIREWALL_NO_RULE;
}

struct firewall_verdict firewall_standing(struct firewall *firewall, struct firewall_conn *conn,
                                          uint64_t now_s)
{
    struct firewall_verdict verdict = pass;

    if (conn->list_round != firewall->list_round)
        look_up(firewall, conn, now_s);
    if (conn->kind == FIREWALL_ENTRY_ALLOW)
        return verdict;
    bool is_listed = conn->kind == FIREWALL_ENTRY_DENY ||
                     (conn->kind == FIREWALL_ENTRY_BAN && conn->account == 0);
    if (is_listed) {
        verdict.action = FIREWALL_REFUSE;
        verdict.rule = (enum firewall_rule_id)conn->rule;
        return verdict;
    }
    unsigned rule = conn->account == 0 ? local_ban(firewall, conn) : FIREWALL_NO_RULE;
    if (rule != FIREWALL_NO_RULE)
        firewall_harden(&verdict, rule);
    return verdict;
}

/* Mail clients stay connected: where somebody has logged in lately there may be a whole office
 * behind one address. Its accounts have limits of their own. */
enum { OPEN_WITH_CREDIT = 10 };

static void check_open(struct firewall *firewall, struct firewall_conn *conn, bool has_credit,
                       struct firewall_verdict *verdict)
{
    bool is_v6 = !firewall_address_is_v4(&conn->address);

    for (const uint8_t *id = firewall->counters.rules[FIREWALL_OPEN]; *id != 0; id++) {
        enum firewall_keyed keyed = firewall_rule((enum firewall_rule_id) * id)->keyed;
        if (keyed == FIREWALL_BY_ACCOUNT || (has_credit && keyed != FIREWALL_BY_ADDRESS))
            continue;
        const struct table_slot *slot = firewall_slot(firewall, conn, keyed);
        uint64_t limit = counters_limit(&firewall->counters, *id, is_v6);
        if (has_credit)
            limit *= OPEN_WITH_CREDIT;
        if (slot != NULL && limit > 0 && slot->open >= limit)
            firewall_harden(verdict, *id);
    }
}

static void count_open(struct firewall *firewall, struct firewall_conn *conn)
{
    for (unsigned keyed = 0; keyed < FIREWALL_BY_ACCOUNT; keyed++) {
        struct table_slot *slot = firewall_slot(firewall, conn, (enum firewall_keyed)keyed);
        if (slot != NULL)
            slot->open++;
    }
    conn->is_counted = true; /* a slot that is made again counts it again */
}

struct firewall_verdict firewall_opened(struct firewall *firewall, struct firewall_conn *conn,
                                        const struct firewall_address *address,
                                        enum firewall_service service, struct firewall_now now)
{
    *conn = (struct firewall_conn){
        .address = *address,
        .list_round = firewall->list_round - 1,
        .service = (uint8_t)service,
    };
    if (firewall->config.network_of != NULL)
        conn->network = firewall->config.network_of(firewall->config.context, address);
    firewall_tick(firewall, now.ms);
    struct firewall_verdict verdict = firewall_standing(firewall, conn, now.s);
    if (verdict.action != FIREWALL_PASS || conn->kind == FIREWALL_ENTRY_ALLOW)
        return firewall_pronounce(firewall, conn, verdict);
    struct firewall_change change = {
        .conn = conn,
        .counted = FIREWALL_CONNECTIONS,
        .amount = 1,
        .has_credit = firewall_conn_has_credit(firewall, conn),
    };
    check_open(firewall, conn, change.has_credit, &verdict);
    firewall_count(firewall, &change, &verdict);
    if (verdict.action < FIREWALL_DEFER)
        count_open(firewall, conn);
    return firewall_pronounce(firewall, conn, verdict);
}

void firewall_closed(struct firewall *firewall, struct firewall_conn *conn)
{
    firewall_resumed(firewall, conn);
    for (unsigned keyed = 0; keyed < FIREWALL_TABLES && conn->is_counted; keyed++) {
        if (conn->generation[keyed] == 0)
            continue;
        struct table_slot *slot = table_at(&firewall->tables[keyed], conn->slot[keyed]);
        if (slot->generation == conn->generation[keyed]) {
            CHECK(slot->open > 0);
            slot->open--;
        }
        conn->generation[keyed] = 0;
    }
    conn->is_counted = false;
}

void firewall_resumed(struct firewall *firewall, struct firewall_conn *conn)
{
    if (!conn->is_delayed)
        return;
    conn->is_delayed = false;
    CHECK(firewall->delayed > 0);
    firewall->delayed--;
}

static void send(struct firewall *firewall, const struct firewall_conn *conn,
                 enum firewall_event event, uint64_t account, uint32_t secret, uint32_t count)
{
    bool is_login = event == FIREWALL_LOGIN || event == FIREWALL_LOGIN_FAILED;
    struct firewall_record record = {
        .address = conn->address,
        .account = is_login ? account : 0,
        .secret = event == FIREWALL_LOGIN_FAILED ? secret : 0,
        .network = conn->network,
        .count = count,
        .event = (uint8_t)event,
        .service = conn->service,
    };

    firewall->counts.dropped += !outbox_add(&firewall->outbox, &record);
}

static void count_good(struct firewall *firewall, struct firewall_conn *conn,
                       enum firewall_counted counted, uint32_t count)
{
    for (const uint8_t *id = firewall->counters.rules[counted]; *id != 0; id++) {
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id) * id);
        if (rule->share_percent == 0 || rule->keyed == FIREWALL_BY_ACCOUNT)
            continue;
        struct table_slot *slot = firewall_slot(firewall, conn, rule->keyed);
        if (slot != NULL)
            counters_add_good(&firewall->counters, *id, slot, (float)count);
    }
}

static void count_event(struct firewall *firewall, struct firewall_conn *conn,
                        enum firewall_event event, uint64_t account, uint32_t count,
                        struct firewall_verdict *verdict)
{
    const struct event_row *row = &event_rows[event];
    struct firewall_change change = {
        .conn = conn,
        .counted = row->counted,
        .account = account,
        .amount = (float)count,
        .has_credit = firewall_conn_has_credit(firewall, conn),
    };

    for (unsigned i = 0; i < 2; i++)
        if (row->good_for[i] != FIREWALL_OPEN)
            count_good(firewall, conn, row->good_for[i], count);
    firewall_count(firewall, &change, verdict);
}

/* What was refused already stays refused. Returns false when the event is to be counted. */
static bool is_settled(struct firewall *firewall, struct firewall_conn *conn,
                       struct firewall_now now, struct firewall_verdict *verdict)
{
    *verdict = pass;
    if (conn->action != FIREWALL_PASS) {
        verdict->action = (enum firewall_action)conn->action;
        verdict->rule = (enum firewall_rule_id)conn->rule;
        word(verdict);
        return true;
    }
    firewall_tick(firewall, now.ms);
    *verdict = firewall_standing(firewall, conn, now.s);
    if (verdict->action == FIREWALL_PASS && conn->kind != FIREWALL_ENTRY_ALLOW)
        return false;
    *verdict = firewall_pronounce(firewall, conn, *verdict);
    return true;
}

struct firewall_verdict firewall_happened(struct firewall *firewall, struct firewall_conn *conn,
                                          enum firewall_event event, uint64_t account,
                                          uint32_t secret, uint32_t count,
                                          struct firewall_now now)
{
    struct firewall_verdict verdict;

    CHECK(event > 0 && event < FIREWALL_FLOOD && count > 0 && secret <= FIREWALL_SECRET_MAX);
    if (is_settled(firewall, conn, now, &verdict))
        return verdict;
    if (event == FIREWALL_LOGIN)
        firewall_count_login(firewall, conn, account, &verdict);
    else if (event == FIREWALL_LOGIN_FAILED)
        firewall_count_failure(firewall, conn, account, secret, count, &verdict);
    else
        count_event(firewall, conn, event, account, count, &verdict);
    if (event_rows[event].is_sent)
        send(firewall, conn, event, account, secret, count);
    return firewall_pronounce(firewall, conn, verdict);
}

struct firewall_verdict firewall_may_log_in(struct firewall *firewall,
                                            struct firewall_conn *conn, uint64_t account,
                                            struct firewall_now now)
{
    struct firewall_verdict verdict;

    if (is_settled(firewall, conn, now, &verdict))
        return verdict;
    for (const uint8_t *id = firewall->counters.rules[FIREWALL_GUESSES]; *id != 0; id++) {
        enum firewall_keyed keyed = firewall_rule((enum firewall_rule_id) * id)->keyed;
        if (keyed == FIREWALL_BY_ADDRESS || firewall_conn_has_credit(firewall, conn))
            continue;
        struct firewall_address key =
            firewall_key_of(keyed, &conn->address, conn->network, account);
        struct table_slot *slot = table_find(&firewall->tables[keyed], &key, (uint8_t)keyed);
        if (slot == NULL)
            continue;
        counters_touch(&firewall->counters, keyed, slot, firewall->tick);
        if (firewall_rule((enum firewall_rule_id) * id)->action == FIREWALL_DELAY &&
            counters_are_full(&firewall->counters, *id, slot,
                              !firewall_address_is_v4(&conn->address)))
            firewall_harden(&verdict, *id);
    }
    return firewall_pronounce(firewall, conn, verdict);
}
